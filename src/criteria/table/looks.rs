//! Facts of `git`, `checklist`, `net`, `alert`, `load` and `promql`. Data only.

use super::super::scope::{Item, Kind};
use super::{FactSpec, fact, maybe};

pub(super) static GIT: [FactSpec; 12] = [
    maybe("head", Kind::TEXT, "the commit that is checked out; absent before the first one"),
    maybe("branch", Kind::TEXT, "the branch that is checked out; absent if none is"),
    fact("clean", Kind::BOOL, "nothing is changed, staged or untracked; ignored files aside"),
    fact("tag.name", Kind::TEXT, "the tag that was looked at"),
    fact("tag.exists", Kind::BOOL, "the tag is there"),
    maybe("tag.commit", Kind::TEXT, "the commit that it leads to"),
    maybe("tag.annotated", Kind::BOOL, "it has a message and an author of its own"),
    maybe("tag.signed", Kind::BOOL, "it carries a signature, which was not checked"),
    fact("tag.made", Kind::BOOL, "this look made it"),
    maybe("tag.target", Kind::TEXT, "the commit it was to be made on (`make`)"),
    fact("remote.NAME.has_tag", Kind::BOOL, "a remote has a tag of that name"),
    maybe("remote.NAME.commit", Kind::TEXT, "the commit that the tag leads to there"),
];

pub(super) static CHECKLIST: [FactSpec; 9] = [
    fact("total", Kind::NUMBER, "boxes in the section"),
    fact("checked", Kind::NUMBER, "boxes that are ticked, after this look"),
    fact("unchecked", Kind::NUMBER, "boxes that are not"),
    fact("ticked", Kind::NUMBER, "boxes that this look ticked"),
    fact("unearned", Kind::NUMBER, "boxes that are ticked although a step they are linked to did not pass"),
    fact("items", Kind::List(Item::Text), "texts of all items"),
    fact("open", Kind::List(Item::Text), "texts of the items that are not ticked"),
    fact("links", Kind::List(Item::Text), "state of the linked steps, one for each linked item (`pass`, `fail` …)"),
    maybe("item.\"TEXT\".checked", Kind::BOOL, "whether one item is ticked"),
];

pub(super) static NET: [FactSpec; 11] = [
    fact("open", Kind::BOOL, "the port accepted a connection (`tcp`, `tls`)"),
    fact("addrs", Kind::List(Item::Text), "addresses that the host or name resolves to, sorted"),
    maybe("peer", Kind::TEXT, "address and port of the connection"),
    maybe("latency", Kind::TIME, "time until the connection stood"),
    maybe("reason", Kind::TEXT, "why the port is not open"),
    maybe("tls.version", Kind::TEXT, "`1.2` or `1.3`"),
    maybe("tls.trusted", Kind::BOOL, "the certificate is valid now, for the name, and from a known authority"),
    maybe("tls.reason", Kind::TEXT, "why it is not"),
    maybe("tls.expires_in", Kind::TIME, "time until it expires, negative if it has"),
    maybe("tls.names", Kind::List(Item::Text), "names and addresses it is valid for"),
    maybe("tls.issuer", Kind::TEXT, "who issued it"),
];

pub(super) static ALERT: [FactSpec; 11] = [
    fact("receiver.\"NAME\".firing", Kind::BOOL, "every integration of a receiver was told that the alert fires"),
    fact("receiver.\"NAME\".resolved", Kind::BOOL, "every one was told that it is over"),
    maybe("receiver.\"NAME\".latency", Kind::TIME, "time from firing until the last of them was told"),
    maybe("receiver.\"NAME\".payload", Kind::TEXT, "its first notification: JSON, or a mail as text"),
    fact("receiver.\"NAME\".count", Kind::NUMBER, "notifications that it got"),
    fact("receivers", Kind::List(Item::Text), "receivers that had to be told"),
    fact("routed", Kind::List(Item::Text), "receivers that the alert is routed to"),
    fact("problems", Kind::List(Item::Text), "what was not received and why, one sentence each"),
    fact("nonce", Kind::TEXT, "value of the alert's label `runplan_drill`"),
    fact("version", Kind::TEXT, "version of the Alertmanager"),
    fact("shortened", Kind::BOOL, "`timers` shortened the configuration's own"),
];

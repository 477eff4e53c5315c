//! Facts of `git`, `checklist`, `net`, `alert`, `load` and `promql`. Data only.

use super::super::scope::{Item, Kind};
use super::{FactSpec, fact, maybe};
use crate::facts::Unit;

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

pub(super) static LOAD: [FactSpec; 8] = [
    fact("count", Kind::NUMBER, "requests that were counted"),
    fact("errors", Kind::NUMBER, "requests without a complete answer, or with a status from 400 on"),
    fact("rate(errors)", Kind::NUMBER, "their share of all, 0 to 1"),
    fact("latency", Kind::List(Item::Number(Unit::Time)), "time to the last byte of each answer that is no error"),
    fact("samples", Kind::NUMBER, "how many latencies there are"),
    fact("throughput", Kind::NUMBER, "answers that are no errors, a second"),
    fact("duration", Kind::TIME, "time of the whole burst, without warm-up"),
    maybe("answers.\"CODE\"", Kind::NUMBER, "how many answers had that status (`answers.\"503\"`)"),
];

pub(super) static PROMQL: [FactSpec; 9] = [
    fact("value", Kind::NUMBER, "the value of the one series; there is none if several came"),
    fact("values", Kind::List(Item::Number(Unit::One)), "the values of all series, in the order of `labels`"),
    fact("labels", Kind::List(Item::Text), "the labels of all series, sorted (`{job=\"app\"}`)"),
    fact("series", Kind::NUMBER, "how many series came"),
    fact("samples", Kind::List(Item::Number(Unit::One)), "over a `range`: the values of the one series, oldest first"),
    fact("bad", Kind::NUMBER, "of a pair: the bad events"),
    fact("total", Kind::NUMBER, "of a pair: all events"),
    fact("rate", Kind::NUMBER, "of a pair: the share of bad ones, 0 to 1"),
    fact("time", Kind::TEXT, "the instant that was asked for"),
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

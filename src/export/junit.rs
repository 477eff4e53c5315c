//! JUnit XML: a test case a step with what it wrote, and one for the decision. No attribute or element beyond those
//! that the common schemas know.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{Came, Run, Step, line, timestamp};
use crate::outcome::{State, Tier, Verdict};

type Xml = Writer<Vec<u8>>;

/// What a test case came to, with the sentence that says why.
struct Case<'r> {
    class: &'r str,
    name: &'r str,
    time: String,
    /// Element and message.
    came: Option<(&'static str, String)>,
    out: String,
    err: String,
}

/// The document.
#[must_use]
pub fn render(run: &Run) -> Vec<u8> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    // A vector takes every byte.
    drop(document(&mut writer, run));
    let mut bytes = writer.into_inner();
    bytes.push(b'\n');
    bytes
}

fn document(writer: &mut Xml, run: &Run) -> io::Result<()> {
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let mut cases: Vec<Case<'_>> = run.steps.iter().map(|step| case(run, step)).collect();
    cases.push(decision(run));
    let counts = counts(&cases);
    let name = line(&run.plan.name);
    let mut root = writer.create_element("testsuites").with_attribute(("name", name.as_str()));
    for (name, count) in &counts {
        root = root.with_attribute((*name, count.as_str()));
    }
    root.with_attribute(("time", seconds(run.took_ns).as_str())).write_inner_content(|writer| {
        let mut suite = writer.create_element("testsuite").with_attribute(("name", name.as_str()));
        for (name, count) in &counts {
            suite = suite.with_attribute((*name, count.as_str()));
        }
        let stamp = timestamp(run.wall_ms(0));
        // The schemas want a time without zone and fraction.
        let stamp = stamp.split(['.', 'Z']).next().unwrap_or_default();
        suite
            .with_attribute(("time", seconds(run.took_ns).as_str()))
            .with_attribute(("timestamp", stamp))
            .with_attribute(("hostname", line(&run.settings.host).as_str()))
            .write_inner_content(|writer| {
                properties(writer, run)?;
                cases.iter().try_for_each(|case| write_case(writer, case))
            })?;
        Ok(())
    })?;
    Ok(())
}

fn properties(writer: &mut Xml, run: &Run) -> io::Result<()> {
    let record = run.about.record.as_ref().map_or("none", |(id, _)| id.as_str());
    let risk = run.decision.as_ref().map(|decision| decision.risk.to_string()).unwrap_or_default();
    let all = [
        ("decision", run.word()),
        ("risk", risk.as_str()),
        ("record", record),
        ("plan", run.plan.sha256.as_str()),
        ("run", run.about.run.as_str()),
    ];
    writer.create_element("properties").write_inner_content(|writer| {
        for (name, value) in all.iter().filter(|(_, value)| !value.is_empty()) {
            let property = writer.create_element("property").with_attribute(("name", *name));
            property.with_attribute(("value", line(value).as_str())).write_empty()?;
        }
        Ok(())
    })?;
    Ok(())
}

fn case<'r>(run: &'r Run, step: &'r Step) -> Case<'r> {
    let why = || line(&step.why());
    let came = match step.came {
        Came::Pass | Came::Warn | Came::Waived => None,
        Came::Fail | Came::Inconclusive => Some(("failure", why())),
        Came::Error | Came::Unfinished => Some(("error", why())),
        Came::Pending | Came::Skipped | Came::Blocked | Came::NotReached => Some(("skipped", why())),
    };
    let (mut out, err) = (about(step), step.written.stderr.text());
    let wrote = step.written.stdout.text();
    if !wrote.is_empty() {
        out.push("--- stdout".to_owned());
        out.push(wrote);
    }
    Case { class: &run.plan.name, name: &step.head.name, time: seconds(step.took_ns()), came, out: out.join("\n"), err }
}

/// What there is to say of a step, a line each.
fn about(step: &Step) -> Vec<String> {
    let mut lines = Vec::new();
    if matches!(step.came, Came::Warn | Came::Waived | Came::Inconclusive) {
        lines.push(format!("{}: {}", step.came.word(), line(&step.why())));
    }
    if let Some(run) = &step.reused {
        lines.push(format!("reused: the result is that of run {}", line(run)));
    }
    let Some(result) = &step.result else { return lines };
    if let Some(reason) = &result.allowed_empty {
        lines.push(format!("nothing was looked at, which is allowed: {}", line(reason)));
    }
    if result.attempts.len() > 1 {
        for (attempt, number) in result.attempts.iter().zip(1..) {
            let why = attempt.detail.as_ref().map_or_else(String::new, |why| format!(" ({})", line(why)));
            lines.push(format!("attempt {number}: {}{why}", attempt.state));
        }
    }
    lines.extend(result.criteria().iter().map(|criterion| {
        let good = if criterion.tier == Tier::Reject { State::Fail } else { State::Pass };
        let mark = if criterion.state == good { "ok" } else { criterion.state.word() };
        line(&format!("{mark}: {} | expected {} | actual {}", criterion.text, criterion.expected, criterion.actual))
    }));
    lines
}

fn decision(run: &Run) -> Case<'_> {
    let why = || line(&format!("{}: {}", run.word(), run.why()));
    let came = match run.verdict() {
        Some(Verdict::Go) => None,
        Some(Verdict::Hold | Verdict::NoGo) => Some(("failure", why())),
        None => Some(("error", why())),
    };
    Case { class: "runplan", name: "decision", time: seconds(0), came, out: why(), err: String::new() }
}

fn write_case(writer: &mut Xml, case: &Case<'_>) -> io::Result<()> {
    let element = writer
        .create_element("testcase")
        .with_attribute(("classname", line(case.class).as_str()))
        .with_attribute(("name", line(case.name).as_str()))
        .with_attribute(("time", case.time.as_str()));
    element.write_inner_content(|writer| {
        if let Some((tag, why)) = &case.came {
            writer.create_element(*tag).with_attribute(("message", why.as_str())).write_empty()?;
        }
        for (tag, text) in [("system-out", &case.out), ("system-err", &case.err)] {
            if !text.is_empty() {
                writer.create_element(tag).write_text_content(BytesText::new(text))?;
            }
        }
        Ok(())
    })?;
    Ok(())
}

fn counts(cases: &[Case<'_>]) -> [(&'static str, String); 4] {
    let of = |tag: &str| cases.iter().filter(|case| case.came.as_ref().is_some_and(|(own, _)| *own == tag)).count();
    [
        ("tests", cases.len().to_string()),
        ("failures", of("failure").to_string()),
        ("errors", of("error").to_string()),
        ("skipped", of("skipped").to_string()),
    ]
}

fn seconds(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000_000_000, ns / 1_000_000 % 1000)
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::{broken_off, eventful};
    use super::*;

    #[test]
    fn the_document_says_the_worst_and_stays_xml() {
        let text = String::from_utf8(render(&eventful())).unwrap();
        assert!(text.contains(r#"tests="7" failures="2" errors="0" skipped="3""#), "{text}");
        assert!(text.contains("[the first 7 bytes are left out]") && text.contains("]]&gt;"), "{text}");
        assert!(!text.chars().any(|c| c < ' ' && c != '\n'), "{text:?}");
        let mut reader = quick_xml::Reader::from_str(&text);
        while !matches!(reader.read_event().unwrap(), Event::Eof) {}
        let text = String::from_utf8(render(&broken_off())).unwrap();
        assert!(text.contains(r#"errors="3""#) && text.contains("nothing is decided"), "{text}");
    }
}

//! The readiness report as JUnit XML: a test case a step, with its criteria as output, and one a role that has to sign.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{Readiness, Row, is_good};
use crate::outcome::State;
use crate::policy::{SignoffStanding, SignoffState};
use crate::report::escape;

/// What a test case came to.
enum Came {
    Passed,
    Failed(String),
    Broke(String),
    Left(String),
}

/// The document.
#[must_use]
pub fn render(readiness: &Readiness<'_>) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    // A vector takes every byte.
    drop(document(&mut writer, readiness));
    let mut text = String::from_utf8(writer.into_inner()).unwrap_or_default();
    text.push('\n');
    text
}

type Xml = Writer<Vec<u8>>;

fn document(writer: &mut Xml, readiness: &Readiness<'_>) -> io::Result<()> {
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let steps: Vec<Came> = readiness.rows.iter().map(came).collect();
    let roles: Vec<Came> = readiness.standings.iter().map(stands).collect();
    let all = || steps.iter().chain(&roles);
    let mut root = writer.create_element("testsuites").with_attribute(("name", clean(&readiness.plan.name).as_str()));
    for (name, count) in counts(all()) {
        root = root.with_attribute((name, count.to_string().as_str()));
    }
    root.with_attribute(("time", seconds(readiness.took_ns).as_str())).write_inner_content(|writer| {
        suite(writer, readiness, &steps)?;
        if roles.is_empty() { Ok(()) } else { people(writer, readiness.standings, &roles) }
    })?;
    Ok(())
}

fn suite(writer: &mut Xml, readiness: &Readiness<'_>, steps: &[Came]) -> io::Result<()> {
    let plan = readiness.plan;
    let mut element = writer.create_element("testsuite").with_attribute(("name", clean(&plan.name).as_str()));
    for (name, count) in counts(steps.iter()) {
        element = element.with_attribute((name, count.to_string().as_str()));
    }
    let decision = readiness.decision;
    let properties = [
        ("decision", decision.verdict.to_string()),
        ("risk", decision.risk.to_string()),
        ("record", readiness.record.clone()),
        ("plan", plan.sha256.clone()),
        ("run", readiness.settings.run.clone()),
    ];
    element
        .with_attribute(("time", seconds(readiness.took_ns).as_str()))
        .with_attribute(("timestamp", readiness.started.trim_end_matches('Z')))
        .write_inner_content(|writer| {
            writer.create_element("properties").write_inner_content(|writer| {
                for (name, value) in &properties {
                    let property = writer.create_element("property").with_attribute(("name", *name));
                    property.with_attribute(("value", clean(value).as_str())).write_empty()?;
                }
                Ok(())
            })?;
            for (row, came) in readiness.rows.iter().zip(steps) {
                case(writer, (&plan.name, &row.head.name), &seconds(row.took_ns()), came, &output(row))?;
            }
            Ok(())
        })?;
    Ok(())
}

fn people(writer: &mut Xml, standings: &[SignoffStanding], roles: &[Came]) -> io::Result<()> {
    let mut element = writer.create_element("testsuite").with_attribute(("name", "sign-offs"));
    for (name, count) in counts(roles.iter()) {
        element = element.with_attribute((name, count.to_string().as_str()));
    }
    element.write_inner_content(|writer| {
        for (standing, came) in standings.iter().zip(roles) {
            let who = [&standing.who, &standing.at, &standing.key].into_iter().flatten();
            let who = who.map(String::as_str).collect::<Vec<_>>().join(" ");
            case(writer, ("sign-offs", &standing.role), "0.000", came, &who)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn case(writer: &mut Xml, name: (&str, &str), time: &str, came: &Came, output: &str) -> io::Result<()> {
    let element = writer
        .create_element("testcase")
        .with_attribute(("classname", clean(name.0).as_str()))
        .with_attribute(("name", clean(name.1).as_str()))
        .with_attribute(("time", time));
    element.write_inner_content(|writer| {
        let (tag, why) = match came {
            Came::Passed => ("", ""),
            Came::Failed(why) => ("failure", why.as_str()),
            Came::Broke(why) => ("error", why.as_str()),
            Came::Left(why) => ("skipped", why.as_str()),
        };
        if !tag.is_empty() {
            writer.create_element(tag).with_attribute(("message", clean(why).as_str())).write_empty()?;
        }
        if !output.is_empty() {
            writer.create_element("system-out").write_text_content(BytesText::new(output))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn came(row: &Row<'_>) -> Came {
    let why = row.why().unwrap_or_else(|| row.word().to_owned());
    match (row.word(), row.state) {
        ("fail", _) | (_, State::Inconclusive) => Came::Failed(why),
        (_, State::Pass | State::Warn) => Came::Passed,
        (_, State::Error | State::NotRun) => Came::Broke(why),
        _ => Came::Left(why),
    }
}

fn stands(standing: &SignoffStanding) -> Came {
    let said = |what: &Option<String>| what.clone().unwrap_or_else(|| standing.state.word().to_owned());
    match standing.state {
        SignoffState::Approved => Came::Passed,
        SignoffState::Missing => Came::Left("nobody signed".to_owned()),
        SignoffState::Refused => Came::Failed(said(&standing.reason)),
        SignoffState::Rejected => Came::Failed(said(&standing.comment)),
    }
}

fn counts<'c>(all: impl Iterator<Item = &'c Came>) -> [(&'static str, u32); 4] {
    let (mut tests, mut failures, mut errors, mut skipped) = (0, 0, 0, 0);
    for came in all {
        tests += 1;
        match came {
            Came::Passed => {}
            Came::Failed(_) => failures += 1,
            Came::Broke(_) => errors += 1,
            Came::Left(_) => skipped += 1,
        }
    }
    [("tests", tests), ("failures", failures), ("errors", errors), ("skipped", skipped)]
}

/// One criterion a line.
fn output(row: &Row<'_>) -> String {
    let mut lines: Vec<String> = Vec::new();
    if let ("warn" | "waived", Some(why)) = (row.word(), row.why()) {
        lines.push(format!("{}: {}", row.word(), clean(&why)));
    }
    if let Some(reason) = row.result.and_then(|result| result.allowed_empty.as_ref()) {
        lines.push(format!("nothing was looked at, which is allowed: {}", clean(reason)));
    }
    lines.extend(row.criteria().iter().map(|criterion| {
        let mark = if is_good(criterion) { "ok" } else { criterion.state.word() };
        let waived = criterion.waiver.as_ref().map_or_else(String::new, |waiver| {
            let word = if waiver.expired { "waiver expired on" } else { "waived until" };
            format!(" ({word} {} by {})", waiver.expires, waiver.owner)
        });
        clean(&format!(
            "{mark}: {} | expected {} | actual {}{waived}",
            criterion.text, criterion.expected, criterion.actual
        ))
    }));
    lines.extend(row.links.iter().map(|link| clean(&format!("evidence: {} {}", link.name, link.target))));
    lines.join("\n")
}

/// One line of characters that XML may hold.
fn clean(text: &str) -> String {
    escape::line(text).chars().filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}')).collect()
}

fn seconds(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000_000_000, ns / 1_000_000 % 1000)
}

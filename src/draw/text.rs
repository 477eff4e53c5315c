//! The graph as text: waves, what each step waits for, why, how long; a legend. For a terminal and for a file alike.

use super::Picture;

/// Writes, `columns` wide.
#[must_use]
pub fn text(picture: &Picture, columns: usize) -> String {
    let mut out = format!("{}  {}\n{}\n", picture.title, picture.path, picture.summary);
    let waves = picture.nodes.iter().map(|node| node.wave).max().unwrap_or(0);
    let before = picture.before();
    let widest = picture.nodes.iter().map(|node| node.columns).max().unwrap_or(0).min(40);
    for wave in 1..=waves {
        group(picture, &before, &mut out, &format!("wave {wave}"), columns, widest, |node| {
            !node.finally && node.wave == wave
        });
    }
    group(picture, &before, &mut out, "finally", columns, widest, |node| node.finally);
    let mut legend: Vec<String> =
        picture.marks().iter().map(|mark| format!("{} {}", mark.sign(), mark.word())).collect();
    legend.extend(picture.nodes.iter().any(|node| node.critical).then(|| "* critical path".to_owned()));
    out.push_str(&format!("\n{}\n", legend.join("  ")));
    out
}

fn group(
    picture: &Picture,
    before: &[[Vec<&str>; 2]],
    out: &mut String,
    heading: &str,
    columns: usize,
    widest: usize,
    member: impl Fn(&super::Node) -> bool,
) {
    let members: Vec<usize> = (0..picture.nodes.len()).filter(|&node| member(&picture.nodes[node])).collect();
    if members.is_empty() {
        return;
    }
    out.push_str(&format!("\n{heading}\n"));
    for number in members {
        let node = &picture.nodes[number];
        let pad = " ".repeat(widest.saturating_sub(node.columns));
        let critical = if node.critical { '*' } else { ' ' };
        let mut line = format!("{critical} {} {}{pad}  {}", node.mark.sign(), node.label, node.note);
        // The note ends with how many it blocks.
        if !node.blast.is_empty() {
            line.push_str(&format!(": {}", node.blocked(12)));
        }
        out.push_str(line.trim_end());
        out.push('\n');
        let mut told: Vec<String> = Vec::new();
        let [needs, after] = &before[number];
        told.extend((!needs.is_empty()).then(|| format!("needs {}", needs.join(", "))));
        told.extend((!after.is_empty()).then(|| format!("after {}", after.join(", "))));
        // What stands above is not said again, unless it is why the step does not run.
        let known = node.reason.strip_prefix("needs ").is_some();
        told.extend((!node.reason.is_empty() && !known).then(|| node.reason.clone()));
        told.extend((known && node.stops()).then(|| format!("{}: {}", node.mark.word(), node.reason)));
        for line in told {
            out.push_str(&folded(&line, columns.max(30)));
        }
    }
}

/// Lines of at most so many columns, broken at spaces, indented.
fn folded(text: &str, columns: usize) -> String {
    let mut out = String::new();
    let mut line = String::from("     ");
    for word in text.split(' ') {
        if line.trim().is_empty() || line.chars().count() + 1 + word.chars().count() <= columns {
            if !line.trim().is_empty() {
                line.push(' ');
            }
        } else {
            out.push_str(&line);
            out.push('\n');
            line = String::from("       ");
        }
        line.push_str(word);
    }
    out + &line + "\n"
}

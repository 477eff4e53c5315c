//! Pictures of small graphs.

use super::*;

fn node(name: &str) -> Node {
    Node {
        name: name.to_owned(),
        label: name.to_owned(),
        columns: name.chars().count(),
        required: true,
        steps: 1,
        ..Node::default()
    }
}

fn picture(names: &[&str], lines: &[(usize, usize)]) -> Picture {
    let line = |&(from, to): &(usize, usize)| Line { from, to, soft: false };
    Picture {
        title: "T".to_owned(),
        path: "p.toml".to_owned(),
        summary: "s".to_owned(),
        nodes: names.iter().map(|name| node(name)).collect(),
        lines: lines.iter().map(line).collect(),
    }
}

fn names(picture: &Picture) -> Vec<&str> {
    picture.nodes.iter().map(|node| node.name.as_str()).collect()
}

#[test]
fn hostile_texts_stay_text() {
    let hostile = "<script>\"'&]]>\\N\u{7}\n`{{}}#%";
    let mut all = picture(&[hostile, "b"], &[(0, 1)]);
    all.title = hostile.to_owned();
    all.summary = hostile.to_owned();
    all.nodes[0].reason = hostile.to_owned();
    all.nodes[0].note = hostile.to_owned();
    let drawn = svg(&all);
    assert!(!drawn.contains("<script") && !drawn.contains('\u{7}'), "{drawn}");
    let written = dot(&all);
    assert!(written.contains("\\\"'&amp;") && written.contains("\\\\N"), "{written}");
    let chart = mermaid(&all);
    assert!(!chart.contains("<script") && chart.lines().all(|line| !line.contains("#%")), "{chart}");
}

#[test]
fn groups_become_one_box_unless_they_wait_for_each_other() {
    let all = picture(&["a", "b1", "b2", "c"], &[(0, 1), (0, 2), (1, 3), (2, 3)]);
    let group = |names: &[&str]| -> Vec<Option<String>> {
        names.iter().map(|name| (!name.is_empty()).then(|| (*name).to_owned())).collect()
    };
    let grouped = all.clone().grouped(&group(&["", "b", "b", ""]));
    assert_eq!(names(&grouped), ["a", "b", "c"]);
    assert_eq!(grouped.nodes[1].label, "b ×2");
    assert_eq!(grouped.lines.len(), 2);
    // `x` has the first and the last, `b` what is between them.
    let knotted = all.grouped(&group(&["x", "b", "b", "x"]));
    assert_eq!(names(&knotted), ["a", "b1", "b2", "c"]);
}

#[test]
fn the_focus_has_what_it_waits_for_and_what_waits_for_it() {
    let all = picture(&["a", "b", "c", "d", "x"], &[(0, 1), (1, 2), (2, 3)]);
    let keep = all.around(&[1], 1);
    assert_eq!(names(&all.clone().only(&keep)), ["a", "b", "c"]);
    let keep = all.around(&[1], usize::MAX);
    assert_eq!(names(&all.only(&keep)), ["a", "b", "c", "d"]);
}

#[test]
fn a_tree_unfolds_every_step_once() {
    let all = picture(&["a", "b", "c", "d"], &[(0, 1), (0, 2), (1, 3), (2, 3)]);
    assert_eq!(tree(&all, &[], usize::MAX), "● d\n├─ ● b\n│  └─ ● a\n└─ ● c\n   └─ ● a\n");
    assert_eq!(tree(&all, &[3], 1), "● d\n├─ ● b …\n└─ ● c …\n");
    let more = picture(&["a", "b", "c", "d", "e"], &[(0, 1), (1, 2), (1, 3), (2, 4), (3, 4)]);
    assert!(tree(&more, &[], 9).contains("● b (↑)"));
}

#[test]
fn a_picture_is_the_same_every_time() {
    let all = picture(&["a", "b", "c", "d"], &[(0, 1), (0, 2), (1, 3), (2, 3)]);
    assert_eq!(svg(&all), svg(&all));
    assert_eq!(svg(&all).matches("<rect").count(), 4);
    assert_eq!(svg(&all).matches("class=\"e").count(), 4);
}

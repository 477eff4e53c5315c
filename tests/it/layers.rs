//! The house keeps its walls: imports follow the table in the crate's documentation, files and functions keep their size.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const VOCABULARY: [&str; 8] = ["ids", "place", "facts", "outcome", "action", "identity", "policy", "event"];

fn sources() -> Vec<(String, PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&root).expect("found under it");
            let first = inside.components().next().expect("a file has a name").as_os_str().to_string_lossy();
            let room = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            (room, inside.to_owned(), text)
        })
        .collect()
}

/// Whether a file has nothing but tests: `tests.rs` of a room, and the files below it.
fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs") || path.iter().any(|part| part == "tests")
}

/// The code of a file without its tests and comments.
fn code(path: &Path, text: &str) -> String {
    if is_test(path) {
        return String::new();
    }
    let end = text.find("\n#[cfg(test)]\n").unwrap_or(text.len());
    let lines = text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The table: room to the rooms it may import.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let lib = include_str!("../../src/lib.rs");
    let mut table = BTreeMap::new();
    for row in lib.lines().filter_map(|line| line.strip_prefix("//! | `")) {
        let cells: Vec<&str> = row.trim_end_matches('|').split(" | ").collect();
        let room = cells[0].trim_matches(['`', ' ']).to_owned();
        let imports = cells.last().expect("a row has cells");
        let mut may: BTreeSet<String> =
            imports.split(',').map(|word| word.trim().trim_matches('`').trim_end_matches(" |").to_owned()).collect();
        if may.remove("vocabulary") {
            may.extend(VOCABULARY.map(str::to_owned));
        }
        may.insert(room.clone());
        table.insert(room, may);
    }
    assert!(table.len() > 20, "the table was found: {table:?}");
    table
}

fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        found.insert(std::mem::take(&mut word));
                    }
                    _ if depth == 0 => word.push(c),
                    _ => {}
                }
            }
            found.insert(word);
        } else {
            found.insert(rest.to_owned());
        }
    }
    let name = |text: &String| {
        text.trim().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_' || c.is_ascii_digit()).collect()
    };
    found.iter().map(name).filter(|name: &String| !name.is_empty()).collect()
}

#[test]
fn imports_follow_the_table() {
    let table = allowed();
    let mut wrong = Vec::new();
    for (room, path, text) in sources() {
        if ["main", "lib", "app"].contains(&room.as_str()) {
            continue;
        }
        let Some(may) = table.get(&room) else {
            wrong.push(format!("{} is in no row of the table", path.display()));
            continue;
        };
        for import in imports(&code(&path, &text)) {
            if !may.contains(&import) {
                wrong.push(format!("{}: {room} → {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that the table does not have:\n{}", wrong.join("\n"));
}

#[test]
fn rooms_form_no_cycle() {
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (room, path, text) in sources() {
        let mut others = imports(&code(&path, &text));
        others.remove(&room);
        edges.entry(room).or_default().extend(others);
    }
    loop {
        let leaves: Vec<String> = edges
            .iter()
            .filter(|(_, to)| to.iter().all(|room| !edges.contains_key(room)))
            .map(|(room, _)| room.clone())
            .collect();
        if leaves.is_empty() {
            break;
        }
        leaves.iter().for_each(|leaf| drop(edges.remove(leaf)));
    }
    assert!(edges.is_empty(), "rooms that import each other in a circle: {edges:?}");
}

#[test]
fn third_party_crates_have_one_home() {
    let homes = [
        ("petgraph", "graph"),
        ("duct", "ask"),
        ("reqwest", "act"),
        ("minijinja", "plan"),
        ("indicatif", "report"),
        ("clap", "cli"),
        ("clap_mangen", "cli"),
        ("libm", "compare"),
        ("foldhash", "plan"),
        ("sha2", "digest"),
        ("hyper", "listen"),
        ("hyper_util", "listen"),
        ("http_body_util", "listen"),
        ("pulldown_cmark", "markdown"),
        ("toml_edit", "edit"),
        ("lsp_server", "lsp"),
        ("aho_corasick", "mask"),
        ("serde_json_canonicalizer", "record"),
    ];
    for (room, path, text) in sources() {
        let code = code(&path, &text);
        for (krate, home) in homes {
            let used = code.contains(&format!("{krate}::"));
            let excused = krate == "clap" && room == "app";
            assert!(!used || room == home || excused, "{}: `{krate}` lives in `{home}`", path.display());
        }
    }
}

#[test]
fn files_and_functions_keep_their_size() {
    let mut wrong = Vec::new();
    for (_, path, text) in sources() {
        let end = text.find("\n#[cfg(test)]\nmod tests {").map_or(text.len(), |at| at + 1);
        let lines: Vec<&str> = text[..end].lines().collect();
        if lines.len() > 600 {
            wrong.push(format!("{}: {} lines", path.display(), lines.len()));
        }
        let mut start: Option<(usize, usize)> = None;
        for (at, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let opens = line.trim_start().starts_with("fn ") || line.contains(" fn ");
            if start.is_none() && opens && line.trim_end().ends_with('{') && !line.trim_start().starts_with("//") {
                start = Some((at, indent));
            } else if start.is_some_and(|(_, depth)| indent == depth && line.trim() == "}") {
                let from = start.take().map_or(at, |(from, _)| from);
                if at - from > 80 && !is_test(&path) {
                    wrong.push(format!("{}:{}: a function of {} lines", path.display(), from + 1, at - from + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "too long:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    for (_, path, text) in sources() {
        assert!(text.starts_with("//! "), "{} does not say what it is", path.display());
    }
}

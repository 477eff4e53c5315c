//! What goes over the wire, and hostile texts: no message ends a session.

use super::*;

/// A message as it goes over the wire.
fn framed(json: &Json) -> String {
    let text = json.to_string();
    format!("Content-Length: {}\r\n\r\n{text}", text.len())
}

fn talk(messages: &[String]) -> (Ended, Vec<Json>) {
    let input = messages.concat();
    let mut output = Vec::new();
    let ended = serve(Cursor::new(input.into_bytes()), &mut output, &WORLD);
    let (mut answers, mut rest) = (Vec::new(), std::str::from_utf8(&output).unwrap());
    while !rest.is_empty() {
        let (head, body) = rest.split_once("\r\n\r\n").unwrap();
        let len: usize = head.trim_start_matches("Content-Length: ").parse().unwrap();
        answers.push(serde_json::from_str(&body[..len]).unwrap());
        rest = &body[len..];
    }
    (ended, answers)
}

fn request(id: u32, method: &str, params: &Json) -> String {
    framed(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
}

fn note(method: &str, params: &Json) -> String {
    framed(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
}

#[test]
fn the_protocol_is_kept() {
    let nothing = json!({});
    let open = json!({ "textDocument": { "uri": "untitled:1", "languageId": "toml", "version": 1, "text": PLAN } });
    let (ended, answers) = talk(&[
        request(1, "textDocument/hover", &nothing),
        request(
            2,
            "initialize",
            &json!({ "capabilities": { "general": { "positionEncodings": ["utf-16", "utf-8"] } } }),
        ),
        note("initialized", &nothing),
        note("no/such/note", &nothing),
        note("textDocument/didOpen", &open),
        request(3, "no/such/request", &nothing),
        request(4, "textDocument/hover", &json!({ "textDocument": { "uri": "untitled:1" } })),
        request(5, "textDocument/hover", &json!([1, 2])),
        "Content-Length: 5\r\n\r\n{\"a\":".to_owned(),
        request(6, "textDocument/codeLens", &json!({ "textDocument": { "uri": "untitled:1" } })),
        request(7, "textDocument/documentSymbol", &json!({ "textDocument": { "uri": "untitled:1" } })),
        note("$/cancelRequest", &json!({ "id": 7 })),
        request(8, "initialize", &nothing),
        request(9, "shutdown", &Json::Null),
        request(10, "textDocument/hover", &nothing),
        note("exit", &Json::Null),
    ]);
    assert_eq!(ended, Ended::Well);
    let of = |id: u32| answers.iter().find(|answer| answer["id"] == id).unwrap_or_else(|| panic!("no answer to {id}"));
    assert_eq!(of(1)["error"]["code"], -32002);
    assert_eq!(of(2)["result"]["capabilities"]["positionEncoding"], "utf-8");
    assert_eq!(of(3)["error"]["code"], -32601);
    assert_eq!(of(4)["error"]["code"], -32602);
    assert_eq!(of(5)["error"]["code"], -32602);
    assert_eq!(of(6)["result"].as_array().unwrap().len(), 3);
    assert!(of(7)["error"]["code"] == -32800 || of(7)["result"].is_array(), "cancelled, unless it was answered before");
    assert_eq!(of(8)["error"]["code"], -32600);
    assert_eq!(of(9)["result"], Json::Null);
    assert_eq!(of(10)["error"]["code"], -32600);
    let logged = answers.iter().filter(|answer| answer["method"] == "window/logMessage").count();
    assert_eq!(logged, 1, "the message that is none");
    assert_eq!(talk(&[]).0, Ended::Abruptly);
    assert_eq!(talk(&[note("exit", &Json::Null)]).0, Ended::Abruptly);
}

#[test]
fn a_client_that_watches_files_is_asked_to() {
    let capabilities = json!({ "workspace": { "didChangeWatchedFiles": { "dynamicRegistration": true } } });
    let (_, answers) = talk(&[
        request(1, "initialize", &json!({ "capabilities": capabilities })),
        note("initialized", &json!({})),
        framed(&json!({ "jsonrpc": "2.0", "id": "plans", "result": null })),
        request(2, "shutdown", &Json::Null),
        note("exit", &Json::Null),
    ]);
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[1]["method"], "client/registerCapability");
    assert_eq!(answers[1]["params"]["registrations"][0]["registerOptions"]["watchers"][0]["globPattern"], "**/*.toml");
}

#[test]
fn a_panic_ends_no_session() {
    fn fails(_: &Utf8Path, _: Texts<'_>) -> Checked {
        panic!("as a bug would")
    }
    let world = World { check: &fails, last: &last, does: &does };
    let document = json!({ "uri": "untitled:1", "languageId": "toml", "version": 1, "text": PLAN });
    let input = [
        request(1, "initialize", &json!({})),
        note("textDocument/didOpen", &json!({ "textDocument": document })),
        request(2, "textDocument/codeLens", &json!({ "textDocument": { "uri": "untitled:1" } })),
        request(3, "shutdown", &Json::Null),
        note("exit", &Json::Null),
    ];
    let mut output = Vec::new();
    let ended = serve(Cursor::new(input.concat().into_bytes()), &mut output, &world);
    assert_eq!(ended, Ended::Well);
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains("-32603") && text.contains("this is a bug in runplan"), "{text}");
}

/// Every range of an answer lies within the text.
fn ranges_fit(answer: &Json, lines: &[usize]) -> bool {
    match answer {
        Json::Object(members) => {
            let fits = match (members.get("line"), members.get("character")) {
                (Some(line), Some(column)) => {
                    let line = usize::try_from(line.as_u64().unwrap()).unwrap();
                    lines.get(line).is_some_and(|len| usize::try_from(column.as_u64().unwrap()).unwrap() <= *len)
                }
                _ => true,
            };
            fits && members.values().all(|value| ranges_fit(value, lines))
        }
        Json::Array(items) => items.iter().all(|item| ranges_fit(item, lines)),
        _ => true,
    }
}

/// UTF-16 length of each line, as editors divide a text.
fn lengths(text: &str) -> Vec<usize> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.split('\n').map(|line| line.encode_utf16().count()).collect()
}

fn torture(text: &str, at: usize) {
    let mut desk = Desk::new(&[("blueprint.toml", text)]);
    let lines = lengths(text);
    for message in std::mem::take(&mut desk.session.out) {
        if let Message::Notification(note) = message
            && note.params["uri"] == desk.uri("blueprint.toml")
        {
            let mut list = note.params["diagnostics"].clone();
            // Other files have lines of their own.
            list.as_array_mut()
                .unwrap()
                .iter_mut()
                .for_each(|one| drop(one.as_object_mut().unwrap().remove("relatedInformation")));
            assert!(ranges_fit(&list, &lines), "{list:#}\n{text}");
        }
    }
    let position = crate::lsp::position::Lines::of(text).position(text, at, crate::lsp::position::Unit::Utf16);
    let whole = json!({ "start": { "line": 0, "character": 0 }, "end": position.json() });
    for method in [
        "completion",
        "hover",
        "definition",
        "references",
        "documentHighlight",
        "prepareRename",
        "rename",
        "documentSymbol",
        "codeLens",
        "codeAction",
        "formatting",
    ] {
        let diagnostic = json!({
            "code": "unknown-step", "range": whole,
            "data": { "message": "`needs` names `new`, and `a` does not come before this step", "help": "did you mean `a`?" },
        });
        let params = json!({
            "textDocument": { "uri": desk.uri("blueprint.toml") },
            "position": position.json(),
            "newName": "new",
            "context": { "diagnostics": [diagnostic] },
        });
        if let Ok(answer) = desk.session.request(&format!("textDocument/{method}"), &params) {
            assert!(ranges_fit(&answer, &lines), "{method} at {at}: {answer:#}\n{text}");
        }
    }
}

#[test]
fn hostile_texts_are_only_texts() {
    let long = format!("format = 1\n[steps.a]\nrun = \"{}\"\n", "x".repeat(1 << 20));
    for text in [
        "",
        "\u{feff}",
        "\0",
        "\r",
        "a\rb\r[steps.\r",
        "[steps.a]\nrun = \"\0\"\n",
        "[[[[",
        "]]]]",
        "= = =",
        "[steps.\u{1f600}]\n\u{1f600} = \"\u{1f600}",
        "\"\"\"",
        "a = \"\\u00e9\\U0001F600\\x41 {{ steps.\\u0061 }}\"",
        &long,
        &format!("a = {}", "[".repeat(10_000)),
        &format!("a = {}", "{b=".repeat(5_000)),
        &format!("{}=1", "a.".repeat(5_000)),
    ] {
        for at in [0, text.len() / 2, text.len()] {
            torture(text, at);
        }
    }
}

/// Plans of the repository.
fn corpus() -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = vec![PLAN.to_owned(), MAIN.to_owned(), MORE.to_owned()];
    let mut open = ["examples", "plans", "tests/it/invalid"].map(|name| root.join(name)).to_vec();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "toml")
                && let Ok(text) = fs::read_to_string(path)
            {
                texts.push(text);
            }
        }
    }
    texts.sort();
    assert!(texts.len() > 50, "{}", texts.len());
    texts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_text_on_the_way_breaks_a_session(
        which in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        cursor in any::<prop::sample::Index>(),
        odd in prop::sample::select(vec!["", "\"", "'", "[", "{", "{{ ", "\r", "\u{1f600}", "\0", "\"\"\"", "\n[steps.", "\\"]),
        whole in any::<bool>(),
    ) {
        thread_local!(static CORPUS: Vec<String> = corpus());
        let text = CORPUS.with(|corpus| corpus[which.index(corpus.len())].clone());
        let boundary = |text: &str, mut at: usize| {
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let cut = boundary(&text, cut.index(text.len() + 1));
        let rest = if whole { &text[cut..] } else { "" };
        let text = format!("{}{odd}{rest}", &text[..cut]);
        let at = boundary(&text, cursor.index(text.len() + 1));
        torture(&text, at);
    }
}

//! Declared secrets stay out of everything that is stored or shown, in every encoding, on every path by which they come.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::faults::recomputed;
use crate::support::{Ended, Space};

/// With characters that every encoding treats in its own way.
const TOKEN: &str = "pa55/w+rd \"q\" <é>&x=1'";
const FILED: &str = "first-line-of-key\nsecond/line+of key\nthird";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn percent(text: &str, plus: bool) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| match byte {
            b' ' if plus => "+".to_owned(),
            byte if plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn lower_percent(text: &str) -> String {
    let mut out = percent(text, false);
    let at: Vec<usize> = out.match_indices('%').map(|(at, _)| at).collect();
    for at in at {
        let lower = out[at..at + 3].to_lowercase();
        out.replace_range(at..at + 3, &lower);
    }
    out
}

/// Encodings of a secret that a program may print, and of which nothing may be left.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).expect("text");
    let ascii: String =
        json.chars().map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", c as u32) }).collect();
    let shell = secret.replace('\'', "'\\''");
    let xml = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let upper = hex(secret.as_bytes()).to_uppercase();
    let coloned = secret.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":");
    let mut forms = vec![
        coloned.to_uppercase(),
        coloned,
        secret.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        json.trim_matches('"').replace('/', "\\/"),
        ascii.trim_matches('"').replace("\\u00e9", "\\u00E9"),
        xml.replace('\'', "&apos;").replace('\u{e9}', "&#233;").replace('\n', "&#10;"),
        secret.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"),
        secret.to_owned(),
        json.trim_matches('"').to_owned(),
        ascii.trim_matches('"').to_owned(),
        shell,
        xml,
        percent(secret, false),
        percent(secret, true),
        lower_percent(secret),
        hex(secret.as_bytes()),
        upper,
    ];
    for before in ["", "a", "ab"] {
        let text = format!("{before}{secret}");
        forms.push(STANDARD.encode(&text));
        forms.push(URL_SAFE_NO_PAD.encode(&text));
    }
    forms.sort();
    forms.dedup();
    forms
}

/// Pieces that may stand nowhere: of base64, only what no neighbour changes.
fn needles(secret: &str) -> Vec<Vec<u8>> {
    let mut needles: Vec<Vec<u8>> = Vec::new();
    for form in forms(secret) {
        let based = form.len() > 12 && [&STANDARD, &URL_SAFE_NO_PAD].iter().any(|engine| engine.decode(&form).is_ok());
        let piece = if based { &form[4..form.len() - 4] } else { form.as_str() };
        needles.push(piece.as_bytes().to_vec());
    }
    if secret.contains('\n') {
        needles.extend(secret.lines().filter(|line| line.len() >= 8).map(|line| line.as_bytes().to_vec()));
    }
    needles
}

fn clean(what: &str, bytes: &[u8], secret: &str) {
    for needle in needles(secret) {
        let found = bytes.windows(needle.len()).position(|window| window == needle);
        if let Some(at) = found {
            let around = &bytes[at.saturating_sub(80)..(at + needle.len() + 20).min(bytes.len())];
            panic!("{what} has {:?}: …{}…", String::from_utf8_lossy(&needle), String::from_utf8_lossy(around));
        }
    }
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() {
            walk(&entry.path(), visit);
        } else if kind.is_file() {
            visit(&entry.path());
        }
    }
}

/// No secret on the screen or in the store.
fn spotless(space: &Space, ended: &Ended, secrets: &[&str]) {
    let mut files = 0;
    for secret in secrets {
        clean("stdout", ended.stdout.as_bytes(), secret);
        clean("stderr", ended.stderr.as_bytes(), secret);
        walk(&space.path().join(".runplan"), &mut |path| {
            files += 1;
            clean(&path.display().to_string(), path.to_string_lossy().as_bytes(), secret);
            clean(&path.display().to_string(), &std::fs::read(path).expect("a readable file"), secret);
        });
    }
    assert!(files > 5);
}

fn space(plan: &str) -> Space {
    let space = Space::plan(&format!(
        "[secrets]\ntoken = {{ env = 'TOKEN' }}\nfiled = {{ file = 'key.txt' }}\nmade = {{ env = 'MADE_UP', random = true }}\n\
         [plan]\non_failure = 'continue'\n{plan}"
    ));
    space.write("key.txt", format!("{FILED}\n"));
    space.env("TOKEN", TOKEN)
}

#[test]
fn whatever_a_child_prints_is_masked() {
    let space = space(
        "[steps.raw]\nsecrets = ['token', 'filed', 'made']\n\
         run = 'printf \"%s|\" \"$TOKEN\" \"$FILED\" \"$MADE\"; printf %s \"$TOKEN\" >&2; printf %s \"$MADE\" > made.txt'\n\
         [steps.split]\nsecrets = ['token', 'filed']\nrun = '''\n\
         rest=${TOKEN#??????}; printf %s \"${TOKEN%\"$rest\"}\"; sleep 0.05; printf '%s\\n' \"$rest\"\n\
         for c in 1 2 3; do printf %s \"${FILED%\"${FILED#?????}\"}\"; sleep 0.01; printf %s \"${FILED#?????}\"; done'''\n\
         [steps.encoded]\nrun = 'cat forms.txt forms.txt >&2; cat forms.txt'\n\
         [steps.stdin]\nstdin = 'x{{ secrets.token }}y{{ secrets.filed }}'\nrun = 'cat'\n\
         [steps.last]\nsecrets = ['token']\nrun = 'printf %s \"$TOKEN\"; exit 1'\n\
         [steps.quiet]\nneeds = ['last']\nsecrets = ['token']\nrun = 'cat \"$TOKEN\"'\n",
    );
    let all = forms(TOKEN).into_iter().chain(forms(FILED)).collect::<Vec<_>>().join("\n");
    space.write("forms.txt", format!("{all}\n"));
    let ended = space.go(&["-j", "1"]);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    let made = space.read("made.txt");
    assert_eq!(made.len(), 64);
    spotless(&space, &ended, &[TOKEN, FILED, &made]);
    let raw = std::fs::read_to_string(space.latest().join("steps/0000-raw/stdout")).expect("an output");
    assert_eq!(raw, "[secret token]|[secret filed]|[secret made]|");
    recomputed(&space.latest());
}

#[test]
fn whatever_is_judged_or_told_is_masked() {
    let space = space(
        "[steps.actual]\nsecrets = ['token']\nrun = 'printf %s \"$TOKEN\"'\npass = ['stdout == \"x\"', 'every(lines(stdout)) == \"y\"']\n\
         [steps.json]\nrun = 'cat doc.json'\nparse = 'json'\npass = ['json.\"$.a\" == \"x\"', 'json.\"$.list\" contains \"z\"']\n\
         [steps.broken]\nsecrets = ['token']\nrun = 'echo \"{\\\"a\\\": $TOKEN\"'\nparse = 'json'\npass = ['json.\"$.a\" == 1']\n\
         [steps.looks]\nsecrets = ['token']\nrun = 'printf %s \"$TOKEN\"'\nsample = { every = '1ms', max = 3, failures = 1 }\npass = ['stdout == \"x\"']\n\
         [steps.rendered]\nrender = { template = 't.env', to = 'made.env' }\npass = ['text contains \"nothing\"', 'values contains \"v\"', 'data.TOKEN == \"w\"']\n\
         [steps.seen]\nneeds = ['rendered']\nfile = 'made.env'\npass = ['text == \"\"', 'data.TOKEN == \"w\"']\n\
         [steps.value]\nneeds = ['actual']\nvalue = { v = 'steps.actual.stdout' }\npass = ['v == \"x\"']\n\
         [steps.when]\nneeds = ['actual']\nwhen = 'steps.actual.stdout == \"x\"'\nrun = 'true'\n\
         [steps.cases]\nreport = 'junit.xml'\npass = ['tests.failed == 0', 'tests.names(failed) contains \"x\"']\n",
    );
    let json = serde_json::json!({ "a": TOKEN, "list": [TOKEN, { "deep": FILED }] }).to_string();
    space.write("doc.json", json);
    space.write("t.env", "TOKEN={{ secrets.token }}\nKEY=1\n");
    let xml = forms(TOKEN).into_iter().find(|form| form.contains("&quot;")).expect("an XML form");
    space.write(
        "junit.xml",
        format!("<testsuite name=\"t\"><testcase classname=\"c\" name=\"{xml}\"><failure message=\"{xml}\">{xml}</failure></testcase></testsuite>"),
    );
    let ended = space.go(&["-j", "2"]);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    assert!(space.read("made.env").contains(TOKEN), "the rendered file itself is for the program that needs it");
    spotless(&space, &ended, &[TOKEN, FILED]);
    assert!(ended.stderr.contains("[secret token]"), "{}", ended.stderr);
    recomputed(&space.latest());
}

#[test]
fn a_request_and_its_answer_are_masked() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    // Answers three requests with what was asked, in a header and in the body.
    let server = std::thread::spawn(move || {
        for stream in listener.incoming().take(3) {
            let mut stream = stream.expect("a connection");
            let mut asked = Vec::new();
            let mut buffer = [0; 4096];
            while !asked.ends_with(b"END") {
                let n = stream.read(&mut buffer).expect("a request");
                assert!(n > 0, "the request ends early");
                asked.extend_from_slice(&buffer[..n]);
            }
            let encoded = STANDARD.encode(TOKEN);
            let head = format!(
                "HTTP/1.1 403 No\r\nx-echo: Basic {encoded}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                asked.len()
            );
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&asked)).expect("an answer");
        }
    });
    let request = format!(
        "http = {{ url = 'http://127.0.0.1:{port}/', method = 'POST', headers = {{ authorization = 'Bearer {{{{ secrets.made }}}}' }}, \
         body = '{{{{ secrets.token }}}} {{{{ secrets.filed }}}} END' }}"
    );
    let space = space(&format!(
        "[steps.sent]\n{request}\npass = ['status == 200', 'text contains \"nothing\"', 'header.\"x-echo\" == \"none\"']\n\
         [steps.again]\nneeds = ['sent']\nretry = 1\n{request}\n"
    ));
    let ended = space.go(&["-j", "1"]);
    server.join().expect("the server ends");
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    spotless(&space, &ended, &[TOKEN, FILED]);
    let ended = space.go(&["again"]);
    spotless(&space, &ended, &[TOKEN, FILED]);
    recomputed(&space.latest());
}

#[test]
fn an_output_with_a_secret_fails_its_step_and_is_not_kept() {
    let encoded = |command: &str| format!("secrets = ['token']\nrun = '{command}'\n");
    let space = space(&format!(
        "[steps.artifact]\n{}artifacts = ['a.txt']\n[steps.folder]\n{}artifacts = [{{ path = 'cov/', class = 'volatile' }}]\n\
         [steps.output]\n{}outputs = ['o.txt']\n[steps.based]\n{}artifacts = ['b.txt']\n\
         [steps.named]\n{}outputs = {{ values = ['v'] }}\n[steps.early]\n{}outputs = {{ values = ['v'] }}\nretry = 1\n\
         [steps.block]\n{}outputs = {{ values = ['v'] }}\n[steps.fine]\nrun = 'echo v=1 > $RUNPLAN_OUTPUT; echo x > f.txt'\n\
         outputs = {{ values = ['v'] }}\nartifacts = ['f.txt']\n",
        encoded("printf %s \"$TOKEN\" > a.txt"),
        encoded("mkdir cov; echo x > cov/1; printf %s \"$TOKEN\" > cov/2"),
        encoded("printf \"y%s\" \"$TOKEN\" > o.txt"),
        encoded("printf %s \"$TOKEN\" | base64 > b.txt"),
        encoded("printf \"v=%s\\n\" \"$TOKEN\" > $RUNPLAN_OUTPUT"),
        encoded("printf \"v=%s\\n\" \"$TOKEN\" > $RUNPLAN_OUTPUT; exit 1"),
        encoded("printf \"v<<E\\n%s\\nE\\n\" \"$TOKEN\" > $RUNPLAN_OUTPUT"),
    ));
    let ended = space.go(&["-j", "1"]);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    for step in ["artifact", "folder", "output", "based", "named", "block"] {
        assert_eq!(space.state(step), ("fail".into(), "secret_in_output".into()), "{step}\n{}", ended.stderr);
    }
    assert_eq!(space.state("early"), ("fail".into(), "criteria".into()));
    assert_eq!(space.state("fine").0, "pass");
    spotless(&space, &ended, &[TOKEN]);
    recomputed(&space.latest());
}

#[test]
fn a_secret_that_is_too_short_or_missing_is_refused() {
    let plan = "[steps.a]\nsecrets = ['token', 'filed']\nrun = 'touch ran'\n";
    let refused = |space: Space, says: &str| {
        let _ = space.go(&[]).code(2).says(says).hides("abc1234");
        assert!(!space.has("ran") && !space.has(".runplan"));
    };
    refused(space(plan).env("TOKEN", "abc1234"), "shorter than 8 bytes");
    let short = space(plan);
    short.write("key.txt", "abc1234\n");
    refused(short, "shorter than 8 bytes");
    refused(space(plan).env("TOKEN", ""), "TOKEN");
    let missing = space(plan);
    std::fs::remove_file(missing.path().join("key.txt")).expect("a file");
    refused(missing, "key.txt");
}

#[test]
fn a_secret_in_an_argument_or_an_address_is_refused() {
    for step in [
        "run = ['echo', '{{ secrets.token }}']",
        "http = 'http://127.0.0.1:1/{{ secrets.token }}'",
        "file = '{{ secrets.token }}'",
        "run = 'true'\ncwd = '{{ secrets.token }}'",
        "run = 'true'\ntitle = '{{ secrets.token }}'",
        "run = 'true'\npass = ['stdout == \"{{ secrets.token }}\"']",
    ] {
        let space = space(&format!("[steps.a]\n{step}\n"));
        let _ = space.go(&[]).code(2).says("secret").hides(TOKEN);
        assert!(!space.has(".runplan"), "{step}");
    }
}

#[test]
fn a_secret_that_the_plan_itself_says_is_refused() {
    let plan = "[vars]\nhost = 'db'\n[secrets]\ntoken = { env = 'TOKEN' }\n[steps.production]\nrun = 'touch ran'\n";
    let space = Space::plan(plan).env("TOKEN", "production");
    let _ = space.go(&[]).code(2).says("stands in the plan: line 6 of `blueprint.toml`");
    let space = Space::plan(plan).env("TOKEN", "s3cr3t-host");
    let _ = space.go(&["--var", "host=my-s3cr3t-host"]).code(2).says("the variable `host`").hides("s3cr3t");
    assert!(!space.has("ran") && !space.has(".runplan"));
    let _ = space.go(&[]).code(0);
}

#[test]
fn a_path_with_a_secret_is_not_recorded() {
    let space = Space::plan(
        "[plan]\non_failure = 'continue'\n[secrets]\ntoken = { env = 'TOKEN' }\n\
         [steps.out]\nsecrets = ['token']\nrun = 'mkdir out; echo x > out/$TOKEN.txt'\nartifacts = ['out/']\n\
         [steps.in]\nneeds = ['out']\nrun = 'true'\ninputs = ['out/*']\n",
    )
    .env("TOKEN", "s3cr3t-name");
    let ended = space.go(&["-j", "1"]);
    assert_eq!(space.state("out"), ("fail".into(), "secret_in_output".into()));
    assert_eq!(space.state("in"), ("error".into(), "action_error".into()));
    spotless(&space, &ended, &["s3cr3t-name"]);
    recomputed(&space.latest());
}

/// Commands that show a finished run, as they are; those of `export` by what its help offers.
fn ways_to_show(space: &Space, earlier: &str) -> Vec<Vec<String>> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut all: Vec<Vec<String>> = [
        "show",
        "replay",
        "replay --progress json",
        "verify",
        "verify --format json",
        "history --last 100 --criterion e --format json",
        "history --criterion e",
        "report --format md",
        "report --format json",
        "report --format html",
        "report --format junit",
        "decide",
        "gc -n --format json",
    ]
    .into_iter()
    .map(words)
    .collect();
    all.push(words(&format!("diff {earlier} latest")));
    all.push(words(&format!("diff {earlier} latest --format json")));
    for line in space.record().iter().filter_map(|line| line["id"].as_str().map(str::to_owned)) {
        all.push(words(&format!("show --step {line}")));
    }
    let help = space.run(&["export", "--help"]);
    if help.stdout.contains("runplan export") {
        let named = regex::Regex::new(r"(?m)^ +- ([a-z0-9-]+):|possible values: ([a-z0-9-, ]+)").expect("a pattern");
        let found = named.captures_iter(&help.stdout).flat_map(|found| {
            let text = found.get(1).or(found.get(2)).map_or("", |text| text.as_str()).to_owned();
            text.split(", ").map(str::to_owned).collect::<Vec<_>>()
        });
        let formats: Vec<String> = found.filter(|format| !["auto", "always", "never"].contains(&&**format)).collect();
        assert!(formats.len() > 3, "{}", help.stdout);
        all.extend(formats.into_iter().map(|format| words(&format!("export latest --format {format}"))));
    }
    all
}

/// Answers two requests: in a header's value and name, in the place that a redirect names, and in the body.
fn telltale(listener: TcpListener, body: String) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let mut stream = stream.expect("a connection");
            let mut asked = Vec::new();
            let mut buffer = [0; 4096];
            while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
                let n = stream.read(&mut buffer).expect("a request");
                assert!(n > 0, "the request ends early");
                asked.extend_from_slice(&buffer[..n]);
            }
            let place = percent(TOKEN, false);
            let head = format!(
                "HTTP/1.1 302 Found\r\nlocation: /{place}?t={place}\r\nset-cookie: s={}\r\nx-{}: 1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                STANDARD.encode(TOKEN),
                hex(TOKEN.as_bytes()),
                body.len()
            );
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("an answer");
        }
    })
}

/// A plan of which every step takes a secret somewhere.
fn talkative(port: u16, padding: &str) -> Space {
    let plan = format!(
        r#"
[steps.both]
secrets = ['token', 'filed']
run = """
i=0; while read -r line; do i=$((i+1)); if [ $((i % 2)) = 0 ]; then printf '%s\\n' "$line" >&2; else printf '%s\\n' "$line"; fi; done < forms.txt
for form in "$TOKEN" "$FILED"; do printf 'x%s' "${{form%"${{form#???}}"}}"; printf 'e%s' "${{form%"${{form#?????}}"}}" >&2; sleep 0.01
printf '%sx' "${{form#???}}"; printf '%se' "${{form#?????}}" >&2; done; exit 4"""
[steps.wrapped]
secrets = ['filed']
run = 'for i in 1 2 3 4 5 6 7; do printf "%0${{i}}d%s%s" 0 "$(cat pad.txt)" "$FILED" | base64 -w 64; printf "%s" "$FILED" | base64 | tr "+/" "-_"; done'
[steps.fetched]
http = {{ url = 'http://127.0.0.1:{port}/' }}
pass = ['status == 200', 'text == "x"', 'header."location" == "y"', 'headers contains "w"']
[steps.again]
needs = ['fetched']
http = {{ url = 'http://127.0.0.1:{port}/again', redirects = 1 }}
pass = ['status == steps.fetched.status', 'text != steps.fetched.text']
[steps.cut]
file = 'long.txt'
pass = ['text == "x"', 'text matches "^y$"']
[steps.keys]
file = 'keys.json'
pass = ['keys contains "k"', 'values contains "v"', 'data.a == "2"']
[steps.ini]
file = 'keys.env'
pass = ['data.A == "x"']
[steps.finding]
report = 'scan.sarif'
pass = ['count(findings(open)) == 0', 'every(findings(open)) == "x"']
[steps.looks]
needs = ['fetched']
file = 'long.txt'
sample = {{ every = '1ms', max = 2, failures = 1 }}
pass = ['text == steps.fetched.text']
[steps.gone]
secrets = ['token']
run = ['cat', 'none.txt']
stdin = '{{{{ secrets.token }}}}'
[steps.told]
env = {{ T = '{{{{ secrets.token }}}}' }}
run = 'set -x; : "$T"; echo "$T" | sed s/$/!/ >&2; env; cat "/$T/x"'
"#
    );
    let space = space(&plan);
    let text = space.read("blueprint.toml").replacen(
        "[plan]\n",
        "[plan]\nreports = ['out.md', 'out.html', 'out.json', 'out.xml']\n",
        1,
    );
    space.write("blueprint.toml", text);
    let all = forms(TOKEN).into_iter().chain(forms(FILED).into_iter().filter(|form| !form.contains('\n')));
    space.write("forms.txt", all.collect::<Vec<_>>().join("\n") + "\n");
    space.write("pad.txt", "pad");
    space.write("long.txt", format!("{padding}{TOKEN}\n{}{FILED}\n", "q".repeat(190)));
    space.write("keys.json", serde_json::json!({ TOKEN: { FILED: TOKEN }, "a": [{ "b": FILED }] }).to_string());
    space.write("keys.env", format!("A='{}'\n", FILED.replace('\n', " ")));
    let message = format!("Possible hardcoded password: {}{TOKEN}", "m".repeat(120));
    let sarif = serde_json::json!({
        "version": "2.1.0",
        "runs": [{ "tool": { "driver": { "name": "scan", "rules": [] } }, "results": [{
            "ruleId": "B105", "level": "error", "message": { "text": message },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": "a.py" }, "region": { "startLine": 1, "snippet": { "text": TOKEN } } } }],
        }] }],
    });
    space.write("scan.sarif", sarif.to_string());
    space
}

/// Everything that takes a secret somewhere at once, and then every way to look at it.
#[test]
fn nothing_of_a_secret_comes_out_by_any_command() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    // So that what is told of a text ends in the middle of a secret.
    let padding = "p".repeat(185);
    let server = telltale(listener, format!("{padding}{TOKEN} {FILED}"));
    let space = talkative(port, &padding);
    let secrets = [TOKEN, FILED];
    let ended = space.go(&["-j", "2", "--progress", "plain"]);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    server.join().expect("the server ends");
    let broken: Vec<String> =
        space.record().iter().filter(|line| line["state"] == "error").map(|line| line["id"].to_string()).collect();
    assert_eq!(broken, ["\"again\""], "all others looked: {}{}", ended.stdout, ended.stderr);
    spotless(&space, &ended, &secrets);
    let first = space.latest().file_name().expect("a run").to_string_lossy().into_owned();
    let ended = space.go(&["-j", "1", "--progress", "json", "--var", "other=1"]);
    assert_eq!(ended.code, 2);
    let ended = space.go(&["-j", "1", "--progress", "json"]);
    spotless(&space, &ended, &secrets);
    assert!(ended.stdout.contains("[secret token]") && ended.stdout.contains("[secret filed]"));
    let mut shown = 0;
    for args in ways_to_show(&space, &first) {
        let ended = space.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(ended.code != 2, "{args:?}: {}", ended.stderr);
        for secret in secrets {
            clean(&args.join(" "), ended.stdout.as_bytes(), secret);
            clean(&args.join(" "), ended.stderr.as_bytes(), secret);
        }
        shown += usize::from(ended.stdout.contains("[secret "));
    }
    assert!(shown > 10, "the places of secrets are seen: {shown}");
    for report in ["out.md", "out.html", "out.json", "out.xml"] {
        let text = space.read(report);
        assert!(text.contains("both"), "{report}");
        secrets.iter().for_each(|secret| clean(report, text.as_bytes(), secret));
    }
    spotless(&space, &ended, &secrets);
    // Nor a piece of one that was cut off: longer ones than a line end of base64 leaves.
    let journal = std::fs::read_to_string(space.latest().join("journal.jsonl")).expect("a journal");
    for secret in secrets {
        let begin: String = secret.chars().take(9).collect();
        assert!(!journal.contains(&begin) && !ended.stderr.contains(&begin), "{begin}");
    }
    recomputed(&space.latest());
}

//! The language server, by a real language client: pygls, as `tests/validators.sh` installs it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{RUNPLAN, Space, finish, repository, say, skip};

/// Python with the client, where it is installed.
fn python() -> Option<PathBuf> {
    let path = repository().join("target/validators/bin/python");
    path.exists().then_some(path)
}

/// 2,000 steps in layers of 50, each waiting for two of the layer before; and a file that is included and names the last.
fn large() -> Space {
    let mut text = "format = 1\ninclude = [\"more.toml\"]\n[vars]\nbase = \"http://127.0.0.1:1\"\n".to_owned();
    for at in 0..2000_usize {
        let needs = match at.checked_sub(50) {
            Some(before) => format!("needs = [\"step-{before}\", \"step-{}\"]\n", before + 1),
            None => "needs = []\n".to_owned(),
        };
        text.push_str(&format!(
            "\n[steps.step-{at}]\n{needs}title = \"Step {at}\"\nhttp = \"{{{{ vars.base }}}}/{at}\"\npass = [\"status == 200\", \"latency < 1s\"]\n"
        ));
    }
    let more = "[steps.after-all]\nrun = [\"echo\", \"x\"]\nneeds = [\"step-1999\"]\npass = [\"exit == 0\", \"steps.step-1999.status == 200\"]\n";
    let space = Space::new();
    space.write("blueprint.toml", text).write("more.toml", more);
    space
}

#[test]
fn a_language_client_completes_jumps_renames_and_sees_a_circle() {
    let Some(python) = python() else { return skip("the language client (tests/validators.sh)") };
    let space = large();
    let _ = space.run(&["check", "blueprint.toml"]).code(0);
    let began = Instant::now();
    let _ = space.run(&["check", "blueprint.toml"]).code(0);
    let check = began.elapsed().as_secs_f64() * 1000.0;
    let client = Command::new(python)
        .arg(repository().join("tests/it/fixtures/lsp/client.py"))
        .args([RUNPLAN, space.path().to_str().expect("a path")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python starts");
    let ended = finish(client);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    let answer = |what: &str| {
        let line = lines.iter().find(|line| line["what"] == what).unwrap_or_else(|| panic!("{what}: {}", ended.stdout));
        &line["answer"]
    };
    assert_eq!(*answer("open"), 0);
    let all: Vec<String> = (1990..2000).map(|at| format!("step-{at}")).chain(["step-199".to_owned()]).collect();
    let offered: Vec<&str> = answer("complete a step").as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(offered.len(), all.len());
    assert!(all.iter().all(|name| offered.contains(&name.as_str())), "{offered:?}");
    assert_eq!(*answer("jump to it"), "[steps.step-1999]");
    assert_eq!(*answer("find what names it"), json!(["blueprint.toml", "blueprint.toml", "more.toml", "more.toml"]));
    assert!(answer("hover").as_str().unwrap().contains("needed by: `after-all`, `new`"), "{}", answer("hover"));
    assert_eq!(*answer("lenses"), 2001);
    assert_eq!(*answer("see a circle"), json!({ "diagnostics": 2, "edges": 2, "linked": true }));
    assert_eq!(*answer("rename it"), json!({ "blueprint.toml": 2, "more.toml": 2 }));
    assert_eq!(*answer("ended"), 0);
    // What was renamed holds, in both files.
    let _ = space.run(&["check", "blueprint.toml", "--strict"]).code(0).says("2002 steps");
    assert!(
        space.read("more.toml").contains("steps.the-last.status") && !space.read("more.toml").contains("step-1999")
    );
    let times: Vec<String> = lines
        .iter()
        .filter_map(|line| Some((line["what"].as_str()?, line["ms"].as_f64().filter(|ms| *ms > 0.0)?)))
        .map(|(what, ms)| format!("{what} {ms:.1} ms ({:.2} of a check)", ms / check))
        .collect();
    say(&format!("on 2,000 steps, where `runplan check` takes {check:.0} ms: {}", times.join(", ")));
}

#[test]
fn stdout_has_messages_only_and_the_end_of_input_is_the_end() {
    let space = Space::plan("[steps.a]\nrun = 'x'\n");
    let child = space.command(&["lsp"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let ended = finish(child);
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (1, "", ""));
}

/// The set-up that the documentation gives to Neovim before 0.11, which its 0.11 has too.
fn neovim_setup() -> String {
    let page = include_str!("../../plans/EDITORS.md");
    let blocks = page.split("```lua\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| !block.contains("vim.lsp.config(")).collect()
}

#[test]
fn neovim_understands_the_setup_of_the_documentation() {
    if Command::new("nvim").arg("--version").output().is_err() {
        return skip("neovim");
    }
    let space = Space::plan("[steps.build]\nrun = 'x'\n[steps.test]\nrun = 'x'\nneeds = ['build', 'biuld']\n");
    let asks = r#"
vim.cmd('filetype on')
vim.cmd('edit blueprint.toml')
local function out(text) io.stdout:write(text .. '\n') end
local said = vim.wait(20000, function() return #vim.diagnostic.get(0) > 0 end, 10)
if not said then out('no diagnostics') vim.cmd('cquit') end
local fault = vim.diagnostic.get(0)[1]
out('diagnostic ' .. fault.lnum .. ' ' .. fault.code)
vim.api.nvim_win_set_cursor(0, { 6, 12 })
vim.lsp.buf.definition()
local jumped = vim.wait(20000, function() return vim.api.nvim_win_get_cursor(0)[1] == 2 end, 10)
out('jumped ' .. tostring(jumped))
local lenses = vim.lsp.buf_request_sync(0, 'textDocument/codeLens', { textDocument = vim.lsp.util.make_text_document_params() }, 20000)
for _, answer in pairs(lenses) do
  out('lenses ' .. #answer.result .. ' ' .. type(vim.lsp.commands[answer.result[1].command.command]))
end
vim.cmd('qall!')
"#;
    space.write("setup.lua", neovim_setup()).write("asks.lua", asks);
    let bin = PathBuf::from(RUNPLAN);
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("nvim");
    command.args(["--headless", "-u", "NONE", "-i", "NONE", "-c", "luafile setup.lua", "-c", "luafile asks.lua"]);
    command.current_dir(space.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("PATH", format!("{}:{path}", bin.parent().expect("a folder").display()));
    for name in ["XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env(name, space.path().join("home"));
    }
    let ended = finish(command.spawn().expect("it starts"));
    let told: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(
        told,
        ["diagnostic 5 unknown-step", "jumped true", "lenses 2 function"],
        "{}{}",
        ended.stdout,
        ended.stderr
    );
}

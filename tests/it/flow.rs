//! Every state of the flow: fail modes, conditions, retries, samples, pools, services, outputs, tiers, the decision.

use std::path::Path;

use crate::support::{Ended, Space};

/// State and cause code of each step, in this order.
#[track_caller]
fn states(space: &Space, wanted: &[(&str, &str, &str)]) {
    let found: Vec<(String, String)> = wanted.iter().map(|(step, ..)| space.state(step)).collect();
    let found: Vec<(&str, &str, &str)> =
        wanted.iter().zip(&found).map(|((step, ..), (state, cause))| (*step, state.as_str(), cause.as_str())).collect();
    assert_eq!(found, wanted);
}

/// A step's line in the record.
#[track_caller]
fn line(space: &Space, step: &str) -> serde_json::Value {
    space.record().into_iter().find(|line| line["id"] == step).unwrap_or_else(|| panic!("no step `{step}`"))
}

/// What the last attempt of a step says about itself.
#[track_caller]
fn detail(space: &Space, step: &str) -> String {
    let journal = space.journal();
    let steps = journal[0]["steps"].as_array().expect("announced steps").clone();
    let id = steps.iter().find(|head| head["name"] == step).expect("the step")["step"].clone();
    let commit = journal.iter().find(|line| line["t"] == "commit" && line["step"] == id).expect("a result");
    commit["result"]["detail"].as_str().unwrap_or("").to_owned()
}

const THREE: &str = "[steps.a]\nrun = 'exit 3'\n[steps.b]\nneeds = ['a']\nrun = 'true'\n[steps.c]\nneeds = ['b']\n\
                     run = 'true'\n[steps.d]\nrun = 'true'\n";

#[test]
fn a_failure_does_what_the_mode_says() {
    let plan = |mode: &str| Space::plan(&format!("[plan]\non_failure = '{mode}'\n{THREE}"));
    let space = plan("independent");
    let _ = space.go(&["-j", "1"]).code(1).says("blocked   b, c");
    states(
        &space,
        &[
            ("a", "fail", "criteria"),
            ("b", "skipped", "need_failed"),
            ("c", "skipped", "need_failed"),
            ("d", "pass", ""),
        ],
    );
    assert_eq!(line(&space, "c")["cause"]["of"], "a", "the root is named, not the link");

    let space = plan("stop");
    let _ = space.go(&["-j", "1"]).code(1);
    states(
        &space,
        &[
            ("a", "fail", "criteria"),
            ("b", "not_run", "stopped"),
            ("c", "not_run", "stopped"),
            ("d", "not_run", "stopped"),
        ],
    );

    let space = plan("continue");
    let _ = space.go(&[]).code(1);
    states(&space, &[("a", "fail", "criteria"), ("b", "pass", ""), ("c", "pass", ""), ("d", "pass", "")]);
}

#[test]
fn the_command_line_overrides_the_mode_and_a_step_overrides_the_plan() {
    let space = Space::plan(THREE);
    let _ = space.go(&["--on-failure", "stop", "-j", "16"]).code(1);
    states(&space, &[("a", "fail", "criteria"), ("d", "not_run", "stopped")]);
    assert_eq!(space.record()[0]["policy"]["on_failure"], "stop");

    let space = Space::plan(
        "[plan]\non_failure = 'stop'\n[steps.a]\nrun = 'exit 1'\non_failure = 'continue'\n[steps.b]\nneeds = ['a']\n\
         run = 'true'\n[steps.c]\nrun = 'exit 1'\n[steps.d]\nrun = 'true'\n",
    );
    let _ = space.go(&["-j", "1"]).code(1);
    states(
        &space,
        &[("a", "fail", "criteria"), ("b", "pass", ""), ("c", "fail", "criteria"), ("d", "not_run", "stopped")],
    );
}

#[test]
fn under_stop_a_lower_rank_still_runs_and_an_advisory_failure_stops_nothing() {
    // `late` is of a lower rank than `bad` and ends only after it has failed.
    let space = Space::plan(
        "[plan]\non_failure = 'stop'\n[steps.soft]\nrequired = false\nrun = 'exit 1'\n\
         [steps.late]\nrun = 'until test -e failed; do sleep 0.01; done'\ntimeout = '60s'\n\
         [steps.bad]\nrun = 'touch failed; exit 1'\n[steps.later]\nneeds = ['late']\nrun = 'touch never'\n",
    );
    let _ = space.go(&["-j", "3"]).code(1);
    states(
        &space,
        &[
            ("soft", "fail", "criteria"),
            ("late", "pass", ""),
            ("bad", "fail", "criteria"),
            ("later", "not_run", "stopped"),
        ],
    );
    assert!(!space.has("never"));
}

#[test]
fn run_when_asks_for_an_outcome() {
    let mut plan = String::from(
        "[steps.good]\nrun = 'true'\n[steps.bad]\nrequired = false\nrun = 'exit 1'\n\
         [steps.left]\nwhen = 'env.NOT_SET == \"1\"'\nrun = 'true'\n",
    );
    for need in ["good", "bad", "left"] {
        for word in ["success", "failure", "completed", "always"] {
            plan += &format!(
                "[steps.{need}-{word}]\nneeds = ['{need}']\nrun_when = '{word}'\nrequired = false\nrun = 'true'\n"
            );
        }
    }
    let space = Space::plan(&plan);
    let _ = space.go(&[]);
    states(
        &space,
        &[
            ("left", "skipped", "when"),
            ("good-success", "pass", ""),
            ("good-failure", "skipped", "run_when"),
            ("good-completed", "pass", ""),
            ("good-always", "pass", ""),
            ("bad-success", "skipped", "need_failed"),
            ("bad-failure", "pass", ""),
            ("bad-completed", "pass", ""),
            ("bad-always", "pass", ""),
            ("left-success", "skipped", "need_skipped"),
            ("left-failure", "skipped", "run_when"),
            ("left-completed", "skipped", "need_skipped"),
            ("left-always", "pass", ""),
        ],
    );
}

#[test]
fn when_looks_at_variables_the_environment_and_earlier_facts() {
    let space = Space::plan(
        "[vars]\nstack = 'local'\n[steps.look]\nrun = 'echo four'\n[steps.var]\nwhen = 'vars.stack == \"local\"'\nrun = 'true'\n\
         [steps.var-not]\nwhen = 'vars.stack != \"local\"'\nrun = 'true'\n\
         [steps.env]\nwhen = 'env.WANTED == \"yes\"'\nrun = 'true'\n\
         [steps.env-not]\nwhen = ['env.WANTED == \"yes\"', 'env.WANTED == \"no\"']\nrun = 'true'\n\
         [steps.fact]\nneeds = ['look']\nwhen = 'steps.look.stdout contains \"four\"'\nrun = 'true'\n\
         [steps.fact-not]\nneeds = ['look']\nwhen = 'steps.look.exit == 1'\nrun = 'true'\n\
         [steps.state]\nafter = ['fact-not']\nwhen = 'steps.fact-not.state == \"skipped\"'\nrun = 'true'\n\
         [steps.unknown]\nafter = ['fact-not']\nwhen = 'steps.fact-not.exit == 0'\nrun = 'true'\nrequired = false\n",
    )
    .env("WANTED", "yes");
    let _ = space.go(&[]).code(0);
    states(
        &space,
        &[
            ("var", "pass", ""),
            ("var-not", "skipped", "when"),
            ("env", "pass", ""),
            ("env-not", "skipped", "when"),
            ("fact", "pass", ""),
            ("fact-not", "skipped", "when"),
            ("state", "pass", ""),
            ("unknown", "error", "action_error"),
        ],
    );
    assert_eq!(line(&space, "env-not")["cause"]["of"], "env.WANTED == \"no\"", "the condition that does not hold");
    assert!(detail(&space, "unknown").contains("did not run (skipped)"), "{}", detail(&space, "unknown"));
}

#[test]
fn after_is_order_only() {
    let space = Space::plan(
        "[steps.a]\nrequired = false\nrun = 'echo a >> order; exit 1'\n[steps.b]\nafter = ['a']\nrun = 'echo b >> order'\n\
         [steps.c]\nafter = ['b']\nrun = 'echo c >> order'\n",
    );
    let _ = space.go(&["-j", "8"]).code(0);
    assert_eq!(space.read("order"), "a\nb\nc\n");
}

#[test]
fn an_advisory_need_blocks_and_says_so() {
    let space = Space::plan("[steps.a]\nrequired = false\nrun = 'exit 1'\n[steps.b]\nneeds = ['a']\nrun = 'true'\n");
    let _ = space.go(&[]).code(1).says("needs the advisory step `a`");
    states(&space, &[("a", "fail", "criteria"), ("b", "skipped", "need_failed")]);
    let end = space.record().pop().unwrap();
    assert_eq!(end["vetoes"][0]["reason"], "not run, blocked by `a` (fail)");
}

#[test]
fn retries_stop_at_the_first_pass_at_the_limit_and_at_another_exit_code() {
    let space = Space::plan(
        "[steps.passes]\nretry = { limit = 5, backoff = '1ms', factor = 2, cap = '3ms' }\nrun = 'test $RUNPLAN_ATTEMPT = 3'\n\
         [steps.limit]\nrequired = false\nretry = 2\nrun = 'exit 1'\n\
         [steps.filter]\nrequired = false\nretry = { limit = 5, exit = [75] }\nrun = 'test $RUNPLAN_ATTEMPT = 1 && exit 75; exit 2'\n\
         [steps.refused]\nrequired = false\nretry = 5\nrun = 'exit 9'\nreject = ['exit == 9']\n",
    );
    let _ = space.go(&[]);
    let attempts = |step: &str| {
        let line = line(&space, step);
        let attempts = line["attempts"].as_array().unwrap();
        attempts.iter().map(|a| a["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(attempts("passes"), "fail fail pass");
    assert_eq!(attempts("limit"), "fail fail fail");
    assert_eq!(attempts("filter"), "fail fail");
    assert_eq!(attempts("refused"), "fail");
    states(&space, &[("refused", "fail", "rejected"), ("passes", "pass", "")]);
    let pauses: Vec<u64> =
        space.journal().iter().filter(|l| l["t"] == "retry").filter_map(|l| l["after_ns"].as_u64()).collect();
    let mut sorted = pauses.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 0, 0, 1_000_000, 2_000_000], "{pauses:?}");
}

#[test]
fn samples_poll_or_count() {
    // Each look adds a line; the number of lines is what is judged.
    let count = |name: &str| format!("run = 'echo >> {name}; wc -l < {name}'\nparse = 'json'\n");
    let space = Space::plan(&format!(
        "[steps.row]\n{}sample = {{ every = '1ms', consecutive = 3, within = '60s' }}\npass = ['json.\"$\" in [1, 3, 4, 5]']\n\
         [steps.max]\nrequired = false\n{}sample = {{ every = '1ms', max = 4 }}\npass = ['json.\"$\" != 4']\n\
         [steps.some]\n{}sample = {{ every = '1ms', max = 5, failures = 2 }}\npass = ['json.\"$\" > 2']\n\
         [steps.within]\nrequired = false\n{}sample = {{ every = '5ms', within = '40ms' }}\npass = ['json.\"$\" > 900']\n\
         [steps.over]\n{}sample = {{ every = '1ms', max = 3 }}\npass = ['max(json.\"$\") == 3', 'json.\"$\" >= 1']\n",
        count("row"),
        count("max"),
        count("some"),
        count("within"),
        count("over"),
    ));
    let _ = space.go(&["-j", "1"]);
    states(&space, &[("row", "pass", ""), ("max", "fail", "criteria"), ("some", "pass", "")]);
    assert_eq!(space.read("row").len(), 5, "1 held, 2 did not: the row began again at 3");
    assert_eq!(space.read("max").len(), 4);
    assert_ne!(space.state("within").0, "pass");
    states(&space, &[("over", "pass", "")]);
    let looks = space.journal().iter().filter(|l| l["t"] == "sample" && l["step"] == 0).count();
    assert_eq!(looks, 5, "every look is in the journal");
}

#[test]
fn a_timeout_ends_the_attempt_and_marks_the_line() {
    let space = Space::plan("[steps.slow]\ntimeout = '100ms'\nretry = 1\nrun = 'sleep 300'\n");
    let _ = space.go(&[]).code(1).says("timeout");
    states(&space, &[("slow", "error", "timeout")]);
    let line = line(&space, "slow");
    assert_eq!((line["time_sensitive"].as_bool(), line["attempts"].as_array().unwrap().len()), (Some(true), 2));
    assert!(line["exit"].is_null(), "how it ended was our doing");
}

#[test]
fn a_pool_of_one_is_a_lock_and_a_pool_of_two_is_not() {
    let mut plan = String::from("[pools]\nlock = 1\npair = 2\n");
    for n in 0..6 {
        // `mkdir` fails if another one is inside.
        plan += &format!("[steps.l{n}]\npool = 'lock'\nrun = 'mkdir inside && sleep 0.02 && rmdir inside'\n");
    }
    // Each waits until the other is there: this ends only if two run at once.
    for n in 0..2 {
        let other = 1 - n;
        plan += &format!(
            "[steps.p{n}]\npool = 'pair'\ntimeout = '60s'\nrun = 'touch p{n}; until test -e p{other}; do sleep 0.01; done'\n"
        );
    }
    let space = Space::plan(&plan);
    let _ = space.go(&["-j", "16"]).code(0);
}

#[test]
fn workers_bound_what_runs_at_once() {
    let steps: String = (0..4).map(|n| format!("[steps.s{n}]\nrun = 'mkdir in && sleep 0.01 && rmdir in'\n")).collect();
    let _ = Space::plan(&steps).go(&["-j", "1"]).code(0);
}

#[test]
fn matrix_and_foreach_make_steps() {
    let space = Space::plan(
        "[steps.cell]\nmatrix = { os = ['linux', 'mac'], py = [1, 2], exclude = [{ os = 'mac', py = 2 }] }\n\
         run = ['echo', '{{ matrix.os }}-{{ matrix.py }}']\npass = ['stdout == \"{{ matrix.os }}-{{ matrix.py }}\\n\"']\n\
         [steps.item]\nforeach = ['x', 'y']\nrun = ['echo', '{{ item }}']\nneeds = ['cell']\n",
    );
    let _ = space.go(&[]).code(0);
    let record = space.record();
    let ids: Vec<&str> = record.iter().filter_map(|line| line["id"].as_str()).collect();
    assert_eq!(ids[..3], ["cell[os=linux,py=1]", "cell[os=linux,py=2]", "cell[os=mac,py=1]"]);
    assert_eq!(ids.len(), 5, "{ids:?}");
    assert_eq!(line(&space, ids[3])["deps"].as_array().unwrap().len(), 3);
}

#[test]
fn named_outputs_reach_later_steps_and_only_from_a_success() {
    let space = Space::plan(
        "[steps.make]\noutputs = { values = ['version', 'notes'] }\n\
         run = 'echo version=1.2=3 > $RUNPLAN_OUTPUT; printf \"notes<<END\\nfirst\\nsecond\\nEND\\n\" >> $RUNPLAN_OUTPUT'\n\
         [steps.use]\nneeds = ['make']\nrun = ['printf', '%s|', '{{ steps.make.outputs.version }}', '{{ steps.make.outputs.notes }}']\n\
         pass = ['stdout == \"1.2=3|first\\nsecond|\"']\n\
         [steps.check]\nneeds = ['make']\nvalue = { v = 'steps.make.outputs.version' }\npass = ['v starts_with \"1.2\"']\n\
         [steps.fails]\nrequired = false\noutputs = { values = ['v'] }\nrun = 'echo v=1 > $RUNPLAN_OUTPUT; exit 1'\n\
         [steps.wants]\nrequired = false\nneeds = ['fails']\nrun_when = 'always'\nenv = { V = '{{ steps.fails.outputs.v }}' }\nrun = 'true'\n",
    );
    let _ = space.go(&[]).code(0);
    assert_eq!(line(&space, "make")["values"], serde_json::json!({ "version": "1.2=3", "notes": "first\nsecond" }));
    assert_eq!(line(&space, "fails")["values"], serde_json::json!({}));
    states(&space, &[("use", "pass", ""), ("check", "pass", ""), ("wants", "error", "action_error")]);
}

#[test]
fn named_outputs_are_exactly_those_declared() {
    for (write, says) in [
        ("echo other=1", "`other` is not declared"),
        ("echo v=1; echo v=2", "given twice"),
        ("true", "`v` was not given"),
        ("echo v", "line 1"),
        ("echo \"v<<E\"; echo x", "no closing `E`"),
        ("printf \"v=\\377\"", "not UTF-8"),
    ] {
        let space = Space::plan(&format!(
            "[steps.a]\noutputs = {{ values = ['v'] }}\nrun = '''{{ {write}; }} > $RUNPLAN_OUTPUT'''\n"
        ));
        let _ = space.go(&[]).code(1).says(says);
        states(&space, &[("a", "fail", "output_invalid")]);
    }
}

#[test]
fn outputs_must_be_made_and_inputs_must_hold_still() {
    let space = Space::plan(
        "[plan]\non_failure = 'continue'\n[steps.none]\noutputs = ['dist/app']\nrun = 'true'\n[steps.art]\nartifacts = ['cov/']\nrun = 'true'\n\
         [steps.touch]\ninputs = ['src/*.txt']\nrun = 'echo more >> src/a.txt'\n\
         [steps.added]\ninputs = ['src/*.txt']\nafter = ['touch']\nrun = 'touch src/b.txt'\n\
         [steps.gone]\ninputs = ['nothing-*.txt']\nrun = 'touch ran'\n",
    );
    space.write("src/a.txt", "a\n");
    let _ =
        space.go(&["-j", "1"]).code(1).says("`dist/app` was not made").says("`src/a.txt` changed while the step ran");
    states(
        &space,
        &[
            ("none", "fail", "output_invalid"),
            ("art", "fail", "output_invalid"),
            ("touch", "fail", "input_changed"),
            ("added", "fail", "input_changed"),
            ("gone", "error", "no_data"),
        ],
    );
    assert!(!space.has("ran"), "a step without its input does not run");
}

#[test]
fn artifacts_are_archived_under_their_digest() {
    let space = Space::plan(
        "[steps.a]\nrun = 'mkdir -p html && echo index > html/i.html && echo same > html/s.html && date +%N > t.txt'\n\
         artifacts = ['html/', { path = 't.txt', class = 'volatile' }]\npass = ['artifact.\"t.txt\".size > 0B']\n",
    );
    let _ = space.go(&[]).code(0);
    let line = line(&space, "a");
    let outputs = line["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 3, "{outputs:?}");
    let stable = outputs.iter().find(|o| o["path"] == "html/i.html").unwrap();
    let digest = runplan::digest::sha256_hex(b"index\n");
    assert_eq!((stable["sha256"].as_str(), stable["size"].as_u64()), (Some(digest.as_str()), Some(6)));
    let object = space.path().join(".runplan/objects/sha256").join(&digest[..2]).join(&digest[2..]);
    assert_eq!(std::fs::read(object).unwrap(), b"index\n");
    assert!(
        outputs.iter().find(|o| o["path"] == "t.txt").unwrap()["sha256"].is_null(),
        "volatile bytes are no identity"
    );
}

const JUNIT: &str =
    "<testsuite name=\"t\" tests=\"1\" failures=\"0\"><testcase classname=\"c\" name=\"n\"/></testsuite>";

#[test]
fn a_report_is_of_this_run() {
    let plan = |run: &str| {
        Space::plan(&format!("[steps.a]\nrun = '{run}'\nreport = 'junit.xml'\npass = ['tests.failed == 0']\n"))
    };
    let space = plan("cp source.xml junit.xml");
    space.write("source.xml", JUNIT);
    let _ = space.go(&[]).code(0);
    let space = plan("true");
    space.write("junit.xml", JUNIT);
    let _ = space.go(&[]).code(1).says("the command did not write it");
    states(&space, &[("a", "error", "action_error")]);
}

#[test]
fn render_file_and_value_judge_what_they_see() {
    let space = Space::plan(
        "[vars]\nport = 8080\n[steps.env]\nrender = { template = 't.env', to = 'made.env', mode = '0600' }\n\
         pass = ['keys superset_of template.keys', 'mode == 0o600', 'data.PORT == \"8080\"']\n\
         [steps.look]\nneeds = ['env']\nfile = ['*.env']\npass = ['every(exists) == true', 'count == 2', 'every(size) > 3B']\n\
         [steps.absent]\nfile = 'none.txt'\npass = ['exists == false']\n\
         [steps.missing]\nrequired = false\nfile = 'none.txt'\n\
         [steps.value]\nneeds = ['look']\nvalue = { n = 'steps.look.count' }\npass = ['n == 2']\n",
    );
    space.write("t.env", "PORT={{ vars.port }}\n");
    let _ = space.go(&[]).code(0);
    assert_eq!(space.read("made.env"), "PORT=8080\n");
    states(&space, &[("absent", "pass", ""), ("missing", "fail", "criteria"), ("value", "pass", "")]);
}

#[test]
fn a_service_lives_until_its_last_dependant_and_ends_in_reverse_order() {
    let service = |name: &str, more: &str| {
        format!(
            "[steps.{name}]\n{more}service = {{ run = 'trap \"echo {name} >> ended; exit 0\" TERM; echo up; while :; do sleep 0.01; done', \
             ready = {{ log = 'up', every = '10ms' }} }}\n"
        )
    };
    let space = Space::plan(&format!(
        "{}{}[steps.use]\nneeds = ['app']\nrun = 'test ! -e ended'\n[steps.free]\nrun = 'true'\n",
        service("db", ""),
        service("app", "needs = ['db']\n")
    ));
    let _ = space.go(&["-j", "4"]).code(0);
    states(&space, &[("db", "pass", ""), ("app", "pass", ""), ("use", "pass", "")]);
    assert_eq!(space.read("ended"), "app\ndb\n");
}

#[test]
fn a_service_that_dies_or_never_gets_ready_fails_with_its_story() {
    let space = Space::plan(
        "[steps.early]\nservice = { run = 'echo gone; exit 4', ready = { log = 'never' } }\n\
         [steps.user]\nneeds = ['early']\nrun = 'true'\n",
    );
    let _ = space.go(&[]).code(1).says("exit code 4").says("blocked   user");
    assert_eq!(space.state("early").0, "fail");
    states(&space, &[("early", "fail", "service_died"), ("user", "skipped", "need_failed")]);

    let space = Space::plan(
        "[steps.svc]\nservice = { run = 'echo up; until test -e die; do sleep 0.01; done; exit 5', ready = { log = 'up', every = '10ms' } }\n\
         [steps.user]\nneeds = ['svc']\nrun = 'touch die; sleep 0.1'\n[steps.next]\nneeds = ['user', 'svc']\nrun = 'touch ran; true'\n\
         [steps.wait]\nneeds = ['user']\nrun = 'sleep 0.1'\n",
    );
    let _ = space.go(&["-j", "4"]).code(1).says("ended by itself (exit code 5)");
    states(&space, &[("svc", "fail", "service_died")]);

    let space = Space::plan(
        "[steps.svc]\nservice = { run = 'exec sleep 300', ready = { log = 'up', every = '10ms', within = '100ms' } }\n\
         [steps.user]\nneeds = ['svc']\nrun = 'true'\n",
    );
    let _ = space.go(&[]).code(1).says("not ready within 100 ms");
    assert!(["fail", "error"].contains(&space.state("svc").0.as_str()));
    states(&space, &[("user", "skipped", "need_failed")]);
}

#[test]
fn finally_steps_always_come_last_and_see_the_decision() {
    let space = Space::plan(
        "[steps.a]\nrun = 'echo a >> order; exit 1'\n[finally.last]\nneeds = ['first']\nrun = 'echo last >> order'\n\
         [finally.first]\nrun = 'echo \"first $RUNPLAN_DECISION\" >> order'\n\
         [finally.good]\nrun = 'true'\nneeds = ['a']\nrequired = false\n",
    );
    let _ = space.go(&["-j", "1"]).code(1);
    assert_eq!(space.read("order"), "a\nfirst NO-GO\nlast\n", "a `finally` step can't turn a failure into a pass");
    states(&space, &[("first", "pass", ""), ("good", "skipped", "need_failed")]);

    let space = Space::plan(
        "[steps.a]\nrun = 'true'\n[finally.f]\nrun = 'echo $RUNPLAN_DECISION; exit 1'\npass = ['exit == 0']\n",
    );
    let _ = space.go(&[]).code(1);
    let text = std::fs::read_to_string(space.latest().join("steps/0001-f/stdout")).unwrap();
    assert_eq!(text, "GO\n", "the decision so far; its own failure counts too");
}

#[test]
fn tiers_decide_in_their_order() {
    let tier = |name: &str, code: u32, more: &str| {
        format!("[steps.{name}]\nrequired = false\nrun = 'exit {code}'\npass = ['exit == 0']\n{more}\n")
    };
    let space = Space::plan(
        &[
            tier("goal", 0, "warn = ['exit <= 2']"),
            tier("floor", 2, "warn = ['exit <= 2']"),
            tier("below", 3, "warn = ['exit <= 2']"),
            tier("refused", 9, "warn = ['exit <= 9']\nreject = ['exit == 9']"),
            tier("grey", 5, "reject = ['exit == 9']"),
            "[steps.one]\nrequired = false\nrun = 'exit 4'\nany = ['exit == 4', 'exit == 5']\n".to_owned(),
            "[steps.none]\nrequired = false\nrun = 'exit 6'\nany = ['exit == 4', 'exit == 5']\n".to_owned(),
        ]
        .concat(),
    );
    let _ = space.go(&[]);
    states(
        &space,
        &[
            ("goal", "pass", ""),
            ("floor", "warn", "criteria"),
            ("below", "fail", "criteria"),
            ("refused", "fail", "rejected"),
            ("grey", "inconclusive", "undecided"),
            ("one", "pass", ""),
            ("none", "fail", "criteria"),
        ],
    );
}

#[test]
fn nothing_to_look_at_is_an_error_unless_allowed() {
    let space = Space::plan(
        "[steps.none]\nrequired = false\nfile = ['none/*.sql']\npass = ['every(size) > 0B']\n\
         [steps.fine]\nfile = ['none/*.sql']\npass = ['every(size) > 0B']\nallow_empty = 'no migrations yet'\n",
    );
    let _ = space.go(&[]).code(0);
    states(&space, &[("none", "error", "no_data"), ("fine", "pass", "")]);
    assert_eq!(line(&space, "fine")["allowed_empty"], "no migrations yet");
}

#[test]
fn a_program_that_is_not_there_or_crashes() {
    let space = Space::plan(
        "[steps.gone]\nrun = ['no-such-program-here']\n[steps.crash]\nrun = 'kill -SEGV $$'\n[steps.cwd]\ncwd = 'nowhere'\nrun = 'true'\n",
    );
    let _ = space.go(&[]).code(1).says("no-such-program-here").says("SIGSEGV").says("`nowhere` does not exist");
    states(&space, &[("gone", "error", "spawn_failed"), ("crash", "fail", "signal"), ("cwd", "error", "spawn_failed")]);
}

#[test]
fn every_way_a_decision_can_go() {
    let grey = "run = 'exit 5'\npass = ['exit == 0']\nreject = ['exit == 9']\n";
    let soft = |name: &str, severity: &str| {
        format!("[steps.{name}]\nrequired = false\nseverity = '{severity}'\nrun = 'exit 1'\n")
    };
    let go = |plan: &str, code: i32| -> (Space, Ended) {
        let space = Space::plan(plan);
        let ended = space.go(&[]).code(code);
        (space, ended)
    };
    let (_, ended) = go("[steps.a]\nrun = 'true'\n", 0);
    let _ = ended.says("GO  risk 0");
    let (space, ended) = go(&format!("[steps.a]\n{grey}[steps.b]\nrun = 'true'\n"), 3);
    let _ = ended.says("HOLD");
    states(&space, &[("a", "inconclusive", "undecided")]);
    assert_eq!(space.record().pop().unwrap()["verdict"], "HOLD");
    let _ = go(&format!("{}{}", soft("a", "high"), soft("b", "high")), 3).1.says("HOLD").says("risk 58");
    let _ = go(&format!("{}{}{}", soft("a", "high"), soft("b", "high"), soft("c", "high")), 1)
        .1
        .says("NO-GO")
        .says("risk 73");
    let _ = go(&format!("[decision]\nrisk = {{ go = 34, no_go = 35 }}\n{}", soft("a", "high")), 1)
        .1
        .says("NO-GO")
        .says("risk 35");
    let _ =
        go(&format!("[decision]\nrisk = {{ go = 35, no_go = 70 }}\n{}", soft("a", "high")), 0).1.says("GO  risk 35");
    let _ = go(&soft("a", "critical"), 1).1.says("NO-GO").says("risk 100");
    let warned = "[steps.w]\nseverity = 'high'\nrun = 'exit 1'\npass = ['exit == 0']\nwarn = ['exit == 1']\n";
    let _ = go(&format!("{warned}{}", soft("f", "medium")), 0).1.says("GO  risk 30");
}

#[test]
fn declared_risks_count_where_they_apply() {
    let plan = "[vars]\nnight = false\n[[risk]]\nid = 'late'\nweight = 0.41\nwhen = 'vars.night == true'\n\
                [[risk]]\nid = 'known'\nseverity = 'medium'\n[steps.a]\nrun = 'true'\n";
    let space = Space::plan(plan);
    let _ = space.go(&[]).code(0).says("GO  risk 15");
    let _ = space.go(&["--var", "night=true"]).code(3).says("risk 50");
    let terms = space.record().pop().unwrap()["terms"].clone();
    assert_eq!(terms.as_array().unwrap().len(), 2, "{terms}");
}

const LINE: &str = "[steps.a]\nrun = 'echo a >> ran'\ntags = ['x']\n[steps.b]\nneeds = ['a']\nrun = 'echo b >> ran'\n\
                    [steps.c]\nneeds = ['b']\nrun = 'echo c >> ran'\ntags = ['y']\n[steps.d]\nrun = 'echo d >> ran'\n\
                    [finally.f]\nrun = 'echo f >> ran'\n";

#[test]
fn a_selection_runs_what_was_asked_for() {
    for (args, ran) in [
        (&["b"][..], "a b f"),
        (&["--tag", "y"], "a b c f"),
        (&["--tag", "x"], "a f"),
        (&["--skip", "a"], "b c d f"),
        (&["--skip", "b", "--skip", "d"], "a c f"),
        (&["--from", "b"], "b c f"),
        (&["--until", "b"], "a b f"),
        (&["--from", "b", "--until", "b"], "b f"),
    ] {
        let space = Space::plan(LINE);
        let mut all = vec!["-j", "1"];
        all.extend(args);
        let _ = space.go(&all).code(0);
        assert_eq!(space.read("ran").split_whitespace().collect::<Vec<_>>().join(" "), ran, "{args:?}");
        for name in ["a", "b", "c", "d"] {
            let wanted = if ran.contains(name) { ("pass", "") } else { ("skipped", "filtered") };
            let found = space.state(name);
            assert_eq!((found.0.as_str(), found.1.as_str()), wanted, "{name} under {args:?}");
        }
        assert!(!space.record()[0]["select"].as_array().unwrap().is_empty());
    }
    let space = Space::plan(LINE);
    let _ = space.go(&["nothing"]).code(2).says("no step `nothing`");
    let _ = space.go(&["--tag", "z"]).code(2).says("no step has the tag `z`");
    assert!(!space.has("ran") && !space.has(".runplan"), "nothing ran and nothing was left");
}

#[test]
fn exit_codes_are_those_of_the_table() {
    let _ = Space::plan("[steps.a]\nrun = 'true'\n").go(&[]).code(0);
    let _ = Space::plan("[steps.a]\nrun = 'false'\n").go(&[]).code(1);
    let _ = Space::plan("[steps.a]\nrunn = 'false'\n").go(&[]).code(2);
    let _ = Space::new().go(&[]).code(2);
    let _ = Space::plan("[steps.a]\nrun = 'true'\n").go(&["--no-such-flag"]).code(2);
    let _ = Space::plan("[[risk]]\nid = 'r'\nweight = 0.5\n[steps.a]\nrun = 'true'\n").go(&[]).code(3);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        // The step signals its engine, the parent of its process group's leader.
        let space = Space::plan(&format!(
            "[steps.a]\nrun = 'kill -{signal} $PPID; exec sleep 300'\n[steps.b]\nneeds = ['a']\nrun = 'touch b'\n\
             [finally.f]\nrun = 'touch tidied'\n"
        ));
        let _ = space.go(&[]).code(code);
        assert!(space.has("tidied") && !space.has("b"));
        let run = only_run(space.path());
        assert!(!run.join("record.jsonl").exists(), "an interrupted run has no record");
        let journal = runplan::record::read::recover_file(&run).unwrap();
        assert!(runplan::record::read::is_closed(&journal.events) && !journal.torn);
    }
}

/// The folder of the one run in a workspace.
fn only_run(workspace: &Path) -> std::path::PathBuf {
    let mut runs = std::fs::read_dir(workspace.join(".runplan/runs")).unwrap();
    let run = runs.next().unwrap().unwrap().path();
    assert!(runs.next().is_none());
    run
}

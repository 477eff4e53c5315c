//! Random numbers from a seed, and random plans of real processes made of them.

use std::fmt::Write as _;

/// SplitMix64: small, and the same everywhere.
pub struct Seed(u64);

impl Seed {
    /// Starts at a number.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("below a usize")
    }

    /// True in `percent` of all cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// How many steps a plan of [`Plan::random`] has, `matrix` expanded.
pub const STEPS: usize = 200;

/// The command before every step's own: a pause of 0 to 9 ms that differs from step to step and, by `$DELAY`, from run
/// to run.
fn pause(at: usize) -> String {
    format!("sleep 0.00$(( (DELAY * 7919 + {at} * 31) % 10 )); ")
}

/// A random plan, as it is being written.
pub struct Plan {
    seed: Seed,
    text: String,
    /// Names of main steps so far, and whether criteria may name their `exit`.
    names: Vec<(String, bool)>,
    services: Vec<String>,
    /// Steps that publish `v`.
    makers: Vec<String>,
    /// Artifacts: the step, and its path.
    artifacts: Vec<(String, String)>,
    cells: usize,
    /// Failing steps per hundred.
    failing: usize,
    /// Steps say `on_failure` themselves.
    mixed: bool,
}

impl Plan {
    /// A plan of [`STEPS`] steps under a fail mode; `mixed` stands for a mode of each step's own.
    pub fn random(seed: u64, mode: &str) -> String {
        let mixed = mode == "mixed";
        let mut plan = Self {
            seed: Seed::new(seed),
            text: String::new(),
            names: Vec::new(),
            services: Vec::new(),
            makers: Vec::new(),
            artifacts: Vec::new(),
            cells: 0,
            failing: if mode == "stop" || mixed { 1 } else { 8 },
            mixed,
        };
        let mode = if mixed { "independent" } else { mode };
        let head = format!(
            "format = 1\n[plan]\nname = \"random\"\non_failure = \"{mode}\"\ntimeout_finally = \"60s\"\n\
             [vars]\nyes = true\nsize = 3\n[env]\npass = [\"DELAY\"]\nset = {{ HERE = \"{{{{ plan.workspace }}}}\" }}\n\
             [pools]\nlock = 1\npair = 2\n[decision]\nrisk = {{ go = 40, no_go = 70 }}\n\
             [[risk]]\nid = \"known\"\nweight = 0.1\nwhen = 'vars.yes == true'\n"
        );
        plan.text.push_str(&head);
        while plan.cells < STEPS - 6 {
            plan.step();
        }
        for last in 0..6 {
            plan.finally(last);
        }
        plan.text
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn step(&mut self) {
        let at = self.cells;
        let name = format!("s{at:03}");
        let _ = writeln!(self.text, "[steps.{name}]");
        let needs = self.needs();
        self.policy();
        let plain = match self.seed.below(100) {
            0..=2 if self.services.len() < 4 => self.service(&name, at),
            3..=9 if self.cells < STEPS - 12 => self.matrix(at),
            10..=17 => self.maker(&name, at),
            18..=25 => self.artifact(&name, at),
            26..=31 => self.reader(&name, at, &needs),
            32..=38 => self.retried(at),
            39..=44 => self.tiers(at),
            45..=50 => self.conditional(at, &needs),
            51..=55 => self.value(&needs, at),
            56..=59 => self.looked(at),
            n => self.run(at, n < 60 + self.failing),
        };
        self.names.push((name, plain));
    }

    fn needs(&mut self) -> Vec<String> {
        let mut needs: Vec<String> = Vec::new();
        let recent = self.names.len().saturating_sub(40);
        for _ in 0..self.seed.below(4) {
            if self.names.is_empty() {
                break;
            }
            let name = self.names[recent + self.seed.below(self.names.len() - recent)].0.clone();
            if !needs.contains(&name) {
                needs.push(name);
            }
        }
        if let (true, Some(service)) = (self.seed.chance(12), self.services.last().cloned())
            && !needs.contains(&service)
        {
            needs.push(service);
        }
        self.line(&format!("needs = {needs:?}"));
        if self.seed.chance(10) && self.names.len() > 3 {
            let name = self.names[self.seed.below(self.names.len())].0.clone();
            if !needs.contains(&name) {
                self.line(&format!("after = [\"{name}\"]"));
            }
        }
        needs
    }

    fn policy(&mut self) {
        if self.seed.chance(20) {
            self.line("required = false");
        }
        if self.seed.chance(25) {
            let word = self.seed.pick(&["success", "failure", "completed", "always"]);
            self.line(&format!("run_when = \"{word}\""));
        }
        if self.seed.chance(20) {
            let word = self.seed.pick(&["low", "medium", "high"]);
            self.line(&format!("severity = \"{word}\""));
        }
        if self.seed.chance(10) {
            let word = self.seed.pick(&["lock", "pair"]);
            self.line(&format!("pool = \"{word}\""));
        }
        if self.mixed {
            let word = self.seed.pick(&["independent", "continue", "continue", "stop"]);
            self.line(&format!("on_failure = \"{word}\""));
        }
    }

    fn run(&mut self, at: usize, fails: bool) -> bool {
        let code = if fails { 1 + self.seed.below(9) } else { 0 };
        self.line(&format!("run = '{}exit {code}'", pause(at)));
        self.cells += 1;
        true
    }

    fn service(&mut self, name: &str, at: usize) -> bool {
        self.line(&format!(
            "service = {{ run = '{}echo up; exec sleep 300', ready = {{ log = \"up\", every = \"10ms\" }} }}",
            pause(at)
        ));
        self.services.push(name.to_owned());
        self.cells += 1;
        false
    }

    fn matrix(&mut self, at: usize) -> bool {
        self.line("matrix = { os = [\"a\", \"b\"], py = [1, 2] }");
        self.line("env = { CELL = \"{{ matrix.os }}{{ matrix.py }}\" }");
        let bad = if self.seed.chance(self.failing) { "b1" } else { "none" };
        self.line(&format!("run = '{}test \"$CELL\" != {bad}'", pause(at)));
        self.cells += 4;
        false
    }

    fn maker(&mut self, name: &str, at: usize) -> bool {
        self.line("outputs = { values = [\"v\"] }");
        self.line(&format!("run = '{}printf \"v<<E\\n{name}\\nof {at}\\nE\\n\" >> \"$RUNPLAN_OUTPUT\"'", pause(at)));
        self.makers.push(name.to_owned());
        self.cells += 1;
        true
    }

    fn artifact(&mut self, name: &str, at: usize) -> bool {
        let path = format!("out/{name}/file.txt");
        self.line(&format!(
            "run = '{}mkdir -p out/{name} && echo {at} > {path} && date +%N > out/{name}/time'",
            pause(at)
        ));
        self.line(&format!("artifacts = [\"{path}\", {{ path = \"out/{name}/time\", class = \"volatile\" }}]"));
        self.line(&format!("pass = ['artifact.\"{path}\".size > 0B']"));
        self.artifacts.push((name.to_owned(), path));
        self.cells += 1;
        true
    }

    /// Reads a named output, if a step before it makes one.
    fn reader(&mut self, name: &str, at: usize, needs: &[String]) -> bool {
        let maker = needs.iter().find(|need| self.makers.contains(need)).cloned();
        match maker {
            Some(maker) => {
                self.line(&format!("env = {{ V = \"{{{{ steps.{maker}.outputs.v }}}}\" }}"));
                self.line(&format!("run = '{}printf %s \"$V\"'", pause(at)));
                self.line(&format!("pass = ['stdout starts_with \"{maker}\"']"));
                self.cells += 1;
                true
            }
            None => self.maker(name, at),
        }
    }

    fn retried(&mut self, at: usize) -> bool {
        let limit = 1 + self.seed.below(3);
        let from = 1 + self.seed.below(if self.failing > 1 { 5 } else { limit + 1 });
        let filter = if self.seed.chance(30) && self.failing > 1 { ", exit = [75]" } else { "" };
        let code = self.seed.pick(&[1, 75]);
        self.line(&format!("retry = {{ limit = {limit}, backoff = \"2ms\", factor = 2{filter} }}"));
        self.line(&format!("run = '{}test \"$RUNPLAN_ATTEMPT\" -ge {from} || exit {code}'", pause(at)));
        self.cells += 1;
        true
    }

    fn tiers(&mut self, at: usize) -> bool {
        let code = if self.failing > 1 { self.seed.below(7) } else { self.seed.below(4) };
        self.line(&format!("run = '{}exit {code}'", pause(at)));
        self.line("pass = ['exit == 0']");
        self.line("warn = ['exit <= 3']");
        if self.seed.chance(50) {
            self.line("reject = ['exit == 6']");
        }
        self.cells += 1;
        true
    }

    /// `when` on a variable or on the exit code of a step that it needs.
    fn conditional(&mut self, at: usize, needs: &[String]) -> bool {
        let mut plain = self.names.iter().filter(|(name, plain)| *plain && needs.contains(name)).map(|(name, _)| name);
        let when = match plain.next_back() {
            Some(name) if self.seed.chance(60) => format!("steps.{name}.exit == 0"),
            _ => self.seed.pick(&["vars.yes == true", "vars.yes == false", "vars.size > 2"]).to_owned(),
        };
        self.line(&format!("when = '{when}'"));
        self.run(at, false)
    }

    fn value(&mut self, needs: &[String], at: usize) -> bool {
        let mut plain = self.names.iter().filter(|(name, plain)| *plain && needs.contains(name)).map(|(name, _)| name);
        let Some(name) = plain.next_back().cloned() else { return self.run(at, false) };
        self.line(&format!("value = {{ code = \"steps.{name}.exit\", state = \"steps.{name}.state\" }}"));
        self.line("pass = ['code <= 3', 'state in [\"pass\", \"warn\", \"fail\"]']");
        self.cells += 1;
        false
    }

    /// Several looks: every one counts, and the second and on give another number.
    fn looked(&mut self, at: usize) -> bool {
        self.line(&format!("run = '{}echo x >> looks-{at}; grep -c x looks-{at}'", pause(at)));
        self.line("parse = \"json\"");
        self.line("sample = { every = \"1ms\", consecutive = 2, max = 9 }");
        self.line("pass = ['json.\"$\" >= 2']");
        self.cells += 1;
        false
    }

    fn finally(&mut self, last: usize) {
        let at = STEPS - 6 + last;
        self.line(&format!("[finally.f{last}]"));
        let name = self.names[self.seed.below(self.names.len())].0.clone();
        let plain: Vec<String> = self.names.iter().filter(|(_, plain)| *plain).map(|(name, _)| name.clone()).collect();
        match last {
            0 => {
                self.line(&format!("run = '{}echo \"$RUNPLAN_DECISION\"'", pause(at)));
                self.line("pass = ['stdout == \"GO\\n\"']\nrequired = false");
            }
            1 => {
                self.line(&format!("needs = [\"{name}\"]\nrun_when = \"failure\"\nrun = '{}true'", pause(at)));
            }
            2 => self.line(&format!("needs = [\"f1\"]\nrun_when = \"completed\"\nrun = '{}true'", pause(at))),
            // What a finally step sees of a step that was not reached must not depend on whether it ran.
            3 => {
                let seen = plain[self.seed.below(plain.len())].clone();
                self.line(&format!("needs = [\"{seen}\"]\nrun_when = \"always\"\nrequired = false"));
                self.line(&format!(
                    "value = {{ code = \"steps.{seen}.exit\", state = \"steps.{seen}.state\" }}\npass = ['code == 0']"
                ));
            }
            4 if !self.makers.is_empty() => {
                let maker = self.makers[self.seed.below(self.makers.len())].clone();
                self.line(&format!("needs = [\"{maker}\"]\nrun_when = \"always\"\nrequired = false"));
                self.line(&format!("env = {{ V = \"{{{{ steps.{maker}.outputs.v }}}}\" }}\nrun = '{}true'", pause(at)));
            }
            _ => {
                let seen = plain[self.seed.below(plain.len())].clone();
                self.line(&format!("after = [\"{seen}\"]\nwhen = 'steps.{seen}.state == \"pass\"'"));
                self.line(&format!("run = '{}true'", pause(at)));
            }
        }
        self.cells += 1;
    }
}

//! A plan from a Markdown checklist: every box a step, in its order. What the author wrote as a command is run, an address
//! is asked, and everything else waits for a person to sign. Guesses are comments; nothing runs that was not written as
//! a command.

use super::command::{self, Command};
use super::draft::{Block, Draft, Step, literal, string, strings};
use super::words::{Ids, has_word, slug};
use crate::markdown::{self, Line, Part};

/// What became of a checklist.
#[derive(Debug)]
pub struct Made {
    /// The plan.
    pub draft: Draft,
    /// Boxes that became a command, a request, a sign-off of the step's own, a role of the whole run.
    pub counts: [usize; 4],
}

/// Words of a heading or a line about people who sign.
const SIGN: &[&str] = &[
    "sign-off",
    "sign-offs",
    "signoff",
    "signoffs",
    "signature",
    "signatures",
    "approval",
    "approvals",
    "approved-by",
    "firma",
    "firmas",
    "aprobacion",
    "aprobaciones",
    "aprobado-por",
    "visto-bueno",
    "unterschriften",
    "signatures-requises",
];

/// Words that say that something does not block.
const ADVISORY: &[&str] = &[
    "no-bloqueante",
    "no-bloqueantes",
    "non-blocking",
    "not-blocking",
    "nonblocking",
    "optional",
    "opcional",
    "nice-to-have",
    "advisory",
];

/// Fields of work: the words of sections about them, the words of roles that answer for them, a role where none is named.
const FIELDS: &[(&[&str], &[&str], &str)] = &[
    (
        &["security", "seguridad", "secrets", "secretos", "pentest", "hardening", "privacy", "gdpr"],
        &["security", "seguridad", "secops", "infosec", "ciso", "ops", "sre"],
        "Security",
    ),
    (
        &["test", "tests", "testing", "coverage", "cobertura", "quality", "calidad", "qa"],
        &["qa", "quality", "calidad", "tester", "dev", "desarrollo", "backend", "engineering", "tech"],
        "QA",
    ),
    (
        &[
            "deploy",
            "deployment",
            "despliegue",
            "staging",
            "alert",
            "alerts",
            "alerting",
            "monitoring",
            "infra",
            "infrastructure",
            "rollback",
            "backup",
            "backups",
            "ops",
            "operativo",
            "operaciones",
            "observability",
            "release",
        ],
        &["ops", "sre", "devops", "operations", "operaciones", "platform", "infra", "plataforma"],
        "Ops",
    ),
    (
        &["product", "producto", "ux", "legal", "marketing", "communication", "comunicacion", "business", "negocio"],
        &["po", "product", "producto", "owner", "business", "negocio", "pm"],
        "Product",
    ),
    (
        &["performance", "canary", "code", "codigo", "api", "nlp", "backend", "frontend", "database", "docs"],
        &["dev", "developer", "desarrollo", "backend", "frontend", "engineering", "tech", "ingenieria"],
        "Dev",
    ),
];

/// Makes a plan of a checklist; `name` is its file's name. `None` if it has no box.
#[must_use]
pub fn read(text: &str, name: &str) -> Option<Made> {
    let lines = markdown::lines(text);
    if !lines.iter().any(|line| line.ticked.is_some()) {
        return None;
    }
    let mut reader = Reader::new(&lines, name);
    lines.iter().for_each(|line| reader.line(line));
    Some(reader.made())
}

struct Reader {
    draft: Draft,
    ids: Ids,
    counts: [usize; 4],
    /// Headings above: level and text.
    above: Vec<(usize, String)>,
    /// The one heading of its level that is the title, and no section.
    title: Option<String>,
    /// The section whose heading was written already.
    told: String,
    /// It is said who signs.
    signing: bool,
    /// Automatic steps of this section so far, the last one.
    last: Option<String>,
    asks: bool,
}

impl Reader {
    fn new(lines: &[Line], name: &str) -> Self {
        let tops: Vec<&Line> = lines.iter().filter(|line| line.heading == 1).collect();
        let title = match tops.as_slice() {
            [one] => Some(one.text()),
            _ => None,
        };
        // Who signs is often said last, and asked for by every step before.
        let mut roles = Roles::default();
        let mut signing = false;
        lines.iter().for_each(|line| roles.look(line, &mut signing));
        let stem = name.rsplit('/').next().unwrap_or(name).split('.').find(|part| !part.is_empty()).unwrap_or_default();
        let draft = Draft {
            head: vec![
                format!(
                    "Made from {} by `runplan import`: every box of the checklist is a step, in its order, with the \
                     headings above it as tags.",
                    if name == "-" { "a checklist" } else { name.rsplit('/').next().unwrap_or(name) }
                ),
                "What was written as a command is run, an address is asked. Everything else waits for a person: `runplan sign \
                 latest --gate STEP --role … --as …`. To have it proven instead, replace `signoff` by what is to be looked \
                 at and say under `pass` what must hold; lines that begin with `# or:` are a start. Commands and requests of \
                 a section run one after the other, as the list says; change `needs` where it is not so."
                    .to_owned(),
            ],
            name: Some(slug(stem)).filter(|slug| !slug.is_empty()).unwrap_or_else(|| "checklist".to_owned()),
            title: title.clone().unwrap_or_default(),
            roles: roles.names,
            ..Draft::default()
        };
        Self {
            draft,
            ids: Ids::default(),
            counts: [0; 4],
            above: Vec::new(),
            title,
            told: String::new(),
            signing: false,
            last: None,
            asks: false,
        }
    }

    fn made(mut self) -> Made {
        if self.asks {
            let value = string("http://127.0.0.1:8080");
            self.draft.vars.push(("base_url".into(), value, "a guess: where the service answers".into()));
        }
        Made { draft: self.draft, counts: self.counts }
    }

    fn line(&mut self, line: &Line) {
        if line.heading > 0 {
            self.above.retain(|(level, _)| *level < line.heading);
            let text = line.text();
            if line.heading > 1 || self.title.is_none() {
                self.above.push((line.heading, text.clone()));
            }
            self.signing = is_about_signing(line);
            self.last = None;
            return;
        }
        let roles = roles_of(line, &mut self.signing);
        let Some(ticked) = line.ticked else { return };
        if !roles.is_empty() {
            self.counts[3] += 1;
            return;
        }
        self.section();
        let step = self.step(line, ticked);
        self.draft.blocks.push(Block::Step(step));
    }

    /// Writes the heading of the section, once.
    fn section(&mut self) {
        let texts: Vec<&str> = self.above.iter().map(|(_, text)| text.as_str()).collect();
        let whole = texts.join(" › ");
        if whole != self.told && !whole.is_empty() {
            self.draft.blocks.push(Block::Section(whole.clone()));
        }
        self.told = whole;
    }

    fn step(&mut self, line: &Line, ticked: bool) -> Step {
        let text = line.text();
        let id = self.ids.of(&text, "item");
        let title = text.trim_end_matches('.');
        let tags: Vec<String> =
            self.above.iter().map(|(_, text)| slug(&bare(text))).filter(|tag| !tag.is_empty()).collect();
        let mut step = Step::new(id.clone());
        if !title.is_empty() {
            step = step.key("title", string(&literal(title)));
        }
        if !tags.is_empty() {
            step = step.key("tags", strings(&tags));
        }
        if ticked {
            step.notes.push("Ticked in the checklist; here it counts when it is proven or signed.".to_owned());
        }
        let (mut runs, mut held) = commands(line);
        if runs.len() > 1 {
            held.extend(runs.drain(..).map(|run| (run, "it is one of several")));
        }
        let ask = if runs.is_empty() { address(line, &text) } else { None };
        let automatic = !runs.is_empty() || ask.is_some();
        if let Some(before) = self.last.as_ref().filter(|_| automatic) {
            step = step.key("needs", strings(&[before]));
        }
        if let Some(run) = runs.pop() {
            step = step.key("run", run);
            self.counts[0] += 1;
        } else if let Some(ask) = ask {
            self.asks |= ask.relative;
            step = step.key("http", string(&ask.url));
            if ask.times > 1 {
                step = step.key("sample", format!("{{ consecutive = {}, within = \"60s\" }}", ask.times));
            }
            if let Some(status) = ask.status {
                step = step.key("pass", format!("[\"status == {status}\"]"));
            }
            self.counts[1] += 1;
        } else {
            step = step.key("signoff", strings(&[self.role(&text)]));
            step.hints = held.iter().map(|(run, why)| format!("or: run = {run}   ({why})")).collect();
            step.hints.extend(hints(line, &text));
            self.counts[2] += 1;
        }
        if has_word(&text, ADVISORY) || self.above.iter().any(|(_, text)| has_word(text, ADVISORY)) {
            step = step.key("required", "false");
        }
        if automatic {
            self.last = Some(id);
        }
        step
    }

    /// Who answers for an item: by its section, then by what it says.
    fn role(&self, text: &str) -> String {
        let sections = self.above.iter().rev().map(|(_, text)| text.as_str());
        let field = sections.chain([text]).find_map(|text| FIELDS.iter().find(|(words, ..)| has_word(text, words)));
        let fitting = field.and_then(|(_, roles, _)| {
            roles.iter().find_map(|word| self.draft.roles.iter().find(|role| has_word(role, &[word])))
        });
        let role = fitting.or(self.draft.roles.first()).cloned();
        role.unwrap_or_else(|| field.map_or("Owner", |(_, _, name)| name).to_owned())
    }
}

/// A heading without its number and its remarks: `1) Deploy (now)` is `Deploy`.
fn bare(heading: &str) -> String {
    let text = heading.trim_start_matches(|c: char| c.is_ascii_digit() || ".)-: ".contains(c));
    let text = text.split(" (").next().unwrap_or(text);
    if slug(text).is_empty() { heading.to_owned() } else { text.to_owned() }
}

/// Commands of a line: those to run, and those to hold back with the reason.
fn commands(line: &Line) -> (Vec<String>, Vec<(String, &'static str)>) {
    let (mut runs, mut held) = (Vec::new(), Vec::new());
    let said = |part: &Part| matches!(part, Part::Text(text) if text.chars().any(char::is_alphanumeric));
    let alone = !line.parts.iter().any(said);
    let mut before = String::new();
    for (at, part) in line.parts.iter().enumerate() {
        let found = match part {
            Part::Text(text) => {
                before.push_str(text);
                None
            }
            Part::Code(code) => {
                // First in the line it is what the line is about.
                let first = alone || line.parts[..at].iter().all(|part| !said(part));
                let found = command::of(code, &before, first);
                before.push_str(code);
                found
            }
            Part::Fence(word, code) => command::fenced(word, code),
            Part::Link(_) => None,
        };
        match found {
            Some(Command::Run(value)) => runs.push(value),
            Some(Command::Held(value, why)) => held.push((value, why)),
            None => {}
        }
    }
    (runs, held)
}

/// A request that a line asks for.
struct Ask {
    url: String,
    /// It is a path of `base_url`.
    relative: bool,
    status: Option<u16>,
    times: u32,
}

/// Words of a line that checks something, and of one that only points somewhere.
const CHECKS: &[&str] = &[
    "validar",
    "validate",
    "verify",
    "verificar",
    "check",
    "comprobar",
    "responde",
    "responds",
    "answers",
    "returns",
    "reachable",
    "loads",
    "carga",
    "health",
    "up",
    "ready",
    "200",
    "devuelve",
    "probar",
    "test",
    "smoke",
];
const POINTS: &[&str] =
    &["see", "ver", "vease", "docs", "documentation", "segun", "per", "wiki", "guide", "runbook", "ticket"];

fn address(line: &Line, text: &str) -> Option<Ask> {
    let checks = has_word(text, CHECKS);
    let points = has_word(text, POINTS);
    let mut found = Vec::new();
    for part in &line.parts {
        match part {
            Part::Link(url) if checks && is_url(url) => found.push((url.clone(), false)),
            Part::Code(code) if is_url(code) && (checks || !points) => found.push((code.clone(), false)),
            Part::Code(code) if is_endpoint(code, text) => found.push((code.clone(), true)),
            Part::Text(text) if checks || !points => {
                let words = text.split_whitespace().map(|word| {
                    word.trim_matches(|c: char| "<>()[]{},;\"'`".contains(c)).trim_end_matches(['.', ':', '!', '?'])
                });
                found.extend(words.filter(|word| is_url(word)).map(|word| (word.to_owned(), false)));
            }
            _ => {}
        }
    }
    found.dedup();
    let [(url, relative)] = found.as_slice() else { return None };
    let url = if *relative { format!("{{{{ vars.base_url }}}}{}", literal(url)) } else { literal(url) };
    let (status, times) = numbers(line);
    Some(Ask { url, relative: *relative, status, times })
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
            && !rest.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"{}|\\^`…".contains(c))
    })
}

/// Whether a path is one of a service and not one of a disk.
fn is_endpoint(code: &str, text: &str) -> bool {
    let path = code.starts_with('/')
        && code.len() > 1
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-.?=&".contains(&byte));
    let known =
        ["health", "healthz", "ready", "readyz", "live", "livez", "status", "ping", "metrics", "api", "version"];
    path && (has_word(code, &known) || has_word(text, &["http", "200", "endpoint", "url"]))
}

/// The status that a line asks for, and how many times: `(3 times, 200)`.
fn numbers(line: &Line) -> (Option<u16>, u32) {
    let texts =
        line.parts.iter().filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None });
    let slug = slug(&texts.collect::<Vec<_>>().join(" "));
    let words: Vec<&str> = slug.split('-').collect();
    let status = words.iter().filter(|word| word.len() == 3).find_map(|word| word.parse::<u16>().ok());
    let times = words.windows(2).find_map(|pair| {
        ["times", "veces", "x", "mal", "fois"].contains(&pair[1]).then(|| pair[0].parse::<u32>().ok()).flatten()
    });
    (status.filter(|status| (200..600).contains(status)), times.unwrap_or(1).clamp(1, 100))
}

/// What a machine could look at instead of a person.
fn hints(line: &Line, text: &str) -> Vec<String> {
    let mut hints = Vec::new();
    for part in &line.parts {
        let Part::Code(code) = part else { continue };
        let file = !code.contains(char::is_whitespace) && code.contains('.') && !code.starts_with('/') && !is_url(code);
        if file && code.to_lowercase().ends_with(".md") {
            hints.push(format!("or: checklist = {}", string(&literal(code))));
        } else if file {
            hints.push(format!("or: file = {}", string(&literal(code))));
        } else if has_word(text, &["tag"]) && !code.contains(char::is_whitespace) {
            hints.push(format!("or: git = {{ tag = {} }}", string(&literal(code))));
        }
    }
    if has_word(text, &["cobertura", "coverage"])
        && let Some(percent) = percent(text)
    {
        hints.push("or: report = \"coverage.xml\"".to_owned());
        hints.push(format!("with: pass = [\"percent(lines) >= {percent}\"]"));
    }
    hints.dedup();
    hints
}

/// The first number before a `%`.
fn percent(text: &str) -> Option<u32> {
    let before = text.split('%').next().filter(|before| before.len() < text.len())?;
    let digits = before.trim_end().rsplit(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|percent| *percent <= 100)
}

/// Roles of a whole document, each once.
#[derive(Default)]
struct Roles {
    names: Vec<String>,
}

impl Roles {
    fn look(&mut self, line: &Line, signing: &mut bool) {
        if line.heading > 0 {
            *signing = is_about_signing(line);
            return;
        }
        for role in roles_of(line, signing) {
            if !self.names.contains(&role) {
                self.names.push(role);
            }
        }
    }
}

fn is_about_signing(line: &Line) -> bool {
    has_word(&line.text(), SIGN)
}

/// Roles that a line names; it may also begin to say who signs.
fn roles_of(line: &Line, signing: &mut bool) -> Vec<String> {
    if line.parts.iter().any(|part| !matches!(part, Part::Text(_))) {
        return Vec::new();
    }
    let texts =
        line.parts.iter().filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None });
    let raw = texts.collect::<String>();
    let (mut raw, about) = (raw.trim(), is_about_signing(line));
    // `Firmas:` and what follows on its line.
    if about
        && line.ticked.is_none()
        && let Some((head, rest)) = raw.split_once(':')
        && has_word(head, SIGN)
        && head.split_whitespace().count() <= 4
    {
        *signing = true;
        raw = rest;
    }
    if *signing {
        let named = raw.split(['|', '\n', ';']).filter_map(role_name);
        return named.collect();
    }
    if about && line.ticked.is_some() { signed_item(raw).into_iter().collect() } else { Vec::new() }
}

/// `Dev Backend ____`, `QA: ____`, `**PO** (Ana)` without what is to be filled in.
fn role_name(text: &str) -> Option<String> {
    let text = text.split("__").next().unwrap_or_default();
    let text = text.split([':', '(', '…']).next().unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().filter(|word| !has_word(word, SIGN) && !is_joint(word)).collect();
    let name = words.join(" ");
    let name = name.trim_matches(|c: char| !c.is_alphanumeric());
    let fits = (1..=4).contains(&words.len()) && name.chars().any(char::is_alphabetic) && name.chars().count() <= 40;
    fits.then(|| name.to_owned())
}

/// `Sign-off: Tech lead`, `Aprobación del PO`: the role, where it is one.
fn signed_item(text: &str) -> Option<String> {
    let text = text.replace(':', " ");
    let begins = text.split_whitespace().next().is_some_and(|word| has_word(word, SIGN));
    let ends = text.split_whitespace().last().is_some_and(|word| has_word(word, SIGN));
    let name = role_name(&text).filter(|_| begins || ends)?;
    let role = |word: &str| {
        word.starts_with(char::is_uppercase) || FIELDS.iter().any(|(_, roles, _)| roles.contains(&slug(word).as_str()))
    };
    let known = ["lead", "manager", "team", "on-call", "leader"];
    name.split_whitespace().all(|word| role(word) || known.contains(&word)).then_some(name)
}

fn is_joint(word: &str) -> bool {
    ["de", "del", "la", "el", "los", "by", "from", "of", "for", "por", "the", "-", "—", "–"].contains(&word)
}

//! runplan runs a declarative plan: steps, dependencies and pass criteria; it ends in GO, HOLD or NO-GO and leaves a
//! record that is byte-identical whatever the order in which steps ran.
//!
//! This page is the architecture. A folder is one word of the user's sentence; each takes the previous noun and gives
//! the next:
//!
//! ```text
//! text ─plan→ Plan ─graph→ Graph ─schedule→ Schedule ⇄ engine ⇄ act ─→ Facts ─judge→ Verdict ─┐
//!                                               └──────── Event ───────┬────────┬─────────────┘
//!                                                                   record    report          decide → Decision → exit code
//! ```
//!
//! # Rooms
//!
//! Only the arrows of this table exist; a test reads it from here and holds the sources against it. *vocabulary* is
//! plain data: `ids`, `place`, `facts`, `outcome`, `action`, `identity`, `policy`, `event`, which import only each other.
//!
//! | room | says | may import |
//! |---|---|---|
//! | `ids` | dense identifiers | |
//! | `place` | byte spans and the texts they point into | `ids` |
//! | `facts` | exact values under names | |
//! | `outcome` | states, causes, results, decision | `facts` |
//! | `action` | what a step does, as data | `facts`, `outcome`, `policy` |
//! | `identity` | what makes an action what it is, as data | `action`, `outcome` |
//! | `policy` | retries, fail modes, sign-offs | |
//! | `event` | what happened, in order; `trait Sink` | `facts`, `ids`, `outcome`, `policy` |
//! | `digest` | SHA-256, the one hash | |
//! | `ask` | the engine's own short commands | |
//! | `listen` | HTTP on loopback sockets: who may come in, requests to whoever answers | |
//! | `mask` | secrets out of every byte | |
//! | `markdown` | what stands in a Markdown text, and the same as HTML that can do no harm | |
//! | `edit` | plan texts made and changed for a person; pure: text in, text out | `plan`, `markdown` |
//! | `files` | paths inside the workspace, globs, digests of trees | `digest`, `outcome` |
//! | `normalize` | filters over the lines of a file, and the digest of what they leave | `digest`, vocabulary |
//! | `compare` | two samples, three answers: statistics; pure | |
//! | `criteria` | the grammar, its types per action, evaluation; pure | `compare`, vocabulary |
//! | `plan` | text to `Plan` with every diagnostic at once | `criteria`, `normalize`, vocabulary |
//! | `graph` | order, ranks, waves, critical path, selection; petgraph stops here | `plan`, vocabulary |
//! | `draw` | a graph as a picture: a layout of its own, SVG, DOT, Mermaid, tree, JSON; pure | |
//! | `page` | a plan or a run as one page for a browser: its data as JSON, its markup, styles and script; pure | `digest` |
//! | `schedule` | what runs next: a pure state machine | `graph`, vocabulary |
//! | `act` | one file an action: a request in, facts out | `files`, `digest`, `listen`, `markdown`, `mask`, vocabulary |
//! | `judge` | facts × criteria → verdict; sampling; pure | `criteria`, vocabulary |
//! | `decide` | settled steps and sign-offs → decision with its risk terms; pure | `outcome`, `policy` |
//! | `engine` | the one async loop and one attempt of a step | `plan`, `graph`, `schedule`, `act`, `criteria`, `judge`, `decide`, `files`, `mask`, `normalize`, vocabulary |
//! | `record` | journal, canonical record, store | `digest`, vocabulary |
//! | `report` | events to what a person sees; `terminal` is the only place that prints | `markdown`, vocabulary |
//! | `signoff` | what people sign, `ssh-keygen`, how each role stands | `ask`, `record`, `digest`, vocabulary |
//! | `export` | past runs in the formats of others; pure: bytes out | `record`, `report`, `digest`, vocabulary |
//! | `lsp` | a plan in an editor: what is wrong, what may be written, what it means; writes nothing | `plan`, `graph`, `criteria`, `edit`, vocabulary |
//! | `exit` | every exit code, in one table | `outcome` |
//! | `cli` | argv to a checked `Command` | `graph`, `policy`, `report` |
//! | `app` | the composition root | everything |
//!
//! Two arrows differ from the first design. `engine` imports `plan`, `graph` and `criteria`: it turns a step into a
//! request (late templates, environment, identity) and evaluates `when`, and a copy of those types for its sake would be
//! the same arrow in disguise. `engine` does not import `record`: where bytes are kept enters as `engine::Keeper`.
//!
//! How `schedule` orders what is ready, how good that is and where it comes from: `plans/SCHEDULING.md`.
//!
//! # Invariants
//!
//! - Facts first, verdict derived; renderers return text and one place writes it; warnings are data; clock, environment,
//!   randomness and ids enter through `app` as values.
//! - One third-party crate, one home: petgraph in `graph`, duct in `ask`, reqwest in `act::http`, hyper in
//!   `listen`, minijinja in `plan::template`, foldhash in `plan`, indicatif in `report::live`, miette in `plan::error`, clap and clap_mangen in `cli`,
//!   sha2 in `digest`, libm in `compare`, pulldown-cmark in `markdown`,
//!   toml_edit in `edit`, lsp-server in `lsp`.
//! - Errors are typed beside their stage: lower-case fragment, the thing in backticks, the place, one hint.
//! - The record is a pure projection of the journal's commits, as if the plan had run serially in plan rank.

pub mod act;
pub mod action;
pub mod app;
pub mod ask;
pub mod cli;
pub mod compare;
pub mod criteria;
pub mod decide;
pub mod digest;
pub mod draw;
pub mod edit;
pub mod engine;
pub mod event;
pub mod exit;
pub mod export;
pub mod facts;
pub mod files;
pub mod graph;
pub mod identity;
pub mod ids;
pub mod judge;
pub mod listen;
pub mod lsp;
pub mod markdown;
pub mod mask;
pub mod normalize;
pub mod outcome;
pub mod page;
pub mod place;
pub mod plan;
pub mod policy;
pub mod record;
pub mod report;
pub mod schedule;
pub mod signoff;

//! Every exit code, in one table.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | GO (or the command did what was asked) |
//! | 1 | NO-GO; `diff`, `fmt --check`, `verify --rerun`, `judge` by the run's own plan: something differs |
//! | 2 | the plan or the command line is wrong; nothing ran |
//! | 3 | HOLD |
//! | 4 | a run log is corrupt or incomplete |
//! | 70 | a bug in the engine |
//! | 74 | the run log or stdout could not be written |
//! | 128+n | interrupted by signal n (130 Ctrl-C, 143 SIGTERM) |

use std::process::ExitCode;

use crate::outcome::{RunStatus, Verdict};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for is done.
    Done,
    /// A run ended so.
    Run(RunStatus),
    /// What was compared differs.
    Differs,
    /// The plan or the command line is wrong.
    Usage,
    /// A run log is corrupt or incomplete.
    Corrupt,
    /// A bug.
    Bug,
    /// The run log could not be written (the result is unknown), or stdout (the log is complete).
    Unrecorded,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done | Self::Run(RunStatus::Decided(Verdict::Go)) => 0,
            Self::Differs | Self::Run(RunStatus::Decided(Verdict::NoGo)) => 1,
            Self::Usage => 2,
            Self::Run(RunStatus::Decided(Verdict::Hold)) => 3,
            Self::Corrupt => 4,
            Self::Bug => 70,
            Self::Unrecorded => 74,
            Self::Run(RunStatus::Interrupted(signal)) => u8::try_from(128 + signal).unwrap_or(255),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_above_is_true() {
        let run = |verdict| Exit::Run(RunStatus::Decided(verdict)).code();
        assert_eq!([run(Verdict::Go), run(Verdict::NoGo), run(Verdict::Hold)], [0, 1, 3]);
        let signals = [2, 15].map(|signal| Exit::Run(RunStatus::Interrupted(signal)).code());
        assert_eq!(signals, [130, 143]);
        let rest = [Exit::Done, Exit::Differs, Exit::Usage, Exit::Corrupt, Exit::Bug, Exit::Unrecorded].map(Exit::code);
        assert_eq!(rest, [0, 1, 2, 4, 70, 74]);
    }
}

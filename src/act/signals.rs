//! Signals by name. Knows nothing about processes.

use rustix::process::Signal;

/// The signals that plain Unix has, with the names by which people know them.
const NAMES: [(Signal, &str); 28] = [
    (Signal::HUP, "SIGHUP"),
    (Signal::INT, "SIGINT"),
    (Signal::QUIT, "SIGQUIT"),
    (Signal::ILL, "SIGILL"),
    (Signal::TRAP, "SIGTRAP"),
    (Signal::ABORT, "SIGABRT"),
    (Signal::BUS, "SIGBUS"),
    (Signal::FPE, "SIGFPE"),
    (Signal::KILL, "SIGKILL"),
    (Signal::USR1, "SIGUSR1"),
    (Signal::SEGV, "SIGSEGV"),
    (Signal::USR2, "SIGUSR2"),
    (Signal::PIPE, "SIGPIPE"),
    (Signal::ALARM, "SIGALRM"),
    (Signal::TERM, "SIGTERM"),
    (Signal::CHILD, "SIGCHLD"),
    (Signal::CONT, "SIGCONT"),
    (Signal::STOP, "SIGSTOP"),
    (Signal::TSTP, "SIGTSTP"),
    (Signal::TTIN, "SIGTTIN"),
    (Signal::TTOU, "SIGTTOU"),
    (Signal::URG, "SIGURG"),
    (Signal::XCPU, "SIGXCPU"),
    (Signal::XFSZ, "SIGXFSZ"),
    (Signal::VTALARM, "SIGVTALRM"),
    (Signal::PROF, "SIGPROF"),
    (Signal::WINCH, "SIGWINCH"),
    (Signal::SYS, "SIGSYS"),
];

/// `SIGSEGV`; `SIG35` for one without a name.
pub(super) fn name(raw: i32) -> String {
    NAMES
        .iter()
        .find(|(signal, _)| signal.as_raw() == raw)
        .map_or_else(|| format!("SIG{raw}"), |(_, name)| (*name).to_owned())
}

/// The signal called `SIGINT` or `INT`.
pub(super) fn parse(text: &str) -> Option<Signal> {
    NAMES.iter().find(|(_, name)| *name == text || name.strip_prefix("SIG") == Some(text)).map(|(signal, _)| *signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for (signal, text) in NAMES {
            assert_eq!(name(signal.as_raw()), text);
            assert_eq!(parse(text), Some(signal));
        }
        assert_eq!(parse("TERM"), Some(Signal::TERM));
        assert_eq!(parse("SIGNOPE"), None);
        assert_eq!(name(40), "SIG40");
    }
}

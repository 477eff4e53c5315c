//! The engine's own short commands (`git`, `ssh-keygen`): started, fed, waited for. Knows no step and no answer.
//!
//! What steps start is `act::process`'s: it has to be ended with everything it started, and many a time a second.

use std::ffi::OsStr;
use std::io;
use std::process::Output;

/// Runs a program to its end with `input` as its standard input (it may answer without reading all of it). `set` are
/// variables added to the environment, `without` some taken out of it.
///
/// # Errors
/// When it can't be started or waited for; a program that fails is an answer.
pub fn run(
    program: &OsStr,
    args: &[&OsStr],
    set: &[(&str, &str)],
    without: &[&str],
    input: &[u8],
) -> io::Result<Output> {
    let mut command = duct::cmd(program, args);
    for (name, value) in set {
        command = command.env(name, value);
    }
    for name in without {
        command = command.env_remove(name);
    }
    command.stdin_bytes(input).stdout_capture().stderr_capture().unchecked().run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_answers_is_told_whatever_it_is() {
        let ask = |script: &str, input: &[u8]| {
            let args = ["-c".as_ref(), script.as_ref()];
            run("sh".as_ref(), &args, &[("ADDED", "yes")], &["HOME"], input).unwrap()
        };
        let all = ask("read line; echo \"$line $ADDED ${HOME-gone}\"; echo bad >&2; exit 3", b"word\n");
        assert_eq!(
            (all.status.code(), all.stdout.as_slice(), all.stderr.as_slice()),
            (Some(3), b"word yes gone\n" as &[u8], b"bad\n" as &[u8])
        );
        // More than a pipe holds, and nobody reads it.
        assert_eq!(ask("echo fine", &vec![b'x'; 1 << 20]).stdout, b"fine\n");
        assert_eq!(run("/no/such/program".as_ref(), &[], &[], &[], b"").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

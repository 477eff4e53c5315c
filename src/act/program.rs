//! Finds a program as its child would, and says in plain words why one could not be started. Starts nothing.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::io::Errno;

/// Where programs are looked for if the child has no `PATH`.
const DEFAULT_PATH: &str = "/usr/bin:/bin";

/// The file to execute for `program`: taken from `cwd` if it contains a slash, else searched in the `PATH` of `env`.
///
/// # Errors
/// One sentence with a hint.
pub(super) fn find(program: &str, cwd: &Path, env: &[(OsString, OsString)]) -> Result<PathBuf, String> {
    if program.is_empty() {
        return Err("the command is empty; name a program".into());
    }
    if program.contains('/') {
        return Ok(cwd.join(program));
    }
    let path = env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
    let mut unusable = None;
    for folder in std::env::split_paths(path.unwrap_or(OsStr::new(DEFAULT_PATH))) {
        // An empty entry means the current folder.
        let file = cwd.join(folder).join(program);
        if file.is_file() {
            if rustix::fs::access(&file, Access::EXEC_OK).is_ok() {
                return Ok(file);
            }
            unusable.get_or_insert(file);
        }
    }
    Err(match (unusable, path) {
        (Some(file), _) => {
            let file = file.display();
            format!("`{program}` was found as `{file}`, which is not executable; `chmod +x` it")
        }
        (None, Some(path)) => {
            format!("`{program}` was not found in PATH ({}); is it installed?", path.to_string_lossy())
        }
        (None, None) => format!(
            "`{program}` was not found in {DEFAULT_PATH}, and the step has no PATH; add `PATH` to `pass` under `[env]`"
        ),
    })
}

/// Whether a failed start may succeed a little later.
pub(super) fn is_transient(error: &io::Error) -> bool {
    let transient = [Errno::TXTBSY, Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE];
    Errno::from_io_error(error).is_some_and(|errno| transient.contains(&errno))
}

/// Why `file` (written as `program`) could not be started in `cwd`: one sentence with a hint.
pub(super) fn explain(error: &io::Error, program: &str, file: &Path, cwd: &Path) -> String {
    if !cwd.is_dir() {
        let what = if cwd.exists() { "is not a folder" } else { "does not exist" };
        return format!("`{program}` could not be started: its folder `{}` {what}", cwd.display());
    }
    let shown = file.display();
    match Errno::from_io_error(error) {
        Some(Errno::NOENT) if !file.exists() => {
            format!("`{program}` does not exist (`{shown}`); a path is taken from the step's `cwd`")
        }
        Some(Errno::NOENT) => match interpreter(file) {
            Some(line) if line.ends_with('\r') => format!(
                "`{program}` has Windows line ends, so its interpreter `{}` followed by a carriage return was not found; \
                 save it with LF line ends",
                line.trim_end()
            ),
            Some(line) => format!("the interpreter of `{program}`, `{line}`, was not found; is it installed?"),
            None => format!("the loader that `{program}` needs was not found; was it built for another system?"),
        },
        Some(Errno::ACCESS) if file.is_dir() => format!("`{program}` is a folder, not a program"),
        Some(Errno::ACCESS) if rustix::fs::access(file, Access::EXEC_OK).is_err() => {
            format!("`{program}` is not executable; `chmod +x {shown}`")
        }
        Some(Errno::ACCESS) => {
            format!("`{program}` may not be executed (`{shown}`): its file system or its interpreter forbids it")
        }
        Some(Errno::NOEXEC) => {
            format!(
                "`{program}` is no program for this machine: a script needs a `#!` line, a binary the right architecture"
            )
        }
        Some(Errno::TOOBIG) => format!("the arguments and environment of `{program}` are too long for the system"),
        Some(Errno::TXTBSY) => format!("`{program}` is still being written by another process (`{shown}`)"),
        Some(Errno::MFILE | Errno::NFILE) => {
            format!("`{program}` could not be started: too many open files; raise `ulimit -n` or lower `-j`")
        }
        Some(Errno::AGAIN | Errno::NOMEM) => {
            format!("`{program}` could not be started: the system has no room for another process; lower `-j`")
        }
        None if error.kind() == io::ErrorKind::InvalidInput => {
            format!("`{program}` could not be started: an argument or variable contains a NUL byte")
        }
        _ => format!("`{program}` could not be started: {error}"),
    }
}

/// What follows `#!`, without its arguments but with a carriage return if there is one.
fn interpreter(file: &Path) -> Option<String> {
    let mut line = Vec::new();
    BufReader::new(File::open(file).ok()?.take(512)).read_until(b'\n', &mut line).ok()?;
    let line = line.strip_prefix(b"#!")?;
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = OsStr::from_bytes(line).to_string_lossy();
    let carriage = if line.ends_with('\r') { "\r" } else { "" };
    let word = line.split_ascii_whitespace().next().unwrap_or("");
    Some(format!("{word}{carriage}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(path: &str) -> Vec<(OsString, OsString)> {
        vec![("PATH".into(), path.into())]
    }

    #[test]
    fn programs_are_searched_as_the_child_would() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tool"), "").unwrap();
        let path = dir.path().to_str().unwrap();
        let error = find("tool", Path::new("/"), &env(path)).unwrap_err();
        assert!(error.contains("is not executable") && error.contains(path), "{error}");
        let error = find("dokcer", Path::new("/"), &env("/usr/bin:/bin")).unwrap_err();
        assert_eq!(error, "`dokcer` was not found in PATH (/usr/bin:/bin); is it installed?");
        assert!(find("dokcer", Path::new("/"), &[]).unwrap_err().contains("`pass` under `[env]`"));
        assert_eq!(find("a/b", Path::new("/w"), &[]).unwrap(), Path::new("/w/a/b"));
        assert!(find("sh", Path::new("/"), &[]).unwrap().ends_with("bin/sh"));
        assert!(find("", Path::new("/"), &[]).is_err());
    }

    #[test]
    fn interpreters_keep_their_carriage_return() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("s");
        for (text, expected) in [
            ("#!/bin/sh\r\necho\r\n", Some("/bin/sh\r")),
            ("#! /usr/bin/env python3\n", Some("/usr/bin/env")),
            ("echo", None),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(interpreter(&file).as_deref(), expected);
        }
    }
}

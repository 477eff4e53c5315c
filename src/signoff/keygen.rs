//! `ssh-keygen -Y`: makes and checks signatures. Knows bytes, keys and names, no statement.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Output;

use crate::ask;

/// What signatures are made for, so that one for mail or git is none for us.
pub const NAMESPACE: &str = "runplan";
/// As [`NAMESPACE`], of a signature over a record's bytes: nobody approves anything by it.
pub const RECORD_NAMESPACE: &str = "runplan-record";

/// The program.
#[derive(Clone, Debug)]
pub struct Keygen {
    program: OsString,
    /// Whether somebody is there who can be asked for a passphrase.
    asks: bool,
    namespace: &'static str,
}

impl Default for Keygen {
    fn default() -> Self {
        Self { program: "ssh-keygen".into(), asks: false, namespace: NAMESPACE }
    }
}

/// Why there is no signature, or no good one.
#[derive(Debug)]
pub enum KeyError {
    /// The program is not there.
    NoProgram,
    /// It could not be run, or a file could not be written.
    Io(io::Error),
    /// It said no, in its own words.
    Refused(&'static str, String),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProgram => f.write_str("`ssh-keygen` is not installed; it is in the package `openssh-client`"),
            Self::Io(error) => write!(f, "`ssh-keygen` could not be run: {error}"),
            Self::Refused(what, said) if said.is_empty() => write!(f, "{what}"),
            Self::Refused(what, said) => write!(f, "{what}: {said}"),
        }
    }
}

impl std::error::Error for KeyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Io(error) = self { Some(error) } else { None }
    }
}

impl From<io::Error> for KeyError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::NoProgram } else { Self::Io(error) }
    }
}

impl Keygen {
    /// The program found on `PATH`; `asks` lets it ask a person for a passphrase.
    #[must_use]
    pub fn new(asks: bool) -> Self {
        Self { asks, ..Self::default() }
    }

    /// As [`Keygen::new`], for signatures over records.
    #[must_use]
    pub fn of_records(asks: bool) -> Self {
        Self { asks, namespace: RECORD_NAMESPACE, ..Self::default() }
    }

    /// Everybody whom the allowed-signers file lets use the key of a signature.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn principals(&self, signature: &[u8], signers: &Path) -> Result<Vec<String>, KeyError> {
        readable(signers)?;
        let file = kept(signature)?;
        let args: [&OsStr; 6] = [
            "-Y".as_ref(),
            "find-principals".as_ref(),
            "-f".as_ref(),
            signers.as_os_str(),
            "-s".as_ref(),
            file.path().as_os_str(),
        ];
        let output = self.run(&args, b"")?;
        let names: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        if output.status.success() && !names.is_empty() {
            return Ok(names);
        }
        let what = format!("`{}` names nobody with its key", signers.display());
        Err(KeyError::Refused("the signature does not verify", what))
    }

    /// The signature of `bytes` by the key in a file (a private key, or a public one whose private half an agent holds).
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn sign(&self, bytes: &[u8], key: &Path) -> Result<Vec<u8>, KeyError> {
        let args: [&OsStr; 6] =
            ["-Y".as_ref(), "sign".as_ref(), "-n".as_ref(), self.namespace.as_ref(), "-f".as_ref(), key.as_os_str()];
        let output = self.run(&args, bytes)?;
        if output.status.success() && output.stdout.starts_with(b"-----BEGIN SSH SIGNATURE-----") {
            return Ok(output.stdout);
        }
        Err(KeyError::Refused("the key does not sign", said(&output)))
    }

    /// Checks that `who` signed `bytes`, by the allowed-signers file; returns the fingerprint of the key.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn verify(&self, bytes: &[u8], signature: &[u8], who: &str, signers: &Path) -> Result<String, KeyError> {
        readable(signers)?;
        let file = kept(signature)?;
        let args: [&OsStr; 10] = [
            "-Y".as_ref(),
            "verify".as_ref(),
            "-n".as_ref(),
            self.namespace.as_ref(),
            "-f".as_ref(),
            signers.as_os_str(),
            "-I".as_ref(),
            who.as_ref(),
            "-s".as_ref(),
            file.path().as_os_str(),
        ];
        let output = self.run(&args, bytes)?;
        if !output.status.success() {
            let unknown = output.stderr.iter().all(u8::is_ascii_whitespace);
            let allowed = || format!("`{}` does not allow this key for `{who}` today", signers.display());
            let why = if unknown { allowed() } else { said(&output) };
            return Err(KeyError::Refused("the signature does not verify", why));
        }
        // `Good "runplan" signature for ana with ED25519 key SHA256:…`
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let key = text.split_whitespace().rev().find(|word| word.starts_with("SHA256:"));
        key.map(str::to_owned).ok_or_else(|| KeyError::Refused("`ssh-keygen` does not name the key", said(&output)))
    }

    fn run(&self, args: &[&OsStr], input: &[u8]) -> Result<Output, KeyError> {
        let mut set = vec![("LC_ALL", "C")];
        if !self.asks {
            // Nobody is there to be asked: a key with a passphrase fails at once instead of waiting for one.
            set.extend([("SSH_ASKPASS_REQUIRE", "force"), ("SSH_ASKPASS", "/bin/false")]);
        }
        Ok(ask::run(&self.program, args, &set, &[], input)?)
    }
}

fn readable(signers: &Path) -> Result<(), KeyError> {
    std::fs::metadata(signers).map(drop).map_err(|error| {
        let what = format!("`{}`: {error}", signers.display());
        KeyError::Refused("the allowed-signers file can't be read", what)
    })
}

/// The program takes a signature only from a file.
fn kept(signature: &[u8]) -> Result<tempfile::NamedTempFile, KeyError> {
    let mut file = tempfile::NamedTempFile::new().map_err(KeyError::Io)?;
    file.write_all(signature).map_err(KeyError::Io)?;
    Ok(file)
}

/// The first line of what it said.
fn said(output: &Output) -> String {
    let text = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("Signing data"));
    line.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect()
}

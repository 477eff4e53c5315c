//! One run as one portable file: a tar of plain files, sorted, without times, owners and modes of their own, its first
//! member a list of all others with digests and sizes. The same run gives the same bytes on every machine.
//!
//! ```text
//! MANIFEST.json      one canonical JSON line, `runplan.archive/1`
//! gates/…            sign-offs of the gates that the run passed
//! objects/<sha256>   archived outputs
//! run/…              the folder of the run: plan, journal, record, sign-offs, what the steps wrote
//! ```

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::ustar::{self, Fault};
use crate::digest::Sha256Stream;
use crate::record::{canonical, journal, store};

/// Family and version of the manifest.
pub const SCHEMA: &str = "runplan.archive/1";
const FAMILY: &str = "runplan.archive/";
/// The first member.
pub const MANIFEST: &str = "MANIFEST.json";
/// Most bytes of it.
const MANIFEST_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes copied at once.
const CHUNK: usize = 64 * 1024;

/// A member of an archive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// How many they are.
    pub size: u64,
}

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// Run id.
    pub run: String,
    /// Record id.
    pub record: String,
    /// SHA-256 of the journal.
    pub journal: String,
    /// Sorted by name; every member but the manifest.
    pub members: Vec<Member>,
}

impl Manifest {
    /// Its bytes in the archive.
    ///
    /// # Errors
    /// When a size is beyond what JSON keeps exact.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        canonical::to_line(self).map_err(io::Error::other)
    }

    /// Reads it; nothing in it is taken on trust.
    ///
    /// # Errors
    /// A sentence.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let value = canonical::check_line(bytes).map_err(|error| format!("its manifest: {error}"))?;
        match value.get("schema").and_then(serde_json::Value::as_str) {
            Some(SCHEMA) => {}
            Some(other) if other.starts_with(FAMILY) => {
                let help = "take the version of runplan that wrote it";
                return Err(format!("it is `{}`, and this runplan reads `{SCHEMA}`; {help}", other.escape_debug()));
            }
            _ => return Err("it is no archive of a run".to_owned()),
        }
        let manifest: Self = serde_json::from_value(value).map_err(|error| format!("its manifest: {error}"))?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if !is_run_id(&self.run) {
            return Err(format!("`{}` is no id of a run", self.run.escape_debug()));
        }
        for pair in self.members.windows(2) {
            if pair[0].name >= pair[1].name {
                return Err(format!("`{}` stands twice or is not in order", pair[1].name.escape_debug()));
            }
        }
        for member in &self.members {
            ustar::check_name(&member.name)?;
            let of = |folder: &str| member.name.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
            let known = match (of("run"), of("gates"), of("objects")) {
                (Some(name), _, _) => !is_local(name),
                (_, Some(_), _) => true,
                (_, _, Some(digest)) => digest == member.sha256 && !digest.contains('/'),
                _ => false,
            };
            if !known {
                return Err(format!("`{}` has no place in an archive of a run", member.name.escape_debug()));
            }
        }
        for (file, digest) in [(store::RECORD_FILE, &self.record), (journal::FILE_NAME, &self.journal)] {
            let name = format!("run/{file}");
            if !self.members.iter().any(|member| member.name == name && member.sha256 == *digest) {
                return Err(format!("`{name}` is missing or not the one that the manifest names"));
            }
        }
        Ok(())
    }
}

/// A file in the folder of a run that belongs to one machine, not to the run: its lock, what it inherited, leftovers.
#[must_use]
pub fn is_local(name: &str) -> bool {
    matches!(name, "lock" | store::INHERITED_FILE) || name.starts_with('.')
}

/// Whether a text can be the name of the folder of a run.
fn is_run_id(id: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=80).contains(&id.len()) && !id.starts_with('.') && id.bytes().all(good)
}

/// Writes the archive; `open` gives the bytes of a member by its name.
///
/// # Errors
/// When something can't be read or written, or is not what the manifest says.
pub fn write(
    manifest: &Manifest,
    mut open: impl FnMut(&Member) -> io::Result<Box<dyn Read>>,
    to: &mut impl Write,
) -> io::Result<()> {
    let bytes = manifest.bytes()?;
    let size = bytes.len() as u64;
    to.write_all(&ustar::head(MANIFEST, size).map_err(io::Error::other)?)?;
    to.write_all(&bytes)?;
    to.write_all(&vec![0; ustar::padding(size)])?;
    for member in &manifest.members {
        to.write_all(&ustar::head(&member.name, member.size).map_err(io::Error::other)?)?;
        let mut from = open(member)?;
        let (digest, size) = copy(&mut from, to)?;
        if (digest.as_str(), size) != (member.sha256.as_str(), member.size) {
            return Err(io::Error::other(format!("`{}` changed while it was read", member.name)));
        }
        to.write_all(&vec![0; ustar::padding(size)])?;
    }
    to.write_all(&ustar::END)
}

/// SHA-256 and size of all that was copied.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<(String, u64)> {
    let mut digest = Sha256Stream::new();
    let (mut size, mut buffer) = (0, vec![0; CHUNK]);
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok((digest.finish_hex(), size)),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digest.update(&buffer[..n]);
        to.write_all(&buffer[..n])?;
        size += n as u64;
    }
}

/// Reads the manifest, which is the first member.
///
/// # Errors
/// Where it is no archive that this version writes.
pub fn manifest(input: &mut impl Read) -> Result<Manifest, Fault> {
    let size = match ustar::next(input)? {
        Some((name, size)) if name == MANIFEST && size <= MANIFEST_BYTES => size,
        _ => return Err(Fault::Wrong("it is no archive of a run: it does not begin with a manifest".to_owned())),
    };
    let mut bytes = Vec::new();
    input.by_ref().take(size).read_to_end(&mut bytes)?;
    ustar::skip_padding(input, size)?;
    Manifest::read(&bytes).map_err(Fault::Wrong)
}

/// Reads all members behind the manifest; `open` gives what the bytes of each are written to.
///
/// # Errors
/// Where anything is not exactly what the manifest says, or can't be read or written.
pub fn members<W: Write>(
    manifest: &Manifest,
    input: &mut impl Read,
    mut open: impl FnMut(&Member) -> io::Result<W>,
) -> Result<(), Fault> {
    for member in &manifest.members {
        let shown = member.name.escape_debug();
        match ustar::next(input)? {
            Some((name, size)) if name == member.name && size == member.size => {}
            Some((name, _)) if name == member.name => {
                return Err(Fault::Wrong(format!("`{shown}` is not of the size that the manifest says")));
            }
            _ => return Err(Fault::Wrong(format!("`{shown}` does not stand where the manifest says"))),
        }
        let mut to = open(member).map_err(Fault::Io)?;
        let (digest, size) = copy(&mut input.by_ref().take(member.size), &mut to).map_err(Fault::Io)?;
        to.flush().map_err(Fault::Io)?;
        if size != member.size {
            return Err(Fault::Wrong("it ends too early".to_owned()));
        }
        if digest != member.sha256 {
            return Err(Fault::Wrong(format!("`{shown}` is not what the manifest says: its SHA-256 is {digest}")));
        }
        ustar::skip_padding(input, size)?;
    }
    match ustar::next(input)? {
        None => Ok(()),
        Some((name, _)) => Err(Fault::Wrong(format!("the manifest does not name `{}`", name.escape_debug()))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::digest::sha256_hex;

    fn small() -> (Manifest, BTreeMap<String, Vec<u8>>) {
        let object = sha256_hex(b"object\n");
        let files: BTreeMap<String, Vec<u8>> = [
            (format!("objects/{object}"), b"object\n".to_vec()),
            ("run/journal.jsonl".to_owned(), b"journal\n".to_vec()),
            ("run/plan.toml".to_owned(), Vec::new()),
            ("run/record.jsonl".to_owned(), vec![b'x'; 512]),
        ]
        .into();
        (of(&files), files)
    }

    fn of(files: &BTreeMap<String, Vec<u8>>) -> Manifest {
        let digest = |name: &str| files.get(name).map_or_else(String::new, |bytes| sha256_hex(bytes));
        Manifest {
            schema: SCHEMA.into(),
            run: "20260101T000000Z-aaaaaa".into(),
            record: digest("run/record.jsonl"),
            journal: digest("run/journal.jsonl"),
            members: files
                .iter()
                .map(|(name, bytes)| Member { name: name.clone(), sha256: sha256_hex(bytes), size: bytes.len() as u64 })
                .collect(),
        }
    }

    fn written(manifest: &Manifest, files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let open = |member: &Member| -> io::Result<Box<dyn Read>> {
            Ok(Box::new(io::Cursor::new(files[&member.name].clone())))
        };
        write(manifest, open, &mut bytes).unwrap();
        bytes
    }

    fn read(mut bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
        struct Sink<'s>(&'s std::cell::RefCell<BTreeMap<String, Vec<u8>>>, String);
        impl Write for Sink<'_> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.borrow_mut().entry(self.1.clone()).or_default().extend(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                self.0.borrow_mut().entry(self.1.clone()).or_default();
                Ok(())
            }
        }
        let found = std::cell::RefCell::new(BTreeMap::new());
        let manifest = manifest(&mut bytes)?;
        members(&manifest, &mut bytes, |member| Ok(Sink(&found, member.name.clone())))?;
        Ok(found.into_inner())
    }

    #[test]
    fn what_was_written_is_read() {
        let (manifest, files) = small();
        let bytes = written(&manifest, &files);
        assert_eq!(bytes, written(&manifest, &files));
        assert_eq!(read(&bytes).unwrap(), files);
    }

    /// What can't be told from the archive alone (the run id, digests of the record) the importer holds against the run.
    #[test]
    fn every_flipped_byte_and_every_missing_end_is_refused() {
        let (manifest, files) = small();
        let bytes = written(&manifest, &files);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let run = text.find("\"run\":\"").unwrap() + 7;
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                let is_id = (run..run + manifest.run.len()).contains(&at);
                assert!(read(&damaged).is_err() || is_id, "byte {at} flipped by {flip}");
            }
        }
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "{end} bytes");
        }
        assert!(read(&[bytes.as_slice(), b"\0"].concat()).is_err());
    }

    #[test]
    fn members_that_no_run_has_are_refused() {
        let refused = |change: &dyn Fn(&mut Manifest)| {
            let (mut manifest, _) = small();
            change(&mut manifest);
            Manifest::read(&manifest.bytes().unwrap()).unwrap_err()
        };
        let named = |name: &'static str| {
            refused(&move |manifest: &mut Manifest| {
                manifest.members.push(Member { name: name.into(), sha256: sha256_hex(b""), size: 0 });
                manifest.members.sort();
            })
        };
        for (name, why) in [
            ("run/../../x", "leads elsewhere"),
            ("/etc/passwd", "absolute"),
            ("run/lock", "no place"),
            ("other/x", "no place"),
            ("objects/xyz", "no place"),
        ] {
            assert!(named(name).contains(why), "{name}: {}", named(name));
        }
        assert!(refused(&|m| m.run = "../x".into()).contains("no id of a run"));
        assert!(refused(&|m| m.schema = "runplan.archive/2".into()).contains("reads `runplan.archive/1`"));
        assert!(refused(&|m| m.schema = "other/1".into()).contains("no archive"));
        assert!(refused(&|m| m.record = "0".repeat(64)).contains("record.jsonl"));
        assert!(refused(&|m| m.members.push(m.members[3].clone())).contains("stands twice"));
    }
}

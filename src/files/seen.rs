//! Digests that were taken before in this process, for files that are as they were: spares reading them again. Trusts no
//! time that a file could have again after it was written anew.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file whose status changed less than this before it was read may change again and have the same times: the clock of a
/// file system moves in steps, and who writes through a mapping is noted once until the page goes to the disk, half a
/// minute later.
const MARGIN: Duration = Duration::from_secs(60);

/// File systems on which whoever writes moves the time of the last change of status before the bytes, by the clock of this
/// machine, in nanoseconds: ext2 to 4, XFS, Btrfs, F2FS. No program can set that time. Others (NFS asks late, tmpfs notes
/// a mapping once, ZFS notes it late, an overlay may lie on each) are read every time.
const EXACT: [u32; 4] = [0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010];

/// What a file is as long as nobody writes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether whoever writes to the file from `now` on leaves another stamp.
    fn is_settled(&self, now: Duration) -> bool {
        let (seconds, nanos) = self.changed;
        let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u32::try_from(nanos)) else { return false };
        // Where there are no nanoseconds they are 0.
        nanos != 0 && self.modified.1 != 0 && Duration::new(seconds, nanos) + MARGIN < now
    }
}

/// Digests by file.
#[derive(Debug, Default)]
pub struct Seen {
    files: RefCell<HashMap<(u64, u64), (Stamp, String)>>,
    /// Devices, and whether they keep exact times.
    devices: RefCell<HashMap<u64, bool>>,
}

impl Seen {
    /// The digest of a plain file, if it was read and is as it was then.
    #[must_use]
    pub fn digest(&self, meta: &Metadata) -> Option<String> {
        let files = self.files.borrow();
        let (stamp, sha256) = files.get(&(meta.dev(), meta.ino()))?;
        (*stamp == Stamp::of(meta)).then(|| sha256.clone())
    }

    /// Notes the digest of a file that was read from here on: `meta` is what it was before, at `now`.
    pub(super) fn note(&self, file: &File, meta: &Metadata, now: SystemTime, sha256: &str) {
        let stamp = Stamp::of(meta);
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if stamp.is_settled(now) && self.is_exact(file, meta.dev()) {
            self.files.borrow_mut().insert((meta.dev(), meta.ino()), (stamp, sha256.to_owned()));
        }
    }

    fn is_exact(&self, file: &File, device: u64) -> bool {
        let asked = || {
            let kind = rustix::fs::fstatfs(file).ok().and_then(|stat| u32::try_from(stat.f_type).ok());
            kind.is_some_and(|kind| EXACT.contains(&kind))
        };
        *self.devices.borrow_mut().entry(device).or_insert_with(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Quit, Role, digest_seen};
    use super::*;
    use std::io::{Seek as _, Write as _};

    /// A file as it is, and the answer for it `after` its last change.
    fn noted(seen: &Seen, path: &std::path::Path, after: Duration) -> bool {
        let file = File::open(path).unwrap();
        let meta = file.metadata().unwrap();
        let changed = Duration::new(meta.ctime().try_into().unwrap(), meta.ctime_nsec().try_into().unwrap());
        seen.devices.borrow_mut().insert(meta.dev(), true);
        seen.note(&file, &meta, UNIX_EPOCH + changed + after, "digest");
        seen.digest(&meta).is_some()
    }

    #[test]
    fn only_what_is_at_rest_is_known_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "one").unwrap();
        let seen = Seen::default();
        assert!(!noted(&seen, &path, Duration::ZERO) && !noted(&seen, &path, MARGIN), "it may change unseen");
        assert!(noted(&seen, &path, MARGIN + Duration::from_nanos(1)));
        let read = || {
            let found = digest_seen(dir.path(), &["f"], Role::Output, &Quit::default(), &seen).unwrap();
            found.files[0].sha256.clone()
        };
        assert_eq!(read(), "digest", "not read again");
        let before = std::fs::metadata(&path).unwrap();
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let changed = |meta: Metadata| (meta.ctime(), meta.ctime_nsec());
        // The clock of a file system moves in steps: until it has moved.
        while changed(std::fs::metadata(&path).unwrap()) == changed(before.clone()) {
            file.rewind().and_then(|()| file.write_all(b"two")).unwrap();
        }
        // Whoever gives it its old time of writing can't give it the old time of change.
        file.set_modified(before.modified().unwrap()).unwrap();
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!((before.len(), before.modified().unwrap()), (after.len(), after.modified().unwrap()));
        assert_eq!(seen.digest(&after), None);
        assert_eq!(seen.digest(&before).as_deref(), Some("digest"));
        assert_eq!(read(), crate::digest::sha256_hex(b"two"));
    }

    #[test]
    fn coarse_clocks_and_unknown_file_systems_are_not_trusted() {
        let late = Duration::from_secs(100);
        let stamp = |modified, changed| Stamp { size: 1, modified: (10, modified), changed: (10, changed) };
        assert!(stamp(5, 5).is_settled(late));
        assert!(!stamp(0, 5).is_settled(late) && !stamp(5, 0).is_settled(late));
        let seen = Seen::default();
        let proc = File::open("/proc/self/status").unwrap();
        assert!(!seen.is_exact(&proc, 1));
    }
}

//! Runs of other machines: a store of their own within the store of a workspace, so that they are nobody's latest run,
//! history, baseline or earlier result. Knows where they lie, not how they come there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::store::{FOLDER, IMPORTED, Store, StoreError, check_folder, io_error, private_folder, sync_folder};

impl Store {
    /// The folder that holds the store of imported runs, made if it is not there.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn imported(workspace: &Path) -> Result<PathBuf, StoreError> {
        let root = workspace.join(FOLDER);
        if !root.join("runs").is_dir() {
            drop(Self::open(workspace, false)?);
        }
        check_folder(&root)?;
        let folder = root.join(IMPORTED);
        private_folder(&folder)?;
        Ok(folder)
    }

    /// Puts a folder that is whole in its place as that of a run. The caller holds the store.
    ///
    /// # Errors
    /// When the place is taken or the folder can't be moved.
    pub fn adopt(&self, folder: &Path, id: &str) -> Result<PathBuf, StoreError> {
        let path = self.run_path(id);
        let error = io_error("write", &path);
        if fs::symlink_metadata(&path).is_ok() {
            return Err(error(io::ErrorKind::AlreadyExists.into()));
        }
        sync_folder(folder)?;
        fs::rename(folder, &path).map_err(error)?;
        sync_folder(&self.root().join("runs"))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn imported_runs_lie_in_a_store_of_their_own_and_replace_nothing() {
        let workspace = tempfile::tempdir().unwrap();
        let home = Store::imported(workspace.path()).unwrap();
        let store = Store::open(&home, false).unwrap();
        for name in ["one", "two"] {
            fs::create_dir(store.root().join(name)).unwrap();
            fs::write(store.root().join(name).join("x"), name).unwrap();
        }
        let path = store.adopt(&store.root().join("one"), "r").unwrap();
        assert!(store.adopt(&store.root().join("two"), "r").is_err());
        assert_eq!(fs::read_to_string(path.join("x")).unwrap(), "one");
        assert_eq!(store.runs().unwrap(), ["r"]);
        assert!(Store::reader(workspace.path()).unwrap().runs().unwrap().is_empty());
    }

    #[test]
    fn a_planted_link_is_refused() {
        let (workspace, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        drop(Store::open(workspace.path(), false).unwrap());
        symlink(elsewhere.path(), workspace.path().join(FOLDER).join(IMPORTED)).unwrap();
        assert!(Store::imported(workspace.path()).unwrap_err().to_string().contains("symlink"));
    }
}

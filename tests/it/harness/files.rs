//! The files of a directory, kept to be compared or put back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every file below a directory with its content, `None` for a directory.
pub struct Files(BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Files {
    pub fn of(directory: &Path) -> Files {
        let mut files = BTreeMap::new();
        let mut pending = vec![directory.to_owned()];
        while let Some(next) = pending.pop() {
            for entry in fs::read_dir(&next).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(directory).unwrap().to_owned();
                if path.is_dir() {
                    files.insert(name, None);
                    pending.push(path);
                } else {
                    files.insert(name, Some(fs::read(&path).unwrap()));
                }
            }
        }
        Files(files)
    }

    /// Makes `directory` hold these and nothing else.
    pub fn restore(&self, directory: &Path) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.unwrap();
        }
        for (name, content) in &self.0 {
            let path = directory.join(name);
            match content {
                None => fs::create_dir(path).unwrap(),
                Some(bytes) => fs::write(path, bytes).unwrap(),
            }
        }
    }

    /// Their names, in the directory.
    pub fn names(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// Fails unless both have the same files, and names those that differ.
    #[track_caller]
    pub fn assert_same(&self, other: &Files) {
        let names = self.0.keys().chain(other.0.keys());
        let differing: Vec<_> = names.filter(|name| self.0.get(*name) != other.0.get(*name)).collect();
        assert!(differing.is_empty(), "changed: {differing:?}");
    }
}

//! The file system of the operating system.
//!
//! A file is opened only if it is a regular one, and never blocks: a FIFO, a device, a socket or a
//! directory at its name is an error that names it ([decision 26]). A symbolic link is followed only for
//! [`Open::ReadThroughLinks`].
//!
//! [decision 26]: ../../docs/decisions/0026-only-regular-files.md

use super::{
    DirectoryLock, Disk, DiskFile, Identity, Open, Others, Stamp, Status, parent_directory, with_path,
};
use crate::limits::LINKS_MAX;
use std::fmt;
use std::fs::{File, FileType, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The file system of the operating system.
#[derive(Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        let file = match how {
            Open::Read => open_regular(&mut options, path, Follow::No),
            Open::ReadThroughLinks => open_regular(&mut options, path, Follow::Yes),
            Open::Write => open_regular(options.write(true), path, Follow::No),
            Open::Create => create(options.write(true).create_new(true).mode(0o600), path),
        };
        Ok(Box::new(RealFile(file?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match std::fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn status(&self, path: &Path) -> io::Result<Status> {
        std::fs::symlink_metadata(path).map(|metadata| status_of(&metadata))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn try_lock_directory(&self, directory: &Path) -> io::Result<Option<DirectoryLock>> {
        let directory = File::open(directory)?;
        match directory.try_lock() {
            Ok(()) => Ok(Some(DirectoryLock(Some(directory)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn follow_links(&self, path: &Path) -> PathBuf {
        let mut path = path.to_owned();
        for _ in 0..LINKS_MAX {
            match std::fs::read_link(&path) {
                Ok(target) => path = parent_directory(&path).join(target),
                Err(_) => break, // not a link, or not there
            }
        }
        path
    }

    fn keep_permissions(&self, replacement: &Path, replaced: &Path, others: Others) {
        // A replacement with mode 0600 is usable, so a failure here does not fail the change.
        let Ok(old) = std::fs::symlink_metadata(replaced) else { return };
        let opened = open_regular(OpenOptions::new().read(true), replacement, Follow::No);
        if let (true, Ok(file)) = (old.is_file(), opened) {
            let _ = give_permissions(&file, &old, others);
        }
    }
}

/// Whether a symbolic link at the end of a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    Yes,
    No,
}

/// Opens a regular file, and only that, without waiting for the other end of a FIFO.
pub(super) fn open_regular(options: &mut OpenOptions, path: &Path, follow: Follow) -> io::Result<File> {
    let link = if follow == Follow::Yes { 0 } else { libc::O_NOFOLLOW };
    let opened = options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | link).open(path);
    let file = opened.map_err(|error| named(error, path, follow))?;
    match Kind::of(file.metadata()?.file_type()) {
        Some(kind) => Err(NotRegular { kind, new_file: None }.into()),
        None => Ok(file),
    }
}

/// Creates a file. A file with its name is removed first; of a symbolic link, the link and not its target.
fn create(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    match open_regular(options, path, Follow::No) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            std::fs::remove_file(path).map_err(|error| not_removed(error, path))?;
            open_regular(options, path, Follow::No)
        }
        opened => opened,
    }
}

/// `error` with the path, which the caller may not know. If `path` is a directory, the error states that.
fn not_removed(error: io::Error, path: &Path) -> io::Error {
    if path.is_dir() {
        NotRegular { kind: Kind::Directory, new_file: Some(path.to_owned()) }.into()
    } else {
        with_path(path, &error)
    }
}

/// `error`, or the kind of the file at `path` if it is not a regular one.
fn named(error: io::Error, path: &Path, follow: Follow) -> io::Error {
    let looked_up = match follow {
        Follow::Yes => std::fs::metadata(path),
        Follow::No => std::fs::symlink_metadata(path),
    };
    let kind = looked_up.ok().and_then(|metadata| Kind::of(metadata.file_type()));
    match kind.filter(|_| error.kind() != ErrorKind::AlreadyExists) {
        Some(kind) => NotRegular { kind, new_file: None }.into(),
        None => error,
    }
}

/// Gives `file`, which has mode 0600, the owner, group and mode of the file that it will replace, as far as this
/// process may. No user gains access.
fn give_permissions(file: &File, old: &Metadata, others: Others) -> io::Result<()> {
    let new = file.metadata()?;
    let is_group_kept = new.gid() == old.gid() || fchown(file, None, Some(old.gid())).is_ok();
    let is_owner_kept = new.uid() == old.uid() || fchown(file, Some(old.uid()), None).is_ok();
    let mode = kept_mode(old.mode(), is_owner_kept, is_group_kept, others);
    file.set_permissions(Permissions::from_mode(mode))
}

/// The mode of a replacement for a file with the mode `old`.
fn kept_mode(old: u32, is_owner_kept: bool, is_group_kept: bool, others: Others) -> u32 {
    let (mut owner, mut group, mut other) = (old >> 6 & 7, old >> 3 & 7, old & 7);
    if others == Others::Denied && other != 0 {
        return 0o600;
    }
    if !is_owner_kept {
        // The old owner is now a member of the group or another user, and this process is the owner.
        (group, other, owner) = (group & owner, other & owner, 6);
    }
    if !is_group_kept {
        // The members of the old group are now other users.
        (other, group) = (other & group, 0);
    }
    owner << 6 | group << 3 | other
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        // Not from the metadata: after a program reads the times of a file, the next write to it sets new ones, which
        // costs a journaling file system more than the write. Measured on Linux 6.18; multigrain timestamps are the
        // likely reason.
        (&self.0).seek(SeekFrom::End(0))
    }

    fn stamp(&self) -> io::Result<Stamp> {
        let metadata = self.0.metadata()?;
        let since_epoch = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Stamp { length: metadata.len(), modified_ns: since_epoch.as_nanos() })
    }

    fn status(&self) -> io::Result<Status> {
        self.0.metadata().map(|metadata| status_of(&metadata))
    }
}

pub(super) fn status_of(metadata: &Metadata) -> Status {
    let identity = Identity { device: metadata.dev(), inode: metadata.ino() };
    Status { identity, links: metadata.nlink(), length: metadata.len() }
}

/// The file at a path is not a regular one.
#[derive(Debug)]
struct NotRegular {
    kind: Kind,
    /// The path, if a new file cannot be created there. The caller knows and logs only the file that it will replace.
    new_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    Link,
    Fifo,
    Socket,
    Device,
}

impl Kind {
    fn of(found: FileType) -> Option<Kind> {
        if found.is_file() {
            None
        } else if found.is_dir() {
            Some(Kind::Directory)
        } else if found.is_symlink() {
            Some(Kind::Link)
        } else if found.is_fifo() {
            Some(Kind::Fifo)
        } else if found.is_socket() {
            Some(Kind::Socket)
        } else {
            Some(Kind::Device)
        }
    }
}

impl From<NotRegular> for io::Error {
    fn from(found: NotRegular) -> io::Error {
        io::Error::new(ErrorKind::InvalidInput, found)
    }
}

impl fmt::Display for NotRegular {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.new_file {
            let path = path.display();
            return write!(
                f,
                "{path} is a directory, and a file must be created with that name; move it away"
            );
        }
        f.write_str(match self.kind {
            Kind::Directory => "it is a directory, not a regular file; move it away",
            Kind::Link => {
                "it is a symbolic link, and links in the data directory are not followed; replace it with the file"
            }
            Kind::Fifo => "it is a FIFO, not a regular file; move it away",
            Kind::Socket => "it is a socket, not a regular file; move it away",
            Kind::Device => "it is a device, not a regular file; move it away",
        })
    }
}

impl std::error::Error for NotRegular {}

/// Whether `error` means that the file at a path is not a regular one.
pub(crate) fn is_not_regular(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<NotRegular>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{load, replace, temporary_path};
    use std::os::unix::fs::symlink;

    #[track_caller]
    fn check_mode(old: u32, (is_owner_kept, is_group_kept): (bool, bool), others: Others, expected: u32) {
        let mode = kept_mode(old, is_owner_kept, is_group_kept, others);
        assert_eq!(mode, expected, "{old:o} became {mode:o}, not {expected:o}");
    }

    #[test]
    fn mode_of_a_replaced_file_is_kept_and_never_wider() {
        for mode in [0o600, 0o640, 0o644, 0o660, 0o400, 0o604, 0o755] {
            check_mode(mode, (true, true), Others::Kept, mode);
        }
        check_mode(0o104_755, (true, true), Others::Kept, 0o755);
        check_mode(0o644, (true, false), Others::Kept, 0o604);
        check_mode(0o604, (true, false), Others::Kept, 0o600);
        check_mode(0o640, (true, false), Others::Kept, 0o600);
        check_mode(0o466, (false, true), Others::Kept, 0o644);
        check_mode(0o640, (true, true), Others::Denied, 0o640);
        check_mode(0o644, (true, true), Others::Denied, 0o600);
    }

    #[test]
    fn link_at_the_name_of_a_new_file_is_replaced_and_its_target_unchanged() {
        let directory = tempfile::tempdir().unwrap();
        let (path, victim) = (directory.path().join("a.json"), directory.path().join("victim"));
        std::fs::write(&victim, "mine").unwrap();
        symlink(&victim, temporary_path(&path)).unwrap();
        replace(&RealDisk, &path, b"one").unwrap();
        assert_eq!(load(&RealDisk, &path, 100).unwrap(), b"one");
        assert_eq!(std::fs::read(&victim).unwrap(), b"mine");
    }

    #[test]
    fn link_is_opened_only_on_request_and_leads_to_regular_files_only() {
        let directory = tempfile::tempdir().unwrap();
        let (link, target) = (directory.path().join("link"), directory.path().join("target"));
        symlink(&target, &link).unwrap();
        assert_eq!(RealDisk.open(&link, Open::ReadThroughLinks).err().unwrap().kind(), ErrorKind::NotFound);
        std::fs::write(&target, "1").unwrap();
        assert!(RealDisk.open(&link, Open::ReadThroughLinks).is_ok());
        for how in [Open::Read, Open::Write] {
            assert!(RealDisk.open(&link, how).err().unwrap().to_string().contains("symbolic link"));
        }
        assert!(
            RealDisk.open(directory.path(), Open::Write).err().unwrap().to_string().contains("directory")
        );
    }
}

//! Why a project cannot be opened: each names the file, the place and the way out.

use crate::config::mistake::shown;
use crate::persist::files::header;
use crate::persist::files::record;
use crate::persist::files::seed::Seed;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a project cannot be opened. Its files are as they were.
#[derive(Debug)]
pub enum RecoveryError {
    /// The operating system failed at this file.
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The journal is damaged where it was synced.
    Corrupt {
        /// The journal.
        path: PathBuf,
        /// First byte of the bad line.
        offset: u64,
    },
    /// The journal, or a line of it, is intact and of a format that this version does not know.
    LaterVersion {
        /// The journal.
        path: PathBuf,
        /// The format that its header names, or `None` for an unknown line.
        format: Option<String>,
        /// First byte of the line.
        offset: u64,
    },
    /// What has the name of a journal is something else.
    NotAJournal {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The values are those of an earlier checkpoint: the two files were copied at different moments.
    MixedPair {
        /// The values' file.
        path: PathBuf,
        /// How many checkpoints earlier it was written than the journal.
        checkpoints: usize,
    },
    /// The values were edited while the journal has changes that are not in them.
    EditedWithChanges {
        /// The values' file.
        path: PathBuf,
        /// Changes in the journal.
        changes: u64,
    },
    /// The values were edited into something that is not their format.
    EditedBadly {
        /// The values' file.
        path: PathBuf,
        /// What is wrong, with line and column.
        problem: String,
    },
    /// There is nothing to decide: the values are the ones that the journal belongs to.
    NotEdited {
        /// The values' file.
        path: PathBuf,
    },
    /// There is a journal and no values.
    ValuesMissing {
        /// The values' file.
        path: PathBuf,
    },
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecoveryError::Io { path, error } => write!(f, "{}: {error}", path.display()),
            RecoveryError::Corrupt { path, offset } => write!(
                f,
                "{}: is damaged at byte {offset}, before data that was synced. It was left as it is. Restore this file \
                 and the .json beside it from a backup, or run `pikv recover {} --salvage`, which writes every key that \
                 is still readable to another file and lists what is not",
                path.display(),
                project_of(path)
            ),
            RecoveryError::MixedPair { path, checkpoints } => write!(
                f,
                "{}: is older than the .journal beside it, by {checkpoints} {}: the two files were copied at different \
                 moments, as from the directory of a running server. They were left as they are. Restore both from \
                 one copy that was taken while the server was stopped. If you want the older values, run `pikv \
                 recover {} --journal discard`, which keeps a copy of the journal",
                path.display(),
                if *checkpoints == 1 { "checkpoint" } else { "checkpoints" },
                project_of(path)
            ),
            RecoveryError::LaterVersion { path, format, offset } => {
                write!(f, "{}: was written by a later version of PiKV (", path.display())?;
                match format {
                    Some(format) => write!(f, "its format is {}", shown(format))?,
                    None => write!(f, "the line at byte {offset} is intact and unknown here")?,
                }
                write!(
                    f,
                    "); this is PiKV {}, which reads formats 1 and 2. The file was left as it is; start the \
                     later version again, or restore this file and the .json beside it from a backup that this \
                     version wrote",
                    env!("CARGO_PKG_VERSION")
                )
            }
            RecoveryError::NotAJournal { path, found } => write!(
                f,
                "{}: is not a journal: {found}; it was left as it is. Restore this file and the .json beside it from a \
                 backup, or move this file away to continue with the .json alone, without times to live",
                path.display()
            ),
            RecoveryError::EditedWithChanges { path, changes } => write!(
                f,
                "{}: was edited while its journal holds changes ({changes}) that are not in it. If you edited it, stop \
                 the server and decide with `pikv recover {project} --journal replay` (the changes are applied to the \
                 edited file) or `pikv recover {project} --journal discard` (the edited file alone counts; a copy of \
                 the journal is kept). If the two files come from a copy of a running server's directory, they are of \
                 different moments: restore both from one copy that was taken while the server was stopped",
                path.display(),
                project = project_of(path)
            ),
            RecoveryError::EditedBadly { path, problem } => {
                write!(f, "{}: {problem}; correct the file, it was left as it is", path.display())
            }
            RecoveryError::NotEdited { path } => write!(
                f,
                "{}: needs no decision, because it was not edited; nothing was changed",
                path.display()
            ),
            RecoveryError::ValuesMissing { path } => write!(
                f,
                "{}: is missing, but its .journal exists. Nothing was changed. If the file was moved, move it back, or \
                 restore both files of the project from one backup. If you have neither, run `pikv recover {} \
                 --salvage`, which writes every key that the .journal has to another file and states how to continue",
                path.display(),
                project_of(path)
            ),
        }
    }
}

impl std::error::Error for RecoveryError {}

/// The project that a file belongs to.
fn project_of(path: &Path) -> impl fmt::Display + '_ {
    path.file_stem().unwrap_or_default().display()
}

/// What is wrong with a line that could not be decoded, in a journal with this seed.
pub(crate) fn bad_line(line: &[u8], seed: Seed, path: &Path, offset: u64) -> RecoveryError {
    let path = path.to_owned();
    if record::is_intact(line, seed) {
        RecoveryError::LaterVersion { path, format: header::other_format(line), offset }
    } else {
        RecoveryError::Corrupt { path, offset }
    }
}

/// Ties an I/O error to its file.
pub(crate) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> RecoveryError + '_ {
    move |error| RecoveryError::Io { path: path.to_owned(), error }
}

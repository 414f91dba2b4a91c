//! Why a project cannot be opened. Each text names the file, the problem and the fix.

use crate::config::mistake::shown;
use crate::disk::is_disk_full;
use crate::persist::files::header;
use crate::persist::files::record;
use crate::persist::files::seed::Seed;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a project cannot be opened. Its files are as they were.
#[derive(Debug)]
pub struct RecoveryError {
    pub path: PathBuf,
    pub problem: FileProblem,
}

/// What is wrong with a file of a project.
#[derive(Debug)]
pub enum FileProblem {
    Io(io::Error),
    /// The line at this offset of the journal is damaged, and a later one was synced.
    Corrupt {
        offset: u64,
    },
    /// The journal is intact and of an unknown format, or has an intact line of an unknown kind.
    LaterVersion {
        /// The format that its header names, or `None` for an unknown line.
        format: Option<String>,
        /// First byte of the line.
        offset: u64,
    },
    /// The file has the name of a journal and is this instead.
    NotAJournal(&'static str),
    /// The data file is that of an earlier checkpoint: the two files were copied at different moments.
    MixedPair {
        /// How many checkpoints earlier than the journal.
        checkpoints: usize,
    },
    /// The data file was edited, and the journal has this many changes that are not in it.
    EditedWithChanges {
        changes: u64,
    },
    /// The data file was edited and is invalid: what is wrong, with line and column.
    EditedBadly(String),
    /// The operator decided about a data file that was not edited.
    NotEdited,
    /// There is a journal and no data file.
    ValuesMissing,
}

impl FileProblem {
    pub(crate) fn of(self, path: &Path) -> RecoveryError {
        RecoveryError { path: path.to_owned(), problem: self }
    }
}

impl RecoveryError {
    pub(crate) fn is_disk_full(&self) -> bool {
        matches!(&self.problem, FileProblem::Io(error) if is_disk_full(error))
    }
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let project = self.path.file_stem().unwrap_or_default().display();
        write!(f, "{}: ", self.path.display())?;
        match &self.problem {
            FileProblem::Io(error) => error.fmt(f),
            FileProblem::Corrupt { offset } => write!(
                f,
                "is damaged at byte {offset}, before data that was synced. It was left as it is. Restore this file \
                 and the .json beside it from a backup, or run `pikv recover {project} --salvage`, which writes every \
                 key that is still readable to another file and lists what is not"
            ),
            FileProblem::MixedPair { checkpoints } => write!(
                f,
                "is older than the .journal beside it, by {checkpoints} {}: the two files were copied at different \
                 moments, as from the directory of a running server. They were left as they are. Restore both from \
                 one copy that was taken while the server was stopped. If you want the older values, run `pikv \
                 recover {project} --journal discard`, which keeps a copy of the journal",
                if *checkpoints == 1 { "checkpoint" } else { "checkpoints" }
            ),
            FileProblem::LaterVersion { format, offset } => {
                f.write_str("was written by a later version of PiKV (")?;
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
            FileProblem::NotAJournal(found) => write!(
                f,
                "is not a journal: {found}; it was left as it is. Restore this file and the .json beside it from a \
                 backup, or move this file away to continue with the .json alone, without times to live"
            ),
            FileProblem::EditedWithChanges { changes } => write!(
                f,
                "was edited while its journal held changes ({changes}) that are not in it. If you edited it, stop \
                 the server and decide with `pikv recover {project} --journal replay` (the changes are applied to the \
                 edited file) or `pikv recover {project} --journal discard` (the edited file alone counts; a copy of \
                 the journal is kept). If the two files come from a copy of a running server's directory, they are of \
                 different moments: restore both from one copy that was taken while the server was stopped"
            ),
            FileProblem::EditedBadly(problem) => {
                write!(f, "{problem}; correct the file, it was left as it is")
            }
            FileProblem::NotEdited => f.write_str("was not edited; there is nothing to recover"),
            FileProblem::ValuesMissing => write!(
                f,
                "is missing, but its .journal exists. Nothing was changed. If the file was moved, move it back, or \
                 restore both files of the project from one backup. If you have neither, run `pikv recover {project} \
                 --salvage`, which writes every key that the .journal has to another file and states how to continue"
            ),
        }
    }
}

impl std::error::Error for RecoveryError {}

/// What is wrong with a line that could not be decoded, in a journal with this seed.
pub(crate) fn bad_line(line: &[u8], seed: Seed, path: &Path, offset: u64) -> RecoveryError {
    let problem = if record::is_intact(line, seed) {
        FileProblem::LaterVersion { format: header::other_format(line), offset }
    } else {
        FileProblem::Corrupt { offset }
    };
    problem.of(path)
}

pub(crate) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> RecoveryError + '_ {
    move |error| FileProblem::Io(error).of(path)
}

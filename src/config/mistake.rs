//! What can be wrong with config.json, told so that a person can put it right.
//!
//! No text of a key or a hash is ever part of a message.

use super::nearest::nearest;
use crate::disk;
use crate::limits::{CONFIG_BYTES_MAX, CONFIG_VERSION, PROJECTS_MAX, SHOWN_CHARACTERS_MAX};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// A mistake in the text of a configuration, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub(crate) problem: Problem,
}

/// The kinds of mistakes. A `member` is the way to it from the top: `default.storage.sync`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Nothing but white space.
    Empty,
    /// The text ends before its JSON does.
    CutOff,
    /// Something that plainly is no JSON.
    Foreign { found: &'static str },
    /// A byte that is not UTF-8.
    NotUtf8,
    /// A NUL byte, as a power cut leaves them.
    Nul,
    /// A conflict marker of a version control system.
    MergeConflict,
    /// Something after the end of the object.
    AfterTheEnd,
    /// A comma with `}` or `]` behind it.
    TrailingComma,
    /// `//`, `/*` or `#`.
    Comment,
    /// A word without quotes that is none of `true`, `false` and `null`. It may be a key, so it is not told.
    Word,
    /// Another mistake in the JSON.
    Syntax { reason: String },
    /// A value of another type.
    WrongType { member: String, wanted: &'static str, found: &'static str },
    /// A member that nobody reads.
    UnknownMember { name: String, parent: String, known: Vec<&'static str> },
    /// A text that is none of the choices.
    UnknownText { member: String, text: String, known: &'static [&'static str] },
    /// A member that has to be there.
    Missing { member: String },
    /// A member that is there twice.
    Twice { member: String },
    /// A number that is not whole or not within its range.
    OutOfRange { member: String, text: String, min: u64, max: u64 },
    /// A `version` of another program, or of a newer one.
    Version { text: String },
    /// A text that is not what it has to be.
    Text { member: String, text: String, advice: String },
    /// A text that is not what it has to be, and may be a key.
    Hidden { member: String, problem: String, advice: String },
    /// Two projects with one id.
    ProjectTwice { id: String },
    /// More than [`PROJECTS_MAX`] projects.
    TooManyProjects,
    /// A list that is longer than it may be.
    TooManyElements { member: String, max: usize },
}

impl Problem {
    pub(super) fn hidden(member: &str, problem: &str, advice: &str) -> Problem {
        Problem::Hidden { member: member.to_owned(), problem: problem.to_owned(), advice: advice.to_owned() }
    }
}

impl Mistake {
    /// What is wrong and the fix, for a value that is not in a file.
    pub fn without_location(&self) -> String {
        format!("{}{}", self.problem, Advice(&self.problem))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {}, column {}{}", self.problem, self.line, self.column, Advice(&self.problem))
    }
}

impl std::error::Error for Mistake {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Empty => f.write_str("the file is empty"),
            Problem::CutOff => f.write_str("the file ends in the middle, as if it were cut off,"),
            Problem::Foreign { found } => write!(f, "not JSON: {found};"),
            Problem::NotUtf8 => f.write_str("a byte that is not UTF-8"),
            Problem::Nul => f.write_str("NUL bytes, as a power cut leaves them,"),
            Problem::MergeConflict => f.write_str("a conflict marker of a merge"),
            Problem::AfterTheEnd => f.write_str("not JSON: more text after the end of the object"),
            Problem::TrailingComma => f.write_str("trailing comma"),
            Problem::Comment => f.write_str("a comment"),
            Problem::Word => f.write_str("not JSON: a word without quotes"),
            Problem::Syntax { reason } => write!(f, "not JSON: {reason}"),
            Problem::WrongType { member, wanted, found } => {
                write!(f, "`{member}` is {found} and must be {wanted}")
            }
            Problem::UnknownMember { name, parent, .. } => {
                write!(f, "unknown member `{}`", shown(name))?;
                if parent.is_empty() { Ok(()) } else { write!(f, " of `{parent}`") }
            }
            Problem::UnknownText { member, text, .. } | Problem::Text { member, text, .. } => {
                write!(f, "`{member}` is \"{}\"", shown(text))
            }
            Problem::Hidden { member, problem, .. } => write!(f, "`{member}` {problem}"),
            Problem::Missing { member } => write!(f, "`{member}` is missing in the object"),
            Problem::Twice { member } => write!(f, "`{member}` for the second time"),
            Problem::OutOfRange { member, text, .. } => write!(f, "`{member}` is {}", shown(text)),
            Problem::Version { text } => write!(f, "`version` is {}", shown(text)),
            Problem::ProjectTwice { id } => write!(f, "a second project with the id `{id}`"),
            Problem::TooManyProjects => write!(f, "more than {PROJECTS_MAX} projects"),
            Problem::TooManyElements { member, max } => write!(f, "`{member}` has more than {max} elements"),
        }
    }
}

/// What would be right, put behind the place of the mistake.
struct Advice<'a>(&'a Problem);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Problem::Empty => f.write_str("; remove the file to have a new one written"),
            Problem::CutOff => {
                f.write_str("; a closing `}` or `]` may be missing; add it, or restore the file from a copy")
            }
            Problem::NotUtf8 => f.write_str("; save the file as UTF-8"),
            Problem::Nul => f.write_str("; restore the file from a copy"),
            Problem::MergeConflict => f.write_str("; resolve the conflict and remove the markers"),
            Problem::AfterTheEnd => f.write_str("; a file has one object, remove the rest"),
            Problem::TrailingComma => f.write_str("; JSON has no comma before `}` or `]`, remove it"),
            Problem::Comment => f.write_str("; JSON has no comments, remove it"),
            Problem::Word => f.write_str("; a text goes into quotes, a switch is true or false"),
            Problem::UnknownMember { name, known, .. } => write_nearest(f, name, known, "known here"),
            Problem::UnknownText { text, known, .. } => write_nearest(f, text, known, "possible"),
            Problem::Twice { .. } => f.write_str("; keep one of the two"),
            Problem::OutOfRange { min, max, .. } => write!(f, "; it must be a whole number, {min} to {max}"),
            Problem::Version { text } if text.parse().is_ok_and(|version: u64| version > CONFIG_VERSION) => {
                write!(
                    f,
                    "; the file was written for a later version of PiKV; this is PiKV {}, which reads version {CONFIG_VERSION}. \
                 Start the later version, or restore the file of this one",
                    env!("CARGO_PKG_VERSION")
                )
            }
            Problem::Version { .. } => write!(f, "; this program reads version {CONFIG_VERSION}"),
            Problem::ProjectTwice { .. } => f.write_str("; every project needs an id of its own"),
            Problem::Text { advice, .. } | Problem::Hidden { advice, .. } => write!(f, "; {advice}"),
            Problem::Foreign { .. }
            | Problem::Syntax { .. }
            | Problem::WrongType { .. }
            | Problem::Missing { .. }
            | Problem::TooManyProjects
            | Problem::TooManyElements { .. } => Ok(()),
        }
    }
}

/// What a host has to be; the command line says it too.
pub(crate) const HOST_ADVICE: &str = "it must be an IP address, because names are not looked up: 127.0.0.1 or ::1 for this \
                               machine only (localhost), 0.0.0.0 or :: for every network";

fn write_nearest(f: &mut fmt::Formatter<'_>, text: &str, known: &[&str], intro: &str) -> fmt::Result {
    if let Some(name) = nearest(text, known) {
        write!(f, "; did you mean `{name}`?")?;
    } else {
        f.write_str(";")?;
    }
    write!(f, " {intro}: {}", known.join(", "))
}

/// Outside text for a message: without control characters, and not endless.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARACTERS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Why config.json could not be loaded or saved. The file is then as it was.
#[derive(Debug)]
pub enum ConfigError {
    /// Its text is wrong.
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        mistake: Mistake,
    },
    /// It is larger than [`CONFIG_BYTES_MAX`].
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It could not be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// It could not be written.
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Invalid { path, mistake } => {
                write!(
                    f,
                    "{}: {mistake}. The file was left as it is; correct it, then start again or send SIGHUP",
                    path.display()
                )
            }
            ConfigError::TooLarge { path } => write!(
                f,
                "{}: larger than {CONFIG_BYTES_MAX} bytes, which no configuration is. \
                 Check that this is the file you mean",
                path.display()
            ),
            ConfigError::Read { path, error } => {
                write!(
                    f,
                    "{}: cannot be read: {error}. Check that it is a file this user may read",
                    path.display()
                )
            }
            ConfigError::Write { path, error } => {
                write!(f, "{}: cannot be saved: {error}. {}", path.display(), save_advice(error))
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// Why a file cannot be replaced, and what helps.
pub(crate) fn save_advice(error: &io::Error) -> &'static str {
    let kind = error.kind();
    if matches!(kind, io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices) {
        "The file is a mount of its own (a bind mount of a single file), which cannot be replaced. Mount its \
         directory instead of the file"
    } else if kind == io::ErrorKind::ReadOnlyFilesystem {
        "Its directory is mounted read-only. Mount the directory writable"
    } else if kind == io::ErrorKind::PermissionDenied {
        "This user may not create files in its directory. Change the owner or the mode of the directory"
    } else if kind == io::ErrorKind::NotFound {
        "Its directory does not exist. Create it"
    } else if kind == io::ErrorKind::FileTooLarge {
        "It is larger than the file-size limit of the process. Raise the limit (`ulimit -f`, LimitFSIZE=)"
    } else if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        "Free disk space"
    } else if disk::is_out_of_descriptors(error) {
        "The process has no free file descriptor. Raise the limit (`ulimit -n`, LimitNOFILE=)"
    } else if disk::is_not_regular(error) {
        "Move away what has its name with `.tmp`"
    } else {
        "Check the disk, and that this user may write in its directory"
    }
}

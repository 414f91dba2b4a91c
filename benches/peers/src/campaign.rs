//! What all measurements of one run share: options, directory, programs, and what was found.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::failure::{Outcome, failure};
use crate::table::Row;

/// Keys that the rows about many keys store.
pub const MANY_KEYS: u64 = 1_000_000;

/// How long and what to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rounds of ours and theirs.
    pub rounds: u32,
    /// Of one round.
    pub seconds: u32,
    /// Keys of the rows about many keys.
    pub many_keys: u64,
    /// Where the directory of the run is made.
    pub directory: PathBuf,
    /// Parts to measure, all where empty.
    pub parts: Vec<String>,
    /// Where to write the figures as JSON.
    pub json: Option<PathBuf>,
    /// Where to draw the chart.
    pub chart: Option<PathBuf>,
    /// The Markdown file whose part between the marks is replaced by what is printed.
    pub document: Option<PathBuf>,
}

/// Programs that may be missing, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 6] = [
    ("wrk", "wrk"),
    ("redis-server", "redis-server"),
    ("webdis", "webdis"),
    ("etcd", "etcd-server"),
    ("strace", "strace"),
    ("nginx", "nginx"),
];

/// The cost of a write of one server.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The server.
    pub name: String,
    /// Keys stored, and microseconds per write.
    pub points: Vec<(u64, f64)>,
}

/// A run.
#[derive(Debug)]
pub struct Campaign {
    /// As given.
    pub options: Options,
    /// The release build of PiKV.
    pub pikv: PathBuf,
    /// The table so far.
    pub rows: Vec<Row>,
    /// The cost of writes.
    pub curves: Vec<Curve>,
    directory: TempDir,
    directories_made: u32,
}

impl Campaign {
    /// Makes the directory of the run, which is removed at its end.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn begin(options: Options, pikv: PathBuf) -> Outcome<Self> {
        std::fs::create_dir_all(&options.directory)?;
        let parent = options.directory.canonicalize()?;
        let directory = tempfile::Builder::new().prefix("pikv-peers-").tempdir_in(parent)?;
        Ok(Self { options, pikv, rows: Vec::new(), curves: Vec::new(), directory, directories_made: 0 })
    }

    /// The directory of the run.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A new directory in that of the run.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new_directory(&mut self, name: &str) -> Outcome<PathBuf> {
        self.directories_made += 1;
        let path = self.directory().join(format!("{:02}-{name}", self.directories_made));
        std::fs::create_dir(&path)?;
        Ok(path)
    }

    /// Whether `part` was asked for.
    pub fn includes(&self, part: &str) -> bool {
        self.options.parts.is_empty() || self.options.parts.iter().any(|name| name == part)
    }

    /// Says on standard error what is being done.
    pub fn say(&self, text: &str) {
        eprintln!("{text}");
    }
}

/// Whether all of `programs` are there.
///
/// # Errors
/// One is not; the message names it and its package.
pub fn require(programs: &[&str]) -> Outcome<()> {
    let missing: Vec<String> = programs
        .iter()
        .filter(|program| locate(program).is_none())
        .map(|program| {
            let package = PROGRAMS.iter().find(|(name, _)| name == program).map_or(*program, |found| found.1);
            format!("{program} is not installed, apt install {package}")
        })
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(failure(missing.join("; "))) }
}

/// The path of `program`.
///
/// # Errors
/// It is not installed; the message names its package.
pub fn find_program(program: &str) -> Outcome<PathBuf> {
    require(&[program])?;
    locate(program).ok_or_else(|| failure(format!("{program} is gone")))
}

/// Debian has servers in a directory that is not on the path of every user.
fn locate(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    directories.push("/usr/sbin".into());
    directories.into_iter().map(|directory| directory.join(program)).find(|file| file.is_file())
}

//! What some tests need beside cargo: programs, and rights that not every user has.
//!
//! A test without it is skipped: [`Tool::is_usable`] notes its name for `tests/skipped.rs`, which `cargo test` runs
//! last. With `CI` in the environment a program that is missing fails the test instead.

use super::environment::variable;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    Browser,
    Curl,
    DevFull,
    Etcd,
    Etcdctl,
    Faketime,
    Haproxy,
    MountNamespace,
    NetworkNamespace,
    Nginx,
    Openssl,
    Prlimit,
    Sha256sum,
    SmallDisk,
    Strace,
}

impl Tool {
    pub const ALL: [Tool; 15] = [
        Tool::Browser,
        Tool::Curl,
        Tool::DevFull,
        Tool::Etcd,
        Tool::Etcdctl,
        Tool::Faketime,
        Tool::Haproxy,
        Tool::MountNamespace,
        Tool::NetworkNamespace,
        Tool::Nginx,
        Tool::Openssl,
        Tool::Prlimit,
        Tool::Sha256sum,
        Tool::SmallDisk,
        Tool::Strace,
    ];

    /// As tests/README.md and the report of a run name it.
    pub fn name(self) -> &'static str {
        match self {
            Tool::Browser => "chromium",
            Tool::Curl => "curl",
            Tool::DevFull => "/dev/full",
            Tool::Etcd => "etcd",
            Tool::Etcdctl => "etcdctl",
            Tool::Faketime => "faketime",
            Tool::Haproxy => "haproxy",
            Tool::MountNamespace => "unshare",
            Tool::NetworkNamespace => "ip",
            Tool::Nginx => "nginx",
            Tool::Openssl => "openssl",
            Tool::Prlimit => "prlimit",
            Tool::Sha256sum => "sha256sum",
            Tool::SmallDisk => "mount",
            Tool::Strace => "strace",
        }
    }

    /// A container may deny the rights that the others need, whatever is installed.
    fn is_required_in_ci(self) -> bool {
        matches!(
            self,
            Tool::Browser
                | Tool::Curl
                | Tool::Etcd
                | Tool::Etcdctl
                | Tool::Faketime
                | Tool::Haproxy
                | Tool::Nginx
                | Tool::Openssl
                | Tool::Sha256sum
                | Tool::Strace
        )
    }

    /// Whether the test may go on: `missing` is what it lacks and how to get it.
    pub fn is_usable(self, missing: Option<String>) -> bool {
        let Some(missing) = missing else { return true };
        assert!(!(self.is_required_in_ci() && variable("CI").is_some()), "{missing}");
        // The test runner hides what `println!` prints.
        let _ = writeln!(std::io::stderr(), "skipped: {missing}");
        note_skipped(self);
        false
    }

    /// The same for a program that only has to be installed.
    pub fn is_installed(self) -> bool {
        let is_missing = !runs(self.name(), "--version");
        self.is_usable(is_missing.then(|| format!("{0} is not installed; apt-get install {0}", self.name())))
    }
}

/// Whether `program` can be run with `argument` and succeeds.
pub fn runs(program: &str, argument: &str) -> bool {
    let tried = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

/// Appends `tool` and the running test to the file of this run. The runs of one `cargo test` have one parent process.
fn note_skipped(tool: Tool) {
    let directory = skipped_directory();
    let path = directory.join(std::os::unix::process::parent_id().to_string());
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let noted = fs::create_dir_all(&directory).and_then(|()| {
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(format!("{} {test}\n", tool.name()).as_bytes())
    });
    noted.unwrap();
}

fn skipped_directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped")
}

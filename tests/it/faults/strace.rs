//! Faults from below: strace counts the system calls of one thread and injects into the Nth.
//!
//! strace counts per thread, and each thread of the server has work of its own: `writer` appends and
//! syncs journals, with `writer-1` and more beside it while several projects are written; `maintenance`
//! writes checkpoints, `admin-0` creates and deletes projects, the main thread recovers and, at the end,
//! checkpoints. So strace is attached to one thread alone, and "the Nth rename" is the same one every time. The
//! others go on at full speed. A slow disk is slow for all threads, so [`Attached::to_all`] takes them all.

use crate::harness::tool::Tool;
use crate::harness::{PATIENCE, Server, holds_within, wait_until};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Every call that changes something on a disk, and the opening of files; `?`: not all are known on
/// every processor.
const CALLS: &str = "?open,openat,?creat,write,pwrite64,?writev,?pwritev,fdatasync,fsync,?rename,\
                     ?renameat,?renameat2,?unlink,?unlinkat,ftruncate,?mkdir,?mkdirat,?flock";

/// Whether strace is installed and may look into processes of this user; the test is skipped if not.
pub fn is_usable() -> bool {
    let directory = tempfile::tempdir().unwrap();
    let tried = Command::new("strace")
        .args(["-D", "-qq", "-e", "trace=none", "-o"])
        .arg(directory.path().join("calls"))
        .arg("true")
        .output();
    let missing = match tried {
        Err(error) => format!("strace cannot be run ({error}); apt-get install strace"),
        Ok(output) if !output.status.success() => {
            format!("strace is not allowed to trace: {}", String::from_utf8_lossy(&output.stderr))
        }
        Ok(_) if is_attaching_denied() => {
            "strace may not attach to other processes; as root: sysctl kernel.yama.ptrace_scope=0".to_owned()
        }
        Ok(_) => return true,
    };
    Tool::Strace.is_usable(Some(missing))
}

fn is_attaching_denied() -> bool {
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut tracer = Command::new("strace")
        .args(["-qq", "-e", "trace=none", "-o"])
        .arg(directory.path().join("calls"))
        .args(["-p", &sleeper.id().to_string()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut is_attached = false;
    let decided = holds_within(PATIENCE, || {
        is_attached = tracer_of(sleeper.id(), sleeper.id()) == Some(tracer.id());
        is_attached || tracer.try_wait().unwrap().is_some()
    });
    for process in [&mut tracer, &mut sleeper] {
        let _ = process.kill();
        let _ = process.wait();
    }
    !(decided && is_attached)
}

/// Who traces a thread.
fn tracer_of(process: u32, thread: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{process}/task/{thread}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
    line.trim().parse().ok().filter(|&pid| pid != 0)
}

/// The thread of a server that has this name.
fn thread_named(server: &Server, name: &str) -> u32 {
    let tasks = format!("/proc/{}/task", server.pid());
    let mut found = None;
    wait_until("the thread is there", || {
        found = fs::read_dir(&tasks).unwrap().find_map(|task| {
            let path = task.unwrap().path();
            let is_it = fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name);
            is_it.then(|| path.file_name().unwrap().to_str().unwrap().parse().unwrap())
        });
        found.is_some()
    });
    found.unwrap()
}

/// A call by its name and the how manieth of that name it is in its thread, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    pub call: String,
    pub nth: usize,
}

/// What strace wrote, and where.
pub struct Recording {
    directory: TempDir,
}

impl Recording {
    pub fn new() -> Recording {
        Recording { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("calls")
    }

    /// The calls in order, as strace writes them.
    pub fn lines(&self) -> Vec<String> {
        let text = fs::read(self.path()).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
    }

    /// Each call once, in order, with the text of its line.
    pub fn points(&self) -> Vec<(Point, String)> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut points = Vec::new();
        for line in self.lines() {
            let Some((call, _)) = line.split_once('(') else { continue };
            if call.is_empty() || !call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                continue; // a signal, or the end
            }
            let nth = counts.entry(call.to_owned()).or_default();
            *nth += 1;
            points.push((Point { call: call.to_owned(), nth: *nth }, line.clone()));
        }
        points
    }

    /// The words to put in front of a program so that its main thread is recorded, and `fault`
    /// injected. The process that is started is the program itself.
    pub fn wrapper(&self, fault: Option<&str>) -> Vec<String> {
        let mut words: Vec<String> = ["strace", "-D"].map(str::to_owned).to_vec();
        words.extend(arguments(&self.path(), fault));
        words
    }
}

/// `-e` and the rest; `fault` as behind strace's `inject=`.
fn arguments(calls: &Path, fault: Option<&str>) -> Vec<String> {
    let mut words = vec!["-qq".to_owned(), "-e".to_owned(), format!("trace={CALLS}")];
    if let Some(fault) = fault {
        words.extend(["-e".to_owned(), format!("inject={fault}")]);
    }
    words.extend(["-o".to_owned(), calls.to_str().unwrap().to_owned()]);
    words
}

/// strace attached to one thread of a running server; detached when dropped.
pub struct Attached {
    pub recording: Recording,
    tracer: Child,
}

impl Attached {
    /// Waits until it is.
    pub fn to(server: &Server, thread: &str, fault: Option<&str>) -> Attached {
        Attached::with(server, thread_named(server, thread), &[], fault)
    }

    /// The same for all threads, also those that are started later.
    pub fn to_all(server: &Server, fault: &str) -> Attached {
        Attached::with(server, server.pid(), &["-f"], Some(fault))
    }

    fn with(server: &Server, thread: u32, options: &[&str], fault: Option<&str>) -> Attached {
        let recording = Recording::new();
        let mut tracer = Command::new("strace")
            .args(options)
            .args(arguments(&recording.path(), fault))
            .args(["-p", &thread.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("strace is attached", || {
            // The fault may strike at once: then both end.
            let has_ended = tracer.try_wait().unwrap().is_some();
            has_ended || tracer_of(server.pid(), thread) == Some(tracer.id())
        });
        Attached { recording, tracer }
    }

    /// Detaches and gives what was recorded.
    pub fn detach(mut self) -> Recording {
        self.end();
        std::mem::replace(&mut self.recording, Recording::new())
    }

    fn end(&mut self) {
        // SIGTERM lets strace let go of the thread; it has ended already where the server has.
        let _ = Command::new("kill").arg(self.tracer.id().to_string()).stderr(Stdio::null()).status();
        let _ = self.tracer.wait();
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.end();
    }
}

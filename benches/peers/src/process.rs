//! Servers and load generators as child processes that end with this one.
//!
//! A process is stopped by its id when its `Process` is dropped, and all of them when this program is
//! interrupted.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::{Outcome, failure};

/// How long a server may take to end by itself after SIGTERM: PiKV writes its files anew then.
const STOP_SECONDS_MAX: u64 = 60;
/// Between two looks at something that is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Between SIGTERM and SIGKILL if this program is interrupted.
const TERM_TIME: Duration = Duration::from_millis(300);

/// Ids of the processes that were started here and not waited for yet.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// A child process, stopped when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts `command`. `name` is for messages.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Outcome<Self> {
        // Under the lock, so that an interruption in between does not miss it.
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn().map_err(|error| failure(format!("{name} cannot be started: {error}")))?;
        running.insert(child.id());
        Ok(Self { child, name: name.to_owned() })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits until `is_ready`, which is asked again and again.
    ///
    /// # Errors
    /// The process ended before, or it took longer than `seconds_max`.
    pub fn wait_until(&mut self, seconds_max: u64, mut is_ready: impl FnMut() -> bool) -> Outcome<()> {
        let deadline = Instant::now() + Duration::from_secs(seconds_max);
        while !is_ready() {
            if let Some(status) = self.child.try_wait()? {
                return Err(failure(format!("{} ended before it was ready: {status}", self.name)));
            }
            if Instant::now() > deadline {
                return Err(failure(format!("{} was not ready after {seconds_max} s", self.name)));
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Sends SIGINT.
    ///
    /// # Errors
    /// There is no such process any more.
    pub fn interrupt(&self) -> Outcome<()> {
        send(self.child.id(), Signal::INT)
    }

    /// Sends SIGTERM and waits for the end; SIGKILL where that takes too long.
    pub fn stop(&mut self) {
        let _ = send(self.child.id(), Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            thread::sleep(LOOK_AGAIN);
        }
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.child.id());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

fn send(id: u32, signal: Signal) -> Outcome<()> {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(|| failure("not a process id"))?;
    kill_process(id, signal).map_err(|error| failure(error.to_string()))
}

/// Waits until `is_so`, which is asked again and again.
///
/// # Errors
/// It took longer than `seconds_max`; the message says `what`.
pub fn wait_until(what: &str, seconds_max: u64, mut is_so: impl FnMut() -> bool) -> Outcome<()> {
    let deadline = Instant::now() + Duration::from_secs(seconds_max);
    while !is_so() {
        if Instant::now() > deadline {
            return Err(failure(format!("{what}: not after {seconds_max} s")));
        }
        thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

/// From now on SIGINT and SIGTERM end every child, remove `directory` and end this program.
///
/// # Errors
/// The signals cannot be caught.
pub fn clean_up_when_interrupted(directory: &Path) -> Outcome<()> {
    let mut signals =
        signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])?;
    let directory = directory.to_owned();
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            // Never released: nothing is started any more.
            let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
            // nginx ends its workers if it may.
            running.iter().for_each(|id| _ = send(*id, Signal::TERM));
            thread::sleep(TERM_TIME);
            running.iter().for_each(|id| _ = send(*id, Signal::KILL));
            let _ = std::fs::remove_dir_all(&directory);
            std::process::exit(130);
        }
    });
    Ok(())
}

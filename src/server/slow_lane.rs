//! A few threads for what would stall an event loop, behind a bounded queue.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Work, which tells its result to whoever it likes.
pub(super) type Work = Box<dyn FnOnce() + Send>;

pub(super) struct SlowLane {
    sender: SyncSender<Work>,
    is_stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl SlowLane {
    pub(super) fn start(name: &str, threads: usize, queue_max: usize) -> io::Result<SlowLane> {
        let (sender, receiver) = sync_channel(queue_max);
        let receiver = Arc::new(Mutex::new(receiver));
        let is_stopping = Arc::new(AtomicBool::new(false));
        let spawn = |number| {
            let (receiver, is_stopping) = (Arc::clone(&receiver), Arc::clone(&is_stopping));
            let thread = std::thread::Builder::new().name(format!("{name}-{number}"));
            thread.spawn(move || {
                while let Some(work) = next(&receiver) {
                    if !is_stopping.load(Ordering::Relaxed) {
                        work();
                    }
                }
            })
        };
        let threads = (0..threads).map(spawn).collect::<io::Result<_>>()?;
        Ok(SlowLane { sender, is_stopping, threads })
    }

    /// Takes work; `try_send` fails where too much is waiting.
    pub(super) fn sender(&self) -> SyncSender<Work> {
        self.sender.clone()
    }

    /// Waits for what is being done. What is only queued is dropped: nobody is left who waits for it.
    /// All other senders must be gone.
    pub(super) fn stop(self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        drop(self.sender);
        for thread in self.threads {
            // Work that panics is caught where it was made.
            let _ = thread.join();
        }
    }
}

fn next(receiver: &Mutex<Receiver<Work>>) -> Option<Work> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

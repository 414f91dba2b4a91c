//! Sockets and threads: an acceptor, event loops, and lanes for jobs that would stall an event loop (uncached reads,
//! administration of projects, passwords). The only user of mio.
//!
//! ```text
//!              accept                      request                    job
//!  acceptor ------------> event loop <----------------> api   ------------> lanes
//!     ^     round robin       |  ^                                              |
//!     +---- a slot is free ---+  +------ mailbox: result of the job ------------+
//!                                +------ waker: a commit is resolved ---- writer thread (persist)
//! ```
//! Nothing here knows JSON or keys, and no lower layer knows sockets.

mod acceptor;
mod answer;
mod connection;
mod deadlines;
mod event_loop;
mod fair_queue;
mod input;
mod line;
mod log_pace;
mod mailbox;
mod output;
mod password_queues;
mod pool;
mod pools;
mod settings;
mod shared;
mod shedding;
mod slots;
mod streaming;
mod waiters;

pub(crate) use settings::Settings;

use crate::api::state::App;
use crate::catalog::CellCatalog;
use crate::disk::descriptors_max;
use crate::limits::{DESCRIPTORS_RESERVED, LOOPS_MAX};
use acceptor::Acceptor;
use event_loop::EventLoop;
use mailbox::Mailbox;
use pools::Pools;
use slots::Slots;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

/// The pollers of a server that does not run yet. They are created first, because the writer threads must be able
/// to wake them.
pub(crate) struct Prepared {
    loops: Vec<(mio::Poll, Arc<Mailbox>)>,
}

/// Wakes the event loops that wait for commits.
#[derive(Clone)]
pub(crate) struct Wakers {
    mailboxes: Vec<Arc<Mailbox>>,
}

pub(crate) struct Running {
    acceptor: acceptor::Handle,
    acceptor_thread: JoinHandle<()>,
    mailboxes: Vec<Arc<Mailbox>>,
    loop_threads: Vec<JoinHandle<()>>,
    pools: Pools,
    pool_threads: Vec<JoinHandle<()>>,
}

impl Prepared {
    /// Creates the pollers of `loops` event loops, at least 1 and at most [`LOOPS_MAX`].
    pub(crate) fn new(loops: usize) -> io::Result<Prepared> {
        let create = |_| {
            let poll = mio::Poll::new()?;
            let mailbox = Arc::new(Mailbox::new(&poll)?);
            Ok((poll, mailbox))
        };
        Ok(Prepared { loops: (0..loops.clamp(1, LOOPS_MAX)).map(create).collect::<io::Result<_>>()? })
    }

    pub(crate) fn wakers(&self) -> Wakers {
        Wakers { mailboxes: self.loops.iter().map(|(_, mailbox)| Arc::clone(mailbox)).collect() }
    }

    /// Serves `app` on `listener`, a listening socket.
    pub(crate) fn start(
        self,
        listener: TcpListener,
        app: &Arc<App>,
        settings: Settings,
    ) -> io::Result<Running> {
        let (pools, pool_threads) =
            Pools::start(settings.cores, app.catalog.cells().map_or((0, 0), CellCatalog::lanes))?;
        let (descriptors, held) = (descriptors_max(), app.catalog.registry().held_descriptors);
        let connections_max = held.connections(settings.connections_max, descriptors);
        if connections_max < settings.connections_max {
            log::warn!(
                "limits.connections_max is {}, but the limit of {descriptors} file descriptors allows only \
                 {connections_max} connections besides the projects; other clients wait. Raise that limit \
                 (`ulimit -n {}`, under systemd LimitNOFILE=) or lower the setting.",
                settings.connections_max,
                settings.connections_max + held.descriptors + DESCRIPTORS_RESERVED
            );
        }
        let slots = Arc::new(Slots::new(connections_max, settings.connections_per_address_max));
        let mailboxes = self.wakers().mailboxes;
        let bounds =
            acceptor::Bounds { connections_max: settings.connections_max, descriptors_max: descriptors };
        let (acceptor, handle) =
            Acceptor::new(listener, Arc::clone(app), Arc::clone(&slots), mailboxes, bounds)?;
        let mailboxes = self.wakers().mailboxes;
        let mut loop_threads = Vec::new();
        for (number, (poll, mailbox)) in self.loops.into_iter().enumerate() {
            let shared = shared::Shared {
                app: Arc::clone(app),
                mailbox,
                slots: Arc::clone(&slots),
                acceptor: handle.clone(),
                pools: pools.clone(),
                settings,
                number,
            };
            let mut event_loop = EventLoop::new(poll, shared);
            let thread = std::thread::Builder::new().name(format!("loop-{number}"));
            loop_threads.push(thread.spawn(move || event_loop.run())?);
        }
        let acceptor_thread =
            std::thread::Builder::new().name("acceptor".to_owned()).spawn(move || acceptor.run())?;
        Ok(Running { acceptor: handle, acceptor_thread, mailboxes, loop_threads, pools, pool_threads })
    }
}

impl Wakers {
    /// Wakes the loops that wait for commits, because some are resolved.
    pub(crate) fn resolved(&self) {
        self.mailboxes.iter().for_each(|mailbox| mailbox.wake_if_waiting());
    }
}

impl Running {
    /// Stops accepting connections, lets the requests that run finish (the loops watch their deadline), and returns
    /// when all threads have ended.
    pub(crate) fn stop(self) {
        self.acceptor.stop();
        // A thread that panicked has logged that; there is nothing left to wait for.
        let _ = self.acceptor_thread.join();
        self.mailboxes.iter().for_each(|mailbox| mailbox.post(mailbox::Message::Stop));
        for thread in self.loop_threads {
            let _ = thread.join();
        }
        // Work that is only queued is dropped: no client is left to wait for it.
        self.pools.stop();
        for thread in self.pool_threads {
            let _ = thread.join();
        }
    }
}

pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
}

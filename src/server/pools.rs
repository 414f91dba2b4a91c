//! The pools of threads, one for each lane of jobs.

use super::password_lane::{self, PasswordLane};
use super::pool::{self, Pool, Turn, Work};
use crate::api::reply::Lane;
use crate::limits::{ADMINISTRATION_THREADS, DISK_THREADS, LANE_QUEUE_MAX, PASSWORD_THREADS_MAX};
use std::io;

/// The pools of a server.
pub(super) struct Pools {
    disk: Pool,
    admin: Pool,
    password: PasswordLane,
}

/// Where an event loop puts work.
#[derive(Clone)]
pub(super) struct Senders {
    disk: pool::Sender,
    admin: pool::Sender,
    password: password_lane::Sender,
}

impl Pools {
    /// Starts the threads, on a machine with `cores`.
    pub(super) fn start(cores: usize) -> io::Result<Pools> {
        Ok(Pools {
            disk: Pool::start("disk", DISK_THREADS, LANE_QUEUE_MAX)?,
            admin: Pool::start("admin", ADMINISTRATION_THREADS, LANE_QUEUE_MAX)?,
            password: PasswordLane::start((cores / 2).clamp(1, PASSWORD_THREADS_MAX))?,
        })
    }

    pub(super) fn senders(&self) -> Senders {
        Senders { disk: self.disk.sender(), admin: self.admin.sender(), password: self.password.sender() }
    }

    /// Waits for what is being done. What is only queued is dropped. All senders must be gone.
    pub(super) fn stop(self) {
        self.disk.stop();
        self.admin.stop();
        self.password.stop();
    }
}

impl Senders {
    /// Has `work` done in `lane`, or refused there.
    pub(super) fn push(&self, lane: Lane, work: Work) {
        match lane {
            Lane::Loop => work(Turn::Run),
            Lane::Disk => self.disk.push(work),
            Lane::Admin => self.admin.push(work),
            Lane::Password(share) => self.password.push(share, work),
        }
    }
}

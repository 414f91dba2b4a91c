//! The pools of threads, one for each lane of jobs.

use super::password_queues::PasswordQueues;
use super::pool::{Pool, Turn, Work};
use crate::api::reply::Lane;
use crate::limits::{ADMINISTRATION_THREADS, DISK_THREADS, LANE_QUEUE_MAX, PASSWORD_THREADS_MAX};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

#[derive(Clone)]
pub(super) struct Pools {
    disk: Arc<Pool<VecDeque<Work>>>,
    admin: Arc<Pool<VecDeque<Work>>>,
    password: Arc<Pool<PasswordQueues>>,
    /// By the index of the cell.
    cells: Vec<Arc<Pool<VecDeque<Work>>>>,
}

impl Pools {
    /// Starts the threads, on a machine with `cores`, for that many cells with that many threads each.
    pub(super) fn start(
        cores: usize,
        (cells, cell_threads): (usize, usize),
    ) -> io::Result<(Pools, Vec<JoinHandle<()>>)> {
        let pools = Pools {
            disk: Pool::new(VecDeque::new()),
            admin: Pool::new(VecDeque::new()),
            password: Pool::new(PasswordQueues::new()),
            cells: (0..cells).map(|_| Pool::new(VecDeque::new())).collect(),
        };
        let mut threads = pools.disk.spawn("disk", DISK_THREADS)?;
        threads.extend(pools.admin.spawn("admin", ADMINISTRATION_THREADS)?);
        threads.extend(pools.password.spawn("password", (cores / 2).clamp(1, PASSWORD_THREADS_MAX))?);
        for (index, pool) in pools.cells.iter().enumerate() {
            threads.extend(pool.spawn(&format!("cell{index}"), cell_threads)?);
        }
        Ok((pools, threads))
    }

    /// Has `work` done in `lane`, or refused if too much is waiting there.
    pub(super) fn push(&self, lane: Lane, work: Work) {
        match lane {
            Lane::Loop => work(Turn::Run),
            Lane::Disk => self.disk.push(|queue| push_bounded(queue, work)),
            Lane::Admin => self.admin.push(|queue| push_bounded(queue, work)),
            Lane::Cell(index) => match self.cells.get(index) {
                Some(cell) => cell.push(|queue| push_bounded(queue, work)),
                None => work(Turn::Refused),
            },
            Lane::Password(share) => self.password.push(|queues| queues.push(share, work)),
        }
    }

    /// Lets all threads end after the work that they are doing.
    pub(super) fn stop(&self) {
        self.disk.stop();
        self.admin.stop();
        self.password.stop();
        self.cells.iter().for_each(|cell| cell.stop());
    }
}

/// Returns `work` if the queue is full.
fn push_bounded(queue: &mut VecDeque<Work>, work: Work) -> Option<Work> {
    if queue.len() >= LANE_QUEUE_MAX {
        return Some(work);
    }
    queue.push_back(work);
    None
}

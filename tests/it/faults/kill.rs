//! kill -9 at moments that chance decides, under 64 writers and 8 readers.

use super::crowd::{Crowd, PROJECTS, options};
use super::{Tally, cycles_or};
use crate::harness::sim_disk::Random;
use crate::harness::{Server, grouped, wait_until};
use std::thread;
use std::time::{Duration, Instant};

const WRITERS: usize = 64;
const READERS: usize = 8;

/// `PIKV_FAULT_SEED`, or the time.
fn seed() -> u64 {
    let chosen = crate::harness::environment::number("PIKV_FAULT_SEED");
    let seed = chosen.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_secs() ^ u64::from(now.subsec_nanos())
    });
    println!("PIKV_FAULT_SEED={seed}");
    seed
}

/// Whether a killed server was in the middle of a checkpoint, and whether between its two renames.
fn interrupted(server: &Server) -> (bool, bool) {
    let there = |name: String| server.data_path(&name).exists();
    let begun = |id: &&str| there(format!("{id}.json.tmp")) || there(format!("{id}.journal.tmp"));
    let half = |id: &&str| !there(format!("{id}.json.tmp")) && there(format!("{id}.journal.tmp"));
    (PROJECTS.iter().any(begun), PROJECTS.iter().any(half))
}

#[test]
fn kill_9_with_64_writers_loses_no_acknowledged_write_and_no_value_that_was_read() {
    let seed = seed();
    let mut random = Random(seed);
    let mut crowd = Crowd::new(WRITERS, READERS, seed).with_large_values();
    let mut tally = Tally::of("kill -9 under 64 writers and 8 readers");
    tally.cycles = cycles_or(4);
    let mut server = Server::start_as(options());
    let (mut in_checkpoint, mut between_renames) = (0, 0);
    let mut start_max = Duration::ZERO;
    for _ in 0..tally.cycles {
        let delay = Duration::from_millis(random.below(300));
        let port = server.port;
        crowd.perform(port, |stage| {
            wait_until("somebody was acknowledged", || stage.writes() > WRITERS);
            thread::sleep(delay); // the moment is what is tested
            server.kill();
        });
        let (begun, half) = interrupted(&server);
        in_checkpoint += usize::from(begun);
        between_renames += usize::from(half);
        let since = Instant::now();
        server.start_again();
        start_max = start_max.max(since.elapsed());
        crowd.check(&server, &mut tally);
    }
    tally.unsynced.append(&mut crowd.failed_reads);
    tally.notes = format!(
        "seed {seed}; {in_checkpoint} cycles were killed during a checkpoint, {between_renames} of them \
         between its two renames; {} reads; slowest start {} ms",
        grouped(crowd.reads),
        start_max.as_millis()
    );
    tally.finish();
}

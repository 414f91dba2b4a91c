//! Several servers started at the same moment on one directory: one serves, the others say who it is.

use super::{Tally, cycles_or};
use crate::harness::{GLOBAL_KEY, PATIENCE, Server, holds_within, known_config};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// One of those that are started together.
struct Contender {
    child: Child,
    output: TempDir,
}

impl Contender {
    fn start(directory: &Path) -> Contender {
        let output = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(output.path().join(name)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_pikv"))
            .args(["serve", "--port", "0", "--config"])
            .arg(directory.join("config.json"))
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap();
        Contender { child, output }
    }

    fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.output.path().join(name)).unwrap()
    }

    fn port(&self) -> Option<u16> {
        let said = self.said("stdout");
        let line =
            said.split_inclusive('\n').find(|line| line.contains("http://") && line.ends_with('\n'))?;
        line.trim_end().rsplit_once(':')?.1.parse().ok()
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn one_of_several_servers_started_together_serves_and_the_others_name_it() {
    let mut tally = Tally::of("2 to 4 servers started together on one directory");
    let mut server = Server::start_with(known_config());
    assert_eq!(server.put_demo("a", "1").status, 201);
    server.kill();
    tally.cycles = cycles_or(12);
    let (mut losers, mut slowest) = (0, Duration::ZERO);
    for round in 0..tally.cycles {
        let count = 2 + round % 3;
        let since = Instant::now();
        let mut contenders: Vec<_> = (0..count).map(|_| Contender::start(server.directory())).collect();
        let decided = holds_within(PATIENCE, || {
            contenders.iter_mut().filter_map(|one| one.has_ended().then_some(())).count() == count - 1
                && contenders.iter().any(|one| one.port().is_some())
        });
        assert!(decided, "one of {count} serves and the others end");
        slowest = slowest.max(since.elapsed());
        let winner = contenders.iter_mut().position(|one| !one.has_ended()).unwrap();
        let winner = contenders.remove(winner);
        for loser in &mut contenders {
            assert_eq!(loser.child.wait().unwrap().code(), Some(1), "{}", loser.said("stderr"));
            let named = format!("process id {}.", winner.child.id());
            assert!(loser.said("stderr").contains(&named), "{named} not in: {}", loser.said("stderr"));
            losers += 1;
        }
        tally.acknowledged += check_and_write(winner.port().unwrap(), round, &mut tally);
        // Killed: the lock that it leaves names a process that is none, or another, by then.
        drop(winner);
    }
    tally.notes = format!(
        "{losers} others ended with code 1 and named the winner, the slowest round took {} ms",
        slowest.as_millis()
    );
    tally.finish();
}

/// What earlier winners acknowledged is there. Acknowledges one more.
fn check_and_write(port: u16, round: usize, tally: &mut Tally) -> u64 {
    let keys = crate::harness::DEMO_KEYS;
    let mut connection = crate::harness::Connection::open(port);
    let target = format!("{keys}/round");
    if round > 0 {
        let read = connection.request("GET", &format!("{target}?raw"), Some(GLOBAL_KEY), &[], b"");
        if read.status != 200 || read.text() != (round - 1).to_string() {
            tally.lost.push(format!("round {round}: {read:?}"));
        }
    }
    let stored = connection.request("PUT", &target, Some(GLOBAL_KEY), &[], round.to_string().as_bytes());
    assert!(matches!(stored.status, 200 | 201), "{stored:?}");
    1
}

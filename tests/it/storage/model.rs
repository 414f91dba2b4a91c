//! Random work on a project beside a map that does the same, with restarts and clocks that jump.
//!
//! `SIM_SEED=42 cargo test --test it model` runs one seed, whose number a failure prints.

use crate::harness::sim_disk::{Random, SimDisk};
use crate::harness::workload::{Run, START_MS, State, open, read_all};
use pikv::testing::config::schema::SyncMode;
use pikv::testing::names::ProjectId;
use pikv::testing::persist::live::project::Project;
use pikv::testing::persist::live::worker_threads::ProjectQueues;
use pikv::testing::persist::start::recovery::ValueCache;
use std::sync::Arc;

const SEEDS: u64 = 60;
const STEPS: u64 = 250;
/// More of them have a time to live than a deletion by prefix removes the timers of at once.
const MANY: u32 = 420;

fn for_each_seed(check: impl Fn(&mut Random)) {
    let seeds = crate::harness::environment::number("SIM_SEED").map_or(0..=SEEDS - 1, |seed| seed..=seed);
    for seed in seeds {
        println!("SIM_SEED={seed}");
        check(&mut Random(seed));
    }
}

fn name(random: &mut Random) -> String {
    let folder = ["", "x/", "x/y/", "é"][random.below(4) as usize];
    format!("{folder}{}", random.below(6))
}

fn value(random: &mut Random) -> String {
    match random.below(6) {
        0 => "null".to_owned(),
        1 => "\"\\n\\u0000\\\"é\"".to_owned(),
        2 => format!("[{},-0,1e400]", random.below(1_000)),
        3 => format!("\"{}\"", "y".repeat(random.below(3_000) as usize)),
        4 => "{\"a\":1,\"a\":2}".to_owned(),
        _ => format!("{}", random.below(1_000_000)),
    }
}

fn step(run: &Arc<Run>, random: &mut Random) {
    match random.below(24) {
        0..=7 => {
            let ttl_ms = (random.below(3) == 0).then(|| 1_000 * (1 + random.below(20)));
            run.put(&name(random), &value(random), ttl_ms);
        }
        8..=10 => drop(run.delete(&name(random))),
        11 => {
            let prefixes = ["x/", "x/y/", "é", "", "nothing", "many/", "many/1"];
            run.clear(prefixes[random.below(7) as usize]);
        }
        12 => drop(run.batch(random.below(100) as u32)),
        13 => drop(run.failing_batch()),
        14 => run.step_clock(random.below(8_000) as i64 - 2_000),
        15 => run.look(),
        16 => run.checkpoint(),
        17 => drop(run.put_many(MANY, 1_000 * (1 + random.below(20)))),
        18 => run.project.free_garbage(),
        19 => {
            run.look();
            run.project.expire(run.now());
        }
        _ => {
            run.flush();
            run.check_memory();
        }
    }
}

/// Ends the process in some way after everything is written, and starts again, maybe keeping other
/// things in memory than before.
fn restarted(run: &Run, random: &mut Random) -> Arc<Run> {
    run.flush();
    let disk = match random.below(3) {
        0 => {
            run.close();
            run.disk.after_crash(random.below(5))
        }
        1 => run.disk.after_kill(),
        _ => {
            run.project.sync_written();
            run.disk.after_crash(random.below(5))
        }
    };
    let now_ms = (run.now() + random.below(4_000)).saturating_sub(1_500);
    let cache = [ValueCache::Memory, ValueCache::Disk][random.below(2) as usize];
    let sync = [SyncMode::Always, SyncMode::Interval][random.below(2) as usize];
    let state: State = run.history.lock().unwrap().last().clone();
    let (project, notices) = open(Arc::new(disk.clone()), cache, sync, now_ms).unwrap();
    assert!(notices.is_empty(), "{notices:?}");
    let run = Run::continued(project, &disk, (cache, sync), now_ms, state);
    run.look();
    run.flush();
    run.check_memory();
    run
}

#[test]
fn a_project_on_disk_behaves_like_a_map_across_restarts() {
    for_each_seed(|random| {
        let disk = SimDisk::default();
        let cache = [ValueCache::Memory, ValueCache::Disk][random.below(2) as usize];
        let mut run = Run::begin(&disk, cache, SyncMode::Always).unwrap();
        for _ in 0..STEPS {
            if random.below(25) == 0 {
                run = restarted(&run, random);
            } else {
                step(&run, random);
            }
        }
        run.flush();
        run.check_memory();
    });
}

#[test]
fn a_project_in_memory_behaves_like_a_map() {
    for_each_seed(|random| {
        let id = ProjectId::parse("p").unwrap();
        let project = Arc::new(Project::in_memory(id, ProjectQueues::new(Box::new(|| ())), START_MS));
        let kind = (ValueCache::Memory, SyncMode::Always);
        let run = Run::continued(project, &SimDisk::default(), kind, START_MS, State::default());
        for _ in 0..STEPS {
            step(&run, random);
            run.check_memory();
        }
        assert!(run.disk.names().is_empty(), "nothing is written");
        assert_eq!(read_all(&run.project, run.now()), run.history.lock().unwrap().last().live(run.now()));
    });
}

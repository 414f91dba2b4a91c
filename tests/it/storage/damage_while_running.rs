//! A journal that is damaged while the server runs: nothing unchecked is copied into another file, and what
//! memory has is not lost.

use crate::harness::sim_disk::SimDisk;
use crate::harness::workload::{Keys, Run, START_MS, key, open, paths, read_all};
use pikv::testing::config::schema::SyncMode;
use pikv::testing::persist::live::project::Health;
use pikv::testing::persist::start::recovery::ValueCache;
use pikv::testing::store::change::Value;
use pikv::testing::store::commit::CommitState;
use std::io;
use std::sync::Arc;

/// A checkpoint during which a key is written and its line damaged, `times` times. Returns what a reader finds
/// then, if the checkpoint was written.
fn checkpoint_beside_damage(disk: &SimDisk, run: &Arc<Run>, times: u32) -> Option<Keys> {
    run.put("before", "1", None);
    assert_eq!(run.flush(), CommitState::Committed);
    let (between, damaged_disk) = (Arc::clone(run), disk.clone());
    let mut count = 0;
    disk.set_between(Some(Box::new(move || {
        // The second operation of each checkpoint: its seal is set by then.
        if damaged_disk.operation(damaged_disk.operations() - 1) == "create /data/p.json.tmp" && count < times
        {
            count += 1;
            between.put("beside", &format!("{count}"), None);
            between.project.flush(between.instant);
            let at = damaged_disk.content(&paths().journal).len() - 5;
            damaged_disk.flip(&paths().journal, at);
        }
    })));
    let written = run.project.checkpoint(START_MS, run.instant);
    disk.set_between(None);
    written.ok().map(|()| read_all(&run.project, START_MS))
}

#[test]
fn a_damaged_line_is_skipped_by_a_checkpoint_that_begins_after_it() {
    let disk = SimDisk::default();
    let run = Run::begin(&disk, ValueCache::Memory, SyncMode::Always).unwrap();
    let keys = checkpoint_beside_damage(&disk, &run, 1).unwrap();
    assert_eq!(keys["beside"].0, "1");
    assert_eq!(run.project.health(), Health::Healthy);
    let (project, notices) =
        open(Arc::new(disk.after_crash(0)), ValueCache::Memory, SyncMode::Always, START_MS).unwrap();
    assert_eq!((read_all(&project, START_MS), notices), (keys, Vec::new()));
}

#[test]
fn a_journal_that_is_damaged_again_stops_the_project_and_is_left_unchanged() {
    for cache in [ValueCache::Memory, ValueCache::Disk] {
        let disk = SimDisk::default();
        let run = Run::begin(&disk, cache, SyncMode::Always).unwrap();
        let json = disk.content(&paths().json);
        assert_eq!(checkpoint_beside_damage(&disk, &run, 2), None);
        let Health::Failed { reason } = run.project.health() else { panic!("it takes writes") };
        assert!(reason.contains("p.journal") && reason.contains("the line at byte"), "{reason}");
        assert!(!run.put("refused", "1", None));
        run.close();
        assert_eq!(disk.content(&paths().json), json, "nothing unchecked was copied");
    }
}

/// What reading the value of `name` gives.
fn read_one(run: &Run, name: &str) -> io::Result<Vec<u8>> {
    let located = run.project.read(START_MS, |view| {
        let Some(Value::Stored(location)) = view.get(key(name)).map(|entry| entry.value()) else {
            panic!("{name} lies in a file")
        };
        (view.locate(location).unwrap(), view.revision())
    });
    let mut text = Vec::new();
    located.unwrap().answer.read_into(&mut text).map(|()| text)
}

#[test]
fn a_value_whose_file_was_cut_or_changed_is_an_error_and_never_copied() {
    let flips = [paths().journal, paths().json].map(Some);
    for flipped in [None].into_iter().chain(flips) {
        for continues in [true, false] {
            let disk = SimDisk::default();
            let run = Run::begin(&disk, ValueCache::Disk, SyncMode::Always).unwrap();
            run.put("old", "\"in the .json\"", None);
            run.project.checkpoint(START_MS, run.instant).unwrap();
            let json = disk.content(&paths().json);
            run.put("a", "\"in the journal\"", None);
            assert_eq!(run.flush(), CommitState::Committed);
            assert_eq!(read_one(&run, "a").unwrap(), b"\"in the journal\"");
            let bad = match &flipped {
                None => {
                    disk.cut(&paths().journal, 1_100);
                    "a"
                }
                Some(path) => {
                    let content = disk.content(path);
                    let at = content.windows(6).rposition(|window| window == b"in the").unwrap();
                    disk.flip(path, at);
                    if *path == paths().json { "old" } else { "a" }
                }
            };
            if continues {
                // After a cut this leaves a hole of zeros.
                run.put("b", "1", None);
                run.project.flush(run.instant);
            }
            let error = read_one(&run, bad).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{flipped:?}");
            run.close();
            let found = disk.content(&paths().json);
            assert!(found == json || flipped == Some(paths().json), "{}", String::from_utf8_lossy(&found));
            assert!(!String::from_utf8_lossy(&found).contains('\0'));
        }
    }
}

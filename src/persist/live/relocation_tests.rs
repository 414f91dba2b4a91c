use super::*;
use crate::clock;
use crate::config::schema::SyncMode;
use crate::disk::RealDisk;
use crate::names::ProjectId;
use crate::persist::files::generation::Paths;
use crate::persist::live::flush::Taker;
use crate::persist::live::project::OpenOptions;
use crate::persist::live::transaction::Transaction;
use crate::persist::live::worker_threads::ProjectQueues;
use crate::persist::start::recovery::ValueCache;
use std::io::ErrorKind;
use std::time::Duration;

const NOW: u64 = 1_764_000_000_000;

fn key(name: &str) -> Key<'_> {
    Key::parse(name).unwrap()
}

/// A project that keeps only an index, whose changes stay pending because no writer runs.
fn open(directory: &tempfile::TempDir) -> Arc<Project> {
    let id = ProjectId::parse("p").unwrap();
    let paths = Paths::new(directory.path(), &id);
    let opening =
        OpenOptions { id, cache: ValueCache::Disk, sync: SyncMode::Always, sync_interval: Duration::ZERO };
    let opened = Project::open(Arc::new(RealDisk), paths, opening, ProjectQueues::new(Box::new(|| ())), NOW);
    Arc::new(opened.unwrap().project)
}

fn change(project: &Arc<Project>, change: impl FnOnce(&mut Transaction<'_>)) {
    let done = |transaction: &mut Transaction<'_>| {
        change(transaction);
        Ok::<_, ()>(())
    };
    project.write(NOW, done).unwrap().answer.unwrap();
}

fn put(transaction: &mut Transaction<'_>, name: &str, text: &[u8]) {
    transaction.put(key(name), text, None);
}

/// The text of a value, and whether it is in memory.
fn value(project: &Arc<Project>, name: &str) -> (String, bool) {
    let state = project.lock().unwrap();
    let entry = state.key_map.get(key(name), NOW).unwrap();
    let (text, is_in_memory) = match entry.value() {
        Value::Text(text) => (text.to_vec(), true),
        Value::Stored(location) => {
            let mut text = Vec::new();
            state.open_files.locate(location).unwrap().read_into(&mut text).unwrap();
            (text, false)
        }
    };
    (String::from_utf8(text).unwrap(), is_in_memory)
}

/// Writes what is pending, with `meanwhile` between its write and its acknowledgement.
fn write(project: &Arc<Project>, meanwhile: impl FnOnce()) {
    let files = project.files.as_ref().unwrap();
    let mut journal = files.journal.lock().unwrap();
    let mut lines = project.lock().unwrap().take_pending(Taker::Other).unwrap();
    journal.append(&mut lines, SyncMode::Always, || Ok(())).unwrap_or_else(|_| panic!("not written"));
    meanwhile();
    let values = project.acknowledge(Vec::new(), SyncMode::Always);
    project.locate_written(&journal, &lines, values);
}

fn roll_back(project: &Arc<Project>) {
    let files = project.files.as_ref().unwrap();
    let failure = ErrorKind::StorageFull.into();
    project.rollback(&files.paths, &mut files.journal.lock().unwrap(), &failure);
}

#[test]
fn value_is_in_memory_until_its_batch_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let project = open(&directory);
    for text in ["1", "{\"a\":[2]}"] {
        change(&project, |transaction| put(transaction, "a", text.as_bytes()));
        assert_eq!(value(&project, "a"), (text.to_owned(), true));
        project.flush(clock::monotonic());
        assert_eq!(value(&project, "a"), (text.to_owned(), false));
    }
}

#[test]
fn a_transaction_that_fails_leaves_no_value_to_locate() {
    let directory = tempfile::tempdir().unwrap();
    let project = open(&directory);
    let pending = || project.lock().unwrap().pending.values.len();
    for before in [0, 1] {
        let fail = |transaction: &mut Transaction<'_>| {
            put(transaction, "a", b"\"failed\"");
            Err::<(), ()>(())
        };
        project.write(NOW, fail).unwrap().answer.unwrap_err();
        assert_eq!(pending(), before);
        change(&project, |transaction| put(transaction, "b", b"2"));
    }
    project.flush(clock::monotonic());
    assert_eq!((value(&project, "b"), pending()), (("2".to_owned(), false), 0));
}

#[test]
fn each_value_of_a_batch_of_several_slices_is_found_in_the_journal_and_after_checkpoints() {
    let directory = tempfile::tempdir().unwrap();
    let project = open(&directory);
    let names: Vec<String> =
        (0..3 * ENTRIES_PER_LOCK_MAX + 7).map(|number| format!("k{number:04}")).collect();
    let check = || {
        for name in &names {
            assert_eq!(value(&project, name), (format!("\"{name}\""), false));
        }
    };
    // One line with most of them, then a line each.
    let (together, alone) = names.split_at(2 * ENTRIES_PER_LOCK_MAX + 3);
    let put = |transaction: &mut Transaction<'_>, name: &String| {
        put(transaction, name, format!("\"{name}\"").as_bytes());
    };
    change(&project, |transaction| together.iter().for_each(|name| put(transaction, name)));
    alone.iter().for_each(|name| change(&project, |transaction| put(transaction, name)));
    project.flush(clock::monotonic());
    check();
    for _ in 0..2 {
        project.checkpoint(NOW, clock::monotonic()).unwrap();
        check();
        change(&project, |transaction| put(transaction, &names[0]));
        project.flush(clock::monotonic());
        check();
    }
}

/// The batch with the first value is being written when a pending change replaces that value.
#[test]
fn rollback_restores_a_written_value_with_its_location() {
    type Replace = fn(&mut Transaction<'_>);
    let replace: [(&str, Replace); 3] = [
        ("put", |transaction| put(transaction, "a", b"2")),
        ("delete", |transaction| assert!(transaction.delete(key("a")).is_some())),
        ("clear", |transaction| assert_eq!(transaction.clear(""), Some(1))),
    ];
    for (name, replace) in replace {
        for has_checkpoint in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let project = open(&directory);
            change(&project, |transaction| {
                put(transaction, "a", b"0");
                put(transaction, "a", b"1");
            });
            write(&project, || change(&project, replace));
            assert_eq!(project.lock().unwrap().replaced.len(), 1, "{name}");
            roll_back(&project);
            assert_eq!(value(&project, "a"), ("1".to_owned(), false), "{name}");
            if has_checkpoint {
                project.checkpoint(NOW, clock::monotonic()).unwrap();
                assert_eq!(value(&project, "a"), ("1".to_owned(), false), "{name}");
            }
        }
    }
}

#[test]
fn locations_of_replaced_values_are_kept_until_the_next_batch_is_written_and_no_longer() {
    let directory = tempfile::tempdir().unwrap();
    let project = open(&directory);
    let put = |text: &'static [u8]| change(&project, |transaction| put(transaction, "a", text));
    put(b"1");
    write(&project, || put(b"2"));
    assert_eq!(project.lock().unwrap().replaced.len(), 1);
    write(&project, || ());
    assert_eq!(project.lock().unwrap().replaced.len(), 0);
    assert_eq!(value(&project, "a"), ("2".to_owned(), false));
    put(b"3");
    roll_back(&project);
    assert_eq!(
        value(&project, "a"),
        ("2".to_owned(), false),
        "what was not replaced meanwhile has its location"
    );
}

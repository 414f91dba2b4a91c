use super::*;
use crate::clock;
use crate::config::schema::SyncMode;
use crate::disk::{Disk, RealDisk};
use crate::names::{Key, ProjectId};
use crate::persist::files::generation::Paths;
use crate::persist::live::project::OpenOptions;
use crate::persist::live::worker_threads::ProjectQueues;
use std::path::Path;

const NOW: u64 = 1_764_000_000_000;

fn put(project: &Arc<Project>, name: &str) {
    let put = project.write(NOW, |t| Ok::<_, ()>(t.put(Key::parse(name).unwrap(), b"1", None)));
    put.unwrap().answer.unwrap();
}

fn open(directory: &Path) -> Arc<Project> {
    let id = ProjectId::parse("p").unwrap();
    let paths = Paths::new(directory, &id);
    let opening =
        OpenOptions { id, cache: ValueCache::Memory, sync: SyncMode::Always, sync_interval: Duration::ZERO };
    let opened = Project::open(Arc::new(RealDisk), paths, opening, ProjectQueues::new(Box::new(|| ())), NOW);
    Arc::new(opened.unwrap().project)
}

#[test]
fn checkpoint_that_a_deletion_ended_has_no_log_text() {
    for is_deleted in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let project = open(directory.path());
        put(&project, "a");
        if is_deleted {
            project.close_for_deletion();
            RealDisk.remove(&directory.path().join("p.json")).unwrap();
        } else {
            project.lock().unwrap().fail("its disk failed".to_owned());
        }
        let error = project.checkpoint(NOW, clock::monotonic()).unwrap_err();
        assert_eq!(project.unwritten_text("checkpoint", &error, "").is_none(), is_deleted);
    }
}

#[test]
fn rollback_after_its_start_ends_a_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let project = open(directory.path());
    let files = project.files.as_ref().unwrap();
    let start = project.begin_checkpoint(files).unwrap();
    put(&project, "refused");
    let failure = io::ErrorKind::StorageFull.into();
    project.rollback(&files.paths, &mut files.journal.lock().unwrap(), &failure);
    put(&project, "longer than the key that was refused");
    project.flush(clock::monotonic());
    let lineage = files.journal.lock().unwrap().header.successor();
    let writer = GenerationWriter::create(files.disk.as_ref(), &files.paths, lineage).unwrap();
    let mut written = writer.finish(start.at.0, start.at.1).unwrap();
    let copied = project.copy_tail_unlocked(files, &start, &mut written);
    assert!(matches!(copied, Err(CheckpointError::RolledBack)), "{copied:?}");
    let swapped = project.switch_files(files, &start, &mut written, start.offset, clock::monotonic());
    assert!(matches!(swapped, Err(CheckpointError::RolledBack)));
}

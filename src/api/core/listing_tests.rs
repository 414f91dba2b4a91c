use super::*;
use crate::config::schema::SyncMode;
use crate::disk::RealDisk;
use crate::names::{Key, ProjectId};
use crate::persist::files::generation::Paths;
use crate::persist::live::engine::Engine;
use crate::persist::live::project::Opening;
use crate::persist::start::recovery::ValueCache;
use std::time::Duration;

/// A project of which all keys but a few have expired long ago and were not swept.
fn project(keys: usize, live: &[&str]) -> Arc<Project> {
    let id = ProjectId::parse("p").unwrap();
    let project = Arc::new(Project::in_memory(id, Engine::new(Box::new(|| ())), 1));
    let put = |name: &str, ttl_ms: Option<u64>| {
        let key = Key::parse(name).unwrap();
        project.write(1, |transaction| Ok::<_, ()>(transaction.put(key, b"1", ttl_ms))).unwrap();
    };
    (0..keys).for_each(|number| put(&format!("k{number:05}"), Some(1_000)));
    live.iter().for_each(|name| put(name, None));
    project
}

/// The body of a listing of names, and in how many pieces it came.
fn listed(project: &Arc<Project>, limit: Option<usize>, after: Option<&str>) -> (String, usize) {
    listed_as(project, Show::Names, limit, after)
}

fn listed_as(
    project: &Arc<Project>,
    show: Show,
    limit: Option<usize>,
    after: Option<&str>,
) -> (String, usize) {
    let position = Position { after: after.map(str::to_owned), left: limit, count: 0, opened: false };
    let mut listing = Listing {
        project: Arc::clone(project),
        prefix: String::new(),
        show,
        before: position.clone(),
        position,
    };
    let mut body = Vec::new();
    for pieces in 1.. {
        let mut out = Vec::new();
        let piece = listing.piece(Pull::Next, &mut out);
        body.extend(out);
        match piece {
            Piece::More(_) => {}
            Piece::Last(_) => return (String::from_utf8(body).unwrap(), pieces),
            Piece::Broken(_) => panic!("after {pieces} pieces"),
        }
    }
    unreachable!("the loop has no end")
}

#[test]
fn expired_keys_count_as_looked_at_under_a_hold_of_the_lock() {
    let project = project(10 * ENTRIES_PER_LOCK_MAX, &["a", "z"]);
    let (body, pieces) = listed(&project, None, None);
    assert_eq!(body, "{\"project\":\"p\",\"keys\":[\"a\",\"z\"],\"count\":2,\"cursor\":null}\n");
    assert_eq!(pieces, 11);
}

#[test]
fn a_page_ends_where_there_is_a_key_behind_it_and_not_before() {
    let project = project(3 * ENTRIES_PER_LOCK_MAX, &["a", "z"]);
    let (body, pieces) = listed(&project, Some(1), None);
    let cursor = body.split('"').rev().nth(1).unwrap();
    assert!(body.starts_with("{\"project\":\"p\",\"keys\":[\"a\"],\"count\":1,\"cursor\":\""), "{body}");
    let after = Cursor::decode(cursor).unwrap().after;
    assert!(pieces > 3, "all that has expired was passed to find out: {pieces}");
    let (body, pieces) = listed(&project, Some(1), Some(&after));
    assert_eq!(body, "{\"project\":\"p\",\"keys\":[\"z\"],\"count\":1,\"cursor\":null}\n");
    assert_eq!(pieces, 1, "none of it is passed again");
    let (body, _) = listed(&project, Some(2), None);
    assert!(body.ends_with("\"count\":2,\"cursor\":null}\n"), "{body}");
}

/// A change that waits for its sync is in memory. Others lie in the journal.
#[test]
fn values_come_in_key_order_whether_they_are_written_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let id = ProjectId::parse("p").unwrap();
    let paths = Paths::new(directory.path(), &id);
    let opening =
        Opening { id, cache: ValueCache::Disk, sync: SyncMode::Always, sync_interval: Duration::ZERO };
    let engine = Engine::new(Box::new(|| ()));
    let project = Project::open(Arc::new(RealDisk), paths, opening, engine, 1).unwrap().project;
    let put = |name: &str, value: &[u8]| {
        let key = Key::parse(name).unwrap();
        project.write(1, |transaction| Ok::<_, ()>(transaction.put(key, value, None))).unwrap();
    };
    ["b", "d", "e"].iter().for_each(|name| put(name, b"[1]"));
    project.flush(clock::monotonic());
    ["a", "c", "e", "f"].iter().for_each(|name| put(name, b"2"));
    let expected = "{\"project\":\"p\",\"keys\":{\"a\":2,\"b\":[1],\"c\":2,\"d\":[1],\"e\":2,\"f\":2},\"count\":6,\"cursor\":null}\n";
    assert_eq!(listed_as(&project, Show::Values, None, None), (expected.to_owned(), 1));
}

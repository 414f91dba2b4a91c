use super::*;
use crate::names::ProjectId;
use crate::persist::live::engine::Engine;

#[test]
fn a_page_passes_no_more_expired_keys_than_a_hold_of_the_lock_may() {
    let id = ProjectId::parse("p").unwrap();
    let project = Arc::new(Project::in_memory(id, Engine::new(Box::new(|| ())), 1));
    let put = |name: &str, ttl_ms: Option<u64>| {
        let key = Key::parse(name).unwrap();
        project.write(1, |transaction| Ok::<_, ()>(transaction.put(key, b"1", ttl_ms))).unwrap();
    };
    (0..3 * ENTRIES_PER_LOCK_MAX).for_each(|number| put(&format!("k{number:05}"), Some(1_000)));
    ["a", "b", "y", "z"].iter().for_each(|name| put(name, None));
    let keyspace = Keyspace::of_project(&project);
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = keyspace.list(2_000, after.as_deref(), 1).unwrap().answer;
        pages.push(page.keys);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    // The third page is short: too many have expired where it begins.
    assert_eq!(pages, [vec!["a"], vec!["b"], vec![], vec!["y"], vec!["z"]]);
}

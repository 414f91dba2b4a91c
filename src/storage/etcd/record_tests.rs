use super::*;
use crate::config::schema::{AuthenticationChoice, StorageChoice, SyncMode};
use crate::secret::KeyHash;

fn project() -> ProjectConfig {
    let storage = StorageChoice { sync: Some(SyncMode::Interval), ..StorageChoice::default() };
    let authentication = AuthenticationChoice { enabled: Some(false), ..AuthenticationChoice::default() };
    let mut project = ProjectConfig::new(ProjectId::parse("a").unwrap(), storage, authentication);
    project.key.hash = Some(KeyHash::of(b"canary"));
    project
}

#[test]
fn a_record_is_read_back_as_it_was_written() {
    for project in [None, Some(project())] {
        let record = Record { base: 7, is_sealed: true, project };
        assert_eq!(Record::decode(&record.encode().0), Ok(record));
    }
    let internal = Record { base: 7, is_sealed: false, project: None };
    assert_eq!(internal.encode(), Bytes::from(&b"{\"base\":7}"[..]));
}

#[test]
fn the_text_of_a_key_is_never_written() {
    let mut with_text = project();
    with_text.key.text = Some(Secret::new("canary_of_sixteen".to_owned()));
    let text =
        String::from_utf8(Record { base: 1, is_sealed: false, project: Some(with_text) }.encode().0).unwrap();
    assert!(!text.contains("canary_of"), "{text}");
    assert!(text.contains(&KeyHash::of(b"canary").encode()), "{text}");
}

#[test]
fn revisions_of_a_copy_are_later_than_those_of_the_original() {
    let us = 1_800_000_000_000_000;
    for (now_ms, latest) in [(us / 1_000, us - 5), (us / 1_000, us + 5), (0, us), (us / 1_000, 0)] {
        for cell_revision in [1, 1_000_000] {
            let base = base_after(now_ms, cell_revision, latest);
            let first = base + cell_revision.unsigned_abs() + 1;
            assert!(first > latest && first > now_ms * 1_000, "{now_ms} {latest} {cell_revision}");
        }
    }
}

#[test]
fn a_record_of_a_later_version_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", "EOF"),
        ("{}", "missing field `base`"),
        ("{\"base\":-1}", "invalid value"),
        ("{\"base\":1,\"quota\":2}", "unknown field `quota`"),
        ("{\"base\":1,\"project\":{}}", "`id` is missing"),
        ("{\"base\":1,\"project\":{\"id\":\"a\",\"quota\":2}}", "quota"),
        ("{\"base\":1,\"project\":{\"id\":\"_a\"}}", "begins with"),
        ("{\"base\":1,\"project\":[]}", "is an array"),
    ] {
        let refused = Record::decode(text.as_bytes()).unwrap_err();
        assert!(refused.contains(reason), "{text}: {refused}");
    }
}

#[test]
fn later_bases_give_later_revisions() {
    let us = 1_800_000_000_000_000;
    let first = choose_base(us / 1_000, 100, None);
    assert_eq!(first, us - 100);
    // A million revisions a second later: the latest revision so far is not above the time.
    let second = choose_base(us / 1_000 + 1_000, 1_000_100, Some(first));
    assert!(second + 1_000_101 > first + 1_000_100, "{first} {second}");
    // The clock was set back by an hour, or is not set at all.
    for now_ms in [us / 1_000 - 3_600_000, 0] {
        assert_eq!(choose_base(now_ms, 200, Some(first)), first + 201);
    }
    // A restore of a snapshot has the cell count from an earlier revision again.
    let restored = choose_base(us / 1_000 + 10, 40, Some(first));
    assert_eq!(restored, us + 10_000 - 40);
    assert_eq!(choose_base(0, 5, None), 0);
    let far = choose_base(u64::MAX, 0, None);
    assert!(Revision::new(far + (1 << 40)).is_some(), "a wrong clock leaves revisions");
}

use super::*;
use crate::config::schema::{AuthenticationChoice, ProjectConfig, StorageChoice};

fn placement(state: PlacementState, record: Option<Record>) -> Placement {
    Placement { cell: "home".to_owned(), state, other: None, fence: 7, record }
}

#[test]
fn a_placement_is_read_back_as_it_was_written() {
    let id = ProjectId::parse("a").unwrap();
    let project = ProjectConfig::new(id, StorageChoice::default(), AuthenticationChoice::default());
    let record = Record { base: 1, is_sealed: false, project: Some(project) };
    for state in
        [PlacementState::Live, PlacementState::Creating, PlacementState::Deleting, PlacementState::Moving]
    {
        for record in [None, Some(record.clone())] {
            let placement = placement(state, record);
            assert_eq!(Placement::decode(&placement.encode().0), Ok(placement));
        }
    }
    let text = placement(PlacementState::Creating, None).encode();
    assert_eq!(text, Bytes::from(&b"{\"cell\":\"home\",\"state\":\"creating\",\"fence\":7}"[..]));
}

#[test]
fn a_placement_of_a_later_version_is_refused_with_the_reason() {
    let known = "\"cell\":\"home\",\"state\":\"live\",\"fence\":7";
    for (text, reason) in [
        ("null".to_owned(), "invalid type"),
        ("{\"cell\":\"home\"}".to_owned(), "missing field"),
        (format!("{{{known},\"region\":1}}"), "unknown field `region`"),
        (format!("{{{known},\"record\":{{\"base\":1,\"quota\":1}}}}"), "unknown field `quota`"),
        (format!("{{{known},\"record\":{{\"base\":1,\"project\":{{\"id\":\"a\",\"x\":1}}}}}}"), "`x`"),
        ("{\"cell\":\"home\",\"state\":\"paused\",\"fence\":7}".to_owned(), "unknown variant `paused`"),
    ] {
        let refused = Placement::decode(text.as_bytes()).unwrap_err();
        assert!(refused.contains(reason), "{text}: {refused}");
    }
}

//! Members whose answers do not arrive, or are not etcd's: a write is sent once, and its outcome is unknown.

use super::writers::answer_max;
use crate::harness::etcd::EtcdCluster;
use crate::harness::etcd::impostor::{Conduct, Impostor};
use crate::harness::instances::{Effect, options_on};
use crate::harness::{Server, wait_until};
use std::time::Instant;

const CONDUCTS: [Conduct; 8] = [
    Conduct::Html(200),
    Conduct::Html(404),
    Conduct::Html(502),
    Conduct::HtmlAfterwards,
    Conduct::HalfOfTheJson,
    Conduct::HalfOfTheAnswer,
    Conduct::NoAnswer,
    Conduct::Silence,
];

#[test]
fn a_write_whose_answer_is_not_etcds_is_sent_once_and_answered_503_with_an_unknown_outcome() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let impostor = Impostor::before(&cluster.authorities()[0]);
    let server = Server::start_as(options_on(&[("home", vec![impostor.authority.clone()])]));
    server.create_project("p");
    for (number, conduct) in CONDUCTS.into_iter().enumerate() {
        let key = format!("k{number}");
        impostor.behave(conduct);
        // A read is of no use either, and changes nothing.
        let began = Instant::now();
        let read = server.get_key("p", "a");
        assert_eq!(read.status, 503, "{conduct:?}: {read:?}");
        assert!(began.elapsed() < answer_max(), "{conduct:?}: {:?}", began.elapsed());
        impostor.behave(Conduct::Honest);
        wait_until("reads are answered", || server.get_key("p", "a").status == 404);
        // The member is asked for the current entry before the write, so only the write must fail.
        impostor.behave_at_writes(conduct);
        let began = Instant::now();
        let written = server.put_key("p", &key, "1");
        assert_eq!(written.effect(), Effect::Unknown, "{conduct:?}: {written:?}");
        assert!(began.elapsed() < answer_max(), "{conduct:?}: {:?}", began.elapsed());
        assert_eq!(impostor.writes_of(&format!("v/p/{key}")), 1, "{conduct:?}");
        impostor.behave(Conduct::Honest);
        let applied = if matches!(conduct, Conduct::Html(_)) { 404 } else { 200 };
        wait_until("reads are answered", || server.get_key("p", &key).status == applied);
        assert_eq!(impostor.writes_of(&format!("v/p/{key}")), 0, "{conduct:?}: it was sent again");
    }
}

#[test]
fn a_member_that_answers_nonsense_is_avoided_if_another_one_answers() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let member = cluster.authorities().remove(0);
    let impostor = Impostor::before(&member);
    let server = Server::start_as(options_on(&[("home", vec![impostor.authority.clone(), member])]));
    server.create_project("p");
    server.put_key("p", "a", "1").expect(201);
    for conduct in CONDUCTS {
        impostor.behave(conduct);
        for _ in 0..5 {
            let found = server.get_key("p", "a");
            assert_eq!(found.status, 200, "{conduct:?}: {found:?}");
        }
        impostor.behave(Conduct::Honest);
    }
}

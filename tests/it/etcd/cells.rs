//! The client of a cell, beside real members of etcd that are killed, hang or refuse, and beside servers that are none.

use crate::harness::etcd::EtcdCluster;
use crate::harness::wait_until;
use pikv::testing::limits::CELL_REQUEST_MS;
use pikv::testing::secret::Secret;
use pikv::testing::storage::etcd::cell::{Cell, CellError, User};
use pikv::testing::storage::etcd::gateway::{
    Bytes, Compare, KeyValue, Operation, OperationResponse, Range, Refused, Transaction,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn bytes(text: &str) -> Bytes {
    Bytes::from(text.as_bytes())
}

fn put(key: &str, value: &str) -> Transaction {
    let success = vec![Operation::Put { key: bytes(key), value: bytes(value) }];
    Transaction { success, ..Transaction::default() }
}

fn values(cell: &Cell, prefix: &str) -> BTreeMap<String, String> {
    let text = |bytes: Bytes| String::from_utf8(bytes.0).unwrap();
    let found = cell.range(&Range::prefix(bytes(prefix))).unwrap();
    found.kvs.into_iter().map(|KeyValue { key, value, .. }| (text(key), text(value))).collect()
}

#[test]
fn transactions_apply_one_branch_as_a_whole() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = cluster.cell();
    let create = Transaction {
        compare: vec![Compare::unchanged(bytes("a"), 0)],
        failure: vec![Operation::Range(Range::key(bytes("a")))],
        ..put("a", "1")
    };
    let created = cell.commit(&create).unwrap();
    assert!(created.succeeded);
    let again = cell.commit(&create).unwrap();
    assert!(!again.succeeded);
    let [OperationResponse::Range(found)] = &again.responses[..] else { panic!("{again:?}") };
    assert_eq!((found.count, &found.kvs[0].value), (1, &bytes("1")));
    assert_eq!(found.kvs[0].mod_revision, created.header.revision);
    assert_eq!(values(&cell, "a"), BTreeMap::from([("a".to_owned(), "1".to_owned())]));
}

#[test]
fn no_acknowledged_write_is_lost_with_the_leader() {
    let Some(mut cluster) = EtcdCluster::start(3, &[]) else { return };
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (cell, is_over) = (cluster.cell(), Arc::clone(&is_over));
            std::thread::spawn(move || {
                let (mut acknowledged, mut slowest) = (BTreeMap::new(), Duration::ZERO);
                for number in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let (key, value) = (format!("w{writer}-{number}"), number.to_string());
                    let began = Instant::now();
                    let done = cell.commit(&put(&key, &value));
                    slowest = slowest.max(began.elapsed());
                    match done {
                        Ok(_) => drop(acknowledged.insert(key, value)),
                        Err(CellError::Unreachable { .. } | CellError::Unconfirmed { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                (acknowledged, slowest)
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let killed = cluster.kill_leader();
    let next = cluster.leader();
    assert_ne!(killed, next);
    std::thread::sleep(Duration::from_millis(500));
    cluster.start_member(killed);
    cluster.signal(next, "STOP");
    std::thread::sleep(Duration::from_millis(2_500));
    cluster.signal(next, "CONT");
    std::thread::sleep(Duration::from_millis(500));
    is_over.store(true, Ordering::Relaxed);
    let ledgers: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    let found = values(&cluster.cell(), "w");
    for (acknowledged, slowest) in ledgers {
        assert!(acknowledged.len() > 10, "{}", acknowledged.len());
        for (key, value) in acknowledged {
            assert_eq!(found.get(&key), Some(&value), "{key} of {}", found.len());
        }
        assert!(slowest < Duration::from_millis(CELL_REQUEST_MS + 500), "{slowest:?}");
    }
}

#[test]
fn a_cell_without_a_majority_changes_nothing_and_answers_in_time() {
    let Some(mut cluster) = EtcdCluster::start(3, &[]) else { return };
    let cell = cluster.cell();
    cell.commit(&put("a", "1")).unwrap();
    (1..3).for_each(|index| cluster.kill(index));
    let began = Instant::now();
    let refused = cell.commit(&put("a", "2")).unwrap_err();
    assert!(matches!(refused, CellError::Unconfirmed { .. }), "{refused:?}");
    let read = cell.range(&Range::key(bytes("a"))).unwrap_err();
    assert!(matches!(read, CellError::Unreachable { .. }), "{read:?}");
    assert!(began.elapsed() < 2 * Duration::from_millis(CELL_REQUEST_MS + 500), "{:?}", began.elapsed());
    cluster.kill(0);
    let refused = cell.commit(&put("a", "3")).unwrap_err();
    assert!(matches!(refused, CellError::Unreachable { .. }), "{refused:?}");
    (0..3).for_each(|index| cluster.start_member(index));
    cluster.leader();
    cell.commit(&put("b", "4")).unwrap();
    assert_ne!(values(&cell, "a")["a"], "3", "it was never sent");
}

#[test]
fn a_cell_that_was_down_for_long_is_read_once_it_is_back() {
    let Some(mut cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = cluster.cell();
    cell.commit(&put("a", "1")).unwrap();
    cluster.kill(0);
    // Until the member gets its requests as rarely as possible.
    (0..2).for_each(|_| drop(cell.range(&Range::key(bytes("a"))).unwrap_err()));
    cluster.start_member(0);
    wait_until("the cell is read", || cell.range(&Range::key(bytes("a"))).is_ok());
}

#[test]
fn limits_of_the_members_are_named() {
    let flags = ["--max-txn-ops", "2", "--max-request-bytes", "2000", "--quota-backend-bytes", "200000"];
    let Some(cluster) = EtcdCluster::start(1, &flags) else { return };
    let cell = cluster.cell();
    let many = Transaction {
        success: (0..3).map(|n| Operation::delete(bytes(&n.to_string()))).collect(),
        ..Transaction::default()
    };
    assert_eq!(cell.commit(&many), Err(CellError::Refused(Refused::TooManyOperations)));
    let large = cell.commit(&put("a", &"x".repeat(3_000)));
    assert_eq!(large, Err(CellError::Refused(Refused::TooLarge)));
    let text = "x".repeat(1_000);
    let create = |n: usize| {
        let key = n.to_string();
        let compare = vec![Compare::unchanged(bytes(&key), 0)];
        cell.commit(&Transaction { compare, ..put(&key, &text) }).err()
    };
    let is_full = |error: &CellError| *error == CellError::Refused(Refused::NoSpace);
    let full =
        (0..1_000).find(|n| create(*n).is_some_and(|error| is_full(&error))).expect("the quota is reached");
    let refused = cell.range(&Range::key(bytes(&full.to_string()))).unwrap();
    assert!(refused.kvs.is_empty(), "{refused:?}");
    // Whether this was applied cannot be found out.
    let open = cell.commit(&put("b", "1")).unwrap_err();
    assert!(matches!(open, CellError::Unconfirmed { .. }), "{open:?}");
    cell.range(&Range::key(bytes("0"))).unwrap();
}

#[test]
fn a_user_is_authenticated_and_again_after_its_token_has_expired() {
    let Some(cluster) = EtcdCluster::start(1, &["--auth-token-ttl", "1"]) else { return };
    for (path, body) in [
        ("/v3/auth/user/add", json!({"name": "root", "password": "secret"})),
        ("/v3/auth/role/add", json!({"name": "root"})),
        ("/v3/auth/user/grant", json!({"user": "root", "role": "root"})),
        ("/v3/auth/enable", json!({})),
    ] {
        let done = cluster.call(0, path, &body).unwrap();
        assert!(done["error"].is_null(), "{path}: {done}");
    }
    let user = |password: &str| User { name: "root".to_owned(), password: Secret::new(password.to_owned()) };
    let cell = cluster.cell_as(user("secret"));
    cell.commit(&put("a", "1")).unwrap();
    // A token is good for a second after its last use.
    std::thread::sleep(Duration::from_millis(2_500));
    cell.commit(&put("a", "2")).unwrap();
    for wrong in [cluster.cell_as(user("wrong")), cluster.cell()] {
        let refused = wrong.commit(&put("a", "3")).unwrap_err();
        assert!(matches!(refused, CellError::Refused(_)), "{refused:?}");
    }
    assert_eq!(values(&cell, "a")["a"], "2");
}

/// A server that reads one request on each connection and returns `answer`.
fn impostor(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 10_000]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    authority
}

#[test]
fn an_answer_that_is_none_of_etcd_leaves_a_write_open_and_a_read_to_the_next_member() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>",
        "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\n\r\n<html>",
        "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"header\":{",
        "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"header\":{",
    ] {
        let authorities = [vec![impostor(answer)], cluster.authorities()].concat();
        let cell = Cell::new(0, "home".to_owned(), authorities.clone(), None);
        let open = cell.commit(&put("a", "1")).unwrap_err();
        assert!(matches!(open, CellError::Unconfirmed { .. }), "{answer}: {open:?}");
        let cell = Cell::new(0, "home".to_owned(), authorities, None);
        cell.range(&Range::key(bytes("a"))).unwrap();
    }
    assert!(values(&cluster.cell(), "a").is_empty());
}

#[test]
fn a_member_of_another_cluster_is_noticed() {
    let (Some(one), Some(other)) = (EtcdCluster::start(1, &[]), EtcdCluster::start(1, &[])) else { return };
    let cell = Cell::new(0, "home".to_owned(), [one.authorities(), other.authorities()].concat(), None);
    cell.commit(&put("a", "1")).unwrap();
    let mut one = one;
    one.kill(0);
    let read = cell.range(&Range::key(bytes("a"))).unwrap_err();
    assert_eq!(read, CellError::WrongCluster { authority: other.authorities().remove(0) });
}

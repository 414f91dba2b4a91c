//! What a start checks before a cell is used, beside real members and one that only claims a version.

use crate::harness::etcd::EtcdCluster;
use crate::harness::wait_until;
use pikv::testing::storage::etcd::cell::{Cell, CellError};
use pikv::testing::storage::etcd::gateway::{Bytes, Operation, Range, Transaction};
use pikv::testing::storage::etcd::state::CellState;
use pikv::testing::storage::etcd::{Caretaker, Cells};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn cell(index: usize, name: &str, authorities: Vec<String>) -> Cell {
    Cell::new(index, name.to_owned(), authorities, None)
}

/// A home cell with these members, and cells `far`, `farther`, … with those of `others`.
fn cells(home: Vec<String>, others: Vec<Vec<String>>) -> Cells {
    let other = |(index, authorities)| cell(index + 1, ["far", "farther"][index], authorities);
    Cells::new(cell(0, "home", home), others.into_iter().enumerate().map(other).collect())
}

fn read(cell: &Cell) -> Result<(), CellError> {
    cell.range(&Range::key(Bytes::from(&b"a"[..]))).map(drop)
}

/// The address of a free port, on which nothing listens.
fn unused_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A server that answers every request with the status of a member of the version `version`.
fn member_of_version(version: &str, cluster_id: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let body = format!(
        r#"{{"header":{{"cluster_id":"{cluster_id}","member_id":"1","revision":"1"}},"version":"{version}","leader":"1","raftIndex":"4"}}"#
    );
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 100_000]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    authority
}

#[track_caller]
fn check_refused(cells: &Cells, parts: &[&str]) {
    let began = Instant::now();
    let error = cells.prepare().unwrap_err();
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10), "it does not wait: {:?}", began.elapsed());
}

fn cluster_id(cluster: &EtcdCluster) -> u64 {
    let status = cluster.call(0, "/v3/maintenance/status", &serde_json::json!({})).unwrap();
    status["header"]["cluster_id"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_member_of_a_version_that_damages_data_is_refused_wherever_it_is_in_the_list() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let good = cluster.authorities();
    for (version, parts) in [
        ("3.5.1", ["runs etcd 3.5.1", "3.5.0 to 3.5.2 can corrupt data", "Upgrade the member to 3.5.3"]),
        ("3.3.27", ["runs etcd 3.3.27", "needs 3.4 or later", "Upgrade the member"]),
        ("nginx", ["has the version `nginx`", "not one of etcd", "`engine.cells`"]),
    ] {
        let bad = member_of_version(version, cluster_id(&cluster));
        let parts = [&parts[..], &["cell `home`", &bad]].concat();
        check_refused(&cells(vec![bad.clone()], vec![]), &parts);
        check_refused(&cells([good.clone(), vec![bad.clone()]].concat(), vec![]), &parts);
    }
    cells(good, vec![]).prepare().unwrap();
}

#[test]
fn a_start_waits_for_the_home_cell_and_then_names_it() {
    let Some(mut cluster) = EtcdCluster::start(1, &[]) else { return };
    cluster.kill(0);
    let authority = cluster.authorities().remove(0);
    let cells = cells(cluster.authorities(), vec![]);
    let began = Instant::now();
    let error = cells.prepare_within(Duration::from_millis(600)).unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(600), "{:?}", began.elapsed());
    for part in
        ["cell `home`", &format!("http://{authority}"), "refused", "`engine.cells`", "Start a majority"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(matches!(read(cells.home()), Err(CellError::Closed { .. })));
    std::thread::scope(|scope| {
        let prepared = scope.spawn(|| cells.prepare());
        cluster.start_member(0);
        assert_eq!(prepared.join().unwrap(), Ok(()));
    });
    assert_eq!(cells.home().state(), CellState::Ready);
    read(cells.home()).unwrap();
}

#[test]
fn a_cell_other_than_home_may_be_down_and_is_used_once_it_answers() {
    let (Some(home), Some(mut far)) = (EtcdCluster::start(1, &[]), EtcdCluster::start(1, &[])) else {
        return;
    };
    far.kill(0);
    let cells = Arc::new(cells(home.authorities(), vec![far.authorities(), vec![unused_address()]]));
    cells.prepare().unwrap();
    read(cells.home()).unwrap();
    let [_, second, third] = cells.all() else { panic!("{cells:?}") };
    assert_eq!((second.index(), third.index()), (1, 2));
    assert!(cells.find("far").is_some_and(|found| Arc::ptr_eq(found, second)));
    let refused = read(second).unwrap_err();
    assert!(
        matches!(&refused, CellError::Closed { reason } if reason.contains("does not answer")),
        "{refused:?}"
    );
    let caretaker = Caretaker::start(&cells).unwrap();
    far.start_member(0);
    wait_until("the cell is opened", || second.state().is_ready());
    read(second).unwrap();
    assert!(matches!(third.state(), CellState::Unreachable { .. }), "{:?}", third.state());
    drop(caretaker);
}

#[test]
fn clusters_that_are_not_meant_are_refused() {
    let (Some(one), Some(other)) = (EtcdCluster::start(1, &[]), EtcdCluster::start(1, &[])) else { return };
    let (one_at, other_at) = (one.authorities(), other.authorities());
    check_refused(
        &cells([one_at.clone(), other_at.clone()].concat(), vec![]),
        &["cell `home`", &other_at[0], "belongs to another etcd cluster", "`engine.cells`"],
    );
    cells(one_at.clone(), vec![other_at.clone()]).prepare().unwrap();
    // Exchanged, and each alone.
    check_refused(
        &cells(other_at.clone(), vec![one_at.clone()]),
        &["is not the cell `home`: it is the cell `far`", &other_at[0], "`engine.cells`"],
    );
    check_refused(&cells(other_at.clone(), vec![]), &["is not the cell `home`"]);
    // The same members under another name of the machine.
    let renamed = one_at[0].replace("127.0.0.1", "localhost");
    let error = cells(one_at.clone(), vec![vec![renamed]]).prepare().unwrap_err();
    assert!(error.contains("cell `far`") && error.contains("`engine.cells`"), "{error}");
    cells(one_at, vec![other_at]).prepare().unwrap();
}

#[test]
fn a_cluster_with_keys_of_another_program_is_refused() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let put = Operation::Put { key: Bytes::from(&b"e/x"[..]), value: Bytes::from(&b"x"[..]) };
    cluster.cell().commit(&Transaction { success: vec![put], ..Transaction::default() }).unwrap();
    check_refused(
        &cells(cluster.authorities(), vec![]),
        &["`e/x` is not a record", "use an etcd cluster for PiKV alone"],
    );
}

#[test]
fn a_small_limit_of_operations_is_found_and_does_not_stop_a_start() {
    for (flags, is_few) in
        [(&[][..], true), (&["--max-txn-ops", "4095"], true), (&["--max-txn-ops", "4096"], false)]
    {
        let Some(cluster) = EtcdCluster::start(1, flags) else { return };
        let cells = Arc::new(cells(cluster.authorities(), vec![]));
        cells.prepare().unwrap();
        assert_eq!(cells.home().has_few_operations(), is_few, "{flags:?}");
        let caretaker = Caretaker::start(&cells).unwrap();
        wait_until("the cell is checked", || stored(&cluster.cell(), "s/clock").is_some());
        assert_eq!((cells.home().has_few_operations(), cells.home().state()), (is_few, CellState::Ready));
        drop(caretaker);
    }
}

fn stored(cell: &Cell, key: &str) -> Option<String> {
    let found = cell.range(&Range::key(Bytes::from(key.as_bytes()))).unwrap();
    found.kvs.first().map(|stored| String::from_utf8(stored.value.0.clone()).unwrap())
}

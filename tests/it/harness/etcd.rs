//! A cluster of real etcd members, on loopback addresses or in network namespaces.

pub mod impostor;
pub mod namespaces;

use super::tool::{Tool, runs};
use super::wait_until;
use pikv::testing::catalog::keys::ensure_keys;
use pikv::testing::clock::wall_ms;
use pikv::testing::config::file;
use pikv::testing::entropy::random_bytes;
use pikv::testing::names::ProjectId;
use pikv::testing::storage::etcd::cell::{Cell, User};
use pikv::testing::storage::etcd::gateway::{Bytes, Compare, Operation, Range, Transaction};
use pikv::testing::storage::etcd::placement::{self, Addition, Placement, PlacementState};
use pikv::testing::storage::etcd::record::{self, Creation};
use pikv::testing::storage::etcd::{EtcdBucket, Fence};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

pub struct EtcdCluster {
    directory: TempDir,
    members: Vec<EtcdMember>,
    flags: Vec<String>,
}

struct EtcdMember {
    client: SocketAddr,
    peer: SocketAddr,
    /// The words before the program, such as `ip netns exec NAME`.
    wrapper: Vec<String>,
    child: Option<Child>,
}

impl EtcdCluster {
    /// `size` members that run. `None` if etcd is not installed.
    pub fn start(size: usize, flags: &[&str]) -> Option<EtcdCluster> {
        // All at once, so that no two are the same.
        let listeners: Vec<TcpListener> =
            (0..2 * size).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let mut addresses = listeners.iter().map(|listener| listener.local_addr().unwrap());
        let mut members = Vec::new();
        while let (Some(client), Some(peer)) = (addresses.next(), addresses.next()) {
            members.push((client, peer, Vec::new()));
        }
        drop(addresses);
        drop(listeners);
        EtcdCluster::start_at(members, flags)
    }

    /// Members with these addresses for clients and for peers, started through these words.
    fn start_at(members: Vec<(SocketAddr, SocketAddr, Vec<String>)>, flags: &[&str]) -> Option<EtcdCluster> {
        let missing = "etcd is not installed; apt-get install etcd-server";
        if !Tool::Etcd.is_usable((!runs("etcd", "--version")).then(|| missing.to_owned())) {
            return None;
        }
        let each = members.into_iter().map(|(client, peer, wrapper)| EtcdMember {
            client,
            peer,
            wrapper,
            child: None,
        });
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        let mut cluster =
            EtcdCluster { directory: tempfile::tempdir().unwrap(), members: each.collect(), flags };
        (0..cluster.members.len()).for_each(|index| cluster.start_member(index));
        let cell = cluster.cell();
        wait_until("etcd has a leader", || cell.status().is_ok_and(|status| status.leader != 0));
        Some(cluster)
    }

    pub fn start_member(&mut self, index: usize) {
        let initial = self.initial_members();
        let member = &mut self.members[index];
        let (client, peer) = (format!("http://{}", member.client), format!("http://{}", member.peer));
        let words: Vec<&str> = member.wrapper.iter().map(String::as_str).chain(["etcd"]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("--name").arg(format!("m{index}"));
        command.arg("--data-dir").arg(self.directory.path().join(format!("m{index}")));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &initial, "--heartbeat-interval", "50"]);
        command.args(["--election-timeout", "500"]).args(&self.flags);
        member.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    /// A snapshot of the cell, as `etcdctl` saves it. `None` if that is not installed.
    pub fn snapshot(&self) -> Option<TempDir> {
        let missing = "etcdctl is not installed; apt-get install etcd-client";
        if !Tool::Etcdctl.is_usable((!runs("etcdctl", "version")).then(|| missing.to_owned())) {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let endpoint = format!("http://{}", self.members[0].client);
        let file = directory.path().join("snapshot");
        etcdctl(&["--endpoints", &endpoint, "snapshot", "save", file.to_str().unwrap()]);
        Some(directory)
    }

    /// Replaces all members by new ones with the data of `snapshot`, and the token of etcd's documentation or `token`.
    pub fn restore(&mut self, snapshot: &TempDir, token: Option<&str>) {
        let initial = self.initial_members();
        for index in 0..self.members.len() {
            self.kill(index);
            let directory = self.directory.path().join(format!("m{index}"));
            std::fs::remove_dir_all(&directory).unwrap();
            let (name, peer) = (format!("m{index}"), format!("http://{}", self.members[index].peer));
            let file = snapshot.path().join("snapshot");
            etcdctl(&[
                "snapshot",
                "restore",
                file.to_str().unwrap(),
                "--name",
                &name,
                "--data-dir",
                directory.to_str().unwrap(),
                "--initial-cluster",
                &initial,
                "--initial-advertise-peer-urls",
                &peer,
                "--initial-cluster-token",
                token.unwrap_or("etcd-cluster"),
            ]);
        }
        (0..self.members.len()).for_each(|index| self.start_member(index));
        self.leader();
    }

    fn initial_members(&self) -> String {
        let members = self.members.iter().enumerate();
        let initial: Vec<String> =
            members.map(|(index, member)| format!("m{index}=http://{}", member.peer)).collect();
        initial.join(",")
    }

    /// Kills a member with SIGKILL.
    pub fn kill(&mut self, index: usize) {
        if let Some(mut child) = self.members[index].child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn kill_leader(&mut self) -> usize {
        let leader = self.leader();
        self.kill(leader);
        leader
    }

    /// Sends a member the signal `name` (`STOP`, `CONT`).
    pub fn signal(&self, index: usize, name: &str) {
        let pid = self.members[index].child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// The index of the member that leads.
    pub fn leader(&self) -> usize {
        let mut found = None;
        wait_until("a member leads", || {
            found = (0..self.members.len()).find(|&index| self.leads(index));
            found.is_some()
        });
        found.unwrap()
    }

    /// Has this member lead.
    pub fn make_leader(&self, index: usize) {
        wait_until("the member leads", || {
            let status = self.call(index, "/v3/maintenance/status", &json!({}));
            let id = status.map(|status| status["header"]["member_id"].clone()).unwrap_or_default();
            let leader = self.leader();
            if leader != index {
                self.call(leader, "/v3/maintenance/transfer-leadership", &json!({"targetID": id}));
            }
            leader == index
        });
    }

    fn leads(&self, index: usize) -> bool {
        self.members[index].child.is_some()
            && self.call(index, "/v3/maintenance/status", &json!({})).is_some_and(|status| {
                status["leader"].is_string() && status["leader"] == status["header"]["member_id"]
            })
    }

    /// What the gateway of a member answers.
    pub fn call(&self, index: usize, path: &str, body: &Value) -> Option<Value> {
        let url = format!("http://{}{path}", self.members[index].client);
        let curl =
            Command::new("curl").args(["-sS", "--max-time", "2", &url, "-d", &body.to_string()]).output();
        serde_json::from_slice(&curl.unwrap().stdout).ok()
    }

    /// Waits until all members run, follow one leader and have applied the same changes.
    pub fn await_agreement(&self) {
        wait_until("the members agree", || {
            let state = |index| {
                let status = self.call(index, "/v3/maintenance/status", &json!({}))?;
                status["leader"].is_string().then(|| (status["leader"].clone(), status["raftIndex"].clone()))
            };
            let states: Option<Vec<_>> = (0..self.members.len()).map(state).collect();
            states.is_some_and(|states| states.windows(2).all(|pair| pair[0] == pair[1]))
        });
    }

    pub fn size(&self) -> usize {
        self.members.len()
    }

    pub fn authorities(&self) -> Vec<String> {
        self.members.iter().map(|member| member.client.to_string()).collect()
    }

    /// The section `engine` of config.json for this cluster as the only cell.
    pub fn engine(&self) -> Value {
        let endpoints: Vec<String> = self.authorities().iter().map(|each| format!("http://{each}")).collect();
        json!({ "type": "etcd", "cells": [{ "name": "home", "endpoints": endpoints }] })
    }

    /// Removes all keys.
    pub fn clear(&self) {
        let everything = json!({ "key": "AA==", "range_end": "AA==" });
        assert!(self.call(0, "/v3/kv/deleterange", &everything).is_some(), "etcd answers");
    }

    /// Creates the projects of `config`, a config.json, with their keys.
    pub fn store_projects(&self, config: &Value) {
        let mut config = file::parse(config.to_string().as_bytes()).unwrap();
        ensure_keys(&mut config, &mut random_bytes).unwrap();
        let cell = self.cell();
        for project in config.projects() {
            let created = record::create(&cell, &project.id, Some(project.clone()), wall_ms()).unwrap();
            let Creation::Created(record) = created else { panic!("the cell is empty") };
            let (fence, record) = (record.mod_revision, Some(record.value));
            let state = PlacementState::Live;
            let placement = Placement { cell: "home".to_owned(), state, other: None, fence, record };
            let added = placement::add(&cell, &project.id, &placement).unwrap();
            assert!(matches!(added, Addition::Added { .. }));
        }
    }

    /// A client of all members.
    pub fn cell(&self) -> Cell {
        Cell::new(0, "home".to_owned(), self.authorities(), None)
    }

    pub fn cell_as(&self, user: User) -> Cell {
        Cell::new(0, "home".to_owned(), self.authorities(), Some(user))
    }
}

/// The project `id`, which is created if it does not exist.
pub fn bucket_on(cell: &Arc<Cell>, id: &str) -> EtcdBucket {
    EtcdBucket::new(Arc::clone(cell), ProjectId::parse(id).unwrap(), fence_of(cell, id))
}

/// The fence of the project `id`, which is created if it does not exist. Its revisions begin after 1,000.
pub fn fence_of(cell: &Cell, id: &str) -> Fence {
    let key = record_of(id);
    let create = Transaction {
        compare: vec![Compare::unchanged(key.clone(), 0)],
        success: vec![Operation::Put { key: key.clone(), value: Bytes::default() }],
        failure: Vec::new(),
    };
    cell.commit(&create).unwrap();
    let mod_revision = cell.range(&Range::key(key)).unwrap().kvs[0].mod_revision;
    Fence { base: 1_000, mod_revision, is_sealed: false }
}

/// Where the record of the project `id` is.
pub fn record_of(id: &str) -> Bytes {
    Bytes::from(format!("e/{id}"))
}

fn etcdctl(arguments: &[&str]) {
    let done = Command::new("etcdctl").env("ETCDCTL_API", "3").args(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

impl Drop for EtcdCluster {
    fn drop(&mut self) {
        (0..self.members.len()).for_each(|index| self.kill(index));
    }
}

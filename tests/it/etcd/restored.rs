//! A cell that was restored from a snapshot: what was written after it is gone, and no revision is used twice.

use crate::harness::etcd::EtcdCluster;
use crate::harness::instances::start_instances;
use crate::harness::{GLOBAL_KEY, Response, Server};

fn put(server: &Server, key: &str, etag: &str) -> Response {
    let target = format!("/api/v1/projects/kept/keys/{key}");
    server.request("PUT", &target, Some(GLOBAL_KEY), &[("If-Match", etag)], b"9")
}

#[test]
fn after_a_restore_from_a_snapshot_old_etags_are_412_and_revisions_are_greater() {
    let Some(mut cluster) = EtcdCluster::start(1, &[]) else { return };
    let mut servers = start_instances(&cluster, 2);
    let key = servers[0].create_project("kept");
    let before = servers[0].put_key("kept", "a", "1").expect(201);
    servers[1].put_key("kept", "b", "1").expect(201);
    let Some(snapshot) = cluster.snapshot() else { return };
    // Written after the snapshot, so the restore loses it, and the counter of etcd reaches these revisions again.
    let lost: Vec<Response> = (2..20).map(|n: u32| servers[0].put_key("kept", "a", &n.to_string())).collect();
    let later = servers[1].create_project("later");
    servers.iter_mut().for_each(|server| assert!(server.terminate().success()));
    cluster.restore(&snapshot, None);
    servers.iter_mut().for_each(Server::start_again);
    let last = lost.last().unwrap().revision();
    for server in &servers {
        let found = server.get_key("kept", "a").expect(200);
        assert_eq!(found.text(), "1", "the value of the snapshot");
        assert!(found.revision() > last, "{} and {last}", found.revision());
        for old in lost.iter().chain([&before]) {
            put(server, "a", &old.etag()).problem(412, "precondition_failed");
        }
        let target = "/api/v1/projects/kept/keys/b?raw";
        server.request("GET", target, Some(&key), &[], b"").expect(200);
        server.request("GET", target, Some(&later), &[], b"").problem(401, "api_key_wrong");
    }
    let mut newest = servers[0].get_key("kept", "a").revision();
    for number in 0..20 {
        let written = servers[number % 2].put_key("kept", "a", "7").expect(200).revision();
        assert!(written > newest, "{written} after {newest}");
        newest = written;
    }
}

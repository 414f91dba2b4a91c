//! What the members refuse: no space, too many operations, too large a request. The answer names the fix.

use crate::harness::etcd::EtcdCluster;
use crate::harness::instances::{options_on, start_instances};
use crate::harness::{Server, wait_until};
use serde_json::{Value, json};
use std::thread;

/// Puts keys until one is refused because there is no space. Returns those that were stored, and that one.
///
/// etcd applies the write that exceeds the quota and refuses it all the same, so its outcome is unknown.
fn fill(server: &Server, prefix: &str, text: &str) -> (Vec<String>, String) {
    let mut stored = Vec::new();
    for number in 0.. {
        let key = format!("{prefix}-{number}");
        let answer = server.put_key("full", &key, text);
        match answer.status {
            201 => stored.push(key),
            503 => drop(answer.effect()),
            _ => {
                let problem = answer.problem(507, "storage_full");
                assert_eq!(problem["outcome"], "not_applied", "{problem}");
                return (stored, key);
            }
        }
    }
    unreachable!("the quota is reached");
}

#[test]
fn without_space_writes_are_507_and_reads_and_deletions_continue() {
    let Some(cluster) = EtcdCluster::start(1, &["--quota-backend-bytes", "2000000"]) else { return };
    let servers = start_instances(&cluster, 2);
    servers[0].create_project("full");
    let text = json!("x".repeat(50_000)).to_string();
    servers[0].put_key("full", "k0", &text).expect(201);
    let fill = |writer: usize| fill(&servers[writer % 2], &format!("w{writer}"), &text);
    let filled: Vec<(Vec<String>, String)> = thread::scope(|scope| {
        let fill = &fill;
        let writers: Vec<_> = (0..8).map(|writer| scope.spawn(move || fill(writer))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    for (stored, refused) in &filled {
        servers[0].get_key("full", refused).expect(404);
        stored.iter().for_each(|key| drop(servers[1].get_key("full", key).expect(200)));
    }
    for server in &servers {
        server.get_key("full", "k0").expect(200);
        server.manage("GET", "full", "/keys?values=false", "").expect(200);
        assert_eq!(server.put_key("full", "k0", "1").status, 507);
        let batch = r#"{"operations":[{"op":"delete","key":"k0"},{"op":"set","key":"b","value":1}]}"#;
        assert_eq!(server.manage("POST", "full", "/batch", batch).status, 507);
        server.get_key("full", "k0").expect(200);
    }
    // Compact, defragment, disarm: as the documentation says.
    for key in filled.iter().flat_map(|(stored, _)| stored) {
        servers[0].manage("DELETE", "full", &format!("/keys/{key}"), "").expect(204);
    }
    let status = cluster.call(0, "/v3/maintenance/status", &json!({})).unwrap();
    let revision = &status["header"]["revision"];
    let call = |path: &str, body: Value| {
        let done = cluster.call(0, path, &body).unwrap();
        assert!(done["error"].is_null(), "{path}: {done}");
        done
    };
    call("/v3/kv/compaction", json!({"revision": revision, "physical": true}));
    call("/v3/maintenance/defragment", json!({}));
    let alarms = call("/v3/maintenance/alarm", json!({"action": "GET"}));
    for alarm in alarms["alarms"].as_array().unwrap() {
        let disarm = json!({"action": "DEACTIVATE", "memberID": alarm["memberID"], "alarm": alarm["alarm"]});
        call("/v3/maintenance/alarm", disarm);
    }
    wait_until("writes are accepted again", || servers[1].put_key("full", "k0", "1").status == 200);
}

fn batch_of(count: usize) -> String {
    let operation = |number: usize| json!({"op": "set", "key": format!("k{number}"), "value": number});
    json!({"operations": (0..count).map(operation).collect::<Vec<Value>>()}).to_string()
}

#[test]
fn a_batch_of_too_many_operations_changes_nothing_and_names_the_flag() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let server = start_instances(&cluster, 1).remove(0);
    server.create_project("many");
    let refused = server.manage("POST", "many", "/batch", &batch_of(200));
    assert!(matches!(refused.status, 400 | 413), "{refused:?}");
    assert!(refused.text().contains("--max-txn-ops"), "{refused:?}");
    let listed = server.manage("GET", "many", "/keys", "").expect(200).json();
    assert_eq!(listed["count"], 0, "{listed}");
    server.manage("POST", "many", "/batch", &batch_of(100)).expect(200);
    // Deletions of many keys are not limited by it.
    let deleted = server.manage("DELETE", "many", "/keys?prefix=k", "").expect(200).json();
    assert_eq!(deleted["deleted"], 100, "{deleted}");
}

#[test]
fn with_members_that_allow_it_a_batch_of_1000_operations_is_applied_as_a_whole() {
    let Some(cluster) = EtcdCluster::start(1, &["--max-txn-ops", "4096"]) else { return };
    let servers = start_instances(&cluster, 2);
    servers[0].create_project("many");
    let done = servers[0].manage("POST", "many", "/batch", &batch_of(1_000)).expect(200).json();
    assert_eq!(done["results"].as_array().unwrap().len(), 1_000);
    let listed = servers[1].manage("GET", "many", "/keys", "").expect(200).json();
    assert_eq!(listed["count"], 1_000);
    let mut condition: Value = serde_json::from_str(&batch_of(1_000)).unwrap();
    condition["operations"][999]["if_revision"] = json!(1);
    servers[1].manage("POST", "many", "/batch", &condition.to_string()).problem(412, "precondition_failed");
}

#[test]
fn a_value_above_the_limit_of_the_members_is_413_and_names_the_flag() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let mut options = options_on(&[("home", cluster.authorities())]);
    options.config.as_mut().unwrap()["limits"] = json!({"body_bytes_max": 4_000_000});
    let server = Server::start_as(options);
    server.create_project("large");
    let value = |bytes: usize| json!("x".repeat(bytes - 2)).to_string();
    for bytes in [1_600_000, 3_000_000] {
        let refused = server.put_key("large", "a", &value(bytes));
        assert_eq!(refused.status, 413, "{refused:?}");
        assert!(refused.text().contains("--max-request-bytes"), "{refused:?}");
        server.get_key("large", "a").expect(404);
    }
    // What fits into 1.5 MiB, with the names and times beside it.
    server.put_key("large", "a", &value(1_500_000)).expect(201);
    assert_eq!(server.get_key("large", "a").expect(200).body.len(), 1_500_000 - 2);
}

//! What one instance changes about projects holds on the other ones at their next request.

use crate::harness::etcd::EtcdCluster;
use crate::harness::instances::{key_target, start_instances};
use crate::harness::{Response, Server};
use std::sync::Barrier;
use std::thread;

fn get(server: &Server, key: Option<&str>) -> Response {
    server.request("GET", &format!("{}?raw", key_target("shared", "a")), key, &[], b"")
}

fn put(server: &Server, key: Option<&str>, fields: &[(&str, &str)]) -> Response {
    server.request("PUT", &key_target("shared", "a"), key, fields, b"1")
}

/// Two instances, and the key of a project that both have served.
fn start() -> Option<(EtcdCluster, [Server; 2], String)> {
    let cluster = EtcdCluster::start(1, &[])?;
    let servers: [Server; 2] = start_instances(&cluster, 2).try_into().ok().unwrap();
    let key = servers[0].create_project("shared");
    let _ = servers.each_ref().map(|server| put(server, Some(&key), &[]));
    let _ = servers.each_ref().map(|server| get(server, Some(&key)).expect(200));
    Some((cluster, servers, key))
}

#[test]
fn a_new_project_is_served_by_all_instances_at_once() {
    let Some((_cluster, [one, other], _)) = start() else { return };
    let key = one.create_project("new");
    let target = key_target("new", "a");
    other.request("PUT", &target, Some(&key), &[], b"1").expect(201);
    one.request("GET", &target, Some(&key), &[], b"").expect(200);
    other.manage("POST", "new", "/api-key/regenerate", "").expect(200);
    one.request("GET", &target, Some(&key), &[], b"").problem(401, "api_key_wrong");
}

#[test]
fn first_requests_to_a_new_project_that_arrive_together_are_all_served() {
    let Some((_cluster, [one, other], _)) = start() else { return };
    for round in 0..5 {
        let project = format!("new{round}");
        let key = one.create_project(&project);
        let barrier = Barrier::new(30);
        let put = |number: usize| {
            let mut connection = other.connect();
            barrier.wait();
            let target = key_target(&project, &number.to_string());
            connection.request("PUT", &target, Some(&key), &[], b"1").expect(201);
        };
        thread::scope(|scope| {
            let put = &put;
            (0..30).for_each(|number| drop(scope.spawn(move || put(number))));
        });
    }
}

#[test]
fn a_replaced_key_is_refused_and_the_new_one_accepted_by_the_other_instance_at_once() {
    let Some((_cluster, servers, mut key)) = start() else { return };
    for round in 0..10 {
        let (one, other) = (&servers[round % 2], &servers[(round + 1) % 2]);
        let regenerated = one.manage("POST", "shared", "/api-key/regenerate", "").expect(200);
        let new = regenerated.json()["api_key"].as_str().unwrap().to_owned();
        // The first request after it is a read or a write, with the old key or the new one.
        match round % 4 {
            0 => drop(get(other, Some(&key)).problem(401, "api_key_wrong")),
            1 => drop(put(other, Some(&key), &[]).problem(401, "api_key_wrong")),
            2 => drop(get(other, Some(&new)).expect(200)),
            _ => drop(put(other, Some(&new), &[]).expect(200)),
        }
        for server in &servers {
            get(server, Some(&key)).problem(401, "api_key_wrong");
            put(server, Some(&key), &[]).problem(401, "api_key_wrong");
            get(server, Some(&new)).expect(200);
        }
        key = new;
    }
}

#[test]
fn settings_hold_on_the_other_instance_at_once() {
    let Some((_cluster, servers, key)) = start() else { return };
    for round in 0..6 {
        let (one, other) = (&servers[round % 2], &servers[(round + 1) % 2]);
        one.manage("PUT", "shared", "", r#"{"authentication":{"enabled":false}}"#).expect(200);
        if round % 2 == 0 { put(other, None, &[]) } else { get(other, None) }.expect(200);
        one.manage("PUT", "shared", "", r#"{"authentication":{"enabled":true}}"#).expect(200);
        if round % 2 == 0 { put(other, None, &[]) } else { get(other, None) }.problem(401, "api_key_missing");
        get(other, Some(&key)).expect(200);
        let details = other.manage("GET", "shared", "", "").expect(200).json();
        assert_eq!(details["authentication"]["enabled"], true, "{details}");
    }
}

#[test]
fn a_deleted_project_is_absent_on_the_other_instance_at_once_and_begins_empty_when_it_is_created_again() {
    let Some((_cluster, servers, mut key)) = start() else { return };
    for round in 0..6 {
        let (one, other) = (&servers[round % 2], &servers[(round + 1) % 2]);
        let etag = put(one, Some(&key), &[]).etag();
        one.manage("DELETE", "shared", "", "").expect(204);
        let manage = |method: &str| other.manage(method, "shared", "/keys/a", "1");
        let method = ["GET", "PUT", "DELETE"][round % 3];
        manage(method).problem(404, "project_not_found");
        get(other, Some(&key)).problem(401, "api_key_wrong");
        other.manage("GET", "shared", "", "").problem(404, "project_not_found");
        let new = other.create_project("shared");
        // The old key and the old ETag are no longer valid on the instance that deleted the project, either.
        get(one, Some(&key)).problem(401, "api_key_wrong");
        put(one, Some(&new), &[("If-Match", &etag)]).problem(412, "precondition_failed");
        get(one, Some(&new)).problem(404, "key_not_found");
        let again = put(one, Some(&new), &[("If-None-Match", "*")]).expect(201);
        assert!(again.revision() > etag.trim_matches('"').parse().unwrap(), "{etag}");
        put(other, Some(&new), &[("If-Match", &etag)]).problem(412, "precondition_failed");
        key = new;
    }
}

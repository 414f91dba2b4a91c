//! Conditional requests and revisions.

use crate::harness::kv::{Kv, key_path};
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn sixteen_clients_count_together_without_losing_one() {
    const CLIENTS: u64 = 16;
    const ROUNDS: u64 = 40;
    let kv = Kv::new();
    let caller = kv.project();
    caller.put(&key_path("counter"), "0").expect(201);
    let (won, lost) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut connection = caller.connect();
                let mut revision_max = 0;
                for _ in 0..ROUNDS {
                    let read = connection.send("GET", &key_path("counter"), &[], b"").expect(200);
                    assert!(read.revision() >= revision_max, "a read went back in time");
                    revision_max = read.revision();
                    let next = (read.json()["value"].as_u64().unwrap() + 1).to_string();
                    let condition = [("If-Match", read.etag())];
                    let condition = condition.each_ref().map(|(name, etag)| (*name, etag.as_str()));
                    let write = connection.send("PUT", &key_path("counter"), &condition, next.as_bytes());
                    match write.status {
                        200 => {
                            won.fetch_add(1, Ordering::Relaxed);
                            revision_max = write.revision();
                        }
                        412 => {
                            lost.fetch_add(1, Ordering::Relaxed);
                            assert!(write.json()["current"]["revision"].as_u64() > Some(revision_max));
                        }
                        other => panic!("{other}: {write:?}"),
                    }
                }
            });
        }
    });
    let (won, lost) = (won.into_inner(), lost.into_inner());
    assert_eq!(won + lost, CLIENTS * ROUNDS);
    assert!(won >= ROUNDS, "somebody wins every round, {won} won");
    assert_eq!(caller.get(&key_path("counter")).json()["value"], won);
}

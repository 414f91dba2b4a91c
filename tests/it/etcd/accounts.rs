//! Accounts that several instances of the server read and change at the same time.

use crate::harness::etcd::EtcdCluster;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use pikv::testing::accounts::account::{Account, AccountId, Profile};
use pikv::testing::accounts::directory::{CreateError, Update};
use pikv::testing::accounts::{Accounts, AccountsError};
use pikv::testing::auth::password::{self, Password, PasswordHash};
use pikv::testing::limits::CELL_REQUEST_MS;
use pikv::testing::names::{Key, Username};
use pikv::testing::storage::etcd::cell::Cell;
use pikv::testing::storage::etcd::gateway::{Bytes, Range};
use pikv::testing::storage::etcd::sweep;
use pikv::testing::store::batch::Op;
use pikv::testing::store::change::Revision;
use pikv::testing::store::decide::Conflict;
use pikv::testing::store::error::StorageError;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, LazyLock};
use std::time::{Duration, Instant};

const NOW_MS: u64 = 1_800_000_000_000;
const TTL_MS: u64 = 1_000_000;
const DISABLE: Update = Update { password: None, is_disabled: Some(true) };

/// Two hashes of cost 4 and one of cost 5; bcrypt runs once for all tests.
static HASHES: LazyLock<[PasswordHash; 3]> = LazyLock::new(|| {
    [4, 4, 5].map(|cost| password::hash(&Password::parse("Secret1!").unwrap(), cost, [cost as u8; 16]))
});

/// An instance with connections of its own.
fn instance(cluster: &EtcdCluster) -> Accounts {
    Accounts::open_on(&Arc::new(cluster.cell())).unwrap()
}

fn account(name: &str, email: &str) -> Account {
    Account {
        id: AccountId::new().unwrap(),
        username: Username::parse(name).unwrap(),
        profile: Profile { email: Some(email.to_owned()), ..Profile::default() },
        password: HASHES[0].clone(),
        credential: "0123456789abcdef".to_owned(),
        is_disabled: false,
        created_ms: NOW_MS,
        revision: Revision::ZERO,
    }
}

fn add(accounts: &Accounts, name: &str) -> Account {
    accounts.add(&account(name, &format!("{name}@example.com")), NOW_MS).unwrap().answer.unwrap();
    find(accounts, name).unwrap()
}

fn find(accounts: &Accounts, name: &str) -> Option<Account> {
    accounts.directory.find(name, NOW_MS).unwrap().answer
}

/// Writes a key of `account` as it was read.
fn put(accounts: &Accounts, account: &Account, key: &str) -> Result<Result<(), Conflict>, StorageError> {
    let op = Op::put(Key::parse(key).unwrap(), b"1", Some(TTL_MS));
    Ok(accounts.keys_of(account).write_one(NOW_MS, op)?.answer.map(drop))
}

/// How many keys of etcd begin with `prefix`.
fn count(cell: &Cell, prefix: &str) -> u64 {
    cell.range(&Range::prefix(Bytes::from(prefix.as_bytes()))).unwrap().count
}

/// Neither an account nor one of its keys. What lists the expiry of a key stays until then.
fn check_nothing_remains(cell: &Cell, at: &str) {
    sweep::sweep(cell, NOW_MS + TTL_MS).unwrap();
    for prefix in ["v/_account_data/", "v/_accounts/", "x/"] {
        assert_eq!(count(cell, prefix), 0, "{prefix} at {at}");
    }
}

/// The results of `act` on 16 threads of each of two instances, which begin at the same moment.
fn race<T: Send>(cluster: &EtcdCluster, act: impl Fn(usize, &Accounts) -> T + Sync) -> Vec<T> {
    let (instances, barrier) = ([instance(cluster), instance(cluster)], Barrier::new(32));
    std::thread::scope(|scope| {
        let run = |number: usize| {
            let (accounts, barrier, act) = (&instances[number % 2], &barrier, &act);
            scope.spawn(move || {
                barrier.wait();
                act(number, accounts)
            })
        };
        let threads: Vec<_> = (0..32).map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn of_registrations_of_one_name_or_one_address_one_wins() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = cluster.cell();
    let check = |refusal: CreateError, accounts: fn(usize) -> Account, all: u64| {
        let created = race(&cluster, |number, instance| {
            instance.add(&accounts(number), NOW_MS).unwrap().answer.map(drop)
        });
        assert_eq!(created.iter().filter(|created| created.is_ok()).count(), 1, "{created:?}");
        assert!(created.iter().all(|created| matches!(created, Ok(())) || *created == Err(refusal)));
        assert_eq!(count(&cell, "v/_accounts/"), 2 * all);
        assert_eq!(count(&cell, "v/_account_data/"), all, "a marker for each account");
    };
    let of_name = |number| account(["ada", "ADA"][number / 2 % 2], &format!("{number}@example.com"));
    check(CreateError::UsernameExists, of_name, 1);
    let of_address =
        |number| account(&format!("u{number}"), ["x@example.com", "X@example.com"][number / 2 % 2]);
    check(CreateError::EmailExists, of_address, 2);
}

#[test]
fn an_account_that_another_instance_changes_is_looked_up_again() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let (one, other) = (instance(&cluster), instance(&cluster));
    add(&one, "ada");
    let password = Update { password: Some(HASHES[1].clone()), is_disabled: None };
    for update in [&password, &DISABLE] {
        let seen = find(&other, "ada").unwrap();
        put(&other, &seen, "k").unwrap().unwrap();
        let changed = one.directory.update("ada", update, NOW_MS).unwrap().answer.unwrap();
        assert_ne!(changed.credential, seen.credential);
        let keys = other.keys_of(&seen);
        assert!(matches!(put(&other, &seen, "k"), Err(StorageError::Stale(_))));
        assert!(matches!(
            keys.get(NOW_MS, Key::parse("k").unwrap(), |_| ()).map(drop),
            Err(StorageError::Stale(_))
        ));
        assert!(matches!(keys.list(NOW_MS, None, 10).map(drop), Err(StorageError::Stale(_))));
        assert_eq!(find(&other, "ada").map(|found| found.credential), Some(changed.credential.clone()));
        // The instance that changed it knows the revision.
        put(&one, &changed, "k").unwrap().unwrap();
    }
    assert!(find(&other, "ada").unwrap().is_disabled);
    // A change of another account is none of this one.
    let seen = find(&other, "ada").unwrap();
    add(&one, "bob");
    put(&other, &seen, "k").unwrap().unwrap();
}

#[test]
fn a_session_begins_only_with_the_credential_that_was_checked() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let (one, other) = (instance(&cluster), instance(&cluster));
    add(&one, "ada");
    let seen = find(&other, "ada").unwrap();
    // Another hash of the same password is no other credential.
    one.directory.set_hash(&seen, &HASHES[1], NOW_MS).unwrap().answer.unwrap();
    let token = other.begin_session(&seen, None, NOW_MS).unwrap().unwrap().answer;
    assert_eq!(one.sessions.find(token.reveal(), NOW_MS).unwrap().unwrap().username, "ada");
    let next = other.begin_session(&seen, Some(token.reveal()), NOW_MS).unwrap().unwrap().answer;
    assert!(one.sessions.find(token.reveal(), NOW_MS).unwrap().is_none());
    one.sessions.end(next.reveal(), NOW_MS).unwrap();
    assert!(other.sessions.find(next.reveal(), NOW_MS).unwrap().is_none());
    let refused = |seen: &Account| {
        let begun = other.begin_session(seen, None, NOW_MS);
        assert!(matches!(begun, Err(AccountsError::CredentialChanged)));
    };
    one.directory.update("ada", &DISABLE, NOW_MS).unwrap();
    refused(&seen);
    let seen = find(&other, "ada").unwrap();
    assert!(one.delete("ada", NOW_MS).unwrap());
    refused(&seen);
    add(&one, "ada");
    refused(&seen);
    assert_eq!(count(&cluster.cell(), "v/_sessions/"), 0);
}

#[test]
fn no_key_of_an_account_remains_that_is_deleted_while_another_instance_writes() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let (one, other) = (instance(&cluster), instance(&cluster));
    for round in 0..5 {
        let seen = add(&one, "ada");
        let written = Barrier::new(5);
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let (other, seen, written) = (&other, &seen, &written);
                scope.spawn(move || {
                    put(other, seen, &format!("w{writer}")).unwrap().unwrap();
                    written.wait();
                    let mut number = 0;
                    let ended = loop {
                        match put(other, seen, &format!("w{writer}-{number}")) {
                            Ok(Ok(())) => number += 1,
                            Err(StorageError::Busy) => {}
                            ended => break ended,
                        }
                    };
                    assert!(matches!(ended, Err(StorageError::Stale(_))));
                });
            }
            written.wait();
            assert!(one.delete("ada", NOW_MS).unwrap());
        });
        check_nothing_remains(&cluster.cell(), &format!("round {round}"));
    }
}

#[test]
fn instances_that_tidy_up_harm_neither_new_accounts_nor_deletions() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let (one, is_over) = (instance(&cluster), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let (cluster, is_over) = (&cluster, &is_over);
            scope.spawn(move || {
                let accounts = instance(cluster);
                while !is_over.load(Ordering::Relaxed) {
                    accounts.tidy_up();
                }
            });
        }
        for number in 0..90 {
            let name = format!("u{number}");
            let seen = add(&one, &name);
            put(&one, &seen, "k").unwrap().unwrap();
            if number % 3 > 0 {
                assert!(one.delete(&name, NOW_MS).unwrap());
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    // 30 accounts, each with an address; a marker and a key of each.
    assert_eq!(count(&cluster.cell(), "v/_accounts/"), 60);
    assert_eq!(count(&cluster.cell(), "v/_account_data/"), 60);
}

#[test]
fn instances_that_start_together_have_one_signing_key() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let started = race_to_start(&cluster, 6);
    let (key, installation) = &started[0];
    assert!(started.iter().all(|(other, name)| (other, name) == (key, installation)), "{started:?}");
    assert_eq!(installation.len(), 8);
}

/// The signing keys and the installations of instances that start at the same moment.
fn race_to_start(cluster: &EtcdCluster, instances: usize) -> Vec<(String, String)> {
    let barrier = Barrier::new(instances);
    std::thread::scope(|scope| {
        let start = |_| {
            scope.spawn(|| {
                barrier.wait();
                let accounts = instance(cluster);
                (accounts.signing_key.encode().reveal().to_owned(), accounts.installation)
            })
        };
        let threads: Vec<_> = (0..instances).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn the_cost_of_another_instance_is_learned_on_use_and_at_the_start() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let (one, other) = (instance(&cluster), instance(&cluster));
    add(&one, "ada");
    let costly = Account { password: HASHES[2].clone(), ..account("bob", "bob@example.com") };
    one.add(&costly, NOW_MS).unwrap().answer.unwrap();
    assert_eq!((one.directory.cost_max(), other.directory.cost_max()), (Some(5), None));
    find(&other, "ada").unwrap();
    assert_eq!(other.directory.cost_max(), Some(4));
    find(&other, "bob").unwrap();
    assert_eq!(other.directory.cost_max(), Some(5));
    let later = instance(&cluster);
    later.tidy_up();
    assert_eq!(later.directory.cost_max(), Some(5));
}

#[test]
fn a_cell_that_is_down_gives_errors_in_time_and_changes_nothing() {
    let Some(mut cluster) = EtcdCluster::start(1, &[]) else { return };
    let accounts = instance(&cluster);
    let seen = add(&accounts, "ada");
    put(&accounts, &seen, "k").unwrap().unwrap();
    cluster.kill(0);
    let acts: [(&str, &dyn Fn() -> bool); 7] = [
        ("start", &|| Accounts::open_on(&Arc::new(cluster.cell())).is_err()),
        ("find", &|| accounts.directory.find("ada", NOW_MS).is_err()),
        ("add", &|| accounts.add(&account("bob", "bob@example.com"), NOW_MS).is_err()),
        ("update", &|| accounts.directory.update("ada", &DISABLE, NOW_MS).is_err()),
        ("delete", &|| accounts.delete("ada", NOW_MS).is_err()),
        ("begin_session", &|| accounts.begin_session(&seen, None, NOW_MS).is_err()),
        ("put", &|| put(&accounts, &seen, "other").is_err()),
    ];
    for (name, fails) in acts {
        let began = Instant::now();
        assert!(fails(), "{name}");
        assert!(
            began.elapsed() < Duration::from_millis(CELL_REQUEST_MS + 500),
            "{name}: {:?}",
            began.elapsed()
        );
    }
    cluster.start_member(0);
    cluster.leader();
    let found = find(&accounts, "ada").unwrap();
    assert_eq!((found.revision, find(&accounts, "bob").is_some()), (seen.revision, false));
    for (prefix, keys) in [("v/_accounts/", 2), ("v/_account_data/", 2), ("v/_sessions/", 0)] {
        assert_eq!(count(&cluster.cell(), prefix), keys, "{prefix}");
    }
}

/// A member that closes the connection instead of answering the write of `key`, which etcd has applied.
fn member_that_cuts(cluster: &EtcdCluster, key: String) -> Arc<Cell> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (authority, target) = (listener.local_addr().unwrap().to_string(), cluster.authorities().remove(0));
    let pattern = format!("\"request_put\":{{\"key\":\"{}\"", BASE64_STANDARD.encode(key));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (target, pattern) = (target.clone(), pattern.clone());
            std::thread::spawn(move || forward(client, TcpStream::connect(target).unwrap(), &pattern));
        }
    });
    Arc::new(Cell::new(0, "home".to_owned(), vec![authority], None))
}

/// Copies both ways, but nothing to `client` after it has sent `pattern`.
fn forward(client: TcpStream, member: TcpStream, pattern: &str) {
    let has_sent = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut seen, mut bytes) = (Vec::new(), [0; 4_096]);
            while let Ok(length @ 1..) = (&client).read(&mut bytes) {
                seen.extend_from_slice(&bytes[..length]);
                if String::from_utf8_lossy(&seen).contains(pattern) {
                    has_sent.store(true, Ordering::SeqCst);
                }
                (&member).write_all(&bytes[..length]).unwrap();
            }
            let _ = member.shutdown(Shutdown::Both);
        });
        let mut bytes = [0; 4_096];
        while let Ok(length @ 1..) = (&member).read(&mut bytes) {
            if has_sent.load(Ordering::SeqCst) || (&client).write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
    });
}

#[test]
fn an_account_whose_creation_was_not_confirmed_can_write_if_it_exists() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cut = member_that_cuts(&cluster, "v/_accounts/account/ada".to_owned());
    let refused = Accounts::open_on(&cut).unwrap().add(&account("ada", "ada@example.com"), NOW_MS);
    assert!(matches!(refused, Err(AccountsError::Storage(StorageError::Unconfirmed { .. }))), "{refused:?}");
    let other = instance(&cluster);
    let found = find(&other, "ada").unwrap();
    put(&other, &found, "k").unwrap().unwrap();
}

#[test]
fn a_deletion_that_was_not_confirmed_is_finished_by_several_instances() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let one = instance(&cluster);
    let seen = add(&one, "ada");
    for number in 0..20 {
        put(&one, &seen, &number.to_string()).unwrap().unwrap();
    }
    let cut = member_that_cuts(&cluster, format!("v/_accounts/deletion/{}", seen.id.as_str()));
    assert!(Accounts::open_on(&cut).unwrap().delete("ada", NOW_MS).is_err());
    assert!(find(&one, "ada").is_none());
    assert!(matches!(put(&one, &seen, "late"), Err(StorageError::Stale(_))));
    assert_eq!(count(&cluster.cell(), "v/_account_data/"), 21);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| instance(&cluster).tidy_up());
        }
    });
    check_nothing_remains(&cluster.cell(), "the end");
}

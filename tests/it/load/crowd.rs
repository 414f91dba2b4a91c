//! Thousands of idle connections, slow heads, slow bodies and clients that do not take their answers,
//! all at once, beside clients that behave: these are served, those end by the rules, memory stays within a bound.
//!
//! Some hundred in the ordinary run. With the default timeouts, 10,000 idle ones, 1,000 heads, 500 bodies
//! and 500 readers, or as many as the system has buffers for: `PIKV_LOAD=full cargo test --release --test it crowd:: -- --nocapture`

mod crowd_client;
mod good_client;

use crate::harness::{
    DEMO_KEY, DEMO_KEYS, Options, Server, encode_request, grouped, holds_within, known_config,
};
use crowd_client::{CrowdClient, Ending, Kind, Script};
use good_client::{GoodClients, Latencies, quantile};
use pikv::testing::limits::{HEAD_BYTES_MAX, LISTING_PIECE_BYTES, OUTPUT_BYTES_HIGH};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Clients are served in turns, a part of them at a time, so that the crowd needs little of the machine.
const PARTS: usize = 20;
/// One of the values that readers ask for, bytes.
const VALUE_BYTES: usize = 64 * 1024;
/// How many there are: more than what the system buffers of one answer.
const VALUES: usize = 160;
/// What a connection costs beyond its buffers, bytes: its socket's share of tables, its state.
const CONNECTION_BYTES: u64 = 2 * 1024;
/// What the allocator may keep beyond what is in use, bytes.
const ALLOCATOR_BYTES: u64 = 4 * 1024 * 1024;
/// How late the server may end a connection: generous, machines that test are busy.
const LATE_MAX: Duration = Duration::from_secs(20);

/// What the system buffers at most for a connection over the loopback, whose client reads nothing, bytes.
const SYSTEM_BUFFER_BYTES: u64 = 4 * 1024 * 1024;

/// Readers whose buffers in the system stay at two thirds of what it allows all connections together.
/// Beyond that it throttles every connection of the machine, whatever a server does.
fn readers_max() -> usize {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_mem").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok());
    pages.map_or(usize::MAX, |pages| (pages * 4_096 * 2 / 3 / SYSTEM_BUFFER_BYTES) as usize)
}

/// How many of everybody, and how long they may take.
struct Plan {
    counts: [(Kind, usize); 6],
    /// From one turn of a client to the next.
    turn: Duration,
    /// How long good clients are measured, alone and in the crowd.
    measured: Duration,
    head_seconds: u64,
    body_grace_seconds: u64,
    write_seconds: u64,
    idle_seconds: u64,
}

impl Plan {
    fn from_environment() -> Plan {
        let counts = |[idle, heads, bodies, readers]: [usize; 4]| {
            [
                (Kind::Idle, idle),
                (Kind::HeadTooSlow, heads / 2),
                (Kind::HeadInTime, heads / 2),
                (Kind::BodyTooSlow, bodies / 2),
                (Kind::BodyInTime, bodies / 2),
                (Kind::Reader, readers),
            ]
        };
        match crate::harness::environment::variable("PIKV_LOAD").as_deref() {
            Some("full") => Plan {
                counts: counts([10_000, 1_000, 500, readers_max().min(500)]),
                turn: Duration::from_secs(1),
                measured: Duration::from_secs(40),
                head_seconds: 10,
                body_grace_seconds: 20,
                write_seconds: 30,
                idle_seconds: 60,
            },
            Some(other) => panic!("PIKV_LOAD={other}: only `full` is known"),
            None => Plan {
                counts: counts([200, 60, 30, 20]),
                turn: Duration::from_millis(100),
                measured: Duration::from_millis(1_500),
                head_seconds: 2,
                body_grace_seconds: 2,
                write_seconds: 2,
                idle_seconds: 3,
            },
        }
    }

    fn clients(&self) -> usize {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    fn seconds(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Idle => self.idle_seconds,
            Kind::HeadTooSlow | Kind::HeadInTime => self.head_seconds,
            Kind::BodyTooSlow | Kind::BodyInTime => self.body_grace_seconds,
            Kind::Reader => self.write_seconds,
        }
    }

    /// Turns of a client in `percent` of the time that its kind may take.
    fn turns(&self, kind: Kind, percent: u128) -> usize {
        (u128::from(self.seconds(kind)) * 10 * percent / self.turn.as_millis()) as usize
    }

    fn server(&self) -> Server {
        let mut config = known_config();
        config["limits"] = json!({ "connections_max": self.clients() + 200 });
        config["timeouts"] = json!({
            "head_seconds": self.head_seconds,
            "body_grace_seconds": self.body_grace_seconds,
            "write_seconds": self.write_seconds,
            "idle_seconds": self.idle_seconds,
        });
        config["projects"].as_array_mut().unwrap().push(json!({
            "id": "large",
            "storage": { "on_disk": false },
            "authentication": { "enabled": false, "save_api_key_to_file": true },
        }));
        let descriptors_max = Some(u32::try_from(self.clients()).unwrap() + 600);
        Server::start_as(Options { config: Some(config), descriptors_max, ..Options::default() })
    }

    /// What a client of `kind` with this number sends.
    fn script(&self, kind: Kind, number: usize) -> Script {
        let health = encode_request("GET", "/healthz", None, &[], b"");
        let padded = |turns: usize| {
            let padding = "x".repeat(turns);
            encode_request("GET", "/healthz", None, &[("X-Padding", &padding)], b"")
        };
        let body = |turns: usize, piece: usize| {
            let value = format!("\"{}\"", "x".repeat(turns * piece));
            let path = format!("{DEMO_KEYS}/{}", body_name(kind, number));
            encode_request("PUT", &path, Some(DEMO_KEY), &[], value.as_bytes())
        };
        let head_bytes = health.len();
        let (wire, at_once, piece) = match kind {
            Kind::Idle => (health, head_bytes, 1),
            Kind::HeadTooSlow => (padded(self.turns(kind, 10_000)), 10, 1),
            // What is before the padding goes at once: the padding takes half the time there is.
            Kind::HeadInTime => {
                let wire = padded(self.turns(kind, 50));
                let at_once = wire.len() - self.turns(kind, 50);
                (wire, at_once, 1)
            }
            Kind::BodyTooSlow => (body(self.turns(kind, 10_000), 1), 200, 1),
            // Half as long again as the grace, at twice the slowest rate.
            Kind::BodyInTime => {
                let piece = (2 * 500 * self.turn.as_millis() / 1_000) as usize;
                (body(self.turns(kind, 150), piece), 200, piece)
            }
            Kind::Reader => {
                let mut wire = encode_request("GET", "/api/v1/projects/large/keys", None, &[], b"");
                let bytes = wire.len();
                wire.resize(bytes + self.turns(kind, 10_000), b'G');
                (wire, bytes, 1)
            }
        };
        Script { wire: Arc::new(wire), at_once, piece }
    }

    /// What the server may take beyond what it had, bytes, by the bounds of `limits.rs`: whoever sends a
    /// head has sent no more than that, whoever sends a body what it has sent, and whoever does not
    /// read costs what is produced ahead, the last piece of it not cut.
    fn memory_bytes_max(&self) -> u64 {
        let of = |kind: Kind| {
            let bytes = match kind {
                Kind::Idle => 0,
                Kind::HeadTooSlow | Kind::HeadInTime => HEAD_BYTES_MAX,
                Kind::BodyTooSlow | Kind::BodyInTime => 2 * self.script(kind, 0).wire.len(),
                Kind::Reader => OUTPUT_BYTES_HIGH + 2 * (LISTING_PIECE_BYTES + VALUE_BYTES),
            };
            bytes as u64 + CONNECTION_BYTES
        };
        self.counts.iter().map(|(kind, count)| *count as u64 * of(*kind)).sum::<u64>() + ALLOCATOR_BYTES
    }
}

fn body_name(kind: Kind, number: usize) -> String {
    let slow = if kind == Kind::BodyTooSlow { "never" } else { "slowly" };
    format!("{slow}-{number}")
}

/// Everybody who does not behave.
struct Crowd<'a> {
    plan: &'a Plan,
    port: u16,
    clients: Vec<Option<CrowdClient>>,
    endings: Vec<Ending>,
    part: usize,
    due: Instant,
}

impl<'a> Crowd<'a> {
    fn arrive(plan: &'a Plan, port: u16) -> Crowd<'a> {
        let mut clients = Vec::new();
        for (kind, count) in plan.counts {
            clients.extend(
                (0..count).map(|number| Some(CrowdClient::connect(kind, plan.script(kind, number), port))),
            );
        }
        Crowd { plan, port, clients, endings: Vec::new(), part: 0, due: Instant::now() }
    }

    /// Gives a part of the clients their turn. If `renewed`, a new one replaces each that has ended.
    fn turn(&mut self, renewed: bool) {
        std::thread::sleep(self.due.saturating_duration_since(Instant::now()));
        self.due = Instant::now().max(self.due + self.plan.turn / PARTS as u32);
        for (number, place) in self.clients.iter_mut().enumerate().skip(self.part).step_by(PARTS) {
            let Some(client) = place else { continue };
            let Some(ending) = client.turn() else { continue };
            if ending.closed {
                let kind = client.kind;
                *place =
                    renewed.then(|| CrowdClient::connect(kind, self.plan.script(kind, number), self.port));
            } else if !renewed {
                *place = None;
            }
            self.endings.push(ending);
        }
        self.part = (self.part + 1) % PARTS;
    }

    fn work(&mut self, time: Duration) {
        let since = Instant::now();
        while since.elapsed() < time {
            self.turn(true);
        }
    }

    /// Waits until the server has got rid of all.
    fn see_them_leave(&mut self) {
        let patience = Duration::from_secs(2 * self.plan.idle_seconds) + LATE_MAX;
        let since = Instant::now();
        while self.clients.iter().any(Option::is_some) {
            self.turn(false);
            let left = self.clients.iter().flatten().map(|client| client.kind);
            assert!(since.elapsed() < patience, "still there: {:?}", left.take(5).collect::<Vec<_>>());
        }
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Ending> {
        self.endings.iter().filter(move |ending| ending.kind == kind)
    }
}

/// Whether a client could not keep its pace.
fn was_held_up(plan: &Plan, ending: &Ending) -> bool {
    ending.gap_max > Duration::from_secs(plan.seconds(ending.kind)) / 4
}

/// Fails unless everybody ended as the rules say, not too early and not much too late.
fn check_endings(plan: &Plan, crowd: &Crowd<'_>) {
    for (kind, count) in plan.counts {
        let limit = Duration::from_secs(plan.seconds(kind));
        let expected: (&[u16], bool) = match kind {
            Kind::Idle => (&[], true),
            Kind::HeadTooSlow | Kind::BodyTooSlow => (&[408], true),
            Kind::HeadInTime => (&[200], false),
            Kind::BodyInTime => (&[201, 200], false),
            Kind::Reader => (&[], true),
        };
        assert!(crowd.of(kind).count() >= count, "{kind:?}: {} of {count}", crowd.of(kind).count());
        for ending in crowd.of(kind) {
            if !expected.1 && was_held_up(plan, ending) {
                continue; // it had no chance to be in time
            }
            assert_eq!(ending.closed, expected.1, "{ending:?}");
            if kind == Kind::Reader {
                continue; // its answer began, and how much of it came is the system's business
            }
            assert!(ending.statuses.len() <= 1, "{ending:?}");
            assert!(ending.statuses.iter().all(|status| expected.0.contains(status)), "{ending:?}");
            assert!(!ending.statuses.is_empty() || expected.0.is_empty(), "{ending:?}");
        }
        if expected.1 {
            for ending in crowd.of(kind) {
                // The client looks once a turn, or later if it was held up.
                assert!(ending.lasted + ending.gap_max + 2 * plan.turn > limit, "too early: {ending:?}");
                assert!(ending.lasted < limit + LATE_MAX, "too late: {ending:?}");
            }
        }
    }
}

/// What was sent in full is stored, and nothing else.
fn check_bodies(plan: &Plan, server: &Server, crowd: &Crowd<'_>) {
    let listed = server.request("GET", &format!("{DEMO_KEYS}?values=false"), Some(DEMO_KEY), &[], b"").json();
    let names: Vec<&str> =
        listed["keys"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    assert!(!names.iter().any(|name| name.starts_with("never-")), "a body that was half sent is stored");
    let stored = names.iter().filter(|name| name.starts_with("slowly-")).count();
    let sent = plan.counts.iter().find(|(kind, _)| *kind == Kind::BodyInTime).map(|(_, count)| *count);
    let held_up = crowd.of(Kind::BodyInTime).filter(|ending| was_held_up(plan, ending)).count();
    assert!(
        sent.is_some_and(|sent| (sent - held_up.min(sent)..=sent).contains(&stored)),
        "{stored} are stored"
    );
}

fn resident_bytes(server: &Server) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid())).map(Iterator::count).unwrap_or_default()
}

fn measure(server: &Server, time: Duration, meanwhile: impl FnOnce(Duration)) -> Latencies {
    let clients = GoodClients::start(server.port);
    meanwhile(time);
    clients.stop()
}

fn print_latencies(rows: &[(&str, &Latencies)]) {
    println!("\n| Good clients | Requests | p50 | p99 | p99.9 | Worst |\n|---|---|---|---|---|---|");
    for (name, latencies) in rows {
        for (what, sorted) in [("reads", &latencies.reads_ms), ("writes", &latencies.writes_ms)] {
            let [p50, p99, p999, worst] = [500, 990, 999, 1_000].map(|part| quantile(sorted, part));
            println!(
                "| {what}, {name} | {} | {p50:.2} ms | {p99:.2} ms | {p999:.2} ms | {worst:.1} ms |",
                grouped(sorted.len())
            );
        }
    }
    if let [(_, alone), (_, beside), ..] = rows {
        let ratio = |of: fn(&Latencies) -> &Vec<f64>| quantile(of(beside), 990) / quantile(of(alone), 990);
        println!(
            "\np99 in the crowd over p99 alone: reads {:.2}, writes {:.2}",
            ratio(|latencies| &latencies.reads_ms),
            ratio(|latencies| &latencies.writes_ms)
        );
    }
}

fn print_endings(plan: &Plan, crowd: &Crowd<'_>) {
    println!("\n| Crowd | At once | Ended | After | The rule |\n|---|---|---|---|---|");
    for (kind, count) in plan.counts {
        let lasted = || crowd.of(kind).map(|ending| ending.lasted.as_secs_f64());
        let (least, most) = (lasted().fold(f64::MAX, f64::min), lasted().fold(0.0, f64::max));
        let ended = crowd.of(kind).count();
        let (count, ended, rule) = (grouped(count), grouped(ended), plan.seconds(kind));
        println!("| {kind:?} | {count} | {ended} | {least:.1} to {most:.1} s | {rule} s |");
    }
}

#[test]
fn good_clients_are_served_among_many_bad_ones_and_memory_stays_bounded() {
    let plan = Plan::from_environment();
    let server = plan.server();
    let value = format!("\"{}\"", "x".repeat(VALUE_BYTES));
    for number in 0..VALUES {
        let path = format!("/api/v1/projects/large/keys/{number}");
        assert_eq!(server.request("PUT", &path, None, &[], value.as_bytes()).status, 201);
    }
    let alone = measure(&server, plan.measured, std::thread::sleep);
    let before = resident_bytes(&server);
    let mut crowd = Crowd::arrive(&plan, server.port);
    crowd.work(plan.turn);
    let (during, open) = (resident_bytes(&server), descriptors(&server));
    let beside = measure(&server, plan.measured, |time| crowd.work(time));
    let late = resident_bytes(&server);
    crowd.see_them_leave();
    let gone = holds_within(LATE_MAX, || descriptors(&server) < 100);
    assert!(gone, "{} descriptors are left", descriptors(&server));
    let again = measure(&server, plan.measured, std::thread::sleep);
    let after = resident_bytes(&server);
    print_latencies(&[("alone", &alone), ("in the crowd", &beside), ("alone again", &again)]);
    print_endings(&plan, &crowd);
    let bound = plan.memory_bytes_max();
    let mib = |bytes: Option<u64>| bytes.unwrap_or_default() as f64 / 1_048_576.0;
    println!(
        "\nmemory before {:.1} MiB, with all {:.1} MiB ({open} descriptors), later {:.1} MiB, after {:.1} MiB; \
         bound: {:.1} MiB more than before",
        mib(before),
        mib(during),
        mib(late),
        mib(after),
        mib(Some(bound))
    );
    check_endings(&plan, &crowd);
    check_bodies(&plan, &server, &crowd);
    if let (Some(before), Some(during), Some(late), Some(after)) = (before, during, late, after) {
        assert!(during.max(late) < before + bound, "{during} or {late} is beyond the bound");
        assert!(after < before + bound, "memory does not come back: {before} became {after}");
    }
    assert!(open >= plan.clients(), "all at once: {open}");
}

//! A server that nobody asks: memory, wake-ups, and what an idle kept-alive connection costs.

use std::thread;
use std::time::Duration;

use super::filling::{self, Values};
use crate::campaign::Campaign;
use crate::failure::{Outcome, failure};
use crate::http::Connection;
use crate::resources::{context_switches, resident_bytes};
use crate::statistics::Spread;
use crate::table::{Bar, Figure, Row, Unit, group_thousands};

/// Connections held open, the most that PiKV takes by default.
const CONNECTIONS: u32 = 10_000;
/// Descriptors beyond those: files, pollers, standard streams.
const DESCRIPTORS_BESIDE: u64 = 200;
/// How long the server is watched.
const WATCHED: Duration = Duration::from_secs(10);
/// After a start, before it counts as idle.
const SETTLING: Duration = Duration::from_secs(3);

/// Starts a server without keys and leaves it alone.
///
/// # Errors
/// PiKV cannot be measured.
pub fn measure(campaign: &mut Campaign) -> Outcome<()> {
    campaign.say("idle");
    let limit = raise_descriptor_limit();
    let pikv = filling::empty_home(campaign, "idle", Values::InMemory)?.start()?;
    thread::sleep(SETTLING);
    let resident = resident_bytes(pikv.id())?;
    let wake_ups = watch(pikv.id())?;
    let mut push = |what: &str, unit, figure, bar| {
        campaign.rows.push(Row {
            what: what.to_owned(),
            against: "absolute".to_owned(),
            unit,
            ours: figure,
            theirs: Figure::None,
            bar,
            note: String::new(),
        });
    };
    let measured = |value| Figure::Measured(Spread::single(value));
    push("idle: memory", Unit::Mebibytes, measured(resident / (1024.0 * 1024.0)), Bar::OursMax(4.0));
    push("idle: wake-ups a second", Unit::Count, measured(wake_ups), Bar::OursMax(0.0));
    let count = group_thousands(u64::from(CONNECTIONS));
    let what = format!("idle: memory per kept-alive connection, {count} of them");
    let held = limit.and_then(|()| hold_connections(&pikv, resident));
    let (per_connection, wake_ups) = match held {
        Ok((bytes, wake_ups)) => (measured(bytes / 1024.0), measured(wake_ups)),
        Err(reason) => (Figure::Missing(reason.to_string()), Figure::Missing(reason.to_string())),
    };
    push(&what, Unit::Kibibytes, per_connection, Bar::OursMax(2.0));
    push("idle: wake-ups a second with these connections", Unit::Count, wake_ups, Bar::Shown);
    Ok(())
}

/// Opens the connections and asks one thing on each. Returns bytes per connection and wake-ups a second.
fn hold_connections(pikv: &crate::peers::pikv::Pikv, resident_before: f64) -> Outcome<(f64, f64)> {
    let mut request = pikv.target(1).get;
    request.path = "/healthz".to_owned();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(pikv.address)?;
        connection.ask(&request)?.success("PiKV")?;
        connections.push(connection);
    }
    let bytes = (resident_bytes(pikv.id())? - resident_before) / f64::from(CONNECTIONS);
    thread::sleep(SETTLING);
    let wake_ups = watch(pikv.id())?;
    let closed = connections.iter().filter(|connection| !connection.is_quiet()).count();
    if closed > 0 {
        return Err(failure(format!("{closed} of {CONNECTIONS} connections were closed meanwhile")));
    }
    Ok((bytes, wake_ups))
}

/// Context switches a second.
fn watch(process_id: u32) -> Outcome<f64> {
    let before = context_switches(process_id)?;
    thread::sleep(WATCHED);
    Ok((context_switches(process_id)? - before) / WATCHED.as_secs_f64())
}

/// This process and those that it starts may have as many descriptors as the system lets it.
fn raise_descriptor_limit() -> Outcome<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).map_err(|error| failure(error.to_string()))?;
    let needed = u64::from(CONNECTIONS) + DESCRIPTORS_BESIDE;
    match limit.maximum {
        Some(maximum) if maximum < needed => {
            Err(failure(format!("only {maximum} descriptors, {needed} are needed (ulimit -Hn)")))
        }
        _ => Ok(()),
    }
}

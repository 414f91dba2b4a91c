//! Durable writes where every `fdatasync` takes 5 ms longer, which is what an SD card does: how many
//! writes share one sync, and how long reads take beside them.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::filling::{self, Values};
use super::throughput::CONNECTIONS;
use crate::campaign::{Campaign, require};
use crate::failure::{Outcome, failure};
use crate::http::Request;
use crate::peers::key_path;
use crate::records::LOAD_KEYS;
use crate::sampler::Sampler;
use crate::statistics::{Spread, percentile};
use crate::table::{Bar, Figure, Row, Unit};
use crate::wrk::{self, Load};

/// Seen by strace: only this call is slowed down, and others do not stop for it.
const STRACE: [&str; 8] = [
    "strace",
    "--daemonize",
    "-f",
    "--seccomp-bpf",
    "-e",
    "trace=fdatasync",
    "-e",
    "inject=fdatasync:delay_exit=5000",
];

/// What one round came to.
#[derive(Clone, Copy, Debug)]
struct Round {
    writes_per_sync: f64,
    writes_per_second: f64,
    untouched_p99_ms: f64,
    written_p99_ms: f64,
    alone_p99_ms: f64,
}

/// Measures writes per sync and reads beside them.
///
/// # Errors
/// PiKV cannot be measured.
pub fn measure(campaign: &mut Campaign) -> Outcome<()> {
    let what = format!("durable PUT, {CONNECTIONS} connections, fdatasync slowed by 5 ms");
    campaign.say(&what);
    let rounds = match require(&["wrk", "strace"]) {
        Ok(()) => run_rounds(campaign)?,
        Err(reason) => {
            for (name, unit, bar) in [
                ("acknowledged writes per sync", Unit::Count, Bar::OursMin(25.0)),
                ("GET p99 beside it", Unit::Milliseconds, Bar::OursMax(5.0)),
            ] {
                let row = Row::missing(&format!("{what}: {name}"), "absolute", bar, &reason.to_string());
                campaign.rows.push(Row { unit, ..row });
            }
            return Ok(());
        }
    };
    let mut push = |name: &str, unit, bar, part: fn(&Round) -> f64| {
        let figures: Vec<f64> = rounds.iter().map(part).collect();
        campaign.rows.push(Row {
            what: format!("{what}: {name}"),
            against: "absolute".to_owned(),
            unit,
            ours: Spread::of(&figures).map_or(Figure::None, Figure::Measured),
            theirs: Figure::None,
            bar,
            note: String::new(),
        });
    };
    push("acknowledged writes per sync", Unit::Count, Bar::OursMin(25.0), |round| round.writes_per_sync);
    push("writes", Unit::PerSecond, Bar::Shown, |round| round.writes_per_second);
    push("GET p99 beside it", Unit::Milliseconds, Bar::OursMax(5.0), |round| round.untouched_p99_ms);
    push("GET p99 alone, without writes", Unit::Milliseconds, Bar::Shown, |round| round.alone_p99_ms);
    push(
        "GET p99 of the keys being written, which wait for the sync",
        Unit::Milliseconds,
        Bar::Shown,
        |round| round.written_p99_ms,
    );
    Ok(())
}

fn run_rounds(campaign: &mut Campaign) -> Outcome<Vec<Round>> {
    let home = filling::filled_home(campaign, "slow", 2 * LOAD_KEYS, Values::InMemory)?;
    let trace = campaign.directory().join("strace.txt");
    let mut wrapper: Vec<String> = STRACE.map(str::to_owned).to_vec();
    wrapper.extend(["-o".to_owned(), trace.display().to_string()]);
    let pikv = home.start_under(&wrapper)?;
    // The writes go to the first half of the keys.
    let target = pikv.target(LOAD_KEYS);
    let reads = |from: u64| -> Vec<Request> {
        let path = |number| Request { path: key_path(number), ..target.get.clone() };
        (from..from + LOAD_KEYS).map(path).collect()
    };
    let mut rounds = Vec::new();
    for _ in 0..campaign.options.rounds {
        let load = Load {
            address: pikv.address,
            connections: CONNECTIONS,
            seconds: campaign.options.seconds,
            requests: &target.puts,
            pipelined: 1,
        };
        let syncs_before = completed_syncs(&trace)?;
        let sampler = Sampler::start(pikv.address, &reads(LOAD_KEYS));
        let figures = wrk::run(&load, campaign.directory())?;
        let untouched_p99_ms = p99(sampler)?;
        let syncs = completed_syncs(&trace)? - syncs_before;
        if let Some(complaint) = figures.complaint() {
            return Err(failure(format!("the writers: {complaint}")));
        }
        let sampler = Sampler::start(pikv.address, &reads(0));
        wrk::run(&load, campaign.directory())?;
        let written_p99_ms = p99(sampler)?;
        let sampler = Sampler::start(pikv.address, &reads(LOAD_KEYS));
        thread::sleep(Duration::from_secs(campaign.options.seconds.into()));
        let alone_p99_ms = p99(sampler)?;
        rounds.push(Round {
            writes_per_sync: precise(figures.answers) / precise(syncs),
            writes_per_second: figures.per_second,
            untouched_p99_ms,
            written_p99_ms,
            alone_p99_ms,
        });
    }
    Ok(rounds)
}

fn p99(sampler: Sampler) -> Outcome<f64> {
    let mut samples: Vec<f64> = sampler.finish()?.iter().map(|sample| sample.milliseconds).collect();
    percentile(&mut samples, 990).ok_or_else(|| failure("no answers"))
}

#[expect(clippy::cast_precision_loss, reason = "counts of some thousands")]
fn precise(count: u64) -> f64 {
    count as f64
}

fn completed_syncs(trace: &Path) -> Outcome<u64> {
    Ok(count_syncs(&fs::read_to_string(trace)?))
}

/// Calls that returned. One that another thread interrupts has two lines, of which the second counts.
fn count_syncs(trace: &str) -> u64 {
    let returned = |line: &&str| line.contains("fdatasync") && line.contains(" = ");
    trace.lines().filter(returned).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_are_counted_once_each() {
        let trace = "\
4711 fdatasync(9) = 0 (DELAYED)
4711 fdatasync(9 <unfinished ...>
4712 fdatasync(11) = -1 EIO (Input/output error) (DELAYED)
4711 <... fdatasync resumed>) = 0 (DELAYED)
4711 --- SIGTERM {si_signo=SIGTERM, si_code=SI_USER} ---
4711 +++ exited with 0 +++
";
        assert_eq!(count_syncs(trace), 3);
        assert_eq!(count_syncs(""), 0);
    }
}

//! Reads while 32 connections write and a checkpoint of many keys runs.
//!
//! A checkpoint begins when the changes in the journal outgrow what would be written anew. The journal
//! is filled up to shortly before, then reads and writes begin, and the writes bring the checkpoint
//! about. It is seen to begin by its temporary file and to end by a new file in place of the old one.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use super::filling::{self, Values};
use crate::campaign::{Campaign, require};
use crate::failure::{Outcome, failure};
use crate::http::Request;
use crate::peers::key_path;
use crate::peers::pikv::{Home, Pikv};
use crate::process::wait_until;
use crate::records::load_keys;
use crate::sampler::{Sample, Sampler};
use crate::statistics::{Spread, percentile};
use crate::table::{Bar, Figure, Row, Unit, group_thousands};
use crate::wrk::{Load, Running};

const WRITERS: u32 = 32;
/// Checkpoints looked at, at most: before each one many changes have to be written.
const ROUNDS_MAX: u32 = 3;
/// What the journal lacks when reads and writes begin, in percent of what starts the checkpoint.
const LACKING_PERCENT: u64 = 4;
/// Until the writers have brought the checkpoint about, and until it is done.
const CHECKPOINT_SECONDS_MAX: u64 = 120;
/// A percentile of fewer answers says nothing.
const SAMPLES_MIN: usize = 200;
/// Reads go on for so long after the checkpoint: what it left behind is seen too.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// One checkpoint.
#[derive(Clone, Copy, Debug)]
struct Round {
    seconds: f64,
    p99_ms: f64,
    worst_ms: f64,
}

/// Measures a few checkpoints.
///
/// # Errors
/// PiKV cannot be measured.
pub fn measure(campaign: &mut Campaign) -> Outcome<()> {
    let keys = campaign.options.many_keys;
    let count = group_thousands(keys);
    let what = format!("GET while {WRITERS} connections write and a checkpoint of {count} keys runs");
    campaign.say(&what);
    let bars = [("p99", Bar::OursMax(10.0)), ("worst stall", Bar::OursMax(50.0))];
    if let Err(reason) = require(&["wrk"]) {
        for (name, bar) in bars {
            let row = Row::missing(&format!("{what}: {name}"), "absolute", bar, &reason.to_string());
            campaign.rows.push(Row { unit: Unit::Milliseconds, ..row });
        }
        return Ok(());
    }
    let home = filling::filled_home(campaign, "checkpoint", keys, Values::InMemory)?;
    let outgrown = bytes(&home.json_path())? + 2 * bytes(&home.journal_path())?;
    let pikv = home.start()?;
    let mut rounds = Vec::new();
    for _ in 0..campaign.options.rounds.min(ROUNDS_MAX) {
        rounds.push(run_round(campaign, &pikv, &home, outgrown)?);
    }
    let p99: Vec<f64> = rounds.iter().map(|round| round.p99_ms).collect();
    let seconds: Vec<f64> = rounds.iter().map(|round| round.seconds).collect();
    let (Some(p99), Some(seconds)) = (Spread::of(&p99), Spread::of(&seconds)) else {
        return Err(failure("no rounds"));
    };
    let worst = rounds.iter().map(|round| round.worst_ms).fold(0.0, f64::max);
    for ((name, bar), figure) in bars.into_iter().zip([p99, Spread::single(worst)]) {
        campaign.rows.push(Row {
            what: format!("{what}: {name}"),
            against: "absolute".to_owned(),
            unit: Unit::Milliseconds,
            ours: Figure::Measured(figure),
            theirs: Figure::None,
            bar,
            note: format!("{} checkpoints of {:.1} to {:.1} s", rounds.len(), seconds.min, seconds.max),
        });
    }
    Ok(())
}

fn run_round(campaign: &Campaign, pikv: &Pikv, home: &Home, outgrown: u64) -> Outcome<Round> {
    let keys = campaign.options.many_keys;
    let inode = fs::metadata(home.json_path())?.ino();
    let enough = outgrown - outgrown * LACKING_PERCENT / 100;
    let mut next = 0;
    while bytes(&home.journal_path())? < enough {
        pikv.put_batches(next, (next + 1_000).min(keys))?;
        next = (next + 1_000) % keys;
    }
    if fs::metadata(home.json_path())?.ino() != inode {
        return Err(failure("the checkpoint ran before it was looked at"));
    }
    let target = pikv.target(keys);
    let sampler = Sampler::start(pikv.address, &untouched(&target.get, keys));
    let load = Load {
        address: pikv.address,
        connections: WRITERS,
        seconds: u32::try_from(3 * CHECKPOINT_SECONDS_MAX).unwrap_or(u32::MAX),
        requests: &target.puts,
        pipelined: 1,
    };
    let writers = Running::start(&load, campaign.directory())?;
    let temporary = home.json_path().with_extension("json.tmp");
    wait_until("the checkpoint beginning", CHECKPOINT_SECONDS_MAX, || temporary.exists())?;
    let begun_at = Instant::now();
    wait_until("the checkpoint ending", CHECKPOINT_SECONDS_MAX, || {
        fs::metadata(home.json_path()).is_ok_and(|metadata| metadata.ino() != inode)
    })?;
    let ended_at = Instant::now();
    wait_until("the time afterwards", 60, || ended_at.elapsed() > AFTERWARDS)?;
    let samples = sampler.finish()?;
    if let Some(complaint) = writers.interrupt()?.complaint() {
        return Err(failure(format!("the writers: {complaint}")));
    }
    summarize(&samples, begun_at, ended_at)
}

/// Reads of keys that nobody writes. A read of a value that is not synced yet waits for the sync, and
/// that is not what a checkpoint does to it.
fn untouched(get: &Request, keys: u64) -> Vec<Request> {
    load_keys(keys).map(|number| Request { path: key_path((number + 1) % keys), ..get.clone() }).collect()
}

fn summarize(samples: &[Sample], begun_at: Instant, ended_at: Instant) -> Outcome<Round> {
    let during = samples.iter().filter(|sample| (begun_at..ended_at).contains(&sample.at));
    let mut during: Vec<f64> = during.map(|sample| sample.milliseconds).collect();
    let mut all: Vec<f64> = samples.iter().map(|sample| sample.milliseconds).collect();
    let relevant = if during.len() >= SAMPLES_MIN { &mut during } else { &mut all };
    let (p99, worst) = (percentile(relevant, 990), percentile(&mut all, 1000));
    match (p99, worst) {
        (Some(p99_ms), Some(worst_ms)) => {
            Ok(Round { seconds: (ended_at - begun_at).as_secs_f64(), p99_ms, worst_ms })
        }
        _ => Err(failure("no answers")),
    }
}

fn bytes(path: &std::path::Path) -> Outcome<u64> {
    Ok(fs::metadata(path)?.len())
}

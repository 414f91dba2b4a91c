//! What a durable write costs with more and more keys stored: ours, Redis behind webdis, and the
//! whole-file rewrite, which writes everything again each time.

use super::filling::{self, Values};
use super::throughput::{self, Kind, Tolerance};
use crate::campaign::{Campaign, Curve, require};
use crate::failure::{Outcome, failure};
use crate::peers::Target;
use crate::peers::in_process::InProcess;
use crate::peers::pikv::Pikv;
use crate::peers::webdis::Webdis;
use crate::statistics::Spread;
use crate::table::{Bar, Figure, Row, Unit, group_thousands};

/// Beyond this many keys a write of the whole-file rewrite takes so long that a round has but a few.
const WHOLE_FILE_KEYS_MAX: u64 = 100_000;
/// Rounds at each number of keys, at most.
const ROUNDS_MAX: u32 = 3;
/// Length of a round, at most.
const SECONDS_MAX: u32 = 2;

/// Measures at 10, 100, … keys.
///
/// # Errors
/// PiKV cannot be measured.
pub fn measure(campaign: &mut Campaign) -> Outcome<()> {
    campaign.say("cost of a write with more and more keys");
    let against = "webdis + Redis, appendfsync always";
    if let Err(reason) = require(&["wrk"]) {
        campaign.rows.push(Row::missing("cost of a durable PUT", against, Bar::Shown, &reason.to_string()));
        return Ok(());
    }
    let pikv = filling::empty_home(campaign, "cost", Values::InMemory)?.start()?;
    let directory = campaign.new_directory("cost-webdis")?;
    let webdis = require(&["redis-server", "webdis"]).and_then(|()| Webdis::start(&directory));
    let mut curves = ["PiKV", "webdis + Redis", "whole-file rewrite (tiny_http)"]
        .map(|name| Curve { name: name.to_owned(), points: Vec::new() });
    let (mut keys_before, mut keys) = (0, 10);
    while keys <= campaign.options.many_keys {
        let costs = measure_at(campaign, &pikv, webdis.as_ref().ok(), keys_before, keys)?;
        push_row(campaign, against, keys, &costs[0], webdis_figure(&costs[1], &webdis));
        if keys <= WHOLE_FILE_KEYS_MAX {
            push_row(campaign, "whole-file rewrite (tiny_http)", keys, &costs[0], figure(&costs[2]));
        }
        for (curve, rounds) in curves.iter_mut().zip(&costs) {
            curve.points.extend(Spread::of(rounds).map(|spread| (keys, spread.median)));
        }
        (keys_before, keys) = (keys, keys * 10);
    }
    campaign.curves = curves.into_iter().filter(|curve| !curve.points.is_empty()).collect();
    Ok(())
}

/// Microseconds per write of ours, of Redis and of the whole-file rewrite; no rounds if one is not measured.
fn measure_at(
    campaign: &mut Campaign,
    pikv: &Pikv,
    webdis: Option<&Webdis>,
    keys_before: u64,
    keys: u64,
) -> Outcome<[Vec<f64>; 3]> {
    pikv.put_batches(keys_before, keys)?;
    filling::wait_for_checkpoint(pikv)?;
    if let Some(webdis) = webdis {
        webdis.redis().put(keys_before, keys)?;
    }
    let mut costs = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..campaign.options.rounds.min(ROUNDS_MAX) {
        costs[0].push(cost(campaign, &pikv.target(keys), Tolerance::None)?);
        if let Some(webdis) = webdis {
            costs[1].push(cost(campaign, &webdis.target(keys), Tolerance::None)?);
        }
        if keys <= WHOLE_FILE_KEYS_MAX {
            // A new one each time: writes that wait in it outlive the load.
            let directory = campaign.new_directory("cost-whole-file")?;
            let whole_file = InProcess::start_whole_file(&directory, keys)?;
            costs[2].push(cost(campaign, &whole_file.target(keys), Tolerance::Shown)?);
        }
    }
    Ok(costs)
}

/// Microseconds per write.
fn cost(campaign: &Campaign, target: &Target, tolerance: Tolerance) -> Outcome<f64> {
    let seconds = campaign.options.seconds.min(SECONDS_MAX);
    let (per_second, complaint) = throughput::load(target, Kind::Put, seconds, campaign.directory())?;
    match complaint {
        Some(complaint) if tolerance == Tolerance::None => {
            Err(failure(format!("{}: {complaint}", target.name)))
        }
        _ if per_second == 0.0 => Err(failure(format!("{}: no write in {seconds} s", target.name))),
        _ => Ok(1_000_000.0 / per_second),
    }
}

fn push_row(campaign: &mut Campaign, against: &str, keys: u64, ours: &[f64], theirs: Figure) {
    campaign.rows.push(Row {
        what: format!("time per durable PUT, 64 connections, {} keys stored", group_thousands(keys)),
        against: against.to_owned(),
        unit: Unit::Microseconds,
        ours: figure(ours),
        theirs,
        bar: Bar::Shown,
        note: String::new(),
    });
}

fn figure(rounds: &[f64]) -> Figure {
    Spread::of(rounds).map_or(Figure::None, Figure::Measured)
}

fn webdis_figure(rounds: &[f64], webdis: &Outcome<Webdis>) -> Figure {
    match webdis {
        Ok(_) => figure(rounds),
        Err(reason) => Figure::Missing(reason.to_string()),
    }
}

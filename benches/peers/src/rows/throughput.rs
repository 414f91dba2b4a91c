//! Answers a second with 64 connections: reads and durable writes, beside each rival.

use std::path::Path;

use crate::campaign::{Campaign, require};
use crate::failure::{Failure, Outcome, failure};
use crate::http::Request;
use crate::peers::Target;
use crate::peers::etcd::Etcd;
use crate::peers::in_process::InProcess;
use crate::peers::pikv::Home;
use crate::peers::webdis::Webdis;
use crate::records::{self, LOAD_KEYS};
use crate::statistics::Spread;
use crate::table::{Bar, Figure, Row, Unit};
use crate::wrk::{self, Load};

/// Connections of every load here.
pub const CONNECTIONS: u32 = 64;
/// Before the first round, so that caches and connections are as later.
const WARM_UP_SECONDS: u32 = 1;

/// What the rows of reads are called.
pub const GET: &str = "GET, 100-byte value, 64 connections";
/// What the rows of writes are called.
pub const PUT: &str = "durable PUT, 100-byte value, 64 connections";

/// Whether a rival that fails a request is measured all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// Its figures count for nothing.
    None,
    /// It is only shown beside, with what failed.
    Shown,
}

/// Reads: webdis + Redis, axum, the bare loop, the whole-file rewrite.
///
/// # Errors
/// PiKV itself cannot be measured.
pub fn measure_gets(campaign: &mut Campaign) -> Outcome<()> {
    let directory = campaign.new_directory("get")?;
    let home = Home::create(&campaign.pikv, &directory.join("pikv"))?;
    let pikv = home.start()?;
    let ours = pikv.target(LOAD_KEYS);
    ours.put_all()?;
    let answer = ours.check_get(&records::value(1))?;

    let webdis = require(&["redis-server", "webdis"]).and_then(|()| Webdis::start(&directory));
    let target = webdis.as_ref().map(|webdis| webdis.target(LOAD_KEYS));
    let target = target.map_err(restate).and_then(|target| {
        target.put_all()?;
        target.check_get(&records::value(1))?;
        Ok(target)
    });
    compare(campaign, GET, "webdis + Redis", &ours, target, Bar::RatioMin(2.0), Kind::Get);
    drop(webdis);

    let axum = InProcess::start_axum(&directory, &answer.head, &answer.body);
    let target = same_answer(&axum, &answer.head, &answer.body);
    compare(campaign, GET, "axum, Mutex<BTreeMap>", &ours, target, Bar::RatioMin(1.0), Kind::Get);
    drop(axum);

    let bare = InProcess::start_bare(&directory, &answer.head, &answer.body);
    let target = same_answer(&bare, &answer.head, &answer.body);
    compare(campaign, GET, "bare mio + httparse loop", &ours, target, Bar::RatioMin(0.85), Kind::Get);
    drop(bare);

    let whole_file = InProcess::start_whole_file(&directory.join("whole-file"), LOAD_KEYS);
    let target = whole_file.as_ref().map(|whole_file| whole_file.target(LOAD_KEYS)).map_err(restate);
    let target = target.and_then(|target| target.check_get(&records::value(0)).map(|_| target));
    compare(campaign, GET, "whole-file rewrite (tiny_http)", &ours, target, Bar::Shown, Kind::Get);
    Ok(())
}

/// Durable writes: webdis + Redis with `appendfsync always`, etcd, the whole-file rewrite, the bare group commit.
///
/// # Errors
/// PiKV itself cannot be measured.
pub fn measure_puts(campaign: &mut Campaign) -> Outcome<()> {
    let directory = campaign.new_directory("put")?;
    let home = Home::create(&campaign.pikv, &directory.join("pikv"))?;
    let pikv = home.start()?;
    let ours = pikv.target(LOAD_KEYS);
    ours.put_all()?;
    // The second time its keys are there, as under load.
    let answer = ours.put_all()?;
    ours.check_get(&records::value(1))?;
    pikv.check_stored(&records::value(1))?;

    let webdis = require(&["redis-server", "webdis"]).and_then(|()| Webdis::start(&directory));
    let target = webdis.as_ref().map_err(restate).and_then(|webdis| {
        let target = webdis.target(LOAD_KEYS);
        target.put_all()?;
        webdis.check_stored(&records::value(1))?;
        Ok(target)
    });
    let against = "webdis + Redis, appendfsync always";
    compare(campaign, PUT, against, &ours, target, Bar::RatioMin(1.8), Kind::Put);
    drop(webdis);

    let etcd = require(&["etcd"]).and_then(|()| Etcd::start(&directory));
    let target = etcd.as_ref().map_err(restate).and_then(|etcd| {
        let target = etcd.target(LOAD_KEYS);
        target.put_all()?;
        etcd.check_stored(&records::value(1))?;
        Ok(target)
    });
    compare(campaign, PUT, "etcd, JSON gateway", &ours, target, Bar::RatioMin(4.0), Kind::Put);
    drop(etcd);

    let whole_file = InProcess::start_whole_file(&directory.join("whole-file"), LOAD_KEYS);
    let target = whole_file.as_ref().map_err(restate).and_then(|whole_file| {
        let target = whole_file.target(LOAD_KEYS);
        target.put_all()?;
        target.check_get(&records::value(1))?;
        Ok(target)
    });
    compare(campaign, PUT, "whole-file rewrite, 1,000 keys", &ours, target, Bar::Shown, Kind::Put);
    drop(whole_file);

    let commit = InProcess::start_commit(&directory, &answer.head, &answer.body);
    let target = commit.as_ref().map_err(restate).and_then(|commit| {
        let target = commit.target(LOAD_KEYS);
        target.put_all()?;
        Ok(target)
    });
    compare(campaign, PUT, "bare group commit", &ours, target, Bar::Shown, Kind::Put);
    Ok(())
}

/// What a load consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One key is read.
    Get,
    /// Keys are written.
    Put,
}

impl Kind {
    /// The requests of `target` of this kind.
    pub fn requests(self, target: &Target) -> &[Request] {
        match self {
            Self::Get => std::slice::from_ref(&target.get),
            Self::Put => &target.puts,
        }
    }
}

fn restate(error: &Failure) -> Failure {
    failure(error.to_string())
}

/// The target of a server that repeats PiKV's answer, once it was seen to do so. Numbers of requests
/// grow in PiKV's answers, so that heads may differ by a few bytes.
fn same_answer(server: &Outcome<InProcess>, head: &str, body: &str) -> Outcome<Target> {
    let target = server.as_ref().map_err(restate)?.target(LOAD_KEYS);
    let answer = target.check_get(body)?;
    if answer.body != body || answer.head.len() != head.len() {
        return Err(failure(format!("{} does not answer the same bytes: {}", target.name, answer.head)));
    }
    Ok(target)
}

/// Adds the row of alternating rounds of `ours` and `theirs`, or of why there are none.
pub fn compare(
    campaign: &mut Campaign,
    what: &str,
    against: &str,
    ours: &Target,
    theirs: Outcome<Target>,
    bar: Bar,
    kind: Kind,
) {
    campaign.say(&format!("{what}, against {against}"));
    let tolerance = if bar == Bar::Shown { Tolerance::Shown } else { Tolerance::None };
    let row = match theirs.and_then(|theirs| alternate(campaign, ours, &theirs, kind, tolerance)) {
        Ok(Alternated { ours, theirs, note }) => Row {
            what: what.to_owned(),
            against: against.to_owned(),
            unit: Unit::PerSecond,
            ours: Figure::Measured(ours),
            theirs: Figure::Measured(theirs),
            bar,
            note,
        },
        Err(reason) => Row::missing(what, against, bar, &reason.to_string()),
    };
    campaign.rows.push(row);
}

struct Alternated {
    ours: Spread,
    theirs: Spread,
    note: String,
}

fn alternate(
    campaign: &Campaign,
    ours: &Target,
    theirs: &Target,
    kind: Kind,
    tolerance: Tolerance,
) -> Outcome<Alternated> {
    require(&["wrk"])?;
    let options = &campaign.options;
    let (mut our_rounds, mut their_rounds, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for target in [ours, theirs] {
        load(target, kind, WARM_UP_SECONDS, campaign.directory())?;
    }
    for _ in 0..options.rounds {
        let (per_second, complaint) = load(ours, kind, options.seconds, campaign.directory())?;
        if let Some(complaint) = complaint {
            return Err(failure(format!("{}: {complaint}", ours.name)));
        }
        our_rounds.push(per_second);
        let (per_second, complaint) = load(theirs, kind, options.seconds, campaign.directory())?;
        if let Some(complaint) = complaint {
            let complaint = format!("{}: {complaint}", theirs.name);
            if tolerance == Tolerance::None {
                return Err(failure(complaint));
            }
            notes.push(complaint);
        }
        their_rounds.push(per_second);
    }
    let spread = |rounds: &[f64]| Spread::of(rounds).ok_or_else(|| failure("no rounds"));
    let (ours, theirs) = (spread(&our_rounds)?, spread(&their_rounds)?);
    Ok(Alternated { ours, theirs, note: notes.join("; ") })
}

/// One round: answers a second, and what was wrong with them.
///
/// # Errors
/// The load could not be made.
pub fn load(target: &Target, kind: Kind, seconds: u32, directory: &Path) -> Outcome<(f64, Option<String>)> {
    let requests = kind.requests(target);
    let load = Load { address: target.address, connections: CONNECTIONS, seconds, requests, pipelined: 1 };
    let figures = wrk::run(&load, directory)?;
    Ok((figures.per_second, figures.complaint()))
}

//! The processor time of a request: user and system time of all processes of a server, divided by the requests that
//! it answered. On few cores a rate depends on the load generator, too; this does not.

use std::slice;

use super::throughput::{CONNECTIONS, Kind};
use crate::campaign::{Campaign, require};
use crate::failure::{Failure, Outcome, failure};
use crate::peers::Target;
use crate::peers::nginx::Nginx;
use crate::peers::pikv::Home;
use crate::peers::webdis::Webdis;
use crate::records::{self, LOAD_KEYS};
use crate::resources::processor_seconds;
use crate::statistics::Spread;
use crate::table::{Bar, Figure, Row, Unit};
use crate::wrk::{self, Load};

/// Requests that a client sends before it reads the first answer, in the rows about that.
const PIPELINED: u32 = 16;
const WARM_UP_SECONDS: u32 = 1;

/// A server under load, and its processes.
struct Measured {
    target: Target,
    process_ids: Vec<u32>,
}

/// What each request of a row is.
#[derive(Clone, Copy)]
struct Shape {
    what: &'static str,
    kind: Kind,
    pipelined: u32,
}

const GET: Shape = Shape { what: "processor time of a GET, 64 connections", kind: Kind::Get, pipelined: 1 };
const PIPELINED_GET: Shape = Shape {
    what: "processor time of a GET, 64 connections, 16 requests pipelined",
    kind: Kind::Get,
    pipelined: PIPELINED,
};
const PUT: Shape =
    Shape { what: "processor time of a durable PUT, 64 connections", kind: Kind::Put, pipelined: 1 };

/// Measures PiKV beside nginx, and beside webdis with its Redis.
///
/// # Errors
/// PiKV cannot be measured.
pub fn measure(campaign: &mut Campaign) -> Outcome<()> {
    let directory = campaign.new_directory("processor")?;
    let pikv = Home::create(&campaign.pikv, &directory.join("pikv"))?.start()?;
    let ours = Measured { target: pikv.target(LOAD_KEYS), process_ids: vec![pikv.id()] };
    ours.target.put_all()?;
    pikv.check_stored(&records::value(1))?;
    let answer = ours.target.check_get(&records::value(1))?;

    let against = "nginx, constant of the same size, access log on";
    let nginx = Nginx::start(&campaign.new_directory("processor-nginx")?, &answer.body);
    for (shape, bar) in [(GET, Bar::RatioMax(1.0)), (PIPELINED_GET, Bar::RatioMax(0.75))] {
        let theirs = nginx.as_ref().map_err(restate).and_then(|nginx| {
            let target = nginx.target(&ours.target.get.path);
            let theirs = target.check_get(&records::value(1))?;
            if theirs.body != answer.body {
                return Err(failure("nginx returns another body than PiKV"));
            }
            Ok(Measured { target, process_ids: nginx.process_ids()? })
        });
        compare(campaign, shape, against, &ours, theirs, bar);
    }
    drop(nginx);

    let against = "webdis + Redis, appendfsync always";
    let webdis_directory = campaign.new_directory("processor-webdis")?;
    let webdis = require(&["redis-server", "webdis"]).and_then(|()| Webdis::start(&webdis_directory));
    for (shape, bar) in [(GET, Bar::Shown), (PIPELINED_GET, Bar::Shown), (PUT, Bar::RatioMax(0.45))] {
        let theirs = webdis.as_ref().map_err(restate).and_then(|webdis| {
            let target = webdis.target(LOAD_KEYS);
            target.put_all()?;
            webdis.check_stored(&records::value(1))?;
            Ok(Measured { target, process_ids: webdis.process_ids() })
        });
        compare(campaign, shape, against, &ours, theirs, bar);
    }
    Ok(())
}

fn restate(error: &Failure) -> Failure {
    failure(error.to_string())
}

/// Adds the row of alternating rounds of `ours` and `theirs`, or of why there are none.
fn compare(
    campaign: &mut Campaign,
    shape: Shape,
    against: &str,
    ours: &Measured,
    theirs: Outcome<Measured>,
    bar: Bar,
) {
    campaign.say(&format!("{}, against {against}", shape.what));
    let row = match theirs.and_then(|theirs| alternate(campaign, shape, ours, &theirs)) {
        Ok([ours, theirs]) => Row {
            what: shape.what.to_owned(),
            against: against.to_owned(),
            unit: Unit::Microseconds,
            ours: Figure::Measured(ours),
            theirs: Figure::Measured(theirs),
            bar,
            note: String::new(),
        },
        Err(reason) => Row::missing(shape.what, against, bar, &reason.to_string()),
    };
    campaign.rows.push(row);
}

fn alternate(campaign: &Campaign, shape: Shape, ours: &Measured, theirs: &Measured) -> Outcome<[Spread; 2]> {
    require(&["wrk"])?;
    let servers = [ours, theirs];
    for server in servers {
        cost(campaign, shape, server, WARM_UP_SECONDS)?;
    }
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..campaign.options.rounds {
        for (server, rounds) in servers.iter().zip(&mut rounds) {
            rounds.push(cost(campaign, shape, server, campaign.options.seconds)?);
        }
    }
    let [ours, theirs] = rounds.map(|rounds| Spread::of(&rounds).ok_or_else(|| failure("no rounds")));
    Ok([ours?, theirs?])
}

/// Microseconds of the processor per request.
fn cost(campaign: &Campaign, shape: Shape, server: &Measured, seconds: u32) -> Outcome<f64> {
    let requests = match shape.kind {
        Kind::Get => slice::from_ref(&server.target.get),
        Kind::Put => &server.target.puts,
    };
    let load = Load {
        address: server.target.address,
        connections: CONNECTIONS,
        seconds,
        requests,
        pipelined: shape.pipelined,
    };
    let before = processor_seconds(&server.process_ids)?;
    let figures = wrk::run(&load, campaign.directory())?;
    let used = processor_seconds(&server.process_ids)? - before;
    match figures.complaint() {
        Some(complaint) => Err(failure(format!("{}: {complaint}", server.target.name))),
        None if figures.answers == 0 => Err(failure(format!("{}: no answer", server.target.name))),
        None => Ok(used * 1_000_000.0 / figures.answers as f64),
    }
}

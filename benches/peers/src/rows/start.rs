//! From the start of the process until a key is read, with many keys stored. The files are in the
//! system's cache for both. Redis loads its own compact form, which is faster than its log of commands.

use super::filling::{self, Values};
use crate::campaign::{Campaign, require};
use crate::failure::{Outcome, failure};
use crate::peers::redis::Redis;
use crate::statistics::Spread;
use crate::table::{Bar, Figure, Row, Unit, group_thousands};

const BAR: Bar = Bar::RatioMax(1.0);

/// Starts ours and theirs in turn.
///
/// # Errors
/// PiKV cannot be measured.
pub fn measure(campaign: &mut Campaign) -> Outcome<()> {
    let keys = campaign.options.many_keys;
    let what = format!("start with {} keys of 100 bytes until the first answer", group_thousands(keys));
    campaign.say(&what);
    let against = "redis-server loading the same";
    let home = filling::filled_home(campaign, "start", keys, Values::InMemory)?;
    let theirs = require(&["redis-server"]).and_then(|()| filling::filled_redis(campaign, keys));
    let (mut our_rounds, mut their_rounds) = (Vec::new(), Vec::new());
    for _ in 0..campaign.options.rounds {
        let pikv = home.start()?;
        filling::check_key(&pikv, keys - 1)?;
        our_rounds.push(pikv.started_at.elapsed().as_secs_f64());
        pikv.stop();
        if let Ok((directory, _)) = &theirs {
            let redis = Redis::start(directory)?;
            redis.wait_until_loaded(keys - 1)?;
            their_rounds.push(redis.started_at.elapsed().as_secs_f64());
            redis.stop();
        }
    }
    let ours = Spread::of(&our_rounds).ok_or_else(|| failure("no rounds"))?;
    campaign.rows.push(Row {
        what,
        against: against.to_owned(),
        unit: Unit::Seconds,
        ours: Figure::Measured(ours),
        theirs: match (Spread::of(&their_rounds), theirs) {
            (Some(spread), _) => Figure::Measured(spread),
            (None, Err(reason)) => Figure::Missing(reason.to_string()),
            (None, Ok(_)) => Figure::None,
        },
        bar: BAR,
        note: String::new(),
    });
    Ok(())
}

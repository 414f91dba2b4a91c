//! Resident memory with many keys of 16 bytes and 100-byte values, once after a start that read them
//! and once after they were written one by one: allocators leave different holes.

use super::filling::{self, Values};
use crate::campaign::{Campaign, require};
use crate::failure::Outcome;
use crate::peers::redis::Redis;
use crate::resources::resident_bytes;
use crate::statistics::Spread;
use crate::table::{Bar, Figure, Row, Unit, group_thousands};

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Memory after a start and after writing, bytes.
#[derive(Clone, Copy, Debug)]
struct Resident {
    started: f64,
    written: f64,
}

/// In memory and with `cache_in_memory: false`, beside redis-server.
///
/// # Errors
/// PiKV cannot be measured.
pub fn measure(campaign: &mut Campaign) -> Outcome<()> {
    let keys = campaign.options.many_keys;
    let count = group_thousands(keys);
    campaign.say(&format!("memory with {count} keys"));
    let theirs = require(&["redis-server"]).and_then(|()| of_redis(campaign, keys));
    for (values, name, bar) in [
        (Values::InMemory, "in memory", Bar::RatioMax(1.0)),
        (Values::OnDisk, "cache_in_memory: false", Bar::RatioMax(0.5)),
    ] {
        let ours = of_pikv(campaign, keys, values)?;
        let mut push = |when: &str, ours: f64, theirs: Result<f64, String>| {
            campaign.rows.push(Row {
                what: format!("memory with {count} keys of 16 bytes and 100-byte values, {name}, {when}"),
                against: "redis-server holding the same".to_owned(),
                unit: Unit::Mebibytes,
                ours: Figure::Measured(Spread::single(ours / MEBIBYTE)),
                theirs: match theirs {
                    Ok(theirs) => Figure::Measured(Spread::single(theirs / MEBIBYTE)),
                    Err(reason) => Figure::Missing(reason),
                },
                bar,
                note: String::new(),
            });
        };
        let of = |part: fn(&Resident) -> f64| theirs.as_ref().map(part).map_err(ToString::to_string);
        push("after a start", ours.started, of(|resident| resident.started));
        push("after writing them", ours.written, of(|resident| resident.written));
    }
    Ok(())
}

fn of_redis(campaign: &mut Campaign, keys: u64) -> Outcome<Resident> {
    let (directory, written) = filling::filled_redis(campaign, keys)?;
    let redis = Redis::start(&directory)?;
    redis.wait_until_loaded(keys - 1)?;
    Ok(Resident { started: resident_bytes(redis.id())?, written })
}

fn of_pikv(campaign: &mut Campaign, keys: u64, values: Values) -> Outcome<Resident> {
    let pikv = filling::empty_home(campaign, "memory", values)?.start()?;
    pikv.put_batches(0, keys)?;
    filling::wait_for_checkpoint(&pikv)?;
    let written = resident_bytes(pikv.id())?;
    let home = pikv.home().clone();
    pikv.stop();
    let pikv = home.start()?;
    filling::check_key(&pikv, keys - 1)?;
    Ok(Resident { started: resident_bytes(pikv.id())?, written })
}

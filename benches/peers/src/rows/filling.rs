//! Servers that hold many keys, made ready to be started.

use std::path::PathBuf;

use crate::campaign::Campaign;
use crate::failure::Outcome;
use crate::http::Connection;
use crate::peers::pikv::{Home, Pikv};
use crate::peers::redis::Redis;
use crate::process::wait_until;
use crate::records;

/// A checkpoint of a million keys takes seconds.
const CHECKPOINT_SECONDS_MAX: u64 = 120;

/// Where PiKV keeps the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// The default.
    InMemory,
    /// `cache_in_memory: false`.
    OnDisk,
}

/// A new home without keys.
///
/// # Errors
/// It cannot be made.
pub fn empty_home(campaign: &mut Campaign, name: &str, values: Values) -> Outcome<Home> {
    let directory = campaign.new_directory(name)?;
    let home = Home::create(&campaign.pikv, &directory)?;
    if values == Values::OnDisk {
        home.keep_values_on_disk()?;
    }
    Ok(home)
}

/// A home with `keys` keys that a server has taken over; it is stopped, its files are as after a
/// checkpoint.
///
/// # Errors
/// It cannot be made.
pub fn filled_home(campaign: &mut Campaign, name: &str, keys: u64, values: Values) -> Outcome<Home> {
    let home = empty_home(campaign, name, values)?;
    home.write_keys(keys)?;
    let pikv = home.start()?;
    check_key(&pikv, keys - 1)?;
    pikv.stop();
    Ok(home)
}

/// A directory with `keys` keys of Redis in its compact form, and how much memory it took to hold them
/// right after they were written.
///
/// # Errors
/// It cannot be made.
pub fn filled_redis(campaign: &mut Campaign, keys: u64) -> Outcome<(PathBuf, f64)> {
    let directory = campaign.new_directory("redis")?;
    let redis = Redis::start_ready(&directory)?;
    redis.put(0, keys)?;
    let resident = crate::resources::resident_bytes(redis.id())?;
    redis.rewrite()?;
    redis.stop();
    Ok((directory, resident))
}

/// Asks for key `number`, whose value has to come.
///
/// # Errors
/// It does not.
pub fn check_key(pikv: &Pikv, number: u64) -> Outcome<()> {
    let mut target = pikv.target(1);
    target.get.path = crate::peers::key_path(number);
    let answer = Connection::open(pikv.address)?.ask(&target.get)?.success("PiKV")?;
    let letters = records::value(0).trim_matches('"')[8..].to_owned();
    if answer.body.contains(&letters) {
        Ok(())
    } else {
        Err(crate::failure::failure(format!("PiKV has another value: {}", answer.body)))
    }
}

/// Waits until no checkpoint is running.
///
/// # Errors
/// It takes too long.
pub fn wait_for_checkpoint(pikv: &Pikv) -> Outcome<()> {
    let temporary = pikv.home().json_path().with_extension("json.tmp");
    wait_until("the end of a checkpoint", CHECKPOINT_SECONDS_MAX, || !temporary.exists())
}

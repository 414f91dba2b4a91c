//! Durable writes with many keys stored, beside our own with few.

use super::filling::{self, Values};
use super::throughput::{self, Kind};
use crate::campaign::Campaign;
use crate::failure::Outcome;
use crate::records::LOAD_KEYS;
use crate::table::{Bar, group_thousands};

/// Alternates between the two.
///
/// # Errors
/// PiKV cannot be measured.
pub fn measure(campaign: &mut Campaign) -> Outcome<()> {
    let keys = campaign.options.many_keys;
    let many = filling::filled_home(campaign, "many", keys, Values::InMemory)?.start()?;
    let few = filling::filled_home(campaign, "few", LOAD_KEYS, Values::InMemory)?.start()?;
    let what = format!("durable PUT, 64 connections, {} keys stored", group_thousands(keys));
    let against = format!("our own with {} keys", group_thousands(LOAD_KEYS));
    let (ours, theirs) = (many.target(keys), few.target(LOAD_KEYS));
    throughput::compare(campaign, &what, &against, &ours, Ok(theirs), Bar::RatioMin(0.8), Kind::Put);
    Ok(())
}

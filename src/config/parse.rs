//! From the text of config.json to a [`Config`], by the tables of `settings.rs`.

use super::members::Node;
use super::mistake::Mistake;
use super::schema::{Config, EngineType};
use super::setting::{Owner, names, read};
use super::settings::{SETTINGS, check_version};
use super::text::object_text;
use crate::limits::MEMORY_BODIES_MIN;

/// Parses `text` as a configuration.
///
/// # Errors
/// The first [`Mistake`], with its line and column.
pub fn parse(text: &[u8]) -> Result<Config, Mistake> {
    let top = Node::parse(object_text(text)?)?;
    // The version is first, because a later version may have members that are unknown here.
    if let Some(version) = top.member("version")? {
        check_version(&version)?;
    }
    let engine = top.member("engine")?;
    let mut members = top.members(&names(SETTINGS, ""))?;
    let mut config = Config::default();
    read(SETTINGS, "", &mut members, &mut config)?;
    if !config.is_marked("limits.memory_bytes_max") {
        let bodies = MEMORY_BODIES_MIN * config.limits.body_bytes_max;
        config.limits.memory_bytes_max = config.limits.memory_bytes_max.max(bodies);
    }
    if let Some(engine) = engine
        && config.engine.kind == EngineType::Etcd
        && config.engine.cells.is_empty()
    {
        let advice = "name the members of etcd: \"cells\": [{\"name\": \"home\", \"endpoints\": \
                      [\"http://127.0.0.1:2379\"]}]";
        return Err(engine.mistake("`engine.type` is \"etcd\" and `engine.cells` is empty", advice));
    }
    Ok(config)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;

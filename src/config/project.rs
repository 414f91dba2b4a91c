//! A project as JSON outside of config.json, for an engine that several servers share.

use super::field::Value;
use super::members::Node;
use super::mistake::Mistake;
use super::schema::{ProjectConfig, StoredKey};
use super::setting::object;
use super::settings::{PROJECT_SETTINGS, project};

/// `project` as an element of `projects` in config.json, but never with the text of its key.
pub(crate) fn value_of(project: &ProjectConfig) -> Value {
    let key = StoredKey { text: None, ..project.key.clone() };
    object(PROJECT_SETTINGS, &ProjectConfig { key, ..project.clone() })
}

/// Parses the text of a [`value_of`].
///
/// # Errors
/// The first [`Mistake`], also for a member that this version does not know.
pub(crate) fn parse(text: &str) -> Result<ProjectConfig, Mistake> {
    project(Node::parse(text)?)
}

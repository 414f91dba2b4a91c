//! A change of one setting of a configuration, which is found by its path: set from the text of a command line, or
//! returned to its default.

use super::field::{Kind, Value};
use super::file;
use super::members::Node;
use super::mistake::{Mistake, shown};
use super::nearest::nearest;
use super::schema::Config;
use super::setting::{Owner, Presence, Setting, TakesEffect, object, set_one};
use super::settings::{PROJECT_SETTINGS, SETTINGS};
use crate::names::ProjectId;
use std::fmt;

/// What happens to a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It gets this value, as typed. Texts need no quotes; everything else is JSON.
    Set(String),
    /// It is removed from the file, so that it has its default.
    Unset,
}

/// A change by [`edit`].
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// The setting at the path, even if it has the same value as before, then others that changed with it.
    pub settings: Vec<ChangedSetting>,
    /// Whether a running server uses a new value only after a restart.
    pub needs_restart: bool,
    /// The projects whose files are not read any more.
    pub leaving_disk: Vec<ProjectId>,
    /// The projects that need no key any more.
    pub losing_protection: Vec<ProjectId>,
    /// Whether no request needs a key any more.
    pub opens_all: bool,
}

/// Values are `None` if the setting has none.
#[derive(Debug, PartialEq, Eq)]
pub struct ChangedSetting {
    pub path: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
    takes_effect: TakesEffect,
}

/// Why a setting cannot be changed. The configuration is unchanged then. Paths are those from the top.
#[derive(Debug, PartialEq, Eq)]
pub enum EditError {
    Unknown {
        path: String,
        /// A sentence.
        hint: Option<String>,
    },
    ProjectMissing {
        id: String,
    },
    /// This command cannot change the setting.
    Fixed {
        path: String,
        instead: &'static str,
    },
    /// A file without the setting is refused.
    Required {
        path: String,
    },
    /// The setting has no value `null`.
    Null {
        path: String,
    },
    Value {
        mistake: Mistake,
    },
    /// The value is not JSON, and has to be.
    NotJson {
        path: String,
        value: String,
        wanted: String,
    },
}

/// Changes the setting at `path`, which is as `pikv config show` prints it: `accounts.registration`, or
/// `projects.shop.storage.sync`.
///
/// # Errors
/// [`EditError`]; `config` is unchanged then.
pub fn edit(config: &mut Config, path: &str, act: &Act) -> Result<Change, EditError> {
    let text = match path.strip_prefix("projects.") {
        Some(rest) => edited_project(config, path, rest, act)?,
        None => edited(config, path, act)?,
    };
    // Finds settings that are valid alone but contradict each other.
    let next = file::parse(&text).map_err(|mistake| EditError::Value { mistake })?;
    let change = change_between(config, &next, path);
    *config = next;
    Ok(change)
}

/// The text of `config` with the change of a setting of the whole file.
fn edited(config: &Config, path: &str, act: &Act) -> Result<Vec<u8>, EditError> {
    let setting = find(SETTINGS, path, "", path)?;
    check(setting, path, act)?;
    match act {
        Act::Set(value) => {
            let mut next = config.clone();
            set(setting, &mut next, path, value)?;
            Ok(file::encode(&next))
        }
        Act::Unset => {
            let mut tree = object(SETTINGS, config);
            remove(&mut tree, setting.path);
            Ok(file::encode_value(&tree))
        }
    }
}

/// The same for a setting of a project; `rest` is `path` without `projects.`.
fn edited_project(config: &Config, path: &str, rest: &str, act: &Act) -> Result<Vec<u8>, EditError> {
    let (id, inner) = rest.split_once('.').unwrap_or((rest, ""));
    let index = config.projects.iter().position(|project| project.id.as_str() == id);
    let index = index.ok_or_else(|| EditError::ProjectMissing { id: shown(id) })?;
    let setting = find(PROJECT_SETTINGS, inner, &format!("projects.{id}."), path)?;
    check(setting, path, act)?;
    match act {
        Act::Set(value) => {
            let mut next = config.clone();
            next.projects.get_mut(index).map_or(Ok(()), |project| set(setting, project, path, value))?;
            Ok(file::encode(&next))
        }
        Act::Unset => {
            let mut tree = object(SETTINGS, config);
            if let Some(Value::List(projects)) = member(&mut tree, "projects")
                && let Some(project) = projects.get_mut(index)
            {
                remove(project, setting.path);
            }
            Ok(file::encode_value(&tree))
        }
    }
}

/// The setting at `inner`, which is `path` without `prefix`.
fn find<T>(
    settings: &'static [Setting<T>],
    inner: &str,
    prefix: &str,
    path: &str,
) -> Result<&'static Setting<T>, EditError> {
    let found = settings.iter().find(|setting| setting.path == inner);
    found.ok_or_else(|| EditError::Unknown { path: shown(path), hint: hint(settings, inner, prefix) })
}

/// Refuses a change that this command does not make.
fn check<T>(setting: &Setting<T>, path: &str, act: &Act) -> Result<(), EditError> {
    let path = || path.to_owned();
    if let Some(instead) = instead_of(setting, act) {
        return Err(EditError::Fixed { path: path(), instead });
    }
    let is_nullable = matches!(setting.kind, Kind::NumberOrNull(..) | Kind::Nullable);
    match act {
        Act::Unset if setting.presence == Presence::Required => Err(EditError::Required { path: path() }),
        Act::Set(value) if value == "null" && !is_nullable && setting.presence != Presence::Required => {
            Err(EditError::Null { path: path() })
        }
        Act::Set(_) | Act::Unset => Ok(()),
    }
}

fn set<T: Owner>(
    setting: &'static Setting<T>,
    owner: &mut T,
    path: &str,
    value: &str,
) -> Result<(), EditError> {
    let text = json_text(&setting.kind, value);
    let node = Node::of_value(&text, path).map_err(|_| EditError::NotJson {
        path: path.to_owned(),
        value: shown(value),
        wanted: wanted(&setting.kind),
    })?;
    set_one(setting, owner, &node).map_err(|mistake| EditError::Value { mistake })
}

/// Removes the member at `path`, and the objects that are empty without it.
fn remove(tree: &mut Value, path: &str) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let Value::Object(members) = tree else { return };
    members.retain_mut(|(other, value)| match rest {
        _ if *other != name => true,
        None => false,
        Some(rest) => {
            remove(value, rest);
            !matches!(value, Value::Object(members) if members.is_empty())
        }
    });
}

fn member<'v>(tree: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    let Value::Object(members) = tree else { return None };
    members.iter_mut().find(|(other, _)| *other == name).map(|(_, value)| value)
}

/// What the change of the setting at `path` did.
fn change_between(before: &Config, after: &Config, path: &str) -> Change {
    let projects = || before.projects.iter().filter_map(|old| Some((old, after.project(&old.id)?)));
    let mut settings = compared(SETTINGS, "", before, after);
    for (old, new) in projects() {
        settings.extend(compared(PROJECT_SETTINGS, &format!("projects.{}.", old.id), old, new));
    }
    settings.retain(|setting| setting.path == path || setting.before != setting.after);
    settings.sort_by_key(|setting| setting.path != path);
    let is_late = |setting: &ChangedSetting| {
        setting.takes_effect == TakesEffect::AtStart && setting.before != setting.after
    };
    let leaving =
        projects().filter(|(old, new)| before.storage_of(old).on_disk && !after.storage_of(new).on_disk);
    let losing = projects()
        .filter(|(old, new)| before.authentication_enabled(old) && !after.authentication_enabled(new));
    Change {
        needs_restart: settings.iter().any(is_late),
        leaving_disk: leaving.map(|(old, _)| old.id.clone()).collect(),
        losing_protection: losing.map(|(old, _)| old.id.clone()).collect(),
        opens_all: before.authentication.enabled && !after.authentication.enabled,
        settings,
    }
}

/// The settings that this command can change, with their values.
fn compared<T>(settings: &'static [Setting<T>], prefix: &str, before: &T, after: &T) -> Vec<ChangedSetting> {
    let shown = settings.iter().filter(|setting| !matches!(setting.kind, Kind::Projects | Kind::Secret(_)));
    let compare = |setting: &Setting<T>| ChangedSetting {
        path: format!("{prefix}{}", setting.path),
        before: (setting.get)(before),
        after: (setting.get)(after),
        takes_effect: setting.takes_effect,
    };
    shown.map(compare).collect()
}

/// `value` as JSON. A text is typed without quotes.
fn json_text(kind: &Kind, value: &str) -> String {
    match kind {
        Kind::OneOf(_) | Kind::Text(_) | Kind::Path => serde_json::Value::from(value).to_string(),
        Kind::Switch | Kind::Number(..) | Kind::NumberOrNull(..) | Kind::List(..) => value.to_owned(),
        Kind::Nullable | Kind::Secret(_) | Kind::Projects | Kind::Cells => value.to_owned(),
    }
}

/// What a value that is typed as JSON must be.
fn wanted(kind: &Kind) -> String {
    match kind {
        Kind::Switch => "true or false".to_owned(),
        Kind::Number(min, max) => format!("a whole number from {min} to {max}"),
        Kind::NumberOrNull(min, max) => format!("a whole number from {min} to {max}, or null"),
        Kind::List(_, elements) => format!("a JSON array of {elements}, such as '[\"…\"]'"),
        Kind::Cells => "a JSON array of cells, such as '[{\"name\": \"home\", \"endpoints\": [\"http://127.0.0.1:2379\"]}]'"
            .to_owned(),
        Kind::OneOf(_) | Kind::Text(_) | Kind::Path | Kind::Secret(_) | Kind::Nullable | Kind::Projects => {
            "JSON".to_owned()
        }
    }
}

/// What to do instead for a setting that this command cannot change.
fn instead_of<T>(setting: &Setting<T>, act: &Act) -> Option<&'static str> {
    match (setting.path, &setting.kind, act) {
        ("version", ..) => Some("the server writes it"),
        ("id", ..) => Some("a project keeps its name; create another one"),
        ("default.storage.persistent_file_path", ..) => {
            Some("stop the server, move the data directory, edit config.json and start the server")
        }
        (_, Kind::Nullable, Act::Set(value)) if value != "null" => Some("set one of its members, or null"),
        (_, Kind::Projects, _) => {
            Some("create projects with POST /api/v1/projects, or name one setting: projects.ID.SETTING")
        }
        // Arguments are visible to every user of the machine.
        (_, Kind::Secret(_), Act::Set(_)) => Some("keys are not accepted as arguments; edit the file"),
        (_, Kind::Secret(_), Act::Unset) => {
            Some("the next start would print a new key; use POST …/api-key/regenerate, or edit the file")
        }
        _ => None,
    }
}

/// What was probably meant by the unknown path `inner` after `prefix`.
fn hint<T>(settings: &'static [Setting<T>], inner: &str, prefix: &str) -> Option<String> {
    if let Some((_, rest)) = inner.strip_prefix("projects[").and_then(|rest| rest.split_once(']')) {
        let setting = rest.strip_prefix('.').filter(|rest| !rest.is_empty()).unwrap_or("SETTING");
        return Some(format!("A project is named by its id: `projects.ID.{}`.", shown(setting)));
    }
    if inner.is_empty() && prefix.is_empty() {
        return None;
    }
    if inner.starts_with("engine.cells.") || inner.starts_with("engine.cells[") {
        return Some("Cells are set together: `engine.cells`, a JSON array.".to_owned());
    }
    let section = if inner.is_empty() { String::new() } else { format!("{inner}.") };
    let is_of_section = |setting: &&Setting<T>| {
        setting.path.starts_with(&section) && instead_of(setting, &Act::Unset).is_none()
    };
    let of_section =
        settings.iter().filter(is_of_section).map(|setting| format!("`{prefix}{}`", setting.path));
    let of_section: Vec<String> = of_section.collect();
    if !of_section.is_empty() {
        return Some(format!("These settings are in it: {}.", of_section.join(", ")));
    }
    let known: Vec<&'static str> = settings.iter().map(|setting| setting.path).collect();
    nearest_path(inner, &known).map(|nearest| format!("Did you mean `{prefix}{nearest}`?"))
}

/// The known path that is nearest to `path`, or whose last name is nearest to that of `path`.
fn nearest_path(path: &str, known: &[&'static str]) -> Option<&'static str> {
    let last = |path: &'static str| path.rsplit('.').next().unwrap_or(path);
    let by_name = || {
        let names: Vec<&'static str> = known.iter().map(|path| last(path)).collect();
        let name = nearest(path.rsplit('.').next()?, &names)?;
        known.iter().copied().find(|path| last(path) == name)
    };
    nearest(path, known).or_else(by_name)
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EditError::Unknown { path, hint } => {
                write!(f, "There is no setting `{path}`. ")?;
                if let Some(hint) = hint {
                    write!(f, "{hint} ")?;
                }
                f.write_str("`pikv config show` lists all settings.")
            }
            EditError::ProjectMissing { id } => {
                write!(f, "config.json has no project `{id}`. `pikv config show` lists its projects.")
            }
            EditError::Fixed { path, instead } => {
                write!(f, "This command cannot change `{path}`: {instead}.")
            }
            EditError::Required { path } => write!(
                f,
                "config.json must have `{path}`, so it cannot be unset. Set it with `pikv config set {path} VALUE`."
            ),
            EditError::Null { path } => {
                write!(f, "`{path}` cannot be null. `pikv config unset {path}` returns it to its default.")
            }
            EditError::NotJson { path, value, wanted } => {
                write!(f, "`{path}` cannot be set to `{value}`; it must be {wanted}.")
            }
            EditError::Value { mistake } => write!(f, "{}.", mistake.without_location()),
        }
    }
}

impl std::error::Error for EditError {}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;

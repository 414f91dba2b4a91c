//! One setting of a configuration, found by its path and set from the text of a command line.

use super::field::{Kind, Value};
use super::file;
use super::members::Node;
use super::mistake::{Mistake, shown};
use super::nearest::nearest;
use super::schema::Config;
use super::setting::{Owner, Setting, set_one};
use super::settings::{PROJECT_SETTINGS, SETTINGS};
use std::fmt;

/// A change by [`set`]. Values are `None` if the setting has none.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    pub before: Option<Value>,
    pub after: Option<Value>,
    /// Whether a running server uses the new value only after a restart.
    pub needs_restart: bool,
}

/// Why a setting cannot be set. The configuration is unchanged then.
#[derive(Debug, PartialEq, Eq)]
pub enum EditError {
    Unknown {
        path: String,
        nearest: Option<&'static str>,
    },
    ProjectMissing {
        id: String,
    },
    /// The setting cannot be changed by its value.
    Fixed {
        path: &'static str,
        instead: &'static str,
    },
    Value {
        mistake: Mistake,
    },
    /// The value is not JSON, and has to be.
    NotJson {
        path: &'static str,
        value: String,
        wanted: String,
    },
}

/// The settings that a reload does not change, and the sections of such settings.
const AT_START_ONLY: [&str; 4] = ["server_", "limits.", "timeouts.", "log.format"];

/// Sets the setting at `path` to `value`. `path` is as `pikv config show` prints it: `accounts.registration`, or
/// `projects.shop.storage.sync`. Texts need no quotes; everything else is JSON.
///
/// # Errors
/// [`EditError`]; `config` is unchanged then.
pub fn set(config: &mut Config, path: &str, value: &str) -> Result<Change, EditError> {
    let mut next = config.clone();
    let change = match path.strip_prefix("projects.").and_then(|rest| rest.split_once('.')) {
        Some((id, path)) => {
            let project = next.projects.iter_mut().find(|project| project.id.as_str() == id);
            let project = project.ok_or_else(|| EditError::ProjectMissing { id: shown(id) })?;
            edit(PROJECT_SETTINGS, project, path, value)?
        }
        None => edit(SETTINGS, &mut next, path, value)?,
    };
    // Finds settings that are valid alone but contradict each other.
    *config = file::parse(&file::encode(&next)).map_err(|mistake| EditError::Value { mistake })?;
    Ok(change)
}

fn edit<T: Owner>(
    settings: &'static [Setting<T>],
    owner: &mut T,
    path: &str,
    value: &str,
) -> Result<Change, EditError> {
    let Some(setting) = settings.iter().find(|setting| setting.path == path) else {
        let known: Vec<&'static str> = settings.iter().map(|setting| setting.path).collect();
        return Err(EditError::Unknown { path: shown(path), nearest: nearest_path(path, &known) });
    };
    if let Some(instead) = instead_of(setting, value) {
        return Err(EditError::Fixed { path: setting.path, instead });
    }
    let before = (setting.get)(owner);
    let text = json_text(&setting.kind, value);
    let node = Node::of_value(&text, setting.path).map_err(|_| EditError::NotJson {
        path: setting.path,
        value: shown(value),
        wanted: wanted(&setting.kind),
    })?;
    set_one(setting, owner, &node).map_err(|mistake| EditError::Value { mistake })?;
    let needs_restart = AT_START_ONLY.iter().any(|start| setting.path.starts_with(start));
    Ok(Change { before, after: (setting.get)(owner), needs_restart })
}

/// `value` as JSON. A text is typed without quotes.
fn json_text(kind: &Kind, value: &str) -> String {
    match kind {
        Kind::OneOf(_) | Kind::Text(_) | Kind::Path => serde_json::Value::from(value).to_string(),
        Kind::Switch | Kind::Number(..) | Kind::NumberOrNull(..) | Kind::List(..) => value.to_owned(),
        Kind::Nullable | Kind::Secret(_) | Kind::Projects => value.to_owned(),
    }
}

/// What a value that is typed as JSON must be.
fn wanted(kind: &Kind) -> String {
    match kind {
        Kind::Switch => "true or false".to_owned(),
        Kind::Number(min, max) => format!("a whole number from {min} to {max}"),
        Kind::NumberOrNull(min, max) => format!("a whole number from {min} to {max}, or null"),
        Kind::List(_, elements) => format!("a JSON array of {elements}, such as '[\"…\"]'"),
        Kind::OneOf(_) | Kind::Text(_) | Kind::Path | Kind::Secret(_) | Kind::Nullable | Kind::Projects => {
            "JSON".to_owned()
        }
    }
}

/// What to do instead for a setting that cannot be changed by its value.
fn instead_of<T>(setting: &Setting<T>, value: &str) -> Option<&'static str> {
    match (setting.path, &setting.kind) {
        ("version", _) => Some("the server writes it"),
        ("id", _) => Some("a project keeps its name; create another one"),
        ("default.storage.persistent_file_path", _) => {
            Some("stop the server, move the data directory, edit config.json and start the server")
        }
        (_, Kind::Nullable) if value != "null" => Some("set one of its members, or null"),
        (_, Kind::Projects) => {
            Some("create projects with POST /api/v1/projects, or name one setting: projects.ID.SETTING")
        }
        // Arguments are visible to every user of the machine.
        (_, Kind::Secret(_)) => Some("keys are not accepted as arguments; edit the file"),
        _ => None,
    }
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
            EditError::Unknown { path, nearest } => {
                write!(f, "There is no setting `{path}`. ")?;
                if let Some(nearest) = nearest {
                    write!(f, "Did you mean `{nearest}`? ")?;
                }
                f.write_str("`pikv config show` lists all settings.")
            }
            EditError::ProjectMissing { id } => {
                write!(f, "config.json has no project `{id}`. `pikv config show` lists its projects.")
            }
            EditError::Fixed { path, instead } => write!(f, "`{path}` cannot be set: {instead}."),
            EditError::NotJson { path, value, wanted } => {
                write!(f, "`{path}` cannot be set to `{value}`; it must be {wanted}.")
            }
            EditError::Value { mistake } => write!(f, "{}.", mistake.without_location()),
        }
    }
}

impl std::error::Error for EditError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_in_default(path: &str, value: &str) -> Result<(Config, Change), EditError> {
        let mut config = file::first_config();
        set(&mut config, path, value).map(|change| (config, change))
    }

    #[track_caller]
    fn check_set(path: &str, value: &str, written: &str, needs_restart: bool) {
        let (config, change) = set_in_default(path, value).unwrap();
        let text = String::from_utf8(file::encode(&config)).unwrap();
        assert!(text.contains(written), "{written} in {text}");
        assert_eq!(change.needs_restart, needs_restart, "{path}");
        assert_ne!(change.before, change.after, "{path}");
    }

    #[test]
    fn values_of_each_kind_are_set() {
        check_set("accounts.registration", "closed", r#""registration": "closed""#, false);
        check_set("accounts.enabled", "false", r#""enabled": false"#, false);
        check_set("server_port", "80", r#""server_port": 80"#, true);
        check_set("server_host", "0.0.0.0", r#""server_host": "0.0.0.0""#, true);
        check_set("server_threads", "4", r#""server_threads": 4"#, true);
        check_set("timeouts.head_seconds", "7", r#""head_seconds": 7"#, true);
        check_set("item_api.rate_limit", "null", r#""rate_limit": null"#, false);
        check_set("item_api.rate_limit.requests", "9", r#""requests": 9"#, false);
        check_set("cors.origins", r#"["https://a.example"]"#, r#""https://a.example""#, false);
        check_set("projects.first_project.storage.sync", "interval", r#""sync": "interval""#, false);
    }

    #[track_caller]
    fn check_refused(path: &str, value: &str, parts: &[&str]) {
        let mut config = file::first_config();
        let before = config.clone();
        let text = set(&mut config, path, value).unwrap_err().to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert_eq!(config, before, "{path}");
    }

    #[test]
    fn a_wrong_path_or_value_is_refused_with_the_fix() {
        check_refused("accounts.registrations", "x", &["no setting", "`accounts.registration`"]);
        check_refused("registration", "x", &["`accounts.registration`", "pikv config show"]);
        check_refused("accounts", "x", &["no setting `accounts`"]);
        check_refused(
            "accounts.registration",
            "shut",
            &["`accounts.registration` is \"shut\"", "open, closed"],
        );
        check_refused("accounts.enabled", "yes", &["cannot be set to `yes`", "true or false"]);
        check_refused("server_port", "", &["`server_port` cannot be set to ``", "0 to 65535"]);
        check_refused("trusted_proxies", "127.0.0.1", &["a JSON array of addresses or networks"]);
        check_refused("item_api.rate_limit", r#"{"requests":2}"#, &["set one of its members"]);
        check_refused("default.storage.persistent_file_path", "other/", &["move the data directory"]);
        check_refused("accounts.enabled", "1", &["a number", "`true` or `false`"]);
        check_refused("server_port", "65536", &["`server_port` is 65536", "0 to 65535"]);
        check_refused("limits.memory_bytes_max", "1", &["`limits.memory_bytes_max` is 1"]);
        check_refused("projects.other.storage.sync", "always", &["no project `other`"]);
        check_refused("projects.first_project.storage.sink", "always", &["`storage.sync`"]);
        check_refused("projects.first_project.id", "other", &["`id` cannot be set"]);
        check_refused("projects", "[]", &["POST /api/v1/projects"]);
        check_refused("version", "2", &["`version` cannot be set"]);
        check_refused("default.authentication.api_key", "0123456789abcdef", &["not accepted as arguments"]);
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let mut config = file::first_config();
        set(&mut config, "limits.memory_bytes_max", "16777216").unwrap();
        let before = config.clone();
        assert!(set(&mut config, "limits.body_bytes_max", "16777216").is_err());
        assert_eq!(config, before);
    }
}

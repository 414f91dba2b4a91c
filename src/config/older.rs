//! Settings of older versions of PiKV that this version reads differently.

use super::members::Node;
use super::mistake::Mistake;
use super::text::object_text;
use crate::limits::SYNC_INTERVAL_SECONDS_MAX;
use std::path::Path;

/// A mode of `sync` that is read as `interval` with [`SYNC_INTERVAL_SECONDS_MAX`].
pub(super) const NEVER: &str = "never";

/// A warning for each [`NEVER`] in `text`, a valid configuration.
pub(super) fn warnings(path: &Path, text: &[u8]) -> Vec<String> {
    let warning = |owner| {
        format!(
            "{}: {owner} has `\"sync\": \"{}\"`, which no longer exists; it is read as `interval` with at most \
             {SYNC_INTERVAL_SECONDS_MAX} seconds. Write `\"sync\": \"interval\", \"sync_interval_seconds\": \
             {SYNC_INTERVAL_SECONDS_MAX}` instead",
            path.display(),
            NEVER
        )
    };
    owners_of_never(text).unwrap_or_default().into_iter().map(warning).collect()
}

fn owners_of_never(text: &[u8]) -> Result<Vec<String>, Mistake> {
    let top = Node::parse(object_text(text)?)?;
    let mut owners = Vec::new();
    if let Some(default) = top.member("default")?
        && is_never(&default)?
    {
        owners.push("`default.storage`".to_owned());
    }
    let projects = top.member("projects")?.map(|projects| projects.elements()).transpose()?;
    for project in projects.into_iter().flatten() {
        if let Some(id) = project.member("id")?
            && is_never(&project)?
        {
            owners.push(format!("project {}", id.string()?));
        }
    }
    Ok(owners)
}

/// Whether the `storage` of `owner` has the mode.
fn is_never(owner: &Node<'_>) -> Result<bool, Mistake> {
    let Some(storage) = owner.member("storage")? else { return Ok(false) };
    storage.member("sync")?.map_or(Ok(false), |sync| Ok(sync.string()? == NEVER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::{default_config, encode, parse};
    use crate::config::schema::{Config, SyncMode};

    fn config_of(default: &str, project: &str) -> (Config, Vec<String>) {
        let text = String::from_utf8(encode(&default_config())).unwrap();
        let text = text.replacen("\"storage_data/\"", &format!("\"storage_data/\"{default}"), 1);
        let text =
            text.replacen("\"cache_in_memory\": true", &format!("\"cache_in_memory\": true{project}"), 1);
        let warnings = warnings(Path::new("/etc/pikv/config.json"), text.as_bytes());
        (parse(text.as_bytes()).unwrap(), warnings)
    }

    fn sync_of(config: &Config) -> (SyncMode, u64) {
        let storage = config.storage_of(&config.projects()[0]);
        (storage.sync, storage.sync_interval_seconds)
    }

    #[test]
    fn never_is_read_as_an_hour_and_the_warning_names_file_project_and_fix() {
        let (config, warnings) = config_of("", ",\"sync\": \"never\"");
        assert_eq!(sync_of(&config), (SyncMode::Interval, 3_600));
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        for part in ["/etc/pikv/config.json: ", "project first_project", "\"sync_interval_seconds\": 3600"] {
            assert!(warning.contains(part), "{warning}");
        }
        let saved = String::from_utf8(encode(&config)).unwrap();
        assert!(saved.contains("\"sync\": \"interval\",\n") && !saved.contains("never"), "{saved}");
    }

    #[test]
    fn never_of_the_default_is_inherited_and_a_project_may_have_a_shorter_interval() {
        let (config, warnings) = config_of(",\"sync\": \"never\"", "");
        assert_eq!(sync_of(&config), (SyncMode::Interval, 3_600));
        assert!(warnings[0].contains("`default.storage`") && warnings.len() == 1, "{warnings:?}");
        let (config, _) = config_of(",\"sync\": \"never\"", ",\"sync_interval_seconds\": 30");
        assert_eq!(sync_of(&config), (SyncMode::Interval, 30));
        let (config, warnings) = config_of("", ",\"sync\": \"never\", \"sync_interval_seconds\": 30");
        assert_eq!((sync_of(&config), warnings.len()), ((SyncMode::Interval, 30), 1));
    }

    #[test]
    fn current_modes_get_no_warning() {
        for sync in ["always", "interval"] {
            let sync = format!(",\"sync\": \"{sync}\"");
            assert_eq!(config_of(&sync, &sync).1, Vec::<String>::new());
        }
    }
}

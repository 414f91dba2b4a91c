//! `pikv config show`: every setting, one per line, with its source.

use super::effective::{Effective, Options, Source, source};
use crate::config::field::{Kind, Value};
use crate::config::schema::{Config, ProjectConfig};
use crate::config::settings::{PROJECT_SETTINGS, SETTINGS};
use crate::secret::MASK;
use std::fmt::{Display, Write};

/// Lines `name = value  (source)`; a key or hash that exists is shown as `***`.
pub fn render(options: &Options, config: &Config, effective: &Effective) -> String {
    let mut lines = Lines(String::new());
    let path = &options.config_path;
    lines.put("config", format!("{:?}", path.value), path.source);
    for setting in SETTINGS {
        match setting.path {
            "version" => {}
            "server_port" => lines.put(setting.path, effective.port.value, effective.port.source),
            "server_host" => lines.put(setting.path, effective.host.value, effective.host.source),
            "log.level" => {
                lines.put(setting.path, effective.log_level.value.name(), effective.log_level.source);
            }
            "log.format" => {
                lines.put(setting.path, effective.log_format.value.name(), effective.log_format.source);
            }
            "projects" => config.projects().iter().for_each(|project| lines.put_project(config, project)),
            path => {
                if let Some(value) = (setting.get)(config) {
                    lines.put(path, shown(&setting.kind, value), source(config, setting.path));
                }
            }
        }
    }
    lines.0
}

fn shown(kind: &Kind, value: Value) -> String {
    match (kind, value) {
        (Kind::Secret(_), Value::Text(_)) => MASK.to_owned(),
        (Kind::Path, Value::Text(path)) => format!("{path:?}"),
        (_, value) => value.to_string(),
    }
}

struct Lines(String);

impl Lines {
    fn put(&mut self, name: &str, value: impl Display, source: Source) {
        let written = writeln!(self.0, "{name} = {value}  ({})", source.name());
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }

    fn put_project(&mut self, config: &Config, project: &ProjectConfig) {
        for setting in PROJECT_SETTINGS.iter().filter(|setting| setting.path != "id") {
            let own = (setting.get)(project).map(|value| (value, Source::File));
            let found = own.or_else(|| inherited(config, setting.path));
            if let Some((value, source)) = found {
                let name = format!("projects.{}.{}", project.id, setting.path);
                self.put(&name, shown(&setting.kind, value), source);
            }
        }
    }
}

/// The value of a setting that a project does not have. Keys are not inherited.
fn inherited(config: &Config, path: &str) -> Option<(Value, Source)> {
    let setting = SETTINGS.iter().find(|setting| setting.path.strip_prefix("default.") == Some(path))?;
    let is_key = matches!(setting.kind, Kind::Secret(_));
    let value = if is_key { Value::Null } else { (setting.get)(config)? };
    Some((value, source(config, setting.path)))
}

//! Golden scripts: the requests in `tests/scripts`, each with the exact answer, on every kind of storage.
//!
//! tests/README.md describes the format. `UPDATE_GOLDEN=1` writes the answers that came into the files,
//! `PIKV_SCRIPTS=core/keys` runs those whose path has that text.

mod answer;
mod script;
mod template;

use crate::harness::environment::variable;
use crate::harness::etcd::EtcdCluster;
use crate::harness::{Connection, DEMO_KEY, GLOBAL_KEY, Options, Server, encode_request, known_config};
use answer::{Received, difference, rendered};
use script::{Act, Exchange, Row, Script, Step};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use template::{Variables, expand, generalised};

/// What holds the keys of the server that a script runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storage {
    Cached,
    Disk,
    Memory,
    /// A cell of etcd; the settings of storage have no effect.
    Etcd,
}

impl Storage {
    /// As scripts name it, and the values of `on_disk` and `cache_in_memory`.
    fn settings(self) -> (&'static str, bool, bool) {
        match self {
            Storage::Cached => ("cached", true, true),
            Storage::Disk => ("disk", true, false),
            Storage::Memory => ("memory", false, true),
            Storage::Etcd => ("etcd", true, true),
        }
    }

    /// The configuration for all projects and for the data of accounts; passwords are cheap, `/item` has no rate.
    fn config(self, script: &Script) -> Value {
        let (_, on_disk, cache_in_memory) = self.settings();
        let storage = json!({ "on_disk": on_disk, "cache_in_memory": cache_in_memory });
        let mut config = known_config();
        config["accounts"] = json!({ "bcrypt_cost": 4 });
        config["item_api"] = json!({ "rate_limit": null });
        config["projects"][0]["storage"] = storage.clone();
        merge(&mut config["default"]["storage"], &storage);
        script.config.iter().for_each(|more| merge(&mut config, more));
        config
    }

    fn is_of(self, script: &Script) -> bool {
        script.kinds.is_empty() || script.kinds.iter().any(|name| name == self.settings().0)
    }
}

fn merge(into: &mut Value, more: &Value) {
    match more.as_object() {
        Some(members) if into.is_object() => {
            members.iter().for_each(|(name, value)| merge(&mut into[name], value));
        }
        Some(_) | None => *into = more.clone(),
    }
}

/// A script on a server.
struct Run {
    server: Server,
    connection: Option<Connection>,
    default_fields: Vec<(String, String)>,
    variables: Variables,
    storage: Storage,
    /// What does not match is kept here instead of failing the run.
    updates: Option<Vec<(std::ops::Range<usize>, String)>>,
}

/// Where a script fails, and how.
struct Failure {
    line: usize,
    claim: String,
    what: String,
}

impl Run {
    fn of(script: &Script, storage: Storage, cluster: Option<&EtcdCluster>, is_update: bool) -> Run {
        let (_, on_disk, cache_in_memory) = storage.settings();
        let mut variables = Variables::new();
        for (name, text) in [
            ("global_key", GLOBAL_KEY.to_owned()),
            ("demo_key", DEMO_KEY.to_owned()),
            ("on_disk", on_disk.to_string()),
            ("cache_in_memory", cache_in_memory.to_string()),
        ] {
            variables.insert(name.to_owned(), text);
        }
        let mut config = storage.config(script);
        if let Some(cluster) = cluster {
            cluster.clear();
            cluster.store_projects(&config);
            config["engine"] = cluster.engine();
        }
        let options = Options { config: Some(config), ..Options::default() };
        Run {
            server: Server::start_as(options),
            connection: None,
            default_fields: script.fields.clone(),
            variables,
            storage,
            updates: is_update.then(Vec::new),
        }
    }

    fn run(&mut self, script: &Script) -> Result<(), Failure> {
        for step in &script.steps {
            if step.columns.is_empty() {
                self.acts(step, None)?;
            }
            for row in &step.rows {
                self.acts(step, Some(row))?;
            }
        }
        Ok(())
    }

    fn acts(&mut self, step: &Step, row: Option<&Row>) -> Result<(), Failure> {
        let mut cells = row.map(|row| row.cells.clone()).unwrap_or_default();
        for act in &step.acts {
            match act {
                Act::Restart => self.server.restart(),
                Act::Crash => {
                    self.server.kill();
                    self.server.start_again();
                }
                Act::Exchange(exchange) => {
                    self.exchange(exchange, step, &mut cells).map_err(|what| Failure {
                        line: row.map_or(exchange.line, |row| row.line) + 1,
                        claim: step.claim.clone(),
                        what,
                    })?;
                    continue;
                }
            }
            self.connection = None;
        }
        if let (Some(row), Some(updates)) = (row, &mut self.updates)
            && row.cells != cells
        {
            updates.push((row.line..row.line + 1, format!("| {}", cells.join(" | ")).trim_end().to_owned()));
        }
        Ok(())
    }

    fn exchange(&mut self, template: &Exchange, step: &Step, cells: &mut [String]) -> Result<(), String> {
        let mut exchange = template.with(&step.columns, cells);
        let mut received = self.send(&exchange)?;
        if self.storage == Storage::Etcd {
            exchange.answer.body = without_differences(&exchange.answer.body);
            if let Ok(text) = str::from_utf8(&received.body) {
                received.body = without_differences(text).into_bytes();
            }
        }
        let before = self.variables.clone();
        let Some(difference) = difference(&exchange.answer, &received, &mut self.variables) else {
            return Ok(());
        };
        let Some(updates) = &mut self.updates else { return Err(difference) };
        self.variables = before;
        if step.columns.is_empty() {
            let text = rendered(&exchange.answer, &received, &mut self.variables);
            updates.push((exchange.answer.lines.clone(), text));
            return Ok(());
        }
        self.update_cells(template, &received, step, cells)
    }

    /// The cells that only answers have become what came; the template must fit.
    fn update_cells(
        &mut self,
        template: &Exchange,
        received: &Received,
        step: &Step,
        cells: &mut [String],
    ) -> Result<(), String> {
        let capture = |(name, cell): (&String, &String)| {
            if step.sends(name) { cell.clone() } else { format!("{{{{any {name}}}}}") }
        };
        let asked: Vec<String> = step.columns.iter().zip(cells.iter()).map(capture).collect();
        let mut found = self.variables.clone();
        if let Some(difference) =
            difference(&template.with(&step.columns, &asked).answer, received, &mut found)
        {
            return Err(format!("The template does not fit the answer. Change it by hand.\n{difference}"));
        }
        for (name, cell) in step.columns.iter().zip(cells) {
            if let Some(text) = found.remove(name).filter(|_| !step.sends(name)) {
                *cell = generalised(&text, &mut Vec::new(), &mut self.variables);
            }
        }
        Ok(())
    }

    fn send(&mut self, exchange: &Exchange) -> Result<Received, String> {
        let text = |template: &str| String::from_utf8(expand(template, &self.variables)).unwrap();
        let (target, body) = (text(&exchange.target), expand(&exchange.body, &self.variables));
        let own: Vec<(String, Option<String>)> =
            exchange.fields.iter().map(|(name, value)| (text(name), value.as_deref().map(text))).collect();
        let is_default = |(name, _): &&(String, String)| {
            let is_overridden = own.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
            let has_nothing_to_describe = body.is_empty() && name.eq_ignore_ascii_case("content-type");
            !is_overridden && !has_nothing_to_describe
        };
        let defaults =
            self.default_fields.iter().filter(is_default).map(|(name, value)| (name.clone(), text(value)));
        let own = own.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
        let fields: Vec<(String, String)> = defaults.chain(own).collect();
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let wire = encode_request(&exchange.method, &target, None, &fields, &body);
        // One connection carries the whole script, unless the server closes it.
        for _ in 0..2 {
            let connection = self.connection.get_or_insert_with(|| self.server.connect());
            if connection.try_send(&wire).is_ok()
                && let Ok(response) = connection.try_read_response(&exchange.method)
            {
                if response.field("connection") == Some("close") {
                    self.connection = None;
                }
                return Ok(Received::of(response, &exchange.method));
            }
            self.connection = None;
        }
        Err("the server closes without an answer".to_owned())
    }
}

/// An answer without what differs on etcd (docs/DISTRIBUTED.md): the size of a project is not known, a project has a
/// cell, and the keys of a batch share a revision.
fn without_differences(body: &str) -> String {
    let mut parts = body.split(",\"bytes\":");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_of_number = |c: char| c.is_ascii_digit();
        text.push_str(part.strip_prefix("null").unwrap_or(part).trim_start_matches(is_of_number));
    }
    text = text.replace(",\"cell\":\"home\"", "");
    if !body.starts_with("{\"results\":") {
        return text;
    }
    let mut parts = text.split(" > ");
    let mut loose = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        loose.push_str(part.find("}}").and_then(|end| part.get(end..)).unwrap_or_default());
    }
    loose
}

fn scripts_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

/// The paths of all scripts, relative to their directory.
fn script_paths(under: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            script_paths(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "http") {
            found.push(path.strip_prefix(scripts_directory()).unwrap().to_str().unwrap().to_owned());
        }
    }
}

/// Runs the script at `path`; returns what is wrong.
fn run_file(path: &str, storage: Storage, cluster: Option<&EtcdCluster>, is_update: bool) -> Option<String> {
    let file = scripts_directory().join(path);
    let text = fs::read_to_string(&file).unwrap();
    let script = Script::parse(&text);
    if !storage.is_of(&script) {
        return None;
    }
    let mut run = Run::of(&script, storage, cluster, is_update);
    let failure = run.run(&script).err();
    if let Some(updates) = run.updates.filter(|updates| !updates.is_empty()) {
        fs::write(&file, updated(&text, updates)).unwrap();
    }
    let Failure { line, claim, what } = failure?;
    Some(format!("tests/scripts/{path}:{line} ({storage:?}): {claim}\n{what}"))
}

fn updated(text: &str, mut updates: Vec<(std::ops::Range<usize>, String)>) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    updates.sort_by_key(|(range, _)| range.start);
    for (range, text) in updates.into_iter().rev() {
        lines.splice(range, [text]);
    }
    lines.join("\n") + "\n"
}

fn check_all(storage: Storage) {
    check_all_on(storage, None);
}

fn check_all_on(storage: Storage, cluster: Option<&EtcdCluster>) {
    let mut paths = Vec::new();
    script_paths(&scripts_directory(), &mut paths);
    paths.sort();
    if let Some(wanted) = variable("PIKV_SCRIPTS") {
        paths.retain(|path| path.contains(&wanted));
    }
    assert!(!paths.is_empty(), "no script");
    let is_update = variable("UPDATE_GOLDEN").is_some();
    if is_update && storage != Storage::Cached {
        return; // The next run compares the answers of all kinds with those that this run writes.
    }
    let mut failures = String::new();
    for failure in paths.iter().filter_map(|path| run_file(path, storage, cluster, is_update)) {
        let _ = writeln!(failures, "\n{failure}");
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_script_holds_on_disk_with_a_cache() {
    check_all(Storage::Cached);
}

#[test]
fn every_script_holds_on_disk_without_a_cache() {
    check_all(Storage::Disk);
}

#[test]
fn every_script_holds_in_memory() {
    check_all(Storage::Memory);
}

#[test]
fn every_script_holds_on_etcd() {
    let Some(cluster) = EtcdCluster::start(1, &["--max-txn-ops", "4096"]) else { return };
    check_all_on(Storage::Etcd, Some(&cluster));
}

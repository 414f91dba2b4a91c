//! Every setting of config.json, one row for each. These tables determine how the file is read, written and shown. A
//! test compares config.json.example and the table in docs/CONFIGURATION.md with them.

use super::engine::HOME;
use super::field::{Field, Kind, Value};
use super::members::Node;
use super::mistake::{Mistake, shown};
use super::schema::{
    AuthenticationChoice, CellConfig, CellName, Config, Endpoint, EngineType, LogFormat, LogLevel,
    ProjectConfig, Registration, StorageChoice, SyncMode,
};
use super::setting::{Owner, Presence, Setting, TakesEffect, at_start, names, object, read};
use crate::limits::{
    BCRYPT_COST_MAX, BCRYPT_COST_MIN, BODY_BYTES_MAX_CEILING, BODY_BYTES_PER_SECOND_MIN_CEILING,
    CELL_ENDPOINTS_MAX, CELL_TEXT_BYTES_MAX, CELL_THREADS_MAX, CELL_THREADS_MIN, CELLS_MAX, CONFIG_VERSION,
    CONNECTIONS_MAX_CEILING, LOOPS_MAX, MEMORY_BODIES_MIN, MEMORY_BYTES_MAX_CEILING, MEMORY_BYTES_MAX_FLOOR,
    ORIGINS_MAX, PROJECTS_MAX, PUBLIC_HOSTS_MAX, RATE_LIMIT_REQUESTS_MAX, RATE_LIMIT_WINDOW_SECONDS_MAX,
    SYNC_INTERVAL_SECONDS_MAX, SYNC_INTERVAL_SECONDS_MIN, TIMEOUT_SECONDS_CEILING, TOKEN_TTL_SECONDS_MAX,
    TOKEN_TTL_SECONDS_MIN, TRUSTED_PROXIES_MAX,
};
use crate::names::ProjectId;
use std::collections::HashSet;

/// A row: path, kind, presence, documentation, how to get and how to set the value. By default it is an optional field
/// of the owner; `own` is a field that is `None` unless the file has it, `seconds` one that is kept in milliseconds.
macro_rules! setting {
    ($path:literal, $kind:expr, own $($field:ident).+; $doc:literal) => {
        setting!($path, $kind, Written; $doc; |owner| owner.$($field).+.as_ref().map(Field::value);
            |owner, node, kind| owner.$($field).+ = Some(Field::read(node, kind)?))
    };
    ($path:literal, $kind:expr, seconds $($field:ident).+; $doc:literal) => {
        setting!($path, $kind, Optional; $doc; |owner| Some(Value::Number(owner.$($field).+ / 1_000));
            |owner, node, kind| owner.$($field).+ = u64::read(node, kind)? * 1_000)
    };
    ($path:literal, $kind:expr, $($field:ident).+; $doc:literal) => {
        setting!($path, $kind, Optional $($field).+; $doc)
    };
    ($path:literal, $kind:expr, $presence:ident $($field:ident).+; $doc:literal) => {
        setting!($path, $kind, $presence; $doc; |owner| Some(owner.$($field).+.value());
            |owner, node, kind| owner.$($field).+ = Field::read(node, kind)?)
    };
    ($path:literal, $kind:expr, $presence:ident; $doc:literal; $get:expr;
     |$owner:pat_param, $node:pat_param, $k:pat_param| $set:expr) => {
        Setting {
            path: $path,
            kind: $kind,
            presence: Presence::$presence,
            takes_effect: TakesEffect::AtReload,
            doc: $doc,
            get: $get,
            set: |$owner, $node, $k| {
                $set;
                Ok(())
            },
        }
    };
}

const SECONDS: Kind = Kind::Number(0, TIMEOUT_SECONDS_CEILING);
const SECONDS_FROM_1: Kind = Kind::Number(1, TIMEOUT_SECONDS_CEILING);
const CONNECTIONS: u64 = CONNECTIONS_MAX_CEILING as u64;
const SYNC: Kind = Kind::OneOf(SyncMode::NAMES);
const SYNC_SECONDS: Kind = Kind::Number(SYNC_INTERVAL_SECONDS_MIN, SYNC_INTERVAL_SECONDS_MAX);
const KEY: Kind = Kind::Secret("16 to 1024 characters");
const HASH: Kind = Kind::Secret("`sha256:` and 64 hexadecimal digits");

/// The settings of the whole file, in its order. A reload does not change those that are [`at_start`].
#[rustfmt::skip] // two lines for each
pub const SETTINGS: &[Setting<Config>] = &[
    setting!("version", Kind::Number(CONFIG_VERSION, CONFIG_VERSION), Required;
        "version of this file's format"; |_| Some(Value::Number(CONFIG_VERSION)); |_, node, _| check_version(node)?),
    at_start(setting!("server_port", Kind::Number(0, 65_535), Required server_port;
        "port; 0 selects a free one")),
    at_start(setting!("server_host", Kind::Text("an IP address"), server_host;
        "address to listen on; `0.0.0.0` or `::` for every network")),
    at_start(setting!("server_threads", Kind::NumberOrNull(1, LOOPS_MAX as u64), server_threads;
        "event loops; null: one per core")),
    at_start(setting!("default.storage.persistent_file_path", Kind::Path, Required persistent_file_path;
        "data directory, relative to the directory of `config.json`")),
    setting!("default.storage.on_disk", Kind::Switch, storage.on_disk;
        "whether projects have files; false loses everything when the server stops. This and the next three are for projects that have no such setting"),
    setting!("default.storage.cache_in_memory", Kind::Switch, storage.cache_in_memory;
        "whether values are in memory; false keeps an index there and reads each value from the file"),
    setting!("default.storage.sync", SYNC, Optional;
        "when a write is answered, see [Durability](#durability)"; |config| Some(config.storage.sync.value());
        |config, node, _| set_default_sync(config, node)?),
    setting!("default.storage.sync_interval_seconds", SYNC_SECONDS, storage.sync_interval_seconds;
        "after how many seconds `sync: interval` syncs a write"),
    setting!("default.authentication.enabled", Kind::Switch, Required authentication.enabled;
        "false switches authentication off everywhere; use it only if every client that reaches the port is trusted"),
    setting!("default.authentication.save_api_key_to_file", Kind::Switch, Required authentication.save_api_key_to_file;
        "whether the text of the global key stays in this file"),
    setting!("default.authentication.api_key", KEY, Written key.text;
        "the global key, if you choose it; without `save_api_key_to_file` the start keeps its hash and removes the text"),
    setting!("default.authentication.api_key_hash", HASH, Written key.hash;
        "hash of the global key; null generates a new key"),
    setting!("projects", Kind::Projects, Required;
        "the projects"; |config| Some(Value::List(config.projects.iter().map(|project| object(PROJECT_SETTINGS, project)).collect()));
        |config, node, _| config.projects = projects(node)?),
    at_start(setting!("limits.body_bytes_max", Kind::Number(1, BODY_BYTES_MAX_CEILING as u64), limits.body_bytes_max;
        "body of one request, bytes")),
    at_start(setting!("limits.connections_max", Kind::Number(1, CONNECTIONS), limits.connections_max;
        "connections open at once; fewer if the process may not have so many descriptors (`ulimit -n`, less 64 and those of the projects), which the start logs as a warning. If all are in use and another client connects, some are closed: first those on which nothing has arrived, then idle ones, then those of the address that has the most")),
    at_start(setting!("limits.connections_per_address_max", Kind::NumberOrNull(1, CONNECTIONS), limits.connections_per_address_max;
        "connections of one client address (an IPv6 /64 is one address); more are answered 503. null: no limit per address. Trusted proxies have no limit")),
    at_start(setting!("limits.memory_bytes_max", MEMORY, Optional;
        "memory that pending requests and answers may hold, bytes; one address may hold half of it. More are answered 503. At least 4 times `body_bytes_max`, which is the default if it is more"; |config| Some(config.limits.memory_bytes_max.value());
        |config, node, _| config.limits.memory_bytes_max = usize::read(node, &memory_of(config))?)),
    at_start(setting!("timeouts.head_seconds", SECONDS_FROM_1, seconds timeouts.head_ms;
        "the head of a request must be complete after this long")),
    at_start(setting!("timeouts.body_grace_seconds", SECONDS, seconds timeouts.body_grace_ms;
        "grace period of every body")),
    at_start(setting!("timeouts.body_bytes_per_second_min", Kind::Number(0, BODY_BYTES_PER_SECOND_MIN_CEILING), timeouts.body_bytes_per_second_min;
        "minimum rate of a body after the grace period; 0 accepts any")),
    at_start(setting!("timeouts.idle_seconds", SECONDS_FROM_1, seconds timeouts.idle_ms;
        "a connection without a request is closed after this long")),
    at_start(setting!("timeouts.write_seconds", SECONDS_FROM_1, seconds timeouts.write_ms;
        "the connection of a client that has read nothing of its answer for this long is closed")),
    at_start(setting!("timeouts.shutdown_seconds", SECONDS, seconds timeouts.shutdown_ms;
        "running requests may finish for this long at a stop")),
    setting!("log.level", Kind::OneOf(LogLevel::NAMES), log.level;
        "minimum level of the messages that are logged"),
    at_start(setting!("log.format", Kind::OneOf(LogFormat::NAMES), log.format;
        "form of the log lines")),
    setting!("accounts.enabled", Kind::Switch, accounts.enabled;
        "whether user accounts are enabled; false answers 404 (`accounts_disabled`) on their paths and leaves their files unchanged. Enabling them needs a restart if they were disabled at the start"),
    setting!("accounts.registration", Kind::OneOf(Registration::NAMES), accounts.registration;
        "who may create an account: every client, or only the operator"),
    setting!("accounts.token_ttl_seconds", Kind::Number(TOKEN_TTL_SECONDS_MIN, TOKEN_TTL_SECONDS_MAX), accounts.token_ttl_s;
        "lifetime of an access token; existing tokens keep theirs"),
    setting!("accounts.bcrypt_cost", Kind::Number(BCRYPT_COST_MIN as u64, BCRYPT_COST_MAX as u64), accounts.bcrypt_cost;
        "cost of hashing a password; each step doubles the time of a login. Existing hashes are upgraded at the next login of their owner"),
    setting!("item_api.project", Kind::Text("a project id"), Optional;
        "the project that `/item` works on with the global key, by default the first of `projects`; it need not exist yet"; |config| config.item_project().map(Field::value);
        |config, node, kind| config.item_api.project = Some(Field::read(node, kind)?)),
    setting!("item_api.rate_limit", Kind::Nullable, Optional;
        "null allows any number of requests"; |config| config.item_api.rate_limit.is_none().then_some(Value::Null);
        |config, _, _| config.item_api.rate_limit = None),
    setting!("item_api.rate_limit.requests", Kind::Number(1, RATE_LIMIT_REQUESTS_MAX as u64), Optional;
        "requests that one address may send to `/item` with one method in one window; `\"rate_limit\": null` allows any number"; |config| config.item_api.rate_limit.map(|limit| limit.requests.value());
        |config, node, kind| config.item_api.rate_limit.get_or_insert_default().requests = Field::read(node, kind)?),
    setting!("item_api.rate_limit.window_seconds", Kind::Number(1, RATE_LIMIT_WINDOW_SECONDS_MAX), Optional;
        "length of the window, seconds"; |config| config.item_api.rate_limit.map(|limit| Value::Number(limit.window_ms / 1_000));
        |config, node, kind| config.item_api.rate_limit.get_or_insert_default().window_ms = u64::read(node, kind)? * 1_000),
    setting!("trusted_proxies", Kind::List(TRUSTED_PROXIES_MAX, "addresses or networks"), trusted_proxies;
        "addresses whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` are trusted: `[\"127.0.0.1\", \"10.0.0.0/8\"]`; only the proxy in front of the server"),
    setting!("public_origins", Kind::List(ORIGINS_MAX, "origins"), public_origins;
        "origins under which browsers reach this server, `[\"https://kv.example.com\"]`, if a proxy does not forward `Host`. Forms of these origins are accepted"),
    setting!("public_hosts", Kind::List(PUBLIC_HOSTS_MAX, "hosts"), public_hosts;
        "the only hosts that requests may name, `[\"kv.example.com\", \"192.168.1.5:23849\"]`; without a port, any port of that host. Any other is 403 (`host_not_allowed`), except on `/healthz` and `/readyz`. Empty: any host. Set it if a project has no authentication: it stops DNS rebinding"),
    setting!("cors.origins", Kind::List(ORIGINS_MAX, "origins"), cors_origins;
        "pages that may call this server from a browser, `[\"https://app.example.com\"]`: scheme, host and port exactly as browsers send them, no `*`. They may send keys and tokens; cookies do not count for them"),
    at_start(setting!("engine.type", Kind::OneOf(EngineType::NAMES), engine.kind;
        "what keeps the keys: this process in its data directory, or clusters of etcd, which several servers share. With `etcd` every project and the accounts are in the cells, and `projects` is not used")),
    at_start(setting!("engine.threads", Kind::Number(CELL_THREADS_MIN as u64, CELL_THREADS_MAX as u64), engine.threads;
        "threads for the requests of each cell, which is how many of them can be under way")),
    at_start(setting!("engine.insecure_network", Kind::Switch, engine.insecure_network;
        "whether `endpoints` may be on other machines. Keys, values and the password then cross the network in plain text")),
    at_start(setting!("engine.cells", Kind::Cells, Optional;
        "the cells"; |config| Some(Value::List(config.engine.cells.iter().map(|cell| object(CELL_SETTINGS, cell)).collect()));
        |config, node, _| config.engine.cells = cells(node, config.engine.insecure_network)?)),
];

/// The settings of one of `engine.cells`.
#[rustfmt::skip] // two lines for each
pub const CELL_SETTINGS: &[Setting<CellConfig>] = &[
    setting!("name", Kind::Text("`[a-z0-9-]{1,32}`"), Written name;
        "name of the cell; the first is `home`, which also has the list of projects and the accounts"),
    setting!("endpoints", Kind::List(CELL_ENDPOINTS_MAX, "endpoints"), Written endpoints;
        "its members, `[\"http://127.0.0.1:2379\"]`, in the order in which they are tried: the one on this machine first. Only `http://`, without a path"),
    setting!("username", Kind::Text("a user of etcd, null"), Written;
        "the user of etcd, if the cell has authentication; null: none"; |cell| cell.username.clone().map(Value::Text);
        |cell, node, _| cell.username = optional_text(node)?),
    setting!("password_file", Kind::Text("a path, null"), Written;
        "file with the password of that user in one line, relative to the directory of `config.json`; read at the start"; |cell| cell.password_file.clone().map(Value::Text);
        |cell, node, _| cell.password_file = optional_text(node)?),
];

/// The settings of one of `projects`. It inherits missing ones from `default`.
#[rustfmt::skip] // two lines for each
pub const PROJECT_SETTINGS: &[Setting<ProjectConfig>] = &[
    setting!("id", Kind::Text("`[a-z0-9][a-z0-9_-]{0,62}`"), Written id;
        "name of the project, of its files and in its URLs"),
    setting!("storage.on_disk", Kind::Switch, own storage.on_disk;
        "as `default.storage.on_disk`, for this project"),
    setting!("storage.cache_in_memory", Kind::Switch, own storage.cache_in_memory;
        "as `default.storage.cache_in_memory`"),
    setting!("storage.sync", SYNC, Written;
        "as `default.storage.sync`"; |project| project.storage.sync.as_ref().map(Field::value);
        |project, node, _| set_sync(project, node)?),
    setting!("storage.sync_interval_seconds", SYNC_SECONDS, own storage.sync_interval_seconds;
        "as `default.storage.sync_interval_seconds`"),
    setting!("authentication.enabled", Kind::Switch, own authentication.enabled;
        "false lets every client read and write this project; its settings then need the global key"),
    setting!("authentication.save_api_key_to_file", Kind::Switch, own authentication.save_api_key_to_file;
        "whether the text of the project's key stays in this file"),
    setting!("authentication.api_key", KEY, Written;
        "the project's key; see `default.authentication.api_key`"; |project| (!project.is_silent()).then(|| project.key.text.value());
        |project, node, kind| project.key.text = Field::read(node, kind)?),
    setting!("authentication.api_key_hash", HASH, Written;
        "hash of the project's key; see `default.authentication.api_key_hash`"; |project| (!project.is_silent()).then(|| project.key.hash.value());
        |project, node, kind| project.key.hash = Field::read(node, kind)?),
];

const MEMORY: Kind = Kind::Number(MEMORY_BYTES_MAX_FLOOR as u64, MEMORY_BYTES_MAX_CEILING as u64);

/// The range of `limits.memory_bytes_max`, which must be sufficient for [`MEMORY_BODIES_MIN`] bodies.
fn memory_of(config: &Config) -> Kind {
    let min = MEMORY_BYTES_MAX_FLOOR.max(MEMORY_BODIES_MIN * config.limits.body_bytes_max);
    Kind::Number(min as u64, MEMORY_BYTES_MAX_CEILING as u64)
}

/// An interval that the mode implies is used unless the file has one, which is read after this.
fn set_default_sync(config: &mut Config, node: &Node<'_>) -> Result<(), Mistake> {
    let (sync, interval) = node.choice(SyncMode::NAMES, SyncMode::parse_written)?;
    config.storage.sync = sync;
    if let Some(interval) = interval {
        config.storage.sync_interval_seconds = interval;
        config.mark("default.storage.sync_interval_seconds");
    }
    Ok(())
}

/// As [`set_default_sync`].
fn set_sync(project: &mut ProjectConfig, node: &Node<'_>) -> Result<(), Mistake> {
    let (sync, interval) = node.choice(SyncMode::NAMES, SyncMode::parse_written)?;
    (project.storage.sync, project.storage.sync_interval_seconds) = (Some(sync), interval);
    Ok(())
}

pub(super) fn check_version(node: &Node<'_>) -> Result<(), Mistake> {
    let text = node.number_text()?;
    let advice = match text.parse::<u64>() {
        Ok(CONFIG_VERSION) => return Ok(()),
        Ok(CONFIG_VERSION..) => format!(
            "the file was written for a later version of PiKV; this is PiKV {}, which reads version \
             {CONFIG_VERSION}. Start the later version, or restore the file of this one",
            env!("CARGO_PKG_VERSION")
        ),
        Ok(_) | Err(_) => format!("this program reads version {CONFIG_VERSION}"),
    };
    Err(node.mistake(format!("`version` is {}", shown(text)), advice))
}

fn projects(node: &Node<'_>) -> Result<Vec<ProjectConfig>, Mistake> {
    let elements = node.elements()?;
    if elements.len() > PROJECTS_MAX {
        return Err(node.mistake(format!("more than {PROJECTS_MAX} projects"), ""));
    }
    let mut ids = HashSet::with_capacity(elements.len());
    let mut projects = Vec::with_capacity(elements.len());
    for element in elements {
        let project = project(element.clone())?;
        if !ids.insert(project.id.clone()) {
            let problem = format!("a second project with the id `{}`", project.id);
            return Err(element.mistake(problem, "every project needs its own id"));
        }
        projects.push(project);
    }
    Ok(projects)
}

pub(super) fn project(node: Node<'_>) -> Result<ProjectConfig, Mistake> {
    let mut members = node.members(&names(PROJECT_SETTINGS, ""))?;
    let id = ProjectId::read(&members.require("id")?, &Kind::Text("a project id"))?;
    let mut project = ProjectConfig::new(id, StorageChoice::default(), AuthenticationChoice::default());
    read(PROJECT_SETTINGS, "", &mut members, &mut project)?;
    Ok(project)
}

fn cells(node: &Node<'_>, is_insecure: bool) -> Result<Vec<CellConfig>, Mistake> {
    let elements = node.elements()?;
    if elements.len() > CELLS_MAX {
        let problem = format!("`{}` has {} cells", node.member, elements.len());
        return Err(node.mistake(problem, format!("the maximum is {CELLS_MAX}; remove some")));
    }
    let mut cells: Vec<CellConfig> = Vec::with_capacity(elements.len());
    for element in elements {
        let cell = cell(&element, &cells, is_insecure)?;
        cells.push(cell);
    }
    Ok(cells)
}

/// The cell of `node`, which comes after `others`.
fn cell(node: &Node<'_>, others: &[CellConfig], is_insecure: bool) -> Result<CellConfig, Mistake> {
    let mut members = node.clone().members(&names(CELL_SETTINGS, ""))?;
    let name_node = members.require("name")?;
    let name = CellName::read(&name_node, &Kind::Text("a name"))?;
    if others.is_empty() && name.as_str() != HOME {
        let advice = format!("the first cell must be `{HOME}`: it has the list of projects and the accounts");
        return Err(name_node.wrong_text(name.as_str(), advice));
    }
    if others.iter().any(|other| other.name == name) {
        return Err(node.mistake(format!("a second cell `{name}`"), "every cell needs its own name"));
    }
    let endpoints = members.require("endpoints")?;
    let mut cell = CellConfig::new(name);
    cell.endpoints = Field::read(&endpoints, &Kind::List(CELL_ENDPOINTS_MAX, "endpoints"))?;
    check_endpoints(&endpoints, &cell.endpoints, others, is_insecure)?;
    read(CELL_SETTINGS, "", &mut members, &mut cell)?;
    if cell.username.is_some() != cell.password_file.is_some() {
        let problem = format!("`{}` has only one of `username` and `password_file`", node.member);
        return Err(node.mistake(problem, "add the other one, or remove both if etcd has no authentication"));
    }
    Ok(cell)
}

fn check_endpoints(
    node: &Node<'_>,
    endpoints: &[Endpoint],
    others: &[CellConfig],
    is_insecure: bool,
) -> Result<(), Mistake> {
    if endpoints.is_empty() {
        let advice = "name the members of the cell, as in [\"http://127.0.0.1:2379\"]";
        return Err(node.mistake(format!("`{}` is empty", node.member), advice));
    }
    for (index, (endpoint, node)) in endpoints.iter().zip(node.elements()?).enumerate() {
        let text = endpoint.to_string();
        if !is_insecure && !endpoint.is_loopback() {
            let advice = "PiKV speaks plain HTTP to etcd, so by default only to this machine (127.0.0.1, ::1, localhost): \
                          run a member here, or set `engine.insecure_network` to true if everyone who can read this \
                          network may read and change all data";
            return Err(node.wrong_text(&text, advice.to_owned()));
        }
        let is_of_this = endpoints.iter().take(index).any(|other| other == endpoint);
        let other = others.iter().find(|other| other.endpoints.contains(endpoint));
        let owner = other.map(|other| format!("cell `{}`", other.name));
        if let Some(owner) = owner.or_else(|| is_of_this.then(|| "this cell".to_owned())) {
            let advice = format!("{owner} has that endpoint already; every member belongs to one cell, once");
            return Err(node.wrong_text(&text, advice));
        }
    }
    Ok(())
}

fn optional_text(node: &Node<'_>) -> Result<Option<String>, Mistake> {
    if node.is_null() {
        return Ok(None);
    }
    let text = node.string()?;
    if text.is_empty() || text.len() > CELL_TEXT_BYTES_MAX || text.contains(char::is_control) {
        let advice =
            format!("it must be null, or 1 to {CELL_TEXT_BYTES_MAX} bytes without control characters");
        return Err(node.wrong_text(&text, advice));
    }
    Ok(Some(text))
}

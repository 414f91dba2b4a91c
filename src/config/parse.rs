//! From the text of config.json to a [`Config`]: every member, its type and its range.

use super::members::{Members, Node};
use super::mistake::{Mistake, Problem};
use super::schema::{
    AccountsChoice, AuthenticationChoice, AuthenticationSettings, Config, CorsChoice, ItemApiChoice,
    LimitsChoice, LogChoice, LogFormat, LogLevel, Origin, PerAddress, ProjectConfig, PublicHost,
    RateLimitChoice, Registration, StorageChoice, StoredKey, SyncMode, Threads, TimeoutsChoice, VERSION,
};
use super::text::object_text;
use crate::limits::{
    API_KEY_BYTES_MAX, API_KEY_BYTES_MIN, BCRYPT_COST_MAX, BCRYPT_COST_MIN, BODY_BYTES_MAX_CEILING,
    BODY_BYTES_MAX_DEFAULT, BODY_BYTES_PER_SECOND_MIN_CEILING, CONNECTIONS_MAX_CEILING, LOOPS_MAX,
    MEMORY_BODIES_MIN, MEMORY_BYTES_MAX_CEILING, MEMORY_BYTES_MAX_FLOOR, ORIGINS_MAX, PROJECTS_MAX,
    PUBLIC_HOSTS_MAX, RATE_LIMIT_REQUESTS_MAX, RATE_LIMIT_WINDOW_SECONDS_MAX, SYNC_INTERVAL_SECONDS_MAX,
    SYNC_INTERVAL_SECONDS_MIN, TIMEOUT_SECONDS_CEILING, TOKEN_TTL_SECONDS_MAX, TOKEN_TTL_SECONDS_MIN,
    TRUSTED_PROXIES_MAX,
};
use crate::names::ProjectId;
use crate::network::Network;
use crate::secret::{KeyHash, Secret};
use std::collections::HashSet;
use std::net::IpAddr;

/// What `api_key_hash` says in a configuration that was copied from the documentation.
const HASH_PLACEHOLDER: &str = "[Will be generated";

const TOP: &[&str] = &[
    "version",
    "server_port",
    "server_host",
    "server_threads",
    "default",
    "projects",
    "limits",
    "timeouts",
    "log",
    "accounts",
    "item_api",
    "trusted_proxies",
    "public_origins",
    "public_hosts",
    "cors",
];
const DEFAULT: &[&str] = &["storage", "authentication"];
const DEFAULT_STORAGE: &[&str] =
    &["persistent_file_path", "on_disk", "cache_in_memory", "sync", "sync_interval_seconds"];
const PROJECT: &[&str] = &["id", "storage", "authentication"];
const STORAGE: &[&str] = &["on_disk", "cache_in_memory", "sync", "sync_interval_seconds"];
const AUTHENTICATION: &[&str] = &["enabled", "save_api_key_to_file", "api_key", "api_key_hash"];
const LIMITS: &[&str] =
    &["body_bytes_max", "connections_max", "connections_per_address_max", "memory_bytes_max"];
const TIMEOUTS: &[&str] = &[
    "head_seconds",
    "body_grace_seconds",
    "body_bytes_per_second_min",
    "idle_seconds",
    "write_seconds",
    "shutdown_seconds",
];
const LOG: &[&str] = &["level", "format"];
const ACCOUNTS: &[&str] = &["enabled", "registration", "token_ttl_seconds", "bcrypt_cost"];
const ITEM_API: &[&str] = &["project", "rate_limit"];
const RATE_LIMIT: &[&str] = &["requests", "window_seconds"];
const CORS: &[&str] = &["origins"];

/// Takes `text` as a configuration.
pub(super) fn parse(text: &[u8]) -> Result<Config, Mistake> {
    let source = object_text(text)?;
    let top = Node::parse(source)?;
    // First: a later version may have members that are unknown here.
    if let Some(version) = top.member("version")? {
        check_version(&version)?;
    }
    let mut top = top.members(TOP)?;
    check_version(&top.require("version")?)?;
    let server_port = port(&top.require("server_port")?)?;
    let server_host = top.take("server_host").map(|node| host(&node)).transpose()?;
    let server_threads = top.take("server_threads").map(|node| threads(&node)).transpose()?;
    let mut default = top.require("default")?.members(DEFAULT)?;
    let mut default_storage = default.require("storage")?.members(DEFAULT_STORAGE)?;
    let persistent_file_path = data_path(&default_storage.require("persistent_file_path")?)?;
    let storage = storage(&mut default_storage)?;
    let mut default_authentication = default.require("authentication")?.members(AUTHENTICATION)?;
    let authentication = AuthenticationSettings {
        enabled: default_authentication.require("enabled")?.boolean()?,
        save_api_key_to_file: default_authentication.require("save_api_key_to_file")?.boolean()?,
    };
    let key = stored_key(&mut default_authentication)?;
    let projects = projects(&top.require("projects")?)?;
    let limits = top.take("limits").map(limits).transpose()?;
    let timeouts = top.take("timeouts").map(timeouts).transpose()?;
    let log = top.take("log").map(log).transpose()?;
    let accounts = top.take("accounts").map(accounts).transpose()?;
    let item_api = top.take("item_api").map(item_api).transpose()?;
    let trusted_proxies = top.take("trusted_proxies").map(|node| trusted_proxies(&node)).transpose()?;
    let public_origins = top.take("public_origins").map(|node| origins(&node)).transpose()?;
    let public_hosts = top.take("public_hosts").map(|node| public_hosts(&node)).transpose()?;
    let cors = top.take("cors").map(cors).transpose()?;
    Ok(Config {
        server_port,
        server_host,
        server_threads,
        persistent_file_path,
        storage,
        authentication,
        key,
        limits,
        timeouts,
        log,
        accounts,
        item_api,
        trusted_proxies,
        public_origins,
        public_hosts,
        cors,
        projects,
    })
}

fn check_version(node: &Node<'_>) -> Result<(), Mistake> {
    match node.number(0, u64::MAX) {
        Ok(VERSION) => Ok(()),
        Ok(other) => Err(node.mistake(Problem::Version { text: other.to_string() })),
        Err(Mistake { problem: Problem::OutOfRange { text, .. }, .. }) => {
            Err(node.mistake(Problem::Version { text }))
        }
        Err(mistake) => Err(mistake),
    }
}

fn port(node: &Node<'_>) -> Result<u16, Mistake> {
    let port = node.number(0, u64::from(u16::MAX))?;
    Ok(u16::try_from(port).unwrap_or(u16::MAX))
}

/// A number that is at most `max`, so that it fits.
fn count(node: &Node<'_>, max: usize) -> Result<usize, Mistake> {
    Ok(node.number(1, max as u64)?.try_into().unwrap_or(max))
}

/// A number from `min` to `max`.
fn number_u32(node: &Node<'_>, min: u32, max: u32) -> Result<u32, Mistake> {
    Ok(node.number(min.into(), max.into())?.try_into().unwrap_or(max))
}

fn host(node: &Node<'_>) -> Result<IpAddr, Mistake> {
    let text = node.string()?;
    text.parse().map_err(|_| node.mistake(Problem::Host { text }))
}

fn threads(node: &Node<'_>) -> Result<Threads, Mistake> {
    if node.is_null() { Ok(Threads::PerCore) } else { count(node, LOOPS_MAX).map(Threads::Count) }
}

fn data_path(node: &Node<'_>) -> Result<String, Mistake> {
    let path = node.string()?;
    if path.is_empty() || path.contains('\0') { Err(node.mistake(Problem::DataPath)) } else { Ok(path) }
}

fn storage(members: &mut Members<'_>) -> Result<StorageChoice, Mistake> {
    let interval = members.take("sync_interval_seconds");
    let mut storage = StorageChoice {
        on_disk: boolean(members, "on_disk")?,
        cache_in_memory: boolean(members, "cache_in_memory")?,
        sync: None,
        sync_interval_seconds: interval
            .map(|node| node.number(SYNC_INTERVAL_SECONDS_MIN, SYNC_INTERVAL_SECONDS_MAX))
            .transpose()?,
    };
    if let Some(node) = members.take("sync") {
        let text = node.string()?;
        if !storage.set_sync(&text) {
            let (member, known) = (node.member.clone(), SyncMode::NAMES);
            return Err(node.mistake(Problem::UnknownText { member, text, known }));
        }
    }
    Ok(storage)
}

fn boolean(members: &mut Members<'_>, name: &str) -> Result<Option<bool>, Mistake> {
    members.take(name).map(|node| node.boolean()).transpose()
}

fn stored_key(authentication: &mut Members<'_>) -> Result<StoredKey, Mistake> {
    let text = authentication.take("api_key").filter(|node| !node.is_null());
    let hash = authentication.take("api_key_hash").filter(|node| !node.is_null());
    Ok(StoredKey {
        text: text.map(|node| key_text(&node)).transpose()?,
        hash: hash.map(|node| key_hash(&node)).transpose()?.flatten(),
    })
}

fn key_text(node: &Node<'_>) -> Result<Secret, Mistake> {
    let text = node.string()?;
    let member = || node.member.clone();
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(node.mistake(Problem::KeyCharacter { member: member() }));
    }
    if !(API_KEY_BYTES_MIN..=API_KEY_BYTES_MAX).contains(&text.len()) {
        return Err(node.mistake(Problem::KeyLength { member: member(), bytes: text.len() }));
    }
    Ok(Secret::new(text))
}

fn key_hash(node: &Node<'_>) -> Result<Option<KeyHash>, Mistake> {
    let text = node.string()?;
    if text.starts_with(HASH_PLACEHOLDER) {
        return Ok(None);
    }
    let hash = KeyHash::parse(&text);
    hash.map(Some).ok_or_else(|| node.mistake(Problem::KeyHash { member: node.member.clone() }))
}

fn projects(node: &Node<'_>) -> Result<Vec<ProjectConfig>, Mistake> {
    let elements = node.elements()?;
    if elements.len() > PROJECTS_MAX {
        return Err(node.mistake(Problem::TooManyProjects));
    }
    let mut ids = HashSet::with_capacity(elements.len());
    let mut projects = Vec::with_capacity(elements.len());
    for element in elements {
        let project = project(element.clone())?;
        if !ids.insert(project.id.clone()) {
            return Err(element.mistake(Problem::ProjectTwice { id: project.id.as_str().to_owned() }));
        }
        projects.push(project);
    }
    Ok(projects)
}

fn project(node: Node<'_>) -> Result<ProjectConfig, Mistake> {
    let mut members = node.members(PROJECT)?;
    let id = project_id(&members.require("id")?)?;
    let mut project = ProjectConfig::new(id, StorageChoice::default(), AuthenticationChoice::default());
    if let Some(node) = members.take("storage") {
        project.storage = storage(&mut node.members(STORAGE)?)?;
    }
    if let Some(node) = members.take("authentication") {
        let mut authentication = node.members(AUTHENTICATION)?;
        project.authentication.enabled = boolean(&mut authentication, "enabled")?;
        project.authentication.save_api_key_to_file = boolean(&mut authentication, "save_api_key_to_file")?;
        project.key = stored_key(&mut authentication)?;
    }
    Ok(project)
}

fn project_id(node: &Node<'_>) -> Result<ProjectId, Mistake> {
    let text = node.string()?;
    let member = node.member.clone();
    ProjectId::parse(&text).map_err(|error| node.mistake(Problem::ProjectId { member, text, error }))
}

fn limits(node: Node<'_>) -> Result<LimitsChoice, Mistake> {
    let mut members = node.members(LIMITS)?;
    let memory = members.take("memory_bytes_max");
    let per_address = members.take("connections_per_address_max");
    let mut limit = |name: &str, max: usize| members.take(name).map(|node| count(&node, max)).transpose();
    let body_bytes_max = limit("body_bytes_max", BODY_BYTES_MAX_CEILING)?;
    let memory_bytes_max = memory.map(|node| memory_bytes(&node, body_bytes_max)).transpose()?;
    Ok(LimitsChoice {
        body_bytes_max,
        connections_max: limit("connections_max", CONNECTIONS_MAX_CEILING)?,
        connections_per_address_max: per_address.map(|node| per_address_max(&node)).transpose()?,
        memory_bytes_max,
    })
}

fn per_address_max(node: &Node<'_>) -> Result<PerAddress, Mistake> {
    if node.is_null() {
        return Ok(PerAddress::Unbounded);
    }
    count(node, CONNECTIONS_MAX_CEILING).map(PerAddress::Max)
}

/// `limits.memory_bytes_max`, which has to be enough for some bodies.
fn memory_bytes(node: &Node<'_>, body_bytes_max: Option<usize>) -> Result<usize, Mistake> {
    let bodies = MEMORY_BODIES_MIN * body_bytes_max.unwrap_or(BODY_BYTES_MAX_DEFAULT);
    let min = bodies.max(MEMORY_BYTES_MAX_FLOOR);
    let bytes = node.number(min as u64, MEMORY_BYTES_MAX_CEILING as u64)?;
    Ok(usize::try_from(bytes).unwrap_or(MEMORY_BYTES_MAX_CEILING))
}

fn timeouts(node: Node<'_>) -> Result<TimeoutsChoice, Mistake> {
    let mut members = node.members(TIMEOUTS)?;
    let mut number =
        |name: &str, min: u64, max: u64| members.take(name).map(|node| node.number(min, max)).transpose();
    const MAX: u64 = TIMEOUT_SECONDS_CEILING;
    Ok(TimeoutsChoice {
        head_seconds: number("head_seconds", 1, MAX)?,
        body_grace_seconds: number("body_grace_seconds", 0, MAX)?,
        body_bytes_per_second_min: number("body_bytes_per_second_min", 0, BODY_BYTES_PER_SECOND_MIN_CEILING)?,
        idle_seconds: number("idle_seconds", 1, MAX)?,
        write_seconds: number("write_seconds", 1, MAX)?,
        shutdown_seconds: number("shutdown_seconds", 0, MAX)?,
    })
}

fn log(node: Node<'_>) -> Result<LogChoice, Mistake> {
    let mut members = node.members(LOG)?;
    let level = members.take("level").map(|node| node.choice(LogLevel::NAMES, LogLevel::parse));
    let format = members.take("format").map(|node| node.choice(LogFormat::NAMES, LogFormat::parse));
    Ok(LogChoice { level: level.transpose()?, format: format.transpose()? })
}

fn accounts(node: Node<'_>) -> Result<AccountsChoice, Mistake> {
    let mut members = node.members(ACCOUNTS)?;
    let registration = members.take("registration");
    let token_ttl = members.take("token_ttl_seconds");
    let cost = members.take("bcrypt_cost");
    Ok(AccountsChoice {
        enabled: boolean(&mut members, "enabled")?,
        registration: registration
            .map(|node| node.choice(Registration::NAMES, Registration::parse))
            .transpose()?,
        token_ttl_seconds: token_ttl
            .map(|node| node.number(TOKEN_TTL_SECONDS_MIN, TOKEN_TTL_SECONDS_MAX))
            .transpose()?,
        bcrypt_cost: cost.map(|node| number_u32(&node, BCRYPT_COST_MIN, BCRYPT_COST_MAX)).transpose()?,
    })
}

fn item_api(node: Node<'_>) -> Result<ItemApiChoice, Mistake> {
    let mut members = node.members(ITEM_API)?;
    Ok(ItemApiChoice {
        project: members.take("project").map(|node| project_id(&node)).transpose()?,
        rate_limit: members.take("rate_limit").map(rate_limit).transpose()?,
    })
}

fn rate_limit(node: Node<'_>) -> Result<RateLimitChoice, Mistake> {
    if node.is_null() {
        return Ok(RateLimitChoice::Off);
    }
    let mut members = node.members(RATE_LIMIT)?;
    let requests = members.take("requests").map(|node| number_u32(&node, 1, RATE_LIMIT_REQUESTS_MAX));
    let window = members.take("window_seconds").map(|node| node.number(1, RATE_LIMIT_WINDOW_SECONDS_MAX));
    Ok(RateLimitChoice::On { requests: requests.transpose()?, window_seconds: window.transpose()? })
}

fn trusted_proxies(node: &Node<'_>) -> Result<Vec<Network>, Mistake> {
    let networks = few_elements(node, TRUSTED_PROXIES_MAX)?;
    networks.iter().map(network).collect()
}

fn network(node: &Node<'_>) -> Result<Network, Mistake> {
    let text = node.string()?;
    let member = node.member.clone();
    Network::parse(&text).map_err(|error| node.mistake(Problem::Network { member, text, error }))
}

fn cors(node: Node<'_>) -> Result<CorsChoice, Mistake> {
    let mut members = node.members(CORS)?;
    Ok(CorsChoice { origins: members.take("origins").map(|node| origins(&node)).transpose()? })
}

fn origins(node: &Node<'_>) -> Result<Vec<Origin>, Mistake> {
    let origins = few_elements(node, ORIGINS_MAX)?;
    origins.iter().map(origin).collect()
}

fn origin(node: &Node<'_>) -> Result<Origin, Mistake> {
    let text = node.string()?;
    let member = node.member.clone();
    Origin::parse(&text).map_err(|error| node.mistake(Problem::Origin { member, text, error }))
}

fn public_hosts(node: &Node<'_>) -> Result<Vec<PublicHost>, Mistake> {
    let hosts = few_elements(node, PUBLIC_HOSTS_MAX)?;
    hosts.iter().map(public_host).collect()
}

fn public_host(node: &Node<'_>) -> Result<PublicHost, Mistake> {
    let text = node.string()?;
    let member = node.member.clone();
    PublicHost::parse(&text).ok_or_else(|| node.mistake(Problem::PublicHost { member, text }))
}

/// The elements of an array of at most `max`.
fn few_elements<'a>(node: &Node<'a>, max: usize) -> Result<Vec<Node<'a>>, Mistake> {
    let elements = node.elements()?;
    if elements.len() > max {
        return Err(node.mistake(Problem::TooManyElements { member: node.member.clone(), max }));
    }
    Ok(elements)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;

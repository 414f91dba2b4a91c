//! `pikv config show`: every value in force, one per line, with who decided on it.

use super::effective::{Effective, Options, Source, Sourced};
use crate::config::schema::{Config, Origin, ProjectConfig, PublicHost, RateLimitChoice, StoredKey};
use crate::limits::SYNC_INTERVAL_SECONDS_DEFAULT;
use crate::names::ProjectId;
use crate::secret::MASK;
use std::fmt::{Display, Write};

/// Lines `name = value  (source)`; a key or hash that is there is shown as `***`.
pub fn render(options: &Options, config: &Config, effective: &Effective) -> String {
    let mut lines = Lines(String::new());
    let path = &options.config_path;
    lines.put("config", format!("{:?}", path.value), path.source);
    lines.put("server_port", effective.port.value, effective.port.source);
    lines.put("server_host", effective.host.value, effective.host.source);
    let threads = config.threads().map_or("null".to_owned(), |count| count.to_string());
    lines.put("server_threads", threads, Source::of_member(&config.server_threads));
    render_default(&mut lines, config);
    for project in config.projects() {
        render_project(&mut lines, config, project);
    }
    render_limits(&mut lines, config);
    lines.put("log.level", effective.log_level.value.name(), effective.log_level.source);
    lines.put("log.format", effective.log_format.value.name(), effective.log_format.source);
    render_accounts(&mut lines, config);
    render_item_api(&mut lines, config);
    let proxies: Vec<String> = config.trusted_proxies().iter().map(ToString::to_string).collect();
    lines.put("trusted_proxies", format!("{proxies:?}"), Source::of_member(&config.trusted_proxies));
    let origins: Vec<&str> = config.public_origins().iter().map(Origin::as_str).collect();
    lines.put("public_origins", format!("{origins:?}"), Source::of_member(&config.public_origins));
    let hosts: Vec<&str> = config.public_hosts().iter().map(PublicHost::as_str).collect();
    lines.put("public_hosts", format!("{hosts:?}"), Source::of_member(&config.public_hosts));
    let origins: Vec<&str> = config.cors_origins().iter().map(Origin::as_str).collect();
    let written = config.cors.as_ref().and_then(|cors| cors.origins.as_ref());
    lines.put("cors.origins", format!("{origins:?}"), Source::of_member(&written));
    lines.0
}

fn render_default(lines: &mut Lines, config: &Config) {
    let storage = &config.storage;
    let path = format!("{:?}", config.persistent_file_path);
    lines.put("default.storage.persistent_file_path", path, Source::File);
    lines.put_sourced("default.storage.on_disk", Sourced::of_file(storage.on_disk, true));
    lines.put_sourced("default.storage.cache_in_memory", Sourced::of_file(storage.cache_in_memory, true));
    let sync = Sourced::of_file(storage.sync, Default::default());
    lines.put("default.storage.sync", sync.value.name(), sync.source);
    let interval = Sourced::of_file(storage.sync_interval_seconds, SYNC_INTERVAL_SECONDS_DEFAULT);
    lines.put_sourced("default.storage.sync_interval_seconds", interval);
    let authentication = config.authentication;
    lines.put("default.authentication.enabled", authentication.enabled, Source::File);
    let save = authentication.save_api_key_to_file;
    lines.put("default.authentication.save_api_key_to_file", save, Source::File);
    lines.put_key("default.authentication", &config.key);
}

/// A value that a project does not have comes from `default` in the file, else from nobody.
fn render_project(lines: &mut Lines, config: &Config, project: &ProjectConfig) {
    let (own, default) = (&project.storage, &config.storage);
    let in_force = config.storage_of(project);
    let name = |member: &str| format!("projects.{}.{member}", project.id);
    let on_disk = Sourced::of_file(own.on_disk.or(default.on_disk), in_force.on_disk);
    lines.put_sourced(&name("storage.on_disk"), on_disk);
    let cached = Sourced::of_file(own.cache_in_memory.or(default.cache_in_memory), in_force.cache_in_memory);
    lines.put_sourced(&name("storage.cache_in_memory"), cached);
    let sync = Sourced::of_file(own.sync.or(default.sync), in_force.sync);
    lines.put(&name("storage.sync"), sync.value.name(), sync.source);
    let written = own.sync_interval_seconds.or(default.sync_interval_seconds);
    let interval = Sourced::of_file(written, in_force.sync_interval_seconds);
    lines.put_sourced(&name("storage.sync_interval_seconds"), interval);
    let authentication = config.authentication_of(project);
    // `default.authentication` has to be in the file, so it is the file that decides.
    lines.put(&name("authentication.enabled"), authentication.enabled, Source::File);
    let save = authentication.save_api_key_to_file;
    lines.put(&name("authentication.save_api_key_to_file"), save, Source::File);
    lines.put_key(&name("authentication"), &project.key);
}

fn render_limits(lines: &mut Lines, config: &Config) {
    let (limits, written) = (config.limits(), config.limits.unwrap_or_default());
    let body = Sourced::of_file(written.body_bytes_max, limits.body_bytes_max);
    lines.put_sourced("limits.body_bytes_max", body);
    let connections = Sourced::of_file(written.connections_max, limits.connections_max);
    lines.put_sourced("limits.connections_max", connections);
    let per_address = limits.connections_per_address_max.map_or("null".to_owned(), |max| max.to_string());
    let source = if written.connections_per_address_max.is_some() { Source::File } else { Source::Default };
    lines.put("limits.connections_per_address_max", per_address, source);
    let memory = Sourced::of_file(written.memory_bytes_max, limits.memory_bytes_max);
    lines.put_sourced("limits.memory_bytes_max", memory);
    let (timeouts, written) = (config.timeouts(), config.timeouts.unwrap_or_default());
    let rate = timeouts.body_bytes_per_second_min;
    let rows = [
        ("head_seconds", written.head_seconds, timeouts.head_ms / 1_000),
        ("body_grace_seconds", written.body_grace_seconds, timeouts.body_grace_ms / 1_000),
        ("body_bytes_per_second_min", written.body_bytes_per_second_min, rate),
        ("idle_seconds", written.idle_seconds, timeouts.idle_ms / 1_000),
        ("write_seconds", written.write_seconds, timeouts.write_ms / 1_000),
        ("shutdown_seconds", written.shutdown_seconds, timeouts.shutdown_ms / 1_000),
    ];
    for (member, written, in_force) in rows {
        lines.put_sourced(&format!("timeouts.{member}"), Sourced::of_file(written, in_force));
    }
}

fn render_accounts(lines: &mut Lines, config: &Config) {
    let (accounts, written) = (config.accounts(), config.accounts.unwrap_or_default());
    lines.put_sourced("accounts.enabled", Sourced::of_file(written.enabled, accounts.enabled));
    let registration = Sourced::of_file(written.registration, accounts.registration);
    lines.put("accounts.registration", registration.value.name(), registration.source);
    let token_ttl = Sourced::of_file(written.token_ttl_seconds, accounts.token_ttl_s);
    lines.put_sourced("accounts.token_ttl_seconds", token_ttl);
    lines.put_sourced("accounts.bcrypt_cost", Sourced::of_file(written.bcrypt_cost, accounts.bcrypt_cost));
}

fn render_item_api(lines: &mut Lines, config: &Config) {
    let written = config.item_api.clone().unwrap_or_default();
    let project = config.item_project().map_or("null", ProjectId::as_str);
    lines.put("item_api.project", project, Source::of_member(&written.project));
    let Some(limit) = config.item_rate_limit() else {
        lines.put("item_api.rate_limit", "null", Source::File);
        return;
    };
    let (requests, window_seconds) = match written.rate_limit {
        Some(RateLimitChoice::On { requests, window_seconds }) => (requests, window_seconds),
        Some(RateLimitChoice::Off) | None => (None, None),
    };
    lines.put_sourced("item_api.rate_limit.requests", Sourced::of_file(requests, limit.requests));
    let window = Sourced::of_file(window_seconds, limit.window_ms / 1_000);
    lines.put_sourced("item_api.rate_limit.window_seconds", window);
}

struct Lines(String);

impl Lines {
    fn put(&mut self, name: &str, value: impl Display, source: Source) {
        let written = writeln!(self.0, "{name} = {value}  ({})", source.name());
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }

    fn put_sourced(&mut self, name: &str, value: Sourced<impl Display>) {
        self.put(name, value.value, value.source);
    }

    fn put_key(&mut self, parent: &str, key: &StoredKey) {
        let masked = |is_there: bool| if is_there { MASK } else { "null" };
        self.put(&format!("{parent}.api_key"), masked(key.text.is_some()), Source::File);
        self.put(&format!("{parent}.api_key_hash"), masked(key.hash.is_some()), Source::File);
    }
}

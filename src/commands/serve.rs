//! `pikv serve`: puts the layers together, starts them in an order in which a refusal has changed nothing yet,
//! and stops them in one in which nothing is lost.

use super::engine::Engine;
use super::error::RunError;
use super::printing::{banner, keys_text, owner_text, print_keys};
use super::reachability;
use super::setup::{ConfigFile, absolute, check_files, guard, key_error, lock};
use crate::api::state::App;
use crate::catalog::keys::{self, KeyChanges};
use crate::catalog::{CatalogError, save_generated, save_key_changes, unsaved_texts};
use crate::cli::effective::{self, Options};
use crate::clock;
use crate::config::file;
use crate::config::mistake::ConfigError;
use crate::config::schema::{Config, LogFormat};
use crate::disk::{self, Disk, LockFile, RealDisk};
use crate::entropy::random_bytes;
use crate::limits::LOG_FLUSH_MS;
use crate::log as sink;
use crate::memory::Memory;
use crate::persist::files::own_files::ADDRESS_FILE;
use crate::server::{self, Prepared, Settings};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXCPU};
use signal_hook::iterator::Signals;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// First come the steps that may be refused: configuration, port, data directory. The lock comes before any write, and
/// the configuration that was read before it is read again.
pub(super) fn serve(options: &Options) -> Result<(), RunError> {
    let path = &options.config_path.value;
    let found = file::load(&RealDisk, path)?.unwrap_or_else(file::first_config);
    let wanted = effective::resolve(options, &found);
    let address = SocketAddr::new(wanted.host.value, wanted.port.value);
    found.held_descriptors().check(disk::descriptors_max()).map_err(RunError::TooFewDescriptors)?;
    let listener = server::listen(address).map_err(|error| RunError::Listen { address, error })?;
    let directory = found.data_directory(path);
    check_files(&found, path)?;
    let is_new_directory = disk::create_directory(&directory)
        .map_err(|error| RunError::DataDirectory { path: directory.clone(), error })?;
    let lock = lock(&directory)?;
    let config_lock = file::lock(&RealDisk, path)?;
    // No edit takes effect that a power cut would undo.
    let existing = file::load_synced(&RealDisk, path)?;
    let config_file = if existing.is_some() { ConfigFile::Found } else { ConfigFile::Created };
    let (mut config, warnings) = existing
        .map_or_else(|| (file::first_config(), Vec::new()), |loaded| (loaded.config, loaded.warnings));
    check_files(&config, path)?;
    let effective = effective::resolve(options, &config);
    let mut key_changes = keys::ensure_keys(&mut config, &mut random_bytes).map_err(key_error(path))?;
    let unsaved = save_at_start(path, &config, &mut key_changes, config_file)?;
    drop(config_lock);
    let format = log_format(effective.log_format.value);
    sink::start(effective.log_level.value.filter(), format).map_err(RunError::Start)?;
    log_panics();
    warn_if_unwritten(&lock);
    let exposed = reachability::warnings(options, &config, address.ip());
    warnings.iter().chain(&exposed).for_each(|warning| log::warn!("{warning}"));
    unsaved.iter().for_each(|error| log::warn!("{}", unsaved_texts(error)));
    warn_plaintext_removed(&key_changes);
    if config_file == ConfigFile::Found && is_new_directory {
        warn_of_new_directory(&directory);
    }

    // Before any thread starts, so that no signal is missed.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGXCPU]).map_err(RunError::Start)?;
    let prepared = Prepared::new(config.server_threads.unwrap_or_else(cores)).map_err(RunError::Start)?;
    let wakers = prepared.wakers();
    let settings = settings_of(&config, format);
    let memory = Memory::new(config.limits.memory_bytes_max);
    let Engine { catalog, accounts, threads } =
        Engine::open(path, config, guard(&lock)?, Box::new(move || wakers.resolved()))?;
    let app = Arc::new(App::new(catalog, accounts, memory));
    let address = listener.local_addr().map_err(RunError::Start)?;
    let running = prepared.start(listener, &app, settings).map_err(RunError::Start)?;
    let address_path = directory.join(ADDRESS_FILE);
    write_address(&address_path, address);
    log::info!("listening on {address}");
    // The banner comes last, so that no log line interrupts it.
    sink::flush(Duration::from_millis(LOG_FLUSH_MS));
    print_keys(&banner(path, &directory, address, &key_changes, config_file), &key_changes);

    wait_for_end(&mut signals, options, &app);
    running.stop();
    // If the removal fails, the next lock holder removes the file. In another server's directory it is not ours.
    if threads.close(&app) {
        let _ = RealDisk.remove(&address_path);
    }
    log::info!("stopped");
    Ok(())
}

fn warn_if_unwritten(lock: &LockFile) {
    if let Some(error) = lock.unwritten() {
        let path = lock.path().display();
        log::warn!("{path}: {error}; the file does not name this process, but the lock is held");
    }
}

/// The data of an existing configuration may be in another directory, or on a disk that is not mounted.
fn warn_of_new_directory(directory: &Path) {
    log::warn!(
        "created the data directory {} (persistent_file_path); projects on disk begin empty",
        absolute(directory).display()
    );
}

/// Saves a new config.json, or the keys of an existing one. Returns the error because of which the texts of keys stay
/// in it.
fn save_at_start(
    path: &Path,
    config: &Config,
    key_changes: &mut KeyChanges,
    config_file: ConfigFile,
) -> Result<Option<ConfigError>, RunError> {
    if config_file == ConfigFile::Created {
        save_generated(&RealDisk, path, config, key_changes)?;
        return Ok(None);
    }
    save_key_changes(&RealDisk, path, config, key_changes)
        .map_err(|error| RunError::Catalog(CatalogError::keys_not_saved(&error)))
}

/// Writes the address of this server, for `pikv account`. A failure affects only that command.
fn write_address(path: &Path, address: SocketAddr) {
    if let Err(error) = disk::replace(&RealDisk, path, format!("{address}\n").as_bytes()) {
        log::warn!(
            "{}: {error}; `pikv account` cannot find this server. Fix the cause, then restart the server",
            path.display()
        );
    }
}

/// Returns when the server has to stop. Reloads the configuration on each SIGHUP.
fn wait_for_end(signals: &mut Signals, options: &Options, app: &Arc<App>) {
    for signal in signals.forever() {
        if signal == SIGHUP {
            reload(options, app);
            continue;
        }
        if signal == SIGXCPU {
            log::warn!(
                "The processor-time limit of the process (`ulimit -t`, LimitCPU=) is reached. The server stops. Raise \
                 the limit."
            );
        }
        log::info!("shutting down: finishing requests, writing checkpoints");
        // A second signal ends the process at once. Acknowledged changes are on disk already.
        let second_signal_exits = Arc::new(AtomicBool::new(true));
        for signal in [SIGTERM, SIGINT] {
            if signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&second_signal_exits))
                .is_err()
            {
                second_signal_exits.store(false, Ordering::Relaxed);
            }
        }
        return;
    }
}

fn reload(options: &Options, app: &Arc<App>) {
    let path = &options.config_path.value;
    match app.catalog.reload() {
        Ok((config, key_changes)) => {
            let level = effective::resolve(options, &config).log_level.value;
            sink::set_level(level.filter());
            warn_plaintext_removed(&key_changes);
            print_keys(&keys_text(&key_changes), &key_changes);
            log::info!(
                "reloaded {}; changes of address, threads, limits, timeouts, log.format and engine need a restart",
                path.display()
            );
            if config.accounts.enabled && app.accounts.is_none() {
                log::warn!("accounts.enabled is true now; accounts are available after a restart");
            }
        }
        Err(reason) => log::error!("reload failed: {reason}"),
    }
}

fn settings_of(config: &Config, log_format: sink::Format) -> Settings {
    let limits = config.limits;
    // Request ids only have to differ between runs. If there is no randomness, the clock is sufficient.
    let run_id = random_bytes::<8>().unwrap_or_else(|_| clock::wall_ms().to_le_bytes());
    let [a, b, c, d, ..] = run_id;
    Settings {
        timeouts: config.timeouts,
        body_bytes_max: limits.body_bytes_max,
        connections_max: limits.connections_max,
        connections_per_address_max: limits.connections_per_address_max,
        log_format,
        cores: cores(),
        run_id: u32::from_le_bytes([a, b, c, d]),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn log_format(format: LogFormat) -> sink::Format {
    match format {
        LogFormat::Json => sink::Format::Json,
        // systemd's journal has its own time.
        LogFormat::Text if std::env::var_os("JOURNAL_STREAM").is_some() => sink::Format::TextUntimed,
        LogFormat::Text => sink::Format::Text,
    }
}

/// Logs panics like all lines. The payload may contain a secret, so only the location is logged.
fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let location = info.location().map_or_else(|| "an unknown location".to_owned(), ToString::to_string);
        log::error!("internal error at {location}; please report it");
    }));
}

fn warn_plaintext_removed(key_changes: &KeyChanges) {
    for owner in &key_changes.removed_text {
        let owner = owner_text(owner);
        log::warn!(
            "config.json: the hash of the {owner} was kept and its text removed, because \
             save_api_key_to_file is false"
        );
    }
}

//! `pikv init`: writes a config.json with keys, creates the data directory, and prints the keys.

use super::error::RunError;
use super::printing::{self, keys_text, print};
use super::setup::{absolute, key_error};
use crate::catalog::keys;
use crate::catalog::save_generated;
use crate::cli::effective::Options;
use crate::config::file;
use crate::disk::{self, Disk, RealDisk};
use crate::entropy::random_bytes;

pub(super) fn init(options: &Options) -> Result<(), RunError> {
    let path = &options.config_path.value;
    let _lock = file::lock(&RealDisk, path)?;
    if file::load(&RealDisk, path)?.is_some() {
        return Err(RunError::ConfigExists { path: path.clone() });
    }
    if printing::is_discarded() {
        return Err(RunError::OutputDiscarded);
    }
    let mut config = file::first_config();
    let key_changes = keys::ensure_keys(&mut config, &mut random_bytes).map_err(key_error(path))?;
    save_generated(&RealDisk, path, &config, &key_changes)?;
    let text = format!("created {}\n{}", absolute(path).display(), keys_text(&key_changes));
    print(&text).map_err(|error| {
        // Its keys are not known to anyone, and nothing uses the file yet.
        let is_removed = RealDisk.remove(&RealDisk.follow_links(path)).is_ok();
        RunError::KeysNotPrinted { path: absolute(path), is_removed, error }
    })?;
    // Otherwise the first start warns that it is missing. If this fails, that start reports the reason.
    let _ = disk::create_directory(&config.data_directory(path));
    Ok(())
}

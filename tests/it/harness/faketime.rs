//! libfaketime, which changes the time of day that a process sees.

use super::Options;
use super::tool::Tool;
use std::fs;
use std::path::PathBuf;

/// `options` for a process whose time of day is `seconds` ahead. `None` if libfaketime is not installed.
pub fn shifted(options: &Options, seconds: i64) -> Option<Options> {
    let library = library();
    let missing = "faketime is not installed; apt-get install faketime";
    if !Tool::Faketime.is_usable(library.is_none().then(|| missing.to_owned())) {
        return None;
    }
    let mut options = options.clone();
    let mut set = |name: &str, value: String| options.environment.push((name.to_owned(), value));
    set("LD_PRELOAD", library?.to_str()?.to_owned());
    set("FAKETIME", format!("{seconds:+}"));
    // Deadlines are not a matter of the time of day.
    set("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned());
    Some(options)
}

/// Where Debian has the library for programs with threads.
fn library() -> Option<PathBuf> {
    let directories = fs::read_dir("/usr/lib").ok()?;
    let mut paths = directories.flatten().map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    paths.find(|path| path.exists())
}

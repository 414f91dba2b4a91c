//! What the figures were measured on: without it they say nothing.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::failure::Outcome;
use crate::statistics::{Spread, percentile};

/// Syncs that are timed to tell what the disk is like.
const SYNCS: u32 = 200;

/// Names and values, in the order they are shown.
pub type Facts = Vec<(&'static str, String)>;

/// Looks at processor, memory, system, the disk that `directory` is on, and the versions of all
/// programs.
///
/// # Errors
/// The disk cannot be tried.
pub fn describe(directory: &Path, pikv: &Path) -> Outcome<Facts> {
    let cores = std::thread::available_parallelism()?;
    Ok(vec![
        ("processor", format!("{}, {cores} cores", after_colon("/proc/cpuinfo", "model name"))),
        ("memory", after_colon("/proc/meminfo", "MemTotal")),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("disk", describe_disk(directory)?),
        ("load average before", load_average()),
        ("PiKV", first_line(Command::new(pikv).arg("--version"))),
        ("wrk", package_version("wrk")),
        ("redis-server", package_version("redis-server")),
        ("nginx", package_version("nginx")),
        ("webdis", package_version("webdis")),
        ("etcd", package_version("etcd-server")),
        ("strace", package_version("strace")),
        ("axum, tokio, tiny_http", crate_versions(&["axum", "tokio", "tiny_http"])),
    ])
}

/// How much else the machine had to do, for 1, 5 and 15 minutes.
pub fn load_average() -> String {
    read("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn describe_disk(directory: &Path) -> Outcome<String> {
    let kind = file_system(&read("/proc/self/mounts"), directory);
    let path = directory.join("sync-probe");
    let file = File::create(&path)?;
    let mut times = Vec::new();
    for index in 0..SYNCS {
        let begun_at = Instant::now();
        file.write_all_at(&[b'x'; 4096], u64::from(index) * 4096)?;
        file.sync_data()?;
        times.push(begun_at.elapsed().as_secs_f64() * 1_000_000.0);
    }
    fs::remove_file(path)?;
    let (median, p99) = (Spread::of(&times).map_or(0.0, |spread| spread.median), percentile(&mut times, 990));
    let p99 = p99.unwrap_or_default();
    Ok(format!("{kind}; appending and syncing 4 KiB takes {median:.0} µs (p99 {p99:.0} µs)"))
}

/// The device and the kind of the file system with the longest path above `directory`.
fn file_system(mounts: &str, directory: &Path) -> String {
    let mount = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        let (device, place, kind) = (words.next()?, words.next()?, words.next()?);
        directory.starts_with(&place).then(|| (place.len(), format!("{kind} on {device}")))
    };
    mounts.lines().filter_map(mount).max_by_key(|found| found.0).map_or("unknown".to_owned(), |found| found.1)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn after_colon(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':'))
        .map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    output.ok().and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or("unknown".to_owned())
}

/// Of a Debian package: webdis does not say its version itself.
fn package_version(package: &str) -> String {
    let mut query = Command::new("dpkg-query");
    let version = first_line(query.args(["--show", "--showformat", "${Version}", package]));
    if version == "unknown" { "no Debian package".to_owned() } else { version }
}

/// Of crates that were compiled into this program.
fn crate_versions(names: &[&str]) -> String {
    let lock = include_str!("../Cargo.lock");
    let version = |name: &&str| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        rest.split('"').next()
    };
    names.iter().filter_map(version).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_system_counts() {
        let mounts = "proc /proc proc rw 0 0\n/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/home/pi")), "ext4 on /dev/vda");
        assert_eq!(file_system(mounts, Path::new("/tmp/x")), "tmpfs on tmpfs");
        assert_eq!(file_system(mounts, Path::new("/tmpx")), "ext4 on /dev/vda");
    }

    #[test]
    fn versions_of_crates_are_those_of_the_lock_file() {
        let versions = crate_versions(&["axum", "tiny_http"]);
        assert!(versions.starts_with("0.8."), "{versions}");
        assert!(versions.contains(", 0.12."), "{versions}");
    }
}

//! The checks of the fuzz targets, on the inputs that are kept in `tests/fuzz/corpus` and on changes
//! to them. What a fuzzer finds is added there.
//!
//! `SIM_SEED=42 cargo test --test it fuzz_corpora` makes other changes; a failure prints the input.

#[path = "../fuzz/checks/mod.rs"]
mod checks;

use crate::harness::sim_disk::Random;
use std::fs;
use std::path::Path;

/// Changed inputs of each target.
const CHANGED: usize = 10_000;
/// What the corpora may have together.
const FILES_MAX: usize = 150;
const BYTES_MAX: usize = 200 * 1024;
/// A changed input is cut to this, bytes.
const CHANGED_BYTES_MAX: usize = 8 * 1024;

/// The inputs that are kept for `target`, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Prints the input where the check of it fails.
struct Watched<'a>(&'a str, &'a [u8]);

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{} fails on b\"{}\"", self.0, self.1.escape_ascii());
        }
    }
}

fn run(target: &str) {
    let check = checks::ALL.iter().find(|(name, _)| *name == target).unwrap().1;
    let kept = corpus(target);
    assert!(kept.len() >= 5, "{target} has {} inputs", kept.len());
    for input in &kept {
        let _watched = Watched(target, input);
        check(input);
    }
    let seed = crate::harness::environment::number("SIM_SEED").unwrap_or(1);
    println!("SIM_SEED={seed}");
    let mut random = Random(seed);
    for _ in 0..CHANGED {
        let input = changed(&kept, &mut random);
        let _watched = Watched(target, &input);
        check(&input);
    }
}

/// One of the inputs with up to five changes.
fn changed(kept: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let any_of = |random: &mut Random| &kept[random.below(kept.len() as u64) as usize];
    let mut input = any_of(random).clone();
    for _ in 0..=random.below(5) {
        input.truncate(CHANGED_BYTES_MAX);
        let at = random.below(input.len() as u64 + 1) as usize;
        let end = (at + 1 + random.below(12) as usize).min(input.len());
        match random.below(6) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 => input.insert(at, random.below(256) as u8),
            2 => drop(input.drain(at..end)),
            3 => drop(input.splice(end..end, input[at..end].to_vec())),
            4 => input.truncate(at),
            _ => {
                let other = any_of(random);
                let from = random.below(other.len() as u64 + 1) as usize;
                let to = (from + 1 + random.below(60) as usize).min(other.len());
                drop(input.splice(at..end, other[from..to].to_vec()));
            }
        }
    }
    input
}

#[test]
fn heads_hold() {
    run("head");
}

#[test]
fn chunked_bodies_hold() {
    run("chunked_body");
}

#[test]
fn records_hold() {
    run("record");
}

#[test]
fn minified_texts_hold() {
    run("minifier");
}

#[test]
fn routes_hold() {
    run("router");
}

#[test]
fn tokens_hold() {
    run("jwt");
}

#[test]
fn streams_hold() {
    run("streams");
}

#[test]
fn the_corpora_stay_small_and_every_check_has_one() {
    let (mut files, mut bytes) = (0, 0);
    for (target, _) in checks::ALL {
        let kept = corpus(target);
        files += kept.len();
        bytes += kept.iter().map(Vec::len).sum::<usize>();
    }
    assert!(files <= FILES_MAX && bytes <= BYTES_MAX, "{files} files with {bytes} bytes");
}

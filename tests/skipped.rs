//! The last line of `cargo test`: how many tests were skipped, and which tool each of them lacks.

#![expect(clippy::disallowed_methods, reason = "reads what the tests before it wrote")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn main() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped");
    let path = directory.join(std::os::unix::process::parent_id().to_string());
    let noted = fs::read_to_string(path).unwrap_or_default();
    // What earlier runs have left, too.
    let _ = fs::remove_dir_all(&directory);
    println!("{}", report(&noted));
}

/// The report of `noted`, which has the name of a tool and that of a test in each line.
fn report(noted: &str) -> String {
    let mut tests: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (tool, test) in noted.lines().filter_map(|line| line.split_once(' ')) {
        let of_tool = tests.entry(tool).or_default();
        if !of_tool.contains(&test) {
            of_tool.push(test);
        }
    }
    let count: usize = tests.values().map(Vec::len).sum();
    let of_tool = |(tool, tests): (&&str, &Vec<&str>)| format!("{tool}: {}", tests.join(", "));
    let list: Vec<String> = tests.iter().map(of_tool).collect();
    let names = if list.is_empty() { String::new() } else { format!(" ({})", list.join("; ")) };
    format!("Tests skipped for a missing tool: {count}{names}")
}

//! The checks to run before each commit; `.ci/run` has all of them.

use std::env;
use std::ffi::OsString;
use std::process::{Command, ExitCode};

const STEPS: [&[&str]; 4] = [
    &["fmt", "--check"],
    &["clippy", "--locked", "--all-targets", "--", "-D", "warnings"],
    &["doc", "--locked", "--no-deps", "--document-private-items", "--quiet"],
    &["test", "--locked"],
];

/// As in `.ci/run`: nearly everything is private to the crate, so public text may link to private items.
const RUSTDOC_FLAGS: &str = "-D warnings -A rustdoc::private_intra_doc_links";

fn main() -> ExitCode {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    for step in STEPS {
        println!("cargo {}", step.join(" "));
        let status = Command::new(&cargo).args(step).env("RUSTDOCFLAGS", RUSTDOC_FLAGS).status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("failed: cargo {}", step.join(" "));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

//! Measures PiKV beside its rivals: `cargo run --release --manifest-path benches/peers/Cargo.toml`.
//!
//! Each server runs as a process of its own on 127.0.0.1; rounds of ours and theirs alternate. The rows
//! are in `rows/`, the servers in `peers/`, those that are part of this crate in `servers/`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod arguments;
mod campaign;
mod chart;
mod document;
mod failure;
mod http;
mod machine;
mod peers;
mod process;
mod records;
mod resources;
mod rows;
mod sampler;
mod servers;
mod statistics;
mod table;
mod wrk;

use arguments::Command;
use campaign::{Campaign, Options};
use failure::{Outcome, failure};
use table::{Bar, Row};

fn main() -> ExitCode {
    match arguments::parse().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("peers: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Outcome<()> {
    match command {
        Command::Help => print!("{}", arguments::HELP),
        Command::Serve { server, file } => match server.as_str() {
            "axum" => servers::axum::serve(&file)?,
            "bare" => servers::bare::serve(&file)?,
            "commit" => servers::commit::serve(&file)?,
            "whole-file" => servers::whole_file::serve(&file)?,
            other => return Err(failure(format!("there is no server {other}"))),
        },
        Command::Measure(options) => measure(options)?,
    }
    Ok(())
}

fn measure(options: Options) -> Outcome<()> {
    let pikv = locate_pikv()?;
    let mut campaign = Campaign::begin(options, pikv)?;
    process::clean_up_when_interrupted(campaign.directory())?;
    let mut facts = machine::describe(campaign.directory(), &campaign.pikv)?;
    let mut failed = Vec::new();
    for (name, part) in rows::PARTS {
        if campaign.includes(name)
            && let Err(reason) = part(&mut campaign)
        {
            // The other parts are worth something all the same.
            campaign.rows.push(Row::missing(name, "", Bar::Shown, &reason.to_string()));
            failed.push(name);
        }
    }
    facts.push(("load average after", machine::load_average()));
    let options = &campaign.options;
    facts.push(("rounds", format!("{} of {} s", options.rounds, options.seconds)));
    write_results(&campaign, &facts)?;
    if failed.is_empty() { Ok(()) } else { Err(failure(format!("not measured: {}", failed.join(", ")))) }
}

fn write_results(campaign: &Campaign, facts: &machine::Facts) -> Outcome<()> {
    let text = document::render(&campaign.rows, facts);
    print!("{text}");
    let options = &campaign.options;
    if let Some(path) = &options.document {
        std::fs::write(path, document::replace(&std::fs::read_to_string(path)?, &text)?)?;
    }
    if let Some(path) = &options.chart {
        let groups = [rows::throughput::GET, rows::throughput::PUT];
        std::fs::write(path, chart::render_chart(&groups, &campaign.rows, &campaign.curves))?;
    }
    if let Some(path) = &options.json {
        let curve = |curve: &campaign::Curve| serde_json::json!({"server": curve.name, "microseconds_per_write_at_keys": curve.points});
        let figures = serde_json::json!({
            "machine": facts.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "rows": table::encode_rows(&campaign.rows),
            "curves": campaign.curves.iter().map(curve).collect::<Vec<_>>(),
        });
        std::fs::write(path, serde_json::to_vec_pretty(&figures)?)?;
    }
    Ok(())
}

/// The program to measure: `PIKV_BIN`, or the release build, which is brought up to date.
fn locate_pikv() -> Outcome<PathBuf> {
    if let Some(path) = std::env::var_os("PIKV_BIN") {
        return Ok(Path::new(&path).canonicalize()?);
    }
    let package = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize()?;
    let mut build = std::process::Command::new("cargo");
    build.args(["build", "--release", "--message-format", "json-render-diagnostics", "--manifest-path"]);
    build.arg(package.join("Cargo.toml")).stderr(std::process::Stdio::inherit());
    let output = build.output()?;
    let executable = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)));
    executable.ok_or_else(|| failure("cargo build --release did not make a program; see above"))
}

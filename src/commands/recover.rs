//! `pikv recover`: resolves a conflict that a start refuses, and saves the readable keys of damaged files.

use super::error::RunError;
use super::printing::print_result;
use super::setup::{check_files, load_existing, lock};
use crate::cli::RecoverAct;
use crate::cli::effective::Options;
use crate::clock;
use crate::config::schema::EngineType;
use crate::disk::RealDisk;
use crate::names::{InternalProject, ProjectId};
use crate::persist::files::generation::Paths;
use crate::persist::files::watermark;
use crate::persist::start::import::{self, JournalChanges};
use crate::persist::start::recovery_error::FileProblem;
use crate::persist::start::salvage::{self, Damage, Problem, Salvage};
use std::fmt::Write;
use std::path::Path;

pub(super) fn recover(options: &Options, project: &ProjectId, act: RecoverAct) -> Result<(), RunError> {
    let config = load_existing(&options.config_path.value)?.config;
    if config.engine.kind == EngineType::Etcd {
        return Err(RunError::NoFiles);
    }
    let is_internal = InternalProject::ALL.into_iter().any(|internal| ProjectId::from(internal) == *project);
    if !is_internal && config.project(project).is_none() {
        return Err(RunError::ProjectMissing { id: project.clone() });
    }
    let directory = config.data_directory(&options.config_path.value);
    check_files(&config, &options.config_path.value)?;
    let _lock = lock(&directory).map_err(RunError::of_stopped_server)?;
    let paths = Paths::new(&directory, project);
    let decide = |changes| {
        let now_ms = clock::wall_ms();
        let begin = watermark::begin(&RealDisk, &directory, now_ms)
            .map_err(|error| FileProblem::Io(error).of(&watermark::path_in(&directory)))?;
        import::edited(&RealDisk, &paths, changes, begin, now_ms)
    };
    print_result(&match act {
        RecoverAct::Replay => {
            decide(JournalChanges::Replay)?;
            format!("Project {project} will start with the edited file and the changes of the journal.\n")
        }
        RecoverAct::Discard => {
            decide(JournalChanges::Discard)?;
            format!("Project {project} will start with the edited file; a copy of its journal is kept.\n")
        }
        RecoverAct::Salvage => report(&salvage::salvage(&RealDisk, &paths, clock::wall_ms())?, &paths),
    })
}

/// States what was saved, what was lost, and how to continue.
fn report(salvage: &Salvage, paths: &Paths) -> String {
    let (saved, json, journal) = (salvage.path.display(), paths.json.display(), paths.journal.display());
    let keys = if salvage.keys == 1 { "key" } else { "keys" };
    let mut text = format!("Wrote {} {keys} to {saved}. The other files were not changed.\n", salvage.keys);
    let is_whole = salvage.damages_count == 0;
    if is_whole {
        text.push_str("No damage was found: every line is readable.\n");
    } else {
        text.push_str("\nNot readable:\n");
    }
    // Writing to a String cannot fail.
    for damage in &salvage.damages {
        let _ = writeln!(text, "  {}", describe(damage));
    }
    let unlisted = salvage.damages_count.saturating_sub(salvage.damages.len());
    if unlisted > 0 {
        let parts = if unlisted == 1 { "part" } else { "parts" };
        let _ = writeln!(text, "  and {unlisted} more {parts}");
    }
    if !is_whole {
        text.push_str(
            "\nThe changes in these parts are not in the saved file: a key may be missing, have an older value, or \
             exist although it was deleted.\n",
        );
    }
    if salvage.keys_with_expiry > 0 {
        let _ = writeln!(
            text,
            "Keys that had a time to live, which a .json file cannot store: {}. They would stay until they are deleted.",
            salvage.keys_with_expiry
        );
    }
    let _ = writeln!(
        text,
        "\nTo continue with the saved keys, move {json} and {journal} to another directory, rename {saved} to {json}, \
         and start the server. If you have a backup, compare it first."
    );
    text
}

fn describe(damage: &Damage) -> String {
    let Damage { path, start, end, problem } = damage;
    let (path, last): (_, u64) = (Path::display(path), end.saturating_sub(1));
    match problem {
        Problem::Missing => format!("{path}: the file does not exist"),
        Problem::Header => format!("{path}: the header, bytes {start} to {last}"),
        Problem::Lines => format!("{path}: bytes {start} to {last}"),
        Problem::OtherContent => format!(
            "{path}: it is valid JSON, but not the file that the journal belongs to: an edit, another copy, or damage \
             inside values"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::DAMAGES_LISTED_MAX;

    #[test]
    fn the_report_names_the_damage_and_how_to_continue() {
        let paths = Paths::new(Path::new("/d"), &ProjectId::parse("p").unwrap());
        let damage = |start, end, problem| Damage { path: paths.journal.clone(), start, end, problem };
        let salvage = Salvage {
            path: "/d/p.json.salvaged-7".into(),
            keys: 12,
            keys_with_expiry: 3,
            damages: vec![damage(0, 1_024, Problem::Header), damage(4_096, 4_311, Problem::Lines)],
            damages_count: DAMAGES_LISTED_MAX + 2,
        };
        let text = report(&salvage, &paths);
        for part in [
            "Wrote 12 keys to /d/p.json.salvaged-7.",
            "  /d/p.journal: the header, bytes 0 to 1023\n  /d/p.journal: bytes 4096 to 4310\n  and 1000 more parts\n",
            "Keys that had a time to live, which a .json file cannot store: 3.",
            "move /d/p.json and /d/p.journal to another directory, rename /d/p.json.salvaged-7 to /d/p.json",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let whole = Salvage { damages: Vec::new(), damages_count: 0, keys_with_expiry: 0, ..salvage };
        let text = report(&whole, &paths);
        assert!(text.contains("No damage was found") && !text.contains("time to live"), "{text}");
    }
}

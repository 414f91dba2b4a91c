//! tests/README.md has every environment variable that the tests read and every tool that they may lack.

use super::markdown::read;
use super::tidy::visit_sources;
use crate::harness::tool::Tool;
use std::collections::BTreeSet;
use std::path::Path;

const DOCUMENT: &str = "tests/README.md";
/// The only file that asks the system for a variable.
const READER: &str = "tests/it/harness/environment.rs";

/// The texts in backquotes in the first column of the table after the heading `section`.
fn documented(section: &str) -> BTreeSet<String> {
    let document = read(DOCUMENT);
    let (_, after) = document.split_once(&format!("\n## {section}\n")).expect("the section");
    let rows =
        after.lines().take_while(|line| !line.starts_with("## ")).filter_map(|line| line.strip_prefix("| `"));
    let first_column = rows.map(|row| row.split(" | ").next().unwrap_or_default());
    let names =
        first_column.flat_map(|cell| cell.split('`').step_by(2).map(str::to_owned).collect::<Vec<_>>());
    names.filter(|name| !name.is_empty()).collect()
}

/// The names of the variables that `source` reads by `variable` and `number` of the harness.
fn variables(source: &str) -> Vec<String> {
    let calls = ["variable(", "number("].iter().flat_map(|call| source.split(*call).skip(1));
    let name = |argument: &str| match argument.strip_prefix('"') {
        Some(text) => text.split('"').next().map(str::to_owned),
        None => constant(source, argument.split(|c: char| !c.is_ascii_uppercase() && c != '_').next()?),
    };
    let is_variable =
        |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    calls.filter_map(name).filter(is_variable).collect()
}

/// The text of the constant `name` in `source`.
fn constant(source: &str, name: &str) -> Option<String> {
    let (_, after) = source.split_once(&format!("const {name}: &str = \""))?;
    after.split('"').next().map(str::to_owned)
}

#[test]
fn every_variable_of_the_tests_is_in_their_document_and_no_other() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::from(["PIKV_CHROMIUM".to_owned()]);
    assert!(read("tests/browser/pages.mjs").contains("process.env.PIKV_CHROMIUM"));
    visit_sources(package, "tests", &mut |path, source| {
        let reads_itself = source.contains(concat!("env::", "var"));
        assert!(path == READER || !reads_itself, "{path}: read variables by harness::environment");
        if path.starts_with("tests/it/") {
            found.extend(variables(source));
        }
    });
    assert_eq!(documented("Environment variables"), found);
}

#[test]
fn every_tool_of_the_tests_is_in_their_document_and_no_other() {
    let tools = Tool::ALL.iter().map(|tool| tool.name().to_owned()).collect();
    assert_eq!(documented("Tools"), tools);
}

#[test]
fn variables_are_found_by_their_texts_and_by_their_constants() {
    let source = "const A: &str = \"B_C\"; variable(A); number(\"D\"); variable(name); number(\"x\")";
    assert_eq!(variables(source), ["B_C", "D"]);
}

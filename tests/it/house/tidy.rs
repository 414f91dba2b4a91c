//! The rules of the house that neither the compiler nor clippy knows.

use std::fs;
use std::path::Path;

mod circles;
mod phrases;
mod scan;

use circles::Imports;
use scan::{Token, code_only, function_lengths, paths, tokens};
use std::collections::{BTreeMap, BTreeSet};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// Top modules and their layers: a file imports only from its own layer and from lower ones.
const LAYERS: [(&str, u8); 29] = [
    ("clock", 1),
    ("descriptors", 1),
    ("digits", 1),
    ("disk", 1),
    ("entropy", 1),
    ("limits", 1),
    ("names", 1),
    ("network", 1),
    ("json", 1),
    ("log", 1),
    ("memory", 1),
    ("secret", 1),
    ("store", INDEPENDENT_LAYER),
    ("http", INDEPENDENT_LAYER),
    ("config", INDEPENDENT_LAYER),
    ("router", INDEPENDENT_LAYER),
    ("http_client", 3),
    ("persist", 3),
    ("auth", 4),
    ("storage", 4),
    ("accounts", 5),
    ("catalog", 5),
    ("api", 6),
    ("server", 7),
    ("cli", 8),
    ("commands", 9),
    ("main", 10),
    ("testing", 10),
    ("lib", 10),
];

/// Sublayers of a module, lowest first: a file imports only from its own sublayer and from lower ones.
const SUBLAYERS: [(&str, &[&str]); 1] = [("persist", &["files", "start", "live"])];

/// The modules of this layer do not import one another.
const INDEPENDENT_LAYER: u8 = 2;

/// Beyond the layers: what a module must not name, as (module, first of a path, second).
const FORBIDDEN: [(&str, &str, &str); 11] = [
    ("auth", "crate", "persist"),
    ("accounts", "crate", "persist"),
    ("api", "crate", "persist"),
    ("server", "crate", "persist"),
    ("http", "serde_json", ""),
    ("http", "crate", "json"),
    ("http", "std", "net"),
    ("store", "crate", "disk"),
    ("store", "crate", "clock"),
    ("store", "std", "fs"),
    ("auth", "crate", "accounts"),
];

/// In pieces, so that this file passes.
const FORBIDDEN_TEXTS: [&str; 5] = [
    concat!("#[", "ignore"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
];

/// Every broken rule in the file `path` (relative to the package) as `path:line: what`.
fn broken_rules(path: &str, source: &str) -> Vec<String> {
    let code = code_only(source);
    let tokens = tokens(&code);
    let mut broken = forbidden_texts(source);
    broken.extend(lengths(source, &tokens));
    // The rivals in benches/peers are servers too.
    if !path.starts_with("src/server") && !path.starts_with("benches/peers/src/servers") {
        let uses = tokens.iter().filter(|token| token.text == "mio");
        broken.extend(uses.map(|token| (token.line, "only src/server uses mio".to_owned())));
    }
    if let Some(in_source) = path.strip_prefix("src/") {
        broken.extend(imports(in_source, &tokens));
    }
    broken.sort();
    broken.dedup();
    broken.iter().map(|(line, what)| format!("{path}:{line}: {what}")).collect()
}

fn forbidden_texts(source: &str) -> Vec<(usize, String)> {
    let mut broken = Vec::new();
    for (index, line) in source.lines().enumerate() {
        for text in FORBIDDEN_TEXTS.iter().filter(|text| line.contains(**text)) {
            broken.push((index + 1, format!("`{text}` has no place in the tree")));
        }
    }
    broken
}

fn lengths(source: &str, tokens: &[Token<'_>]) -> Vec<(usize, String)> {
    let mut broken = Vec::new();
    let lines = source.lines().count();
    if lines > FILE_LINES_MAX {
        broken.push((lines, format!("{lines} lines, a file has at most {FILE_LINES_MAX}")));
    }
    for (name, line, lines) in function_lengths(tokens) {
        if lines > FUNCTION_LINES_MAX {
            broken.push((
                line,
                format!("{name} has {lines} lines, a function has at most {FUNCTION_LINES_MAX}"),
            ));
        }
    }
    broken
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

/// The module of `in_source` (relative to `src`). `x_tests.rs` is the module `tests` in `x.rs`.
fn module_of(in_source: &str) -> Vec<&str> {
    let stem = in_source.strip_suffix(".rs").unwrap_or(in_source);
    let mut names: Vec<&str> = stem.strip_suffix("/mod").unwrap_or(stem).split('/').collect();
    if let Some(name) = names.last().and_then(|last| last.strip_suffix("_tests")) {
        names.pop();
        names.extend([name, "tests"]);
    }
    names
}

fn imports(in_source: &str, tokens: &[Token<'_>]) -> Vec<(usize, String)> {
    let module = module_of(in_source);
    let top = module[0];
    let Some(own_layer) = layer(top) else {
        return vec![(1, format!("`{top}` has no layer in tests/it/house/tidy.rs"))];
    };
    let mut broken = Vec::new();
    let module = if own_layer == 10 { &[] } else { module.as_slice() };
    for path in paths(tokens, module) {
        let (line, first, second) =
            (path.line, path.names[0], path.names.get(1).copied().unwrap_or_default());
        if FORBIDDEN.iter().any(|rule| rule.0 == top && rule.1 == first && ["", second].contains(&rule.2)) {
            broken.push((line, format!("{top} must not name {first}::{second}")));
        }
        if first != "crate" || own_layer == 10 {
            continue;
        }
        if second == top {
            broken.extend(imports_up_from_sublayer(module, &path.names[1..]).map(|what| (line, what)));
            continue;
        }
        match layer(second) {
            None => broken.push((line, format!("crate::{second} has no layer in tests/it/house/tidy.rs"))),
            Some(other) if other > own_layer => {
                broken.push((line, format!("{top} (layer {own_layer}) imports up from {second} ({other})")));
            }
            Some(INDEPENDENT_LAYER) if own_layer == INDEPENDENT_LAYER => {
                broken.push((line, format!("{top} must not know {second} of its own layer")));
            }
            Some(_) => {}
        }
    }
    broken
}

/// What is wrong if the file of `module` names `target`, a path in the same top module.
fn imports_up_from_sublayer(module: &[&str], target: &[&str]) -> Option<String> {
    let (_, sublayers) = SUBLAYERS.iter().find(|(top, _)| *top == module[0])?;
    let place = |path: &[&str]| sublayers.iter().position(|sublayer| Some(sublayer) == path.get(1));
    let (own, other) = (place(module)?, place(target)?);
    (other > own).then(|| format!("{}/{} imports up from {}", module[0], sublayers[own], sublayers[other]))
}

/// Calls `visit` with the path and the text of every Rust file under `directory` of the package.
pub fn visit_sources(package: &Path, directory: &str, visit: &mut dyn FnMut(&str, &str)) {
    let Ok(entries) = fs::read_dir(package.join(directory)) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let path = format!("{directory}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            if !path.ends_with("/target") {
                visit_sources(package, &path, visit);
            }
        } else if path.ends_with(".rs") {
            visit(&path, &fs::read_to_string(entry.path()).unwrap());
        }
    }
}

#[test]
fn the_source_tree_keeps_the_rules() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut broken, mut files) = (Vec::new(), 0);
    for directory in ["src", "tests", "benches", "fuzz"] {
        visit_sources(package, directory, &mut |path, source| {
            broken.extend(broken_rules(path, source));
            files += 1;
        });
    }
    assert!(files > 5, "the source tree was found");
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn no_two_files_import_each_other_in_a_circle() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = BTreeMap::new();
    visit_sources(package, "src", &mut |path, source| {
        let in_source = path.strip_prefix("src/").unwrap();
        // They publish and call what the program consists of.
        if !["lib.rs", "main.rs"].contains(&in_source) {
            sources.insert(in_source.to_owned(), source.to_owned());
        }
    });
    let circles = Imports::of(&sources).circles();
    assert!(circles.is_empty(), "\n{}\n", circles.join("\n"));
}

/// The table "Layers" of docs/ARCHITECTURE.md as module and layer.
fn drawn_layers(document: &str) -> BTreeSet<(String, u8)> {
    let section = document.split("## Layers").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let numbered = rows.filter_map(|(number, rest)| Some((number.parse().ok()?, rest.split(" | ").next()?)));
    let modules = |(layer, cell): (u8, &str)| {
        let quoted = cell.split('`').skip(1).step_by(2);
        let names = quoted.map(|name| name.trim_end_matches('/').trim_end_matches(".rs").to_owned());
        names.map(|name| (name, layer)).collect::<Vec<_>>()
    };
    numbered.flat_map(modules).collect()
}

#[test]
fn the_architecture_page_draws_the_layers_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md");
    let drawn = drawn_layers(&std::fs::read_to_string(path).unwrap());
    let real: BTreeSet<(String, u8)> =
        LAYERS.iter().map(|(name, layer)| ((*name).to_owned(), *layer)).collect();
    let differences: Vec<_> = drawn.symmetric_difference(&real).collect();
    assert!(differences.is_empty(), "{differences:?}");
}

fn check(path: &str, source: &str, expected: &[&str]) {
    let broken = broken_rules(path, source);
    assert_eq!(broken.len(), expected.len(), "{path} {source:?}: {broken:?}");
    for (found, expected) in broken.iter().zip(expected) {
        assert!(found.contains(expected), "{found} should say {expected}");
    }
}

#[test]
fn an_import_that_points_up_is_found() {
    check(
        "src/store/entry.rs",
        "\nuse crate::api::App;\n",
        &["src/store/entry.rs:2: store (layer 2) imports up"],
    );
    check(
        "src/clock.rs",
        "fn f() { crate::http::head::parse() }",
        &["clock.rs:1: clock (layer 1) imports up"],
    );
    check("src/auth.rs", "use crate::{\n    limits::A,\n    server::B,\n};", &["auth.rs:3: auth"]);
    check("src/auth.rs", "use {crate::disk::Disk, crate::api::{A, B}};", &["imports up from api (6)"]);
    check("src/auth/jwt.rs", "use super::super::api::App;", &["imports up from api (6)"]);
    check("src/auth/jwt.rs", "mod tests { use super::super::super::{api::App}; }", &["imports up from api"]);
    check("src/auth_tests.rs", "use super::super::api::App;", &["auth (layer 4) imports up from api"]);
    check("src/cli.rs", "use crate::commands::run;", &["cli (layer 8) imports up from commands (9)"]);
    check("src/auth.rs", "use crate::*;", &["crate::* has no layer"]);
    check("src/auth.rs", "use crate::convenience::x;", &["crate::convenience has no layer"]);
    check("src/convenience.rs", "", &["`convenience` has no layer"]);
}

#[test]
fn an_import_from_a_higher_sublayer_is_found() {
    check(
        "src/persist/files/a.rs",
        "use crate::persist::live::b::B;",
        &["persist/files imports up from live"],
    );
    check("src/persist/start/a.rs", "use super::super::live::b;", &["persist/start imports up from live"]);
    check("src/persist/live/a.rs", "use crate::persist::{files::b, start::c}; use super::d;", &[]);
}

#[test]
fn imports_that_point_down_or_stay_pass() {
    check("src/api/keys.rs", "use crate::api::App; use crate::{http::Head, store::Namespace, disk};", &[]);
    check("src/log/render.rs", "use crate::json::encode_u64; use crate::clock;", &[]);
    check("src/auth/jwt.rs", "mod tests { use super::super::api::App; }", &[]);
    check("src/auth.rs", "use super::limits::A; pub(crate) fn f() {} pub(in crate::auth) fn g() {}", &[]);
    check("src/main.rs", "use pikv::commands::run; use crate::anything;", &[]);
    check("src/lib.rs", "pub use crate::server::Server;", &[]);
    check(
        "src/auth.rs",
        "/// [`crate::api::App`]\n// use crate::api;\nconst A: &str = \"crate::api::App\";",
        &[],
    );
    check("tests/it/x.rs", "use crate::anything;", &[]);
}

#[test]
fn imports_between_independent_neighbours_are_found() {
    check("src/http/body.rs", "use crate::store::Entry;", &["http must not know store"]);
    check("src/router.rs", "use crate::http::Head;", &["router must not know http"]);
    check("src/config/file.rs", "use crate::config::schema::Config;", &[]);
    check("src/http/body.rs", "fn f() { serde_json::to_vec(&1); }", &["http must not name serde_json"]);
    check("src/http/body.rs", "use std::net::IpAddr;", &["http must not name std::net"]);
    check("src/http/body.rs", "use std::{fmt, net::IpAddr};", &["http must not name std::net"]);
    check(
        "src/store/entry.rs",
        "use crate::{clock, disk::Disk};",
        &["name crate::clock", "name crate::disk"],
    );
    check("src/store/entry.rs", "use crate::http;", &["store must not know http"]);
    check("src/config/file.rs", "use serde_json::Value; use std::net::IpAddr; use crate::disk;", &[]);
}

#[test]
fn mio_is_found_outside_the_server() {
    check("src/api/keys.rs", "use mio::Poll;", &["only src/server uses mio"]);
    check("tests/it/x.rs", "let a = mio::Token(1);", &["only src/server uses mio"]);
    check("src/server/event_loop.rs", "use mio::Poll;", &[]);
    check("benches/peers/src/servers/bare.rs", "use mio::Poll;", &[]);
    check("src/api/keys.rs", "// mio says \"mio\"\nlet minimum = \"mio\";", &[]);
}

#[test]
fn marks_of_unfinished_work_are_found_at_any_position() {
    for text in FORBIDDEN_TEXTS {
        check("src/disk.rs", &format!("\n// {text} later\n"), &[":2: "]);
        check("tests/it/x.rs", &format!("{text}()"), &[":1: "]);
        check("benches/x.rs", &format!("\"{text}\""), &[":1: "]);
    }
}

#[test]
fn long_files_and_functions_are_found() {
    check("src/disk.rs", &"\n".repeat(FILE_LINES_MAX), &[]);
    check("src/disk.rs", &"\n".repeat(FILE_LINES_MAX + 1), &["601 lines, a file has at most 600"]);
    let function = |lines: usize| format!("\nfn long() {{{}}}\n", "\n".repeat(lines - 1));
    check("src/disk.rs", &function(FUNCTION_LINES_MAX), &[]);
    check("tests/it/x.rs", &function(FUNCTION_LINES_MAX + 1), &["x.rs:2: long has 71 lines"]);
}

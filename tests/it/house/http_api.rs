//! docs/HTTP-API.md: it has every route, with an example that was run.

use crate::harness::{PATIENCE, holds_within};
use crate::house::markdown::{check_shell_blocks, read};
use pikv::testing::router;
use std::collections::BTreeSet;

const DOCUMENT: &str = "docs/HTTP-API.md";

/// Method and pattern of each route of `src/api/routes.rs`, as in `GET /api/v1/projects/{}`.
fn routes() -> BTreeSet<String> {
    let source = read("src/api/routes.rs").replace("pages::STYLESHEET_PATH", "\"/static/pikv.css\"");
    let table =
        source.split("const ROUTES").nth(1).and_then(|rest| rest.split("];").next()).expect("the table");
    let entries = table.split("row(").skip(1).filter_map(|rest| rest.split_once(", \""));
    let route = |(method, rest): (&str, &str)| {
        format!("{} {}", method.to_ascii_uppercase(), rest.split('"').next().unwrap())
    };
    let routes: BTreeSet<String> = entries.map(route).collect();
    assert!(routes.len() > 45, "{routes:?}");
    routes
}

/// `{id}` and `{key}` become `{}`, and so does the `{...}` of the routes.
fn without_names(route: &str) -> String {
    let mut pieces = route.split('{');
    let mut out = pieces.next().unwrap().to_owned();
    for piece in pieces {
        out.push_str("{}");
        out.push_str(piece.split_once('}').unwrap().1);
    }
    out
}

#[test]
fn shell_blocks_of_the_api_document_print_its_output_and_use_every_route() {
    let Some(server) = check_shell_blocks(DOCUMENT) else { return };
    let untried = || {
        let log = server.stderr_text();
        let requests: BTreeSet<(&str, &str)> = log
            .lines()
            .map(|line| line.split(' '))
            .filter_map(|mut words| Some((words.nth(2)?, words.next()?)))
            .collect();
        let is_tried = |route: &String| {
            let (method, pattern) = route.split_once(' ').unwrap();
            // A more exact route takes what fits it, `/api/data/update` for one, so the pattern alone says too much.
            let is_exact = !pattern.ends_with("{...}");
            let taken = |path: &str| {
                !is_exact && routes().iter().any(|other| other.split_once(' ') == Some((method, path)))
            };
            requests.iter().any(|(sent, path)| {
                *sent == method && router::matches(pattern, path).is_some() && !taken(path)
            })
        };
        routes().into_iter().filter(|route| !is_tried(route)).collect::<Vec<_>>()
    };
    assert!(holds_within(PATIENCE, || untried().is_empty()), "no example of {:?}", untried());
}

#[test]
fn every_route_has_a_row_in_the_api_document_and_no_other() {
    let document = read(DOCUMENT);
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let in_document: BTreeSet<String> = rows.filter(|row| row.contains(" /")).map(without_names).collect();
    let in_source: BTreeSet<String> = routes().iter().map(|route| without_names(route)).collect();
    assert_eq!(in_document, in_source);
}

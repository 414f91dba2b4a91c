//! Which files of `src` import which, and circles in that.
//!
//! A file imports another if a path in it, `use` or not, leads to that file's module. A module that only publishes
//! what a part of it has (`pub use part::Name`) does not import the part.

use super::module_of;
use super::scan::{code_only, paths, tokens};
use std::collections::{BTreeMap, BTreeSet};

/// The modules of a crate, and what each imports.
#[derive(Default)]
pub struct Imports {
    of: BTreeMap<String, BTreeSet<String>>,
}

impl Imports {
    /// Of `sources`: the path of each file relative to `src`, and its text. Tests do not count.
    pub fn of(sources: &BTreeMap<String, String>) -> Imports {
        let modules: BTreeMap<String, &str> = sources
            .iter()
            .filter(|(path, _)| !path.ends_with("tests.rs") && !path.contains("tests/"))
            .map(|(path, source)| (module_of(path).join("::"), source.as_str()))
            .collect();
        let imports_of = |(module, source): (&String, &&str)| {
            let code = code_only(source);
            let own: Vec<&str> = module.split("::").collect();
            let found = paths(&tokens(&code), &own);
            let counted = found.iter().filter(|path| !path.is_test && !path.is_published);
            let imported = counted.filter_map(|path| target(&path.names, module, &modules));
            (module.clone(), imported.filter(|other| other != module).collect())
        };
        Imports { of: modules.iter().map(imports_of).collect() }
    }

    /// The modules of every circle, one circle a line: `a -> b -> a`.
    pub fn circles(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut in_circle: BTreeSet<&str> = BTreeSet::new();
        for module in self.of.keys() {
            if !in_circle.contains(module.as_str())
                && let Some(circle) = self.way_back(module)
            {
                found.push(circle.join(" -> "));
                in_circle.extend(circle);
            }
        }
        found
    }

    /// The shortest way from `module` over its imports to itself.
    fn way_back<'a>(&'a self, module: &'a str) -> Option<Vec<&'a str>> {
        let mut ways: Vec<Vec<&str>> = vec![vec![module]];
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in ways {
                for next in self.of.get(*way.last()?).into_iter().flatten() {
                    let mut further = way.clone();
                    further.push(next);
                    if next == module {
                        return Some(further);
                    }
                    if seen.insert(next) {
                        longer.push(further);
                    }
                }
            }
            ways = longer;
        }
        None
    }
}

/// The module that `path`, as it stands in `module`, leads to: the longest beginning of it that is one.
fn target(path: &[&str], module: &str, modules: &BTreeMap<String, &str>) -> Option<String> {
    let longest = |path: &[&str]| {
        (1..=path.len()).rev().map(|count| path[..count].join("::")).find(|name| modules.contains_key(name))
    };
    match path {
        ["crate", rest @ ..] => longest(rest),
        // A part of this module, as in `part::Name`.
        [first, ..] => Some(format!("{module}::{first}")).filter(|part| modules.contains_key(part)),
        [] => None,
    }
}

fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let sources = files.iter().map(|(path, source)| ((*path).to_owned(), (*source).to_owned()));
    Imports::of(&sources.collect()).circles()
}

#[test]
fn files_that_import_each_other_are_found() {
    let found = circles(&[
        ("a.rs", "use crate::b::c::C;"),
        ("b/mod.rs", "mod c;"),
        ("b/c.rs", "fn f() { super::super::d::f() }"),
        ("d.rs", "use crate::{a::A, e};"),
        ("e.rs", "use crate::f;"),
        ("f.rs", ""),
    ]);
    assert_eq!(found, ["a -> b::c -> d -> a"]);
}

#[test]
fn a_module_and_its_part_are_a_circle_unless_the_module_only_publishes() {
    let part = ("a/part.rs", "use super::A;");
    assert_eq!(circles(&[("a.rs", "mod part; use part::B;"), part]), ["a -> a::part -> a"]);
    assert_eq!(circles(&[("a.rs", "mod part; fn f() { part::g() }"), part]), ["a -> a::part -> a"]);
    assert_eq!(circles(&[("a.rs", "mod part; use self::part::B;"), part]), ["a -> a::part -> a"]);
    assert!(circles(&[("a.rs", "mod part; pub use part::B;"), part]).is_empty());
}

#[test]
fn tests_and_words_that_are_not_imports_form_no_circle() {
    let none = circles(&[
        ("a.rs", "use crate::b::B; #[cfg(test)] mod tests { use super::*; use crate::c; }"),
        ("b.rs", "/// [`crate::a::A`]\nconst A: &str = \"crate::a\"; use super::c::C;"),
        ("c.rs", "use std::a::b; fn f() { self::g() }"),
        ("c_tests.rs", "use crate::a::A;"),
    ]);
    assert!(none.is_empty(), "{none:?}");
}

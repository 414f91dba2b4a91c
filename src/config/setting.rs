//! One setting of config.json, and how an object is read and written by a table of settings.

use super::field::{Kind, Value};
use super::members::{Members, Node};
use super::mistake::Mistake;

/// A setting of a `T`: the configuration or one of its projects.
pub struct Setting<T: 'static> {
    /// Its path in the `T`: `limits.body_bytes_max`.
    pub path: &'static str,
    pub kind: Kind,
    pub presence: Presence,
    pub takes_effect: TakesEffect,
    /// A line for the documentation.
    pub doc: &'static str,
    /// The value in use; `None` if it has none.
    pub get: fn(&T) -> Option<Value>,
    pub(super) set: fn(&mut T, &Node<'_>, &Kind) -> Result<(), Mistake>,
}

/// Whether the file has a setting.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// A file without it is refused.
    Required,
    /// It may be missing; the server writes it if it has a value.
    Written,
    /// It may be missing; the server writes it if the file has it.
    Optional,
}

/// When a running server uses a new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakesEffect {
    /// After a reload.
    AtReload,
    /// After a restart.
    AtStart,
}

/// `setting`, if only a restart changes it.
pub(super) const fn at_start<T>(setting: Setting<T>) -> Setting<T> {
    Setting { takes_effect: TakesEffect::AtStart, ..setting }
}

/// A type that has settings.
pub(super) trait Owner {
    /// Records that the file has the setting or the object at `path`.
    fn mark(&mut self, path: &'static str);

    fn is_marked(&self, path: &str) -> bool;
}

/// `owner` as an object of the file.
pub(super) fn object<T: Owner>(settings: &[Setting<T>], owner: &T) -> Value {
    let mut members = Vec::new();
    for setting in settings {
        let Some(value) = (setting.get)(owner) else { continue };
        for section in sections(setting.path).filter(|section| owner.is_marked(section)) {
            insert(&mut members, section, Value::Object(Vec::new()));
        }
        if setting.presence != Presence::Optional || owner.is_marked(setting.path) {
            insert(&mut members, setting.path, value);
        }
    }
    Value::Object(members)
}

/// The paths of the objects that contain the setting at `path`, the outermost first.
fn sections(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.match_indices('.').filter_map(|(dot, _)| path.get(..dot))
}

fn insert(members: &mut Vec<(&'static str, Value)>, path: &'static str, value: Value) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let is_new = members.last().is_none_or(|(last, _)| *last != name);
    match rest {
        None if is_new => members.push((name, value)),
        None => {}
        Some(rest) => {
            if is_new {
                members.push((name, Value::Object(Vec::new())));
            }
            if let Some((_, Value::Object(inner))) = members.last_mut() {
                insert(inner, rest, value);
            }
        }
    }
}

/// Reads the members of the object at `section`, which is empty or ends with a dot, into `owner`.
pub(super) fn read<T: Owner>(
    settings: &'static [Setting<T>],
    section: &str,
    members: &mut Members<'_>,
    owner: &mut T,
) -> Result<(), Mistake> {
    for (name, path) in children(settings, section) {
        let is_required = settings
            .iter()
            .any(|setting| setting.presence == Presence::Required && is_at_or_in(setting.path, path));
        let node = if is_required { Some(members.require(name)?) } else { members.take(name) };
        let Some(node) = node else { continue };
        let setting = settings.iter().find(|setting| setting.path == path);
        let inner = format!("{path}.");
        let names = names(settings, &inner);
        match setting {
            Some(setting) if names.is_empty() || node.is_null() => {
                (setting.set)(owner, &node, &setting.kind)?;
            }
            Some(_) | None => read(settings, &inner, &mut node.members(&names)?, owner)?,
        }
        if !is_required && setting.is_none_or(|setting| setting.presence == Presence::Optional) {
            owner.mark(path);
        }
    }
    Ok(())
}

/// Sets `setting` to the value of `node`. From then on it is written.
pub(super) fn set_one<T: Owner>(
    setting: &'static Setting<T>,
    owner: &mut T,
    node: &Node<'_>,
) -> Result<(), Mistake> {
    (setting.set)(owner, node, &setting.kind)?;
    if setting.presence == Presence::Optional {
        mark_with_sections(owner, setting.path);
    }
    Ok(())
}

/// Records that the file has the setting at `path` and the objects that contain it.
pub(super) fn mark_with_sections(owner: &mut impl Owner, path: &'static str) {
    sections(path).chain([path]).for_each(|path| owner.mark(path));
}

/// The names that the object at `section` may have.
pub(super) fn names<T>(settings: &'static [Setting<T>], section: &str) -> Vec<&'static str> {
    children(settings, section).into_iter().map(|(name, _)| name).collect()
}

/// The members of the object at `section`: the name, and the path from the top.
fn children<T>(settings: &'static [Setting<T>], section: &str) -> Vec<(&'static str, &'static str)> {
    let child = |setting: &Setting<T>| {
        let name = setting.path.strip_prefix(section)?.split('.').next()?;
        Some((name, setting.path.get(..section.len() + name.len())?))
    };
    let mut children: Vec<_> = settings.iter().filter_map(child).collect();
    children.dedup();
    children
}

fn is_at_or_in(path: &str, section: &str) -> bool {
    path.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

//! Projects: list, create, show, change, delete, generate a new key. Anything that saves config.json or opens files
//! runs in the administration lane.

use crate::api::authority::Authority;
use crate::api::body::parse_object;
use crate::api::context::Context;
use crate::api::error::{ApiError, Part};
use crate::api::json_body::{self, json_response};
use crate::api::reply::{Lane, Reply};
use crate::api::state::App;
use crate::catalog::Served;
use crate::clock;
use crate::config::mistake::shown;
use crate::config::schema::{AuthenticationChoice, StorageChoice, SyncMode};
use crate::http::request::Method;
use crate::http::response::Response;
use crate::json;
use crate::limits::{SYNC_INTERVAL_SECONDS_MAX, SYNC_INTERVAL_SECONDS_MIN};
use crate::names::ProjectId;
use crate::secret::Secret;
use crate::storage::BucketTotals;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsBody<'a> {
    #[serde(default, deserialize_with = "json::present")]
    id: Option<String>,
    #[serde(borrow, default, deserialize_with = "json::present")]
    storage: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "json::present")]
    authentication: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "json::present")]
    api_key: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "json::present")]
    api_key_hash: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "json::present")]
    discard_files: Option<bool>,
    #[serde(default, deserialize_with = "json::present")]
    cell: Option<String>,
}

/// `storage` of a body: the settings, and `discard_files`, which is not a setting.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct StorageBody {
    on_disk: Option<bool>,
    cache_in_memory: Option<bool>,
    sync: Option<String>,
    sync_interval_seconds: Option<u64>,
    discard_files: Option<bool>,
}

/// `authentication` of a body. A key in it is refused unless it is the `null` of a new project.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthenticationBody<'a> {
    enabled: Option<bool>,
    save_api_key_to_file: Option<bool>,
    #[serde(borrow, default, deserialize_with = "json::present")]
    api_key: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "json::present")]
    api_key_hash: Option<&'a RawValue>,
}

/// The members of config.json for the key of a project.
const KEY_MEMBERS: [&str; 2] = ["api_key", "api_key_hash"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum SettingsFor {
    NewProject,
    ExistingProject,
}

/// The settings that a client sent. Absent ones keep their value, or get their default.
struct Settings {
    id: Option<String>,
    storage: StorageChoice,
    authentication: AuthenticationChoice,
    /// Whether the client agrees that `on_disk: false` leaves the files of the project unread.
    discards_files: bool,
    /// The name of the cell of a new project.
    cell: Option<String>,
}

/// `GET /projects`
pub(crate) fn list(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    administer(context, |app, _, _| {
        app.catalog.refresh()?;
        let mut body = b"{\"projects\":[".to_vec();
        // A cell that does not answer is not asked for each of its projects.
        let mut silent_cell = None;
        for (index, served) in app.catalog.registry().projects.values().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            let cell = served.cell_name();
            let counted =
                if cell.is_some() && cell == silent_cell.as_deref() { None } else { totals(served) };
            if counted.is_none() {
                silent_cell = cell.map(str::to_owned);
            }
            json_body::push_project(served, counted, &mut body);
        }
        body.extend_from_slice(b"]}\n");
        Ok(json_response(200, body))
    })
}

/// `GET /projects/{id}`
pub(crate) fn get(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    let served = context.served()?;
    let answered = served.bucket()?.totals(context.origin.wall_ms)?;
    let mut body = Vec::new();
    json_body::push_project(served, Some(answered.answer), &mut body);
    body.push(b'\n');
    Ok(Reply::Ready(Ok(json_response(200, body)), answered.commit))
}

/// `POST /projects`
pub(crate) fn create(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    let settings = parse_settings(&context.json_body()?, SettingsFor::NewProject)?;
    let id =
        settings.id.ok_or_else(|| Part::Settings.invalid("`id` is missing; add the id of the project."))?;
    let id = ProjectId::parse(&id)?;
    administer(context, move |app, _, author| {
        if !settings.discards_files && app.catalog.would_leave_files(&id, settings.storage) {
            return Err(not_agreed(&format!("Files of `{id}` exist already and would not be read")));
        }
        let (served, key) =
            app.catalog.create(id, settings.storage, settings.authentication, settings.cell.as_deref())?;
        if !served.authentication.enabled {
            log::warn!("project {}: created without authentication by {author}", served.id);
        }
        let mut body = b"{\"project\":".to_vec();
        json_body::push_project(&served, totals(&served), &mut body);
        body.extend_from_slice(b",\"api_key\":");
        push_key(key.as_ref(), &mut body);
        body.extend_from_slice(b"}\n");
        let location = format!("/api/v1/projects/{}", served.id);
        Ok(json_response(201, body).field("location", &location))
    })
}

/// `PUT /projects/{id}`: changes the settings that the body has.
pub(crate) fn update(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    let settings = parse_settings(&context.json_body()?, SettingsFor::ExistingProject)?;
    if settings.id.is_some() {
        return Err(Part::Settings.invalid("`id` cannot be changed. Create a new project and copy the keys."));
    }
    if settings.cell.is_some() {
        let fix = "Move the project with `pikv project move ID --to CELL`.";
        return Err(Part::Settings.invalid(format!("`cell` cannot be changed here. {fix}")));
    }
    if settings.storage.on_disk == Some(false) && !settings.discards_files {
        return Err(not_agreed("The values of the project would be lost at the next start"));
    }
    administer(context, move |app, before, author| {
        let (served, key) =
            app.catalog.update(&before.project()?.id, settings.storage, settings.authentication)?;
        let before = before.project()?;
        let loses_protection = before.authentication.enabled && !served.authentication.enabled;
        before.warn_of_losses(loses_protection, served.storage.on_disk, &format!("by {author}"));
        served.bucket()?;
        let mut body = Vec::new();
        json_body::push_project(&served, totals(&served), &mut body);
        if key.is_some() {
            body.pop();
            body.extend_from_slice(b",\"api_key\":");
            push_key(key.as_ref(), &mut body);
            body.push(b'}');
        }
        body.push(b'\n');
        Ok(json_response(200, body))
    })
}

/// `DELETE /projects/{id}`: deletes its files too.
pub(crate) fn delete(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    administer(context, |app, before, _| {
        let deleted = app.catalog.delete(&before.project()?.id);
        deleted.map_err(|error| ApiError::from(error).for_method(Method::Delete))?;
        Ok(Response::new(204))
    })
}

/// `POST /projects/{id}/api-key/regenerate`
pub(crate) fn regenerate(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    administer(context, |app, before, author| {
        let before = before.project()?;
        let (id, was_open) = (&before.id, !before.authentication.enabled);
        let key = app.catalog.regenerate(id)?;
        let switched = if was_open { "; authentication was off and is now on" } else { "" };
        log::warn!("project {id}: new key generated by {author}; the old one is invalid{switched}");
        let mut body = b"{\"id\":".to_vec();
        json::encode_string(id.as_str(), &mut body);
        body.extend_from_slice(b",\"api_key\":");
        push_key(Some(&key), &mut body);
        body.extend_from_slice(b"}\n");
        Ok(json_response(200, body))
    })
}

/// Runs `job` in the administration lane, if the request is still authorized then. The job gets the current project
/// and who asks for the change.
fn administer(
    context: &Context<'_>,
    job: impl FnOnce(&App, &Authority, &str) -> Result<Response, ApiError> + Send + 'static,
) -> Result<Reply, ApiError> {
    let (app, claim) = (Arc::clone(context.app), context.claim()?);
    Ok(Reply::job(Lane::Admin, move || {
        let (authority, author) = claim.check(&app.catalog.registry())?;
        job(&app, &authority, &author).map(Reply::now)
    }))
}

/// Only this function shows a key.
fn push_key(key: Option<&Secret>, out: &mut Vec<u8>) {
    match key {
        Some(key) => json::encode_string(key.reveal(), out),
        None => out.extend_from_slice(b"null"),
    }
}

/// The size of a project, as far as it is on disk; `None` if it cannot be read. Blocks for the disk.
fn totals(served: &Served) -> Option<BucketTotals> {
    let bucket = served.bucket().ok()?;
    let counted = bucket.totals(clock::wall_ms()).ok()?;
    match bucket.wait(counted.commit.as_ref()) {
        Ok(()) => Some(counted.answer),
        // Changes that were counted were rolled back; the rest is on disk.
        Err(_) => bucket.totals(clock::wall_ms()).ok().map(|counted| counted.answer),
    }
}

fn parse_settings(body: &[u8], target: SettingsFor) -> Result<Settings, ApiError> {
    let invalid = |problem: String| {
        let id = if target == SettingsFor::NewProject { "\"id\":…," } else { "" };
        let shape = "\"storage\":{\"on_disk\",\"cache_in_memory\",\"sync\",\
                     \"sync_interval_seconds\",\"discard_files\"},\"authentication\":{\"enabled\",\"save_api_key_to_file\"}}";
        Part::Settings.invalid(format!("{problem} Send {{{id}{shape}. The server generates keys."))
    };
    let parts: SettingsBody<'_> = parse_object(body).map_err(invalid)?;
    let storage: StorageBody = parse_part("storage", parts.storage, &[]).map_err(invalid)?;
    let authentication: AuthenticationBody<'_> =
        parse_part("authentication", parts.authentication, &KEY_MEMBERS).map_err(invalid)?;
    for (name, member) in KEY_MEMBERS.into_iter().cycle().zip([
        parts.api_key,
        parts.api_key_hash,
        authentication.api_key,
        authentication.api_key_hash,
    ]) {
        refuse_key(name, member, target).map_err(invalid)?;
    }
    let AuthenticationBody { enabled, save_api_key_to_file, .. } = authentication;
    let authentication = AuthenticationChoice { enabled, save_api_key_to_file };
    let discards_files = discards_files(&storage, parts.discard_files)?;
    let storage = storage_of(&storage).map_err(invalid)?;
    Ok(Settings { id: parts.id, storage, authentication, discards_files, cell: parts.cell })
}

fn storage_of(body: &StorageBody) -> Result<StorageChoice, String> {
    let StorageBody { on_disk, cache_in_memory, sync_interval_seconds, .. } = *body;
    let mut storage = StorageChoice { on_disk, cache_in_memory, sync: None, sync_interval_seconds };
    let (min, max) = (SYNC_INTERVAL_SECONDS_MIN, SYNC_INTERVAL_SECONDS_MAX);
    if let Some(seconds) = sync_interval_seconds.filter(|seconds| !(min..=max).contains(seconds)) {
        return Err(format!(
            "`sync_interval_seconds` is {seconds}; it must be a whole number from {min} to {max}."
        ));
    }
    if let Some(name) = &body.sync {
        let (sync, interval) = SyncMode::parse_written(name).ok_or_else(|| {
            format!("`sync` is \"{}\"; it must be `{}`.", shown(name), SyncMode::NAMES.join("` or `"))
        })?;
        storage.sync = Some(sync);
        storage.sync_interval_seconds = sync_interval_seconds.or(interval);
    }
    Ok(storage)
}

/// `discard_files` is next to `on_disk: false`, or at the top of the body.
fn discards_files(storage: &StorageBody, at_top: Option<bool>) -> Result<bool, ApiError> {
    let discards = storage.discard_files.or(at_top);
    if discards.is_some() && storage.on_disk != Some(false) {
        let problem = "`discard_files` has a meaning only with `\"on_disk\": false`. Leave it out.";
        return Err(Part::Settings.invalid(problem));
    }
    Ok(discards == Some(true))
}

/// The refusal of `on_disk: false` without `discard_files`.
fn not_agreed(loss: &str) -> ApiError {
    let fix = "If you want that, send `\"discard_files\": true` with `\"on_disk\": false`.";
    Part::Settings.invalid(format!("{loss}. {fix}"))
}

/// A new project may have `null` for its key, as in config.json: the server then generates one.
fn refuse_key(name: &str, member: Option<&RawValue>, target: SettingsFor) -> Result<(), String> {
    match (member.map(RawValue::get), target) {
        (None, _) | (Some("null"), SettingsFor::NewProject) => Ok(()),
        (Some(_), SettingsFor::NewProject) => Err(format!("`{name}` cannot be chosen; leave it out.")),
        (Some(_), SettingsFor::ExistingProject) => {
            Err(format!("`{name}` cannot be set; POST to api-key/regenerate for a new key."))
        }
    }
}

/// One of the objects of the settings. serde reads `null` as absent, which is right only for the members `nullable`.
fn parse_part<'a, T: Default + Deserialize<'a>>(
    name: &str,
    raw: Option<&'a RawValue>,
    nullable: &[&str],
) -> Result<T, String> {
    let Some(raw) = raw else { return Ok(T::default()) };
    let text = raw.get().as_bytes();
    let in_part = |problem: String| format!("In `{name}`: {problem}");
    let members: BTreeMap<Cow<'_, str>, &RawValue> = parse_object(text).map_err(in_part)?;
    let is_null = |member: &str, value: &RawValue| value.get() == "null" && !nullable.contains(&member);
    match members.iter().find(|(member, value)| is_null(member, value)) {
        Some((member, _)) => Err(in_part(format!("`{member}` is null; leave it out to keep its value."))),
        None => parse_object(text).map_err(in_part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_take_no_keys_and_no_unknown_members() {
        assert_eq!(
            parse_settings(b"{\"id\":\"a\"}", SettingsFor::NewProject).unwrap().id.as_deref(),
            Some("a")
        );
        let is_refused = |body: &str, target| match parse_settings(body.as_bytes(), target) {
            Ok(_) => false,
            Err(error) => matches!(error, ApiError::Invalid(Part::Settings, _)),
        };
        for bad in [
            "[]",
            "{\"api_key\":\"x\"}",
            "{\"api_key_hash\":\"x\"}",
            "{\"authentication\":{\"api_key\":\"x\"}}",
            "{\"authentication\":{\"enabled\":null}}",
            "{\"storage\":{\"sync\":\"sometimes\"}}",
            "{\"storage\":{\"on_disc\":true}}",
            "{\"storage\":[true]}",
            "{\"storage\":5}",
            "{\"storage\":null}",
            "{\"id\":null}",
        ] {
            assert!(
                is_refused(bad, SettingsFor::NewProject) && is_refused(bad, SettingsFor::ExistingProject),
                "{bad}"
            );
        }
        for no_key in [
            "{\"api_key\":null}",
            "{\"api_key_hash\":null}",
            "{\"authentication\":{\"enabled\":true,\"api_key\":null,\"api_key_hash\":null}}",
        ] {
            assert!(parse_settings(no_key.as_bytes(), SettingsFor::NewProject).is_ok(), "{no_key}");
            assert!(is_refused(no_key, SettingsFor::ExistingProject), "{no_key}");
        }
    }
}

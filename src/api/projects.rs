//! Projects themselves: list, create, show, change, delete, new key. What saves config.json or opens
//! files runs in the administration lane.

use super::catalog::Served;
use super::context::{Context, parse_object};
use super::error::ApiError;
use super::reply::Reply;
use super::representation::{self as text, json_response};
use crate::clock;
use crate::config::schema::{AuthenticationChoice, StorageChoice};
use crate::http::response::Response;
use crate::json;
use crate::names::ProjectId;
use crate::persist::project::Project;
use crate::secret::Secret;
use crate::store::namespace::Totals;
use serde::Deserialize;
use serde::de::DeserializeOwned;
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
}

/// The settings that a client sent. Absent ones keep what they are, or their default.
struct Settings {
    id: Option<String>,
    storage: StorageChoice,
    authentication: AuthenticationChoice,
}

/// `GET /projects`
pub fn list(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    let app = Arc::clone(context.app);
    Ok(administer(move || {
        let mut body = b"{\"projects\":[".to_vec();
        for (index, served) in app.catalog.registry().projects.values().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            text::push_project(served, totals(served), &mut body);
        }
        body.extend_from_slice(b"]}\n");
        Ok(json_response(200, body))
    }))
}

/// `GET /projects/{id}`
pub fn get(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    let served = context.served()?;
    let answered =
        served.project()?.read(context.arrival.wall_ms, |view| (view.totals(), view.revision()))?;
    let mut body = Vec::new();
    text::push_project(served, Some(answered.answer), &mut body);
    body.push(b'\n');
    Ok(Reply::after(json_response(200, body), answered.ticket))
}

/// `POST /projects`
pub fn create(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    let settings = parse_settings(&context.json_body()?)?;
    let id = settings
        .id
        .ok_or_else(|| ApiError::Settings("`id` is missing: the name of the project".to_owned()))?;
    let id = ProjectId::parse(&id).map_err(ApiError::ProjectId)?;
    let app = Arc::clone(context.app);
    Ok(administer(move || {
        let (served, key) = app.catalog.create(id, settings.storage, settings.authentication)?;
        let mut body = b"{\"project\":".to_vec();
        text::push_project(&served, totals(&served), &mut body);
        body.extend_from_slice(b",\"api_key\":");
        push_key(key.as_ref(), &mut body);
        body.extend_from_slice(b"}\n");
        let location = format!("/api/v1/projects/{}", served.id);
        Ok(json_response(201, body).field("location", &location).field("cache-control", "no-store"))
    }))
}

/// `PUT /projects/{id}`: settings only; what the body leaves out stays.
pub fn update(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    let settings = parse_settings(&context.json_body()?)?;
    if settings.id.is_some() {
        return Err(ApiError::Settings(
            "`id` cannot be changed; make a new project and copy its keys".to_owned(),
        ));
    }
    let (app, id) = (Arc::clone(context.app), context.served()?.id.clone());
    Ok(administer(move || {
        let (served, key) = app.catalog.update(&id, settings.storage, settings.authentication)?;
        served.project()?;
        let mut body = Vec::new();
        text::push_project(&served, totals(&served), &mut body);
        if key.is_some() {
            body.pop();
            body.extend_from_slice(b",\"api_key\":");
            push_key(key.as_ref(), &mut body);
            body.push(b'}');
        }
        body.push(b'\n');
        Ok(json_response(200, body).field("cache-control", "no-store"))
    }))
}

/// `DELETE /projects/{id}`: its files go too.
pub fn delete(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    let (app, id) = (Arc::clone(context.app), context.served()?.id.clone());
    Ok(administer(move || {
        app.catalog.delete(&id)?;
        Ok(Response::new(204))
    }))
}

/// `POST /projects/{id}/api-key/regenerate`
pub fn regenerate(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    let (app, id) = (Arc::clone(context.app), context.served()?.id.clone());
    Ok(administer(move || {
        let key = app.catalog.regenerate(&id)?;
        let mut body = b"{\"id\":".to_vec();
        json::encode_string(id.as_str(), &mut body);
        body.extend_from_slice(b",\"api_key\":");
        push_key(Some(&key), &mut body);
        body.extend_from_slice(b"}\n");
        Ok(json_response(200, body).field("cache-control", "no-store"))
    }))
}

fn administer(job: impl FnOnce() -> Result<Response, ApiError> + Send + 'static) -> Reply {
    Reply::Administer(Box::new(move || Reply::Now(job().unwrap_or_else(|error| error.response()))))
}

/// The only place where a key is shown.
fn push_key(key: Option<&Secret>, out: &mut Vec<u8>) {
    match key {
        Some(key) => json::encode_string(key.reveal(), out),
        None => out.extend_from_slice(b"null"),
    }
}

/// How much a project holds, as far as it is on disk; `None` where it cannot be read. Blocks for the disk.
fn totals(served: &Served) -> Option<Totals> {
    let project: &Arc<Project> = served.project.as_ref().ok()?;
    let count = || project.read(clock::wall_ms(), |view| (view.totals(), view.revision())).ok();
    let counted = count()?;
    if project.wait_written(counted.ticket.as_ref()) {
        return Some(counted.answer);
    }
    // The changes that were counted have been taken back; what is left is on disk.
    count().map(|counted| counted.answer)
}

fn parse_settings(body: &[u8]) -> Result<Settings, ApiError> {
    let invalid = |problem: String| {
        let shape = "settings are {\"id\":…,\"storage\":{\"on_disk\",\"cache_in_memory\",\"sync\"},\
                     \"authentication\":{\"enabled\",\"save_api_key_to_file\"}}; keys are made by the server";
        ApiError::Settings(format!("{problem}; {shape}"))
    };
    let parts: SettingsBody<'_> = parse_object(body).map_err(invalid)?;
    Ok(Settings {
        id: parts.id,
        storage: parse_part("storage", parts.storage).map_err(invalid)?,
        authentication: parse_part("authentication", parts.authentication).map_err(invalid)?,
    })
}

/// One of the objects of the settings. A `null` in it would be taken for "absent".
fn parse_part<T: Default + DeserializeOwned>(name: &str, raw: Option<&RawValue>) -> Result<T, String> {
    let Some(raw) = raw else { return Ok(T::default()) };
    let text = raw.get().as_bytes();
    let in_part = |problem: String| format!("`{name}`: {problem}");
    let members: BTreeMap<Cow<'_, str>, &RawValue> = parse_object(text).map_err(in_part)?;
    match members.iter().find(|(_, value)| value.get() == "null") {
        Some((member, _)) => Err(in_part(format!("`{member}` is null; leave it out to keep it as it is"))),
        None => parse_object(text).map_err(in_part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_take_no_keys_and_no_unknown_members() {
        assert_eq!(parse_settings(b"{\"id\":\"a\"}").unwrap().id.as_deref(), Some("a"));
        for bad in [
            "[]",
            "{\"api_key\":\"x\"}",
            "{\"api_key_hash\":null}",
            "{\"authentication\":{\"api_key\":null}}",
            "{\"storage\":{\"sync\":\"sometimes\"}}",
            "{\"storage\":{\"on_disc\":true}}",
            "{\"storage\":[true]}",
            "{\"storage\":5}",
            "{\"storage\":null}",
            "{\"id\":null}",
        ] {
            assert!(matches!(parse_settings(bad.as_bytes()), Err(ApiError::Settings(_))), "{bad}");
        }
    }
}

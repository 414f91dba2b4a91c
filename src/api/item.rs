//! The item API: `/item/{key}` and `/login`.

use crate::api::body::minified;
use crate::api::context::Context;
use crate::api::credentials;
use crate::api::cross_site::Trusted;
use crate::api::error::{AccountError, ApiError, Part};
use crate::api::fields::Fields;
use crate::api::json_body::json_response;
use crate::api::passwords;
use crate::api::reply::Reply;
use crate::api::tokens;
use crate::auth::rate_limit::Rate;
use crate::http::response::Response;
use crate::json;
use crate::names::Key;
use crate::storage::Keyspace;
use crate::store::batch::{Op, When};
use std::sync::Arc;
use std::time::Duration;

/// `GET /item/{key}`
pub(crate) fn get(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    let key_text = context.key_text()?;
    context.parameters(&[])?;
    context.value_of(&keyspace, &key_text, |key, value| item(200, key, value))
}

/// `POST /item/{key}`: creates an item.
pub(crate) fn post(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    write(context, &keyspace, 201, When::ABSENT)
}

/// `PUT /item/{key}`: creates or replaces an item.
pub(crate) fn put(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    write(context, &keyspace, 200, When::ALWAYS)
}

/// `DELETE /item/{key}`
pub(crate) fn delete(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    let key_text = context.key_text()?;
    let key = Key::parse(&key_text)?;
    context.parameters(&[])?;
    let deleted = keyspace.write_one(context.origin.wall_ms, Op::delete(key).when(When::PRESENT))?;
    Ok(Reply::of_write(deleted, |_| json_response(200, b"{\"message\":\"Item deleted\"}\n".to_vec())))
}

/// `POST /login`: a token for a user name and a password.
pub(crate) fn login(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    context.check_site(Trusted::Scripts)?;
    let fields = Fields::of(context)?;
    let (username, password) = (fields.text("username")?, fields.text("password")?);
    let username = username.ok_or(AccountError::FieldMissing("username"))?;
    let password = password.ok_or(AccountError::FieldMissing("password"))?;
    let (registry, accounts) = (Arc::clone(context.registry), context.accounts().cloned());
    Ok(passwords::sign_in(context, &username, &password, move |checked, now_ms| {
        let issued =
            checked.and_then(|account| Ok(tokens::issue(&registry, accounts?.as_ref(), &account, now_ms)));
        let respond = |issued: tokens::Issued| {
            let mut body = b"{\"token\":".to_vec();
            json::encode_string(issued.token.reveal(), &mut body);
            body.push(b',');
            issued.push_members(&mut body);
            body.extend_from_slice(b"}\n");
            json_response(200, body)
        };
        Reply::Ready(issued.map(respond), None)
    }))
}

fn write(context: &Context<'_>, keyspace: &Keyspace, status: u16, when: When<'_>) -> Result<Reply, ApiError> {
    let key_text = context.key_text()?;
    let key = Key::parse(&key_text)?;
    context.parameters(&[])?;
    let value = value_of(context)?;
    let written = keyspace.write_one(context.origin.wall_ms, Op::put(key, &value, None).when(when))?;
    Ok(Reply::of_write(written, |_| item(status, key.as_str(), &value)))
}

/// `value` of a body `{"value":…}`, minified.
fn value_of(context: &Context<'_>) -> Result<Vec<u8>, ApiError> {
    let fields = Fields::of_json_object(context)?;
    let value = fields.value("value");
    let value = value.ok_or_else(|| Part::Value.invalid("`value` is missing. Send {\"value\":…}."))?;
    fields.refuse_others(&["value"])?;
    minified(&value)
}

/// The keys for the request, unless its address has sent too many requests. The original service has no rate limit for
/// API keys, so neither has this.
fn own_keys(context: &Context<'_>) -> Result<Keyspace, ApiError> {
    credentials::item(context, || count(context))
}

/// Counts the request against the rate of its address and method.
fn count(context: &Context<'_>) -> Result<(), ApiError> {
    let Some(rate) = context.registry.item_rate.filter(|_| !context.origin.is_repeated) else {
        return Ok(());
    };
    let rate = Rate { requests: rate.requests, window: Duration::from_millis(rate.window_ms) };
    let (address, method) = (context.client().address, context.request.head.method);
    let counted = context.app.rate_limiter.admit(rate, address, method, context.origin.at);
    counted.map_err(ApiError::RateLimited)
}

fn item(status: u16, key: &str, value: &[u8]) -> Response {
    let mut body = Vec::with_capacity(key.len() + value.len() + 8);
    body.push(b'{');
    json::encode_string(key, &mut body);
    body.push(b':');
    body.extend_from_slice(value);
    body.extend_from_slice(b"}\n");
    json_response(status, body)
}

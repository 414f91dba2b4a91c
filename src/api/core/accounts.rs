//! `/api/v1/accounts`: operators manage accounts with the global key.

use crate::accounts::account::Account;
use crate::accounts::directory::{Page, Update};
use crate::accounts::registration::{Problem, Required};
use crate::api::body::parse_body;
use crate::api::context::Context;
use crate::api::cursor::{self, Cursor};
use crate::api::error::{AccountError, ApiError};
use crate::api::fields::Fields;
use crate::api::json_body::json_response;
use crate::api::passwords;
use crate::api::reply::{Lane, Reply};
use crate::auth::password::{Password, Rule};
use crate::clock;
use crate::http::response::Response;
use crate::json;
use crate::limits::ACCOUNTS_PER_PAGE;
use crate::store::commit::{Commit, Pending};
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;

const MEMBERS: &[&str] = &["username", "password", "weak_password", "email", "full_name", "age", "gender"];

/// The body of a PUT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateBody<'a> {
    #[serde(default, deserialize_with = "json::present")]
    disabled: Option<bool>,
    #[serde(borrow, default, deserialize_with = "json::present")]
    password: Option<Cow<'a, str>>,
    #[serde(default)]
    weak_password: bool,
}

/// `GET /api/v1/accounts`
pub(crate) fn list(context: &Context<'_>) -> Result<Reply, ApiError> {
    let parameters = context.parameters(&["limit", "cursor"])?;
    let limit = parameters.limit()?.unwrap_or(ACCOUNTS_PER_PAGE);
    let after = parameters.cursor()?;
    let accounts = Arc::clone(context.accounts()?);
    // Decoding thousands of accounts would stall an event loop.
    Ok(Reply::job(Lane::Admin, move || {
        let listed = accounts.directory.list(after.as_deref(), limit, clock::wall_ms())?;
        Ok(Reply::Ready(Ok(render_page(&listed.answer)), listed.commit))
    }))
}

/// `POST /api/v1/accounts`
pub(crate) fn create(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    let accounts = Arc::clone(context.accounts()?);
    let fields = Fields::of_json_object(context)?;
    fields.refuse_others(MEMBERS)?;
    let rule = rule(fields.switch("weak_password")?);
    let new = fields.new_account(Required::NameAndPassword, rule)?;
    let cost = context.registry.accounts.bcrypt_cost;
    Ok(Reply::job(Lane::Password(context.operator_share()), move || {
        let hash = passwords::hash(&new.password, cost)?;
        let Pending { answer: created, commit } = accounts.create(&new, hash, clock::wall_ms())?;
        let answer = created.map(|account| {
            let location = format!("/api/v1/accounts/{}", account.username.folded());
            render(201, &account).field("location", &location)
        });
        Ok(Reply::Ready(answer.map_err(ApiError::from), commit))
    }))
}

/// `PUT /api/v1/accounts/{username}`
pub(crate) fn update(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    let accounts = Arc::clone(context.accounts()?);
    let username = context.key_text()?.into_owned();
    let body = context.json_body()?;
    let shape = "{\"disabled\":true or false,\"password\":…,\"weak_password\":true or false}";
    let parts: UpdateBody<'_> = parse_body(&body, shape)?;
    let is_disabled = parts.disabled;
    let Some(password) = parts.password else {
        let update = Update { password: None, is_disabled };
        let changed = accounts.directory.update(&username, &update, context.origin.wall_ms)?;
        return Ok(render_changed(changed.answer.as_ref(), changed.commit));
    };
    let password = Password::parse_new(&password, rule(parts.weak_password))
        .map_err(|error| AccountError::Registration(vec![Problem::Password(error)]))?;
    let cost = context.registry.accounts.bcrypt_cost;
    Ok(Reply::job(Lane::Password(context.operator_share()), move || {
        let update = Update { password: Some(passwords::hash(&password, cost)?), is_disabled };
        let changed = accounts.directory.update(&username, &update, clock::wall_ms())?;
        Ok(render_changed(changed.answer.as_ref(), changed.commit))
    }))
}

/// `DELETE /api/v1/accounts/{username}`: deletes its data too.
pub(crate) fn delete(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    let accounts = Arc::clone(context.accounts()?);
    let username = context.key_text()?.into_owned();
    Ok(Reply::job(Lane::Admin, move || {
        if accounts.delete(&username, clock::wall_ms())? {
            Ok(Reply::now(Response::new(204)))
        } else {
            Err(AccountError::Missing.into())
        }
    }))
}

/// The rule for a password that the operator sets.
fn rule(is_weak_allowed: bool) -> Rule {
    if is_weak_allowed { Rule::Weak } else { Rule::Strong }
}

fn render_changed(changed: Option<&Account>, commit: Option<Commit>) -> Reply {
    let answer = changed.map(|account| render(200, account)).ok_or_else(|| AccountError::Missing.into());
    Reply::Ready(answer, commit)
}

fn render(status: u16, account: &Account) -> Response {
    let mut body = Vec::new();
    push_account(account, &mut body);
    body.push(b'\n');
    json_response(status, body)
}

fn render_page(page: &Page) -> Response {
    let mut body = b"{\"accounts\":[".to_vec();
    for (index, account) in page.accounts.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        push_account(account, &mut body);
    }
    body.extend_from_slice(b"],");
    let last = page.accounts.last().filter(|_| page.more).map(|account| account.username.folded());
    cursor::push_member(last.map(|name| Cursor::new("", &name)).as_ref(), &mut body);
    body.extend_from_slice(b"}\n");
    json_response(200, body)
}

/// Appends an account as an operator sees it.
fn push_account(account: &Account, out: &mut Vec<u8>) {
    out.push(b'{');
    account.push_public(out);
    out.extend_from_slice(if account.is_disabled { b",\"disabled\":true" } else { b",\"disabled\":false" });
    out.extend_from_slice(b",\"created_at\":\"");
    clock::render_rfc3339(account.created_ms, out);
    out.extend_from_slice(b"\"}");
}

//! `/api/token`, `/api/login`, `/api/logout` and `/dashboard`: from a password to a token or a session.

use crate::accounts::account::Account;
use crate::api::context::Context;
use crate::api::cookies;
use crate::api::credentials;
use crate::api::cross_site::Trusted;
use crate::api::error::{AccountError, ApiError};
use crate::api::fields::Fields;
use crate::api::negotiation::{self, ResponseFormat};
use crate::api::passwords;
use crate::api::reply::Reply;
use crate::api::site::pages::{self, Form, FormContent, LOGIN, TOKEN};
use crate::api::site::request::{SiteRequest, redirect, submitted};
use crate::api::site::success;
use crate::api::tokens;
use crate::json;
use crate::limits::SESSION_SECONDS;
use std::sync::Arc;

const DASHBOARD_PATH: &str = "/dashboard";

/// `GET /api/token`
pub(crate) fn token_page(context: &Context<'_>) -> Result<Reply, ApiError> {
    Ok(Reply::now(SiteRequest::of(context, &TOKEN)?.form_page(&FormContent::default())))
}

/// `GET /api/login`
pub(crate) fn login_page(context: &Context<'_>) -> Result<Reply, ApiError> {
    Ok(Reply::now(SiteRequest::of(context, &LOGIN)?.form_page(&FormContent::default())))
}

/// `GET /`: leads browsers to the dashboard.
pub(crate) fn root(context: &Context<'_>) -> Result<Reply, ApiError> {
    match (
        negotiation::response_format(&context.request.head, Some(context.request.body)),
        context.accounts(),
    ) {
        (ResponseFormat::Page, Ok(_)) => Ok(Reply::now(redirect(DASHBOARD_PATH))),
        (_, _) => Err(ApiError::RouteMissing),
    }
}

/// `GET /dashboard`
pub(crate) fn dashboard(context: &Context<'_>) -> Result<Reply, ApiError> {
    let request = SiteRequest::of(context, &LOGIN)?;
    Ok(Reply::now(match request.account {
        Some(_) => pages::dashboard(&request.viewer()),
        None => redirect(LOGIN.action),
    }))
}

/// `POST /api/token`
pub(crate) fn token(context: &Context<'_>) -> Result<Reply, ApiError> {
    let registry = Arc::clone(context.registry);
    with_password(context, &TOKEN, move |request, _, account, now_ms| {
        let issued = tokens::issue(&registry, &request.accounts, account, now_ms);
        Ok(Reply::now(match request.response_format {
            ResponseFormat::Page => {
                pages::token_created(&request.viewer(), issued.token.reveal(), issued.expires_in_s)
            }
            ResponseFormat::Json => success::with_members(200, "Access token created", |out| {
                // Clients of the data API read `token`, those of the form API read `data`.
                out.push(b',');
                issued.push_tokens(out);
                out.extend_from_slice(b",\"data\":{");
                issued.push_members(out);
                out.push(b'}');
            }),
        }))
    })
}

/// `POST /api/login`
pub(crate) fn login(context: &Context<'_>) -> Result<Reply, ApiError> {
    with_password(context, &LOGIN, |request, fields, account, now_ms| {
        let sent = fields.text("access_token")?.filter(|token| !token.is_empty());
        if let Some(token) = sent {
            let owner = credentials::account_of_token(&request.accounts, token.trim().as_bytes(), now_ms)?;
            if owner.id != account.id {
                return Err(AccountError::Token.into());
            }
        }
        begin_session(request, account, now_ms)
    })
}

fn begin_session(request: &SiteRequest, account: &Account, now_ms: u64) -> Result<Reply, ApiError> {
    let begun = request.accounts.begin_session(account, request.session.as_deref(), now_ms)?;
    let begun = begun.ok_or(ApiError::Overloaded)?;
    let response = match request.response_format {
        ResponseFormat::Page => redirect(DASHBOARD_PATH),
        ResponseFormat::Json => success::with_data(200, "Logged in", |out| {
            out.extend_from_slice(b"{\"username\":");
            json::encode_string(account.username.as_str(), out);
            out.extend_from_slice(b",\"expires_in\":");
            json::encode_u64(SESSION_SECONDS, out);
            out.push(b'}');
        }),
    };
    let cookie = cookies::set(&request.accounts, request.client, begun.answer.reveal());
    Ok(Reply::Ready(Ok(response.field("set-cookie", &cookie)), begun.commit))
}

/// `GET` and `POST /api/logout`
pub(crate) fn logout(context: &Context<'_>) -> Result<Reply, ApiError> {
    let (accounts, client) = (context.accounts()?, context.client());
    context.check_site(Trusted::NoOrigin)?;
    let response = redirect(LOGIN.action).field("set-cookie", &cookies::clear(accounts, client));
    // The session ends with its cookie, also if the request has another credential.
    let session = context.app.session_cookie(&context.request.head, client, context.registry);
    let Some(session) = session else { return Ok(Reply::now(response)) };
    Ok(Reply::Ready(Ok(response), accounts.sessions.end(session, context.origin.wall_ms)?))
}

/// Checks the form, then name and password, and replies with the result of `then` for the account.
fn with_password(
    context: &Context<'_>,
    form: &'static Form,
    then: impl FnOnce(&SiteRequest, &Fields, &Account, u64) -> Result<Reply, ApiError> + Send + 'static,
) -> Result<Reply, ApiError> {
    submitted(context, form, |request, fields| {
        request.check_site(context)?;
        let needed = |name| {
            let text = fields.text(name)?.filter(|text| !text.is_empty());
            text.ok_or_else(|| ApiError::from(AccountError::FieldMissing(name)))
        };
        let (username, password) = (needed("username")?, needed("password")?);
        let (request, fields) = (request.clone(), fields.clone());
        Ok(passwords::sign_in(context, &username, &password, move |signed_in, now_ms| {
            let replied = signed_in.and_then(|account| then(&request, &fields, &account, now_ms));
            replied.unwrap_or_else(|error| Reply::Ready(request.failed(Some(&fields), error), None))
        }))
    })
}

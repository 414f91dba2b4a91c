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
use crate::api::reply::{Answer, Reply};
use crate::api::site::forms::FormPage;
use crate::api::site::pages::{self, FormContent};
use crate::api::site::success;
use crate::api::site::visitor::{Visitor, redirect};
use crate::api::tokens;
use crate::json;
use crate::limits::SESSION_SECONDS;
use std::sync::Arc;

/// Where who is not signed in is sent.
const LOGIN_PATH: &str = "/api/login";
const DASHBOARD_PATH: &str = "/dashboard";

/// `GET /api/token`
pub(crate) fn token_page(context: &Context<'_>) -> Result<Reply, ApiError> {
    let visitor = Visitor::of(context)?;
    Ok(Reply::now(visitor.page(|chrome| pages::token(chrome, 200, &FormContent::default()))))
}

/// `GET /api/login`
pub(crate) fn login_page(context: &Context<'_>) -> Result<Reply, ApiError> {
    let visitor = Visitor::of(context)?;
    Ok(Reply::now(visitor.page(|chrome| pages::login(chrome, 200, &FormContent::default()))))
}

/// `GET /`: whoever opens the server in a browser is shown the way in.
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
    let visitor = Visitor::of(context)?;
    Ok(Reply::now(match visitor.browser_of {
        Some(_) => visitor.page(pages::dashboard),
        None => redirect(LOGIN_PATH),
    }))
}

/// `POST /api/token`
pub(crate) fn token(context: &Context<'_>) -> Result<Reply, ApiError> {
    let registry = Arc::clone(context.registry);
    with_password(context, FormPage::Token, move |visitor, _, account, now_ms| {
        let made = tokens::make(&registry, &visitor.accounts, account, now_ms);
        Ok(Reply::now(match visitor.response_format {
            ResponseFormat::Page => {
                visitor.page(|chrome| pages::token_made(chrome, made.token.reveal(), made.expires_in_s))
            }
            ResponseFormat::Json => success::with_members(200, "Access token created", |out| {
                // Clients of seed 003 read `token`, those of seed 000 read `data`.
                made.push_tokens(out);
                out.extend_from_slice(b",\"data\":{");
                made.push_members(out);
                out.push(b'}');
            }),
        }))
    })
}

/// `POST /api/login`
pub(crate) fn login(context: &Context<'_>) -> Result<Reply, ApiError> {
    with_password(context, FormPage::Login, |visitor, fields, account, now_ms| {
        let sent = fields.text("access_token")?.filter(|token| !token.is_empty());
        if let Some(token) = sent {
            let owner = credentials::account_of_token(&visitor.accounts, token.trim().as_bytes(), now_ms)?;
            if owner.id != account.id {
                return Err(AccountError::Token.into());
            }
        }
        begin_session(visitor, account, now_ms)
    })
}

fn begin_session(visitor: &Visitor, account: &Account, now_ms: u64) -> Result<Reply, ApiError> {
    let begun = visitor.accounts.sessions.begin(account, visitor.session.as_deref(), now_ms)?;
    let begun = begun.ok_or(ApiError::Overloaded)?;
    let response = match visitor.response_format {
        ResponseFormat::Page => redirect(DASHBOARD_PATH),
        ResponseFormat::Json => success::with_data(200, "Logged in", |out| {
            out.extend_from_slice(b"{\"username\":");
            json::encode_string(account.username.as_str(), out);
            out.extend_from_slice(b",\"expires_in\":");
            json::encode_u64(SESSION_SECONDS, out);
            out.push(b'}');
        }),
    };
    let cookie = cookies::set(&visitor.accounts, visitor.client, begun.token.reveal());
    Ok(Reply::Ready(Ok(response.field("set-cookie", &cookie)), begun.commit))
}

/// `GET` and `POST /api/logout`
pub(crate) fn logout(context: &Context<'_>) -> Result<Reply, ApiError> {
    let (accounts, client) = (context.accounts()?, context.client());
    context.check_site(Trusted::Nobody)?;
    let response = redirect(LOGIN_PATH).field("set-cookie", &cookies::clear(accounts, client));
    // Whatever credential the request has beside it: the session whose cookie goes has to end.
    let session = context.app.session_cookie(&context.request.head, client, context.registry);
    let Some(session) = session else { return Ok(Reply::now(response)) };
    let ended = accounts.sessions.end(session, context.arrival.wall_ms)?;
    Ok(Reply::Ready(Ok(response), ended.commit))
}

/// Checks the form, then name and password, and replies with what `then` makes of the account.
fn with_password(
    context: &Context<'_>,
    form: FormPage,
    then: impl FnOnce(&Visitor, &Fields, &Account, u64) -> Result<Reply, ApiError> + Send + 'static,
) -> Result<Reply, ApiError> {
    let visitor = Visitor::of(context)?;
    let fields = match Fields::of(context) {
        Ok(fields) => fields,
        Err(error) => return Ok(Reply::Ready(visitor.failed(form, None, error), None)),
    };
    let (username, password) = match checked(context, &visitor, &fields) {
        Ok(checked) => checked,
        Err(error) => return Ok(Reply::Ready(visitor.failed(form, Some(&fields), error), None)),
    };
    Ok(passwords::sign_in(context, &username, &password, move |signed_in, now_ms| {
        let replied = signed_in.and_then(|account| then(&visitor, &fields, &account, now_ms));
        replied.unwrap_or_else(|error| Reply::Ready(visitor.failed(form, Some(&fields), error), None))
    }))
}

/// The name and the password of the form.
fn checked(context: &Context<'_>, visitor: &Visitor, fields: &Fields) -> Result<(String, String), ApiError> {
    visitor.check_site(context)?;
    let needed = |name| {
        let text = fields.text(name)?.filter(|text| !text.is_empty());
        Ok::<_, ApiError>(text.ok_or(AccountError::FieldMissing(name))?.into_owned())
    };
    Ok((needed("username")?, needed("password")?))
}

/// The response of a page or of an API to who is not signed in.
pub(crate) fn signed_out(visitor: &Visitor, form: FormPage) -> Answer {
    match visitor.response_format {
        ResponseFormat::Page => Ok(redirect(LOGIN_PATH)),
        ResponseFormat::Json => visitor.failed(form, None, AccountError::Token.into()),
    }
}

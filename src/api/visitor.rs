//! Who sends a request to `/api/register` to `/api/data`: a script or a browser, signed in or not,
//! and whether another site may have made the browser send it.

use super::context::Context;
use super::cookies::{self, Cookie};
use super::cors::Permission;
use super::credentials;
use super::error::style::Style;
use super::error::{AccountError, ApiError};
use super::fields::{self, Fields, Wanted};
use super::forms::FormPage;
use super::pages::{self, FORM_TOKEN_FIELD, Filled, Frame, WaysIn};
use crate::accounts::Accounts;
use crate::accounts::account::Account;
use crate::auth::access;
use crate::auth::client::Client;
use crate::auth::csrf::{self, RestsOn};
use crate::entropy::random_token;
use crate::http::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::sync::Arc;

/// What the tokens of forms are made for, so that they are nothing else.
const FORM_PURPOSE: &str = "form";

/// Who sends a request.
#[derive(Clone)]
pub struct Visitor {
    /// The accounts of the server.
    pub accounts: Arc<Accounts>,
    /// What the answer is to be.
    pub wanted: Wanted,
    /// Where the request comes from.
    pub client: Client,
    /// Whose browser it is. `None` where a header field has a credential.
    pub browser_of: Option<Account>,
    /// The token of that session.
    pub session: Option<String>,
    form_cookie: Option<FormCookie>,
    ways_in: WaysIn,
}

/// What the forms of a browser without a session are tied to.
#[derive(Clone)]
enum FormCookie {
    Sent(String),
    New(String),
}

impl Visitor {
    /// Who sends the request of `context`.
    ///
    /// # Errors
    /// [`AccountError::Disabled`]; what kept the accounts or the sessions from being asked.
    pub fn of(context: &Context<'_>) -> Result<Visitor, ApiError> {
        let accounts = Arc::clone(context.app.accounts()?);
        let (head, client) = (&context.request.head, context.client());
        let has_field = !matches!(access::credential(head), Ok(None));
        let session = cookies::session(head, client).filter(|_| !has_field);
        let account =
            session.map(|token| credentials::account_of_session(&accounts, token, context.arrival.wall_ms));
        let browser_of = match account {
            None | Some(Err(ApiError::Account(AccountError::Token))) => None,
            Some(account) => Some(account?),
        };
        let session = session.filter(|_| browser_of.is_some()).map(str::to_owned);
        let wanted = fields::wanted(head, Some(context.request.body));
        let form_cookie = match (Cookie::Form.value(head, client), wanted) {
            (Some(value), _) => Some(FormCookie::Sent(value.to_owned())),
            (None, Wanted::Page) => Some(FormCookie::New(random_token()?)),
            (None, Wanted::Json) => None,
        };
        let ways_in = context.app.ways_in();
        Ok(Visitor { accounts, wanted, client, browser_of, session, form_cookie, ways_in })
    }

    /// Refuses a request that changes something where another site may have made the browser send it.
    ///
    /// # Errors
    /// [`ApiError::Forgery`].
    pub fn check_forgery(
        &self,
        context: &Context<'_>,
        fields: &Fields,
        rests_on: RestsOn,
    ) -> Result<(), ApiError> {
        let is_granted = matches!(context.app.permission(&context.request.head), Permission::Granted(_));
        if is_granted && self.session.is_none() {
            return Ok(()); // a script that the operator lets in, and no cookie that it could abuse
        }
        let is_known = self.session.is_some() || matches!(self.form_cookie, Some(FormCookie::Sent(_)));
        let expected = self.form_token().filter(|_| is_known);
        let sent = fields.text(FORM_TOKEN_FIELD)?;
        csrf::check(&context.request.head, rests_on, expected.as_deref(), sent.as_deref())
            .map_err(ApiError::Forgery)
    }

    /// The token that this browser's forms have; `None` for a script, which is shown no forms.
    fn form_token(&self) -> Option<String> {
        let form = self.form_cookie.as_ref().map(|(FormCookie::Sent(form) | FormCookie::New(form))| form);
        let tied_to = self.session.as_ref().or(form)?;
        let mac = self.accounts.signing_key.mac(FORM_PURPOSE, tied_to.as_bytes());
        Some(BASE64_URL_SAFE_NO_PAD.encode(mac))
    }

    /// A page for this visitor.
    pub fn page(&self, render: impl FnOnce(&Frame<'_>) -> Response) -> Response {
        let form_token = self.form_token();
        let frame = Frame {
            signed_in_as: self.browser_of.as_ref().map(|account| account.username.as_str()),
            form_token: form_token.as_deref(),
            ways_in: self.ways_in,
        };
        let response = render(&frame);
        match (&self.form_cookie, &self.session) {
            (Some(FormCookie::New(value)), None) => {
                response.field("set-cookie", &Cookie::Form.set(self.client, value))
            }
            (Some(FormCookie::New(_) | FormCookie::Sent(_)) | None, _) => response,
        }
    }

    /// What became of a request that failed: JSON, or the form with what was typed and what was wrong.
    pub fn failed(&self, form: FormPage, fields: Option<&Fields>, error: &ApiError) -> Response {
        if self.wanted == Wanted::Json {
            return error.response_in(Style::Data);
        }
        if matches!(error, ApiError::Account(AccountError::RegistrationClosed)) {
            // The form is not worth filling in again.
            return self.page(|frame| pages::problem(frame, error.status(), &error.detail()));
        }
        let is_signed_out = matches!(error, ApiError::Account(AccountError::Token));
        let form = if is_signed_out && form.needs_session() { FormPage::Login } else { form };
        let typed = fields.map(|fields| fields.typed(form.typed_fields())).unwrap_or_default();
        let typed: Vec<(&str, &str)> = typed.iter().map(|(name, text)| (*name, &**text)).collect();
        let problems = form.problems(error);
        let filled = Filled { typed: &typed, problems: &problems };
        let response = self.page(|frame| form.render(frame, error.status(), &filled));
        error.with_fields(response)
    }
}

/// 302 to `path`.
pub fn redirect(path: &str) -> Response {
    Response::new(302).field("location", path).field("cache-control", "no-store")
}

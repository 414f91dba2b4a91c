//! Who sends a request to `/api/register` to `/api/data`: a script or a browser, signed in or not,
//! and whether another site may have made the browser send it.

use crate::accounts::Accounts;
use crate::accounts::account::Account;
use crate::api::context::Context;
use crate::api::credentials;
use crate::api::cross_site::Trusted;
use crate::api::error::{AccountError, ApiError};
use crate::api::fields::Fields;
use crate::api::negotiation::{self, ResponseFormat};
use crate::api::reply::Answer;
use crate::api::site::forms::FormPage;
use crate::api::site::pages::{self, AuthLinks, FormContent, PageChrome};
use crate::auth::client::Client;
use crate::http::response::Response;
use std::sync::Arc;

/// Who sends a request.
#[derive(Clone)]
pub(crate) struct Visitor {
    /// The accounts of the server.
    pub accounts: Arc<Accounts>,
    /// What the answer is to be.
    pub response_format: ResponseFormat,
    /// Where the request comes from.
    pub client: Client,
    /// Whose browser it is. `None` where a header field has a credential.
    pub browser_of: Option<Account>,
    /// The token of that session.
    pub session: Option<String>,
    auth_links: AuthLinks,
}

impl Visitor {
    /// Who sends the request of `context`.
    ///
    /// # Errors
    /// [`AccountError::Disabled`]; what kept the accounts or the sessions from being asked.
    pub(crate) fn of(context: &Context<'_>) -> Result<Visitor, ApiError> {
        let accounts = Arc::clone(context.accounts()?);
        let (head, client) = (&context.request.head, context.client());
        let session = context.app.session(head, client, context.registry);
        let account =
            session.map(|token| credentials::account_of_session(&accounts, token, context.arrival.wall_ms));
        let browser_of = match account {
            None | Some(Err(ApiError::Account(AccountError::Token))) => None,
            Some(account) => Some(account?),
        };
        let session = session.filter(|_| browser_of.is_some()).map(str::to_owned);
        let response_format = negotiation::response_format(head, Some(context.request.body));
        let auth_links = context.app.auth_links(context.registry);
        Ok(Visitor { accounts, response_format, client, browser_of, session, auth_links })
    }

    /// Refuses a request that changes something if a page of another site made the browser send it. A
    /// script that the operator lets in may send it, unless a session is there that it could abuse.
    pub(crate) fn check_site(&self, context: &Context<'_>) -> Result<(), ApiError> {
        context.check_site(if self.session.is_some() { Trusted::Nobody } else { Trusted::Scripts })
    }

    /// A page for this visitor.
    pub(crate) fn page(&self, render: impl FnOnce(&PageChrome<'_>) -> Response) -> Response {
        render(&PageChrome {
            signed_in_as: self.browser_of.as_ref().map(|account| account.username.as_str()),
            auth_links: self.auth_links,
        })
    }

    /// The answer to a request that failed: the error, or the form with what was typed and what was wrong.
    pub(crate) fn failed(&self, form: FormPage, fields: Option<&Fields>, error: ApiError) -> Answer {
        match self.response_format {
            ResponseFormat::Json => Err(error),
            ResponseFormat::Page => Ok(self.failed_page(form, fields, &error)),
        }
    }

    fn failed_page(&self, form: FormPage, fields: Option<&Fields>, error: &ApiError) -> Response {
        if matches!(error, ApiError::Account(AccountError::RegistrationClosed)) {
            // The form is not worth filling in again.
            return self.page(|chrome| pages::problem(chrome, error.status(), &error.detail()));
        }
        let is_signed_out = matches!(error, ApiError::Account(AccountError::Token));
        let form = if is_signed_out && form.needs_session() { FormPage::Login } else { form };
        let typed = fields.map(|fields| fields.typed(form.typed_fields())).unwrap_or_default();
        let typed: Vec<(&str, &str)> = typed.iter().map(|(name, text)| (*name, &**text)).collect();
        let problems = form.problems(error);
        let content = FormContent { typed: &typed, problems: &problems };
        let response = self.page(|chrome| form.render(chrome, error.status(), &content));
        error.with_fields(response)
    }
}

pub(crate) fn redirect(path: &str) -> Response {
    Response::new(302).field("location", path)
}

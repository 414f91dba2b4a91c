//! A request to `/api/register` to `/api/data`, from a script or a browser, signed in or not, and the answer if it
//! fails.

use crate::accounts::Accounts;
use crate::accounts::account::Account;
use crate::accounts::directory::CreateError;
use crate::accounts::registration;
use crate::api::context::Context;
use crate::api::credentials;
use crate::api::cross_site::Trusted;
use crate::api::error::{AccountError, ApiError, Part};
use crate::api::fields::Fields;
use crate::api::negotiation::{self, ResponseFormat};
use crate::api::reply::{Answer, Reply};
use crate::api::site::pages::{self, AuthLinks, Form, FormContent, Problem, Viewer};
use crate::auth::client::Client;
use crate::http::response::Response;
use std::sync::Arc;

#[derive(Clone)]
pub(crate) struct SiteRequest {
    pub accounts: Arc<Accounts>,
    pub response_format: ResponseFormat,
    pub client: Client,
    /// The account of the browser's session. `None` if a header field has a credential.
    pub account: Option<Account>,
    /// The token of that session.
    pub session: Option<String>,
    auth_links: AuthLinks,
    form: &'static Form,
}

/// Answers a request that sends `form`, or its fields as JSON, with the result of `then`.
pub(crate) fn submitted(
    context: &Context<'_>,
    form: &'static Form,
    then: impl FnOnce(&SiteRequest, &Fields) -> Result<Reply, ApiError>,
) -> Result<Reply, ApiError> {
    let request = SiteRequest::of(context, form)?;
    let fields = match Fields::of(context) {
        Ok(fields) => fields,
        Err(error) => return Ok(Reply::Ready(request.failed(None, error), None)),
    };
    let replied = then(&request, &fields);
    Ok(replied.unwrap_or_else(|error| Reply::Ready(request.failed(Some(&fields), error), None)))
}

impl SiteRequest {
    /// The request of `context`; `form` is on the page that it requests, or that sent it.
    pub(crate) fn of(context: &Context<'_>, form: &'static Form) -> Result<SiteRequest, ApiError> {
        let accounts = Arc::clone(context.accounts()?);
        let (head, client) = (&context.request.head, context.client());
        let session = context.app.session(head, client, context.registry);
        let account =
            session.map(|token| credentials::account_of_session(&accounts, token, context.origin.wall_ms));
        let account = match account {
            None | Some(Err(ApiError::Account(AccountError::Token))) => None,
            Some(account) => Some(account?),
        };
        let session = session.filter(|_| account.is_some()).map(str::to_owned);
        let response_format = negotiation::response_format(head, Some(context.request.body));
        let auth_links = context.app.auth_links(context.registry);
        Ok(SiteRequest { accounts, response_format, client, account, session, auth_links, form })
    }

    pub(crate) fn viewer(&self) -> Viewer {
        let signed_in_as = self.account.as_ref().map(|account| account.username.as_str().to_owned());
        Viewer { signed_in_as, auth_links: self.auth_links }
    }

    /// The page with the form.
    pub(crate) fn form_page(&self, content: &FormContent<'_>) -> Response {
        pages::form_page(&self.viewer(), 200, self.form, content)
    }

    /// Refuses a request that changes something if a page of another site caused it. A script of an origin in
    /// `cors.origins` may send it, unless it could abuse a session.
    pub(crate) fn check_site(&self, context: &Context<'_>) -> Result<(), ApiError> {
        context.check_site(if self.session.is_some() { Trusted::NoOrigin } else { Trusted::Scripts })
    }

    /// The answer to a client that is not signed in.
    pub(crate) fn signed_out(&self) -> Answer {
        match self.response_format {
            ResponseFormat::Page => Ok(redirect(pages::LOGIN.action)),
            ResponseFormat::Json => Err(AccountError::Token.into()),
        }
    }

    /// The answer to a request that failed: the error, or the form with the input and the problems.
    pub(crate) fn failed(&self, fields: Option<&Fields>, error: ApiError) -> Answer {
        match self.response_format {
            ResponseFormat::Json => Err(error),
            ResponseFormat::Page => Ok(self.failed_page(fields, &error)),
        }
    }

    fn failed_page(&self, fields: Option<&Fields>, error: &ApiError) -> Response {
        if matches!(error, ApiError::Account(AccountError::RegistrationClosed)) {
            // Sending the form again cannot succeed.
            return pages::problem(&self.viewer(), error.status(), &error.detail());
        }
        let is_signed_out = matches!(error, ApiError::Account(AccountError::Token));
        let form = if is_signed_out && self.form.needs_session { &pages::LOGIN } else { self.form };
        let typed = fields.map(|fields| fields.typed(form.names_shown_again())).unwrap_or_default();
        let problems = problems(error);
        let content = FormContent { typed: &typed, problems: &problems, ..FormContent::default() };
        error.with_fields(pages::form_page(&self.viewer(), error.status(), form, &content))
    }
}

/// `error` as problems with fields of a form.
pub(super) fn problems(error: &ApiError) -> Vec<Problem> {
    if let ApiError::Account(AccountError::Registration(problems)) = error {
        let at_field = |problem: &registration::Problem| Problem {
            field: problem.field().name(),
            message: problem.for_person(),
        };
        return problems.iter().map(at_field).collect();
    }
    let message = if let ApiError::Account(AccountError::Token) = error {
        "You are not signed in, or the access token is not valid. Please log in.".to_owned()
    } else if let ApiError::Account(AccountError::FieldMissing(field)) = error {
        let name = if *field == "username" { "user name" } else { "password" };
        format!("Enter your {name}.")
    } else if let ApiError::Invalid(Part::Value, _) = error {
        "Enter a value.".to_owned()
    } else {
        error.detail()
    };
    vec![Problem { field: field_of(error), message }]
}

/// The field of the form with the `error`; empty for the form as a whole.
fn field_of(error: &ApiError) -> &'static str {
    if let ApiError::Account(AccountError::FieldMissing(field)) = error {
        field
    } else if let ApiError::Account(AccountError::NotCreated(CreateError::UsernameExists)) = error {
        "username"
    } else if let ApiError::Account(AccountError::NotCreated(CreateError::EmailExists)) = error {
        "email"
    } else if let ApiError::Invalid(Part::Key, _) | ApiError::KeyMissing | ApiError::KeyExists = error {
        "key"
    } else if let ApiError::Invalid(Part::Value, _) = error {
        "value"
    } else {
        ""
    }
}

pub(crate) fn redirect(path: &str) -> Response {
    Response::new(302).field("location", path)
}

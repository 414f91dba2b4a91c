//! The forms of the pages: which there are, and which field an error is about.

use crate::accounts::directory::CreateError;
use crate::api::error::{AccountError, ApiError};
use crate::api::site::pages::{self, FormContent, PageChrome, Problem};
use crate::http::response::Response;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormPage {
    /// `/api/register`
    Register,
    /// `/api/token`
    Token,
    /// `/api/login`
    Login,
    /// `/api/data`
    Store,
    /// `/api/data/retrieve`
    Retrieve,
    /// `/api/data/update`
    Update,
    /// `/api/data/delete`
    Delete,
}

impl FormPage {
    /// Whether only who is signed in has a use for it.
    pub(crate) fn needs_session(self) -> bool {
        match self {
            FormPage::Register | FormPage::Token | FormPage::Login => false,
            FormPage::Store | FormPage::Retrieve | FormPage::Update | FormPage::Delete => true,
        }
    }

    /// The fields that are shown again as they were typed: no passwords and no tokens.
    pub(crate) fn typed_fields(self) -> &'static [&'static str] {
        match self {
            FormPage::Register => &["username", "email", "full_name", "age", "gender"],
            FormPage::Token | FormPage::Login => &["username"],
            FormPage::Store | FormPage::Update => &["key", "value"],
            FormPage::Retrieve | FormPage::Delete => &["key"],
        }
    }

    pub(crate) fn render(self, chrome: &PageChrome<'_>, status: u16, content: &FormContent<'_>) -> Response {
        match self {
            FormPage::Register => pages::register(chrome, status, content),
            FormPage::Token => pages::token(chrome, status, content),
            FormPage::Login => pages::login(chrome, status, content),
            FormPage::Store => pages::store(chrome, status, content, None),
            FormPage::Retrieve => pages::retrieve(chrome, status, content, None, &[], None),
            FormPage::Update => pages::update(chrome, status, content, None),
            FormPage::Delete => pages::delete(chrome, status, content, None),
        }
    }

    /// `error` at the fields that it is about.
    pub(crate) fn problems(self, error: &ApiError) -> Vec<Problem> {
        if let ApiError::Account(AccountError::Registration(problems)) = error {
            let each = problems.iter();
            return each
                .map(|problem| Problem { field: problem.field().name(), message: problem.to_string() })
                .collect();
        }
        let message = match (self, error) {
            (FormPage::Login, ApiError::Account(AccountError::Token)) => {
                "you are not signed in, or the access token is not valid; log in".to_owned()
            }
            (_, _) => error.detail(),
        };
        vec![Problem { field: field_of(error), message }]
    }
}

/// The input that `error` is about; empty for the form as a whole.
fn field_of(error: &ApiError) -> &'static str {
    if let ApiError::Account(AccountError::FieldMissing(field)) = error {
        field
    } else if let ApiError::Account(AccountError::NotCreated(CreateError::UsernameExists)) = error {
        "username"
    } else if let ApiError::Account(AccountError::NotCreated(CreateError::EmailExists)) = error {
        "email"
    } else if let ApiError::Key(_) | ApiError::KeyMissing | ApiError::KeyExists = error {
        "key"
    } else if let ApiError::Value(_) = error {
        "value"
    } else {
        ""
    }
}

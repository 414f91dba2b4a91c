//! `/api/register`: creates accounts.

use crate::accounts::account::Account;
use crate::accounts::directory::CreateError;
use crate::accounts::registration::{NewAccount, Required};
use crate::api::context::Context;
use crate::api::error::{AccountError, ApiError};
use crate::api::fields::Fields;
use crate::api::negotiation::ResponseFormat;
use crate::api::passwords;
use crate::api::reply::{Lane, Reply, Standing};
use crate::api::site::pages::{self, FormContent, REGISTER};
use crate::api::site::request::{SiteRequest, submitted};
use crate::api::site::success;
use crate::auth::password::Rule;
use crate::auth::rate_limit::Rate;
use crate::clock;
use crate::config::schema::Registration;
use crate::http::request::Method;
use crate::http::response::Response;
use crate::limits::{REGISTRATION_WINDOW_SECONDS, REGISTRATIONS_OF_ADDRESS_MAX};
use crate::store::commit::Pending;
use std::sync::Arc;
use std::time::Duration;

/// How often one address may register.
const RATE: Rate =
    Rate { requests: REGISTRATIONS_OF_ADDRESS_MAX, window: Duration::from_secs(REGISTRATION_WINDOW_SECONDS) };

/// `GET /api/register`
pub(crate) fn page(context: &Context<'_>) -> Result<Reply, ApiError> {
    let request = SiteRequest::of(context, &REGISTER)?;
    Ok(Reply::now(match check_open(context) {
        Ok(()) => request.form_page(&FormContent::default()),
        Err(error) => pages::problem(&request.viewer(), error.status(), &error.detail()),
    }))
}

/// `POST /api/register`
pub(crate) fn register(context: &Context<'_>) -> Result<Reply, ApiError> {
    submitted(context, &REGISTER, |request, fields| {
        request.check_site(context)?;
        check_open(context)?;
        start(context, request, fields, fields.new_account(Required::Everything, Rule::Strong)?)
    })
}

fn check_open(context: &Context<'_>) -> Result<(), ApiError> {
    match context.registry.accounts.registration {
        Registration::Open => Ok(()),
        Registration::Closed => Err(AccountError::RegistrationClosed.into()),
    }
}

fn start(
    context: &Context<'_>,
    request: &SiteRequest,
    fields: &Fields,
    new: NewAccount,
) -> Result<Reply, ApiError> {
    let client = context.client().address;
    let allowed = context.app.registrations.check(RATE, client, Method::Post, context.origin.at);
    allowed.map_err(AccountError::TooManyRegistrations)?;
    // Checked again after the password is hashed; here it saves that time.
    let before = request.accounts.directory.find(new.username.as_str(), context.origin.wall_ms)?;
    if before.answer.is_some() {
        let answer = request.failed(Some(fields), CreateError::UsernameExists.into());
        return Ok(Reply::Ready(answer, before.commit));
    }
    let (app, cost) = (Arc::clone(context.app), context.registry.accounts.bcrypt_cost);
    let (request, fields) = (request.clone(), fields.clone());
    Ok(Reply::job(Lane::Password(context.share(Standing::Unknown)), move || {
        let create = || {
            // Counted here, so that a request that the lane refuses does not count.
            let counted = app.registrations.admit(RATE, client, Method::Post, clock::monotonic());
            counted.map_err(AccountError::TooManyRegistrations)?;
            let hash = passwords::hash(&new.password, cost)?;
            Ok(request.accounts.create(&new, hash, clock::wall_ms())?)
        };
        let (created, commit) = match create() {
            Ok(Pending { answer, commit }) => (answer.map_err(ApiError::from), commit),
            Err(error) => (Err(error), None),
        };
        let answer = match created {
            Ok(account) => Ok(registered(&request, &account)),
            Err(error) => request.failed(Some(&fields), error),
        };
        Ok(Reply::Ready(answer, commit))
    }))
}

fn registered(request: &SiteRequest, account: &Account) -> Response {
    match request.response_format {
        ResponseFormat::Page => pages::registered(&request.viewer(), account.username.as_str()),
        ResponseFormat::Json => success::with_data(201, "User registered", |out| {
            out.push(b'{');
            account.push_public(out);
            out.push(b'}');
        }),
    }
}

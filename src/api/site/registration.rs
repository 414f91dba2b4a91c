//! `/api/register`: somebody gets an account.

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
    let has_place = context.app.registrations.check(RATE, client, Method::Post, context.arrival.at);
    has_place.map_err(AccountError::TooManyRegistrations)?;
    // Asked again once the password is hashed; here it saves the time.
    let before = request.accounts.directory.find(new.username.as_str(), context.arrival.wall_ms)?;
    if before.answer.is_some() {
        let answer = request.failed(Some(fields), CreateError::UsernameExists.into());
        return Ok(Reply::Ready(answer, before.commit));
    }
    let (app, cost) = (Arc::clone(context.app), context.registry.accounts.bcrypt_cost);
    let (request, fields) = (request.clone(), fields.clone());
    let job = move || {
        // Counted here, so that what the lane refuses does not count.
        let counted = app.registrations.admit(RATE, client, Method::Post, clock::monotonic());
        let counted = counted.map_err(|after| AccountError::TooManyRegistrations(after).into());
        let hashed = counted.and_then(|()| passwords::hash(&new.password, cost));
        let made = hashed.and_then(|hash| Ok(request.accounts.create(&new, hash, clock::wall_ms())?));
        let (created, commit) = match made {
            Ok(Pending { answer, commit }) => (answer.map_err(ApiError::from), commit),
            Err(error) => (Err(error), None),
        };
        let answer = match created {
            Ok(account) => Ok(registered(&request, &account)),
            Err(error) => request.failed(Some(&fields), error),
        };
        Reply::Ready(answer, commit)
    };
    Ok(Reply::Job(Lane::Password(context.share(Standing::Stranger)), None, Box::new(job)))
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

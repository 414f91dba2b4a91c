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
use crate::api::site::forms::FormPage;
use crate::api::site::pages::{self, FormContent};
use crate::api::site::success;
use crate::api::site::visitor::Visitor;
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
    let visitor = Visitor::of(context)?;
    Ok(Reply::now(match check_open(context) {
        Ok(()) => visitor.page(|chrome| pages::register(chrome, 200, &FormContent::default())),
        Err(error) => visitor.page(|chrome| pages::problem(chrome, error.status(), &error.detail())),
    }))
}

/// `POST /api/register`
pub(crate) fn register(context: &Context<'_>) -> Result<Reply, ApiError> {
    let visitor = Visitor::of(context)?;
    let fields = match Fields::of(context) {
        Ok(fields) => fields,
        Err(error) => return Ok(Reply::Ready(visitor.failed(FormPage::Register, None, error), None)),
    };
    match checked(context, &visitor, &fields) {
        Ok(new) => start(context, visitor, fields, new),
        Err(error) => Ok(Reply::Ready(visitor.failed(FormPage::Register, Some(&fields), error), None)),
    }
}

fn check_open(context: &Context<'_>) -> Result<(), ApiError> {
    match context.registry.accounts.registration {
        Registration::Open => Ok(()),
        Registration::Closed => Err(AccountError::RegistrationClosed.into()),
    }
}

fn checked(context: &Context<'_>, visitor: &Visitor, fields: &Fields) -> Result<NewAccount, ApiError> {
    visitor.check_site(context)?;
    check_open(context)?;
    fields.new_account(Required::Everything, Rule::Strong)
}

fn start(
    context: &Context<'_>,
    visitor: Visitor,
    fields: Fields,
    new: NewAccount,
) -> Result<Reply, ApiError> {
    let client = context.client().address;
    if let Err(after) = context.app.registrations.check(RATE, client, Method::Post, context.arrival.at) {
        let error = AccountError::TooManyRegistrations(after).into();
        return Ok(Reply::Ready(visitor.failed(FormPage::Register, Some(&fields), error), None));
    }
    // Asked again once the password is hashed; here it saves the time.
    let before = visitor.accounts.directory.find(new.username.as_str(), context.arrival.wall_ms)?;
    if before.answer.is_some() {
        let error = CreateError::UsernameExists.into();
        return Ok(Reply::Ready(visitor.failed(FormPage::Register, Some(&fields), error), before.commit));
    }
    let cost = context.registry.accounts.bcrypt_cost;
    let app = Arc::clone(context.app);
    let job = move || {
        // Counted here, so that what the lane refuses does not count.
        let counted = app.registrations.admit(RATE, client, Method::Post, clock::monotonic());
        let counted = counted.map_err(|after| AccountError::TooManyRegistrations(after).into());
        let hashed = counted.and_then(|()| passwords::hash(&new.password, cost));
        let made = hashed.and_then(|hash| Ok(visitor.accounts.create(&new, hash, clock::wall_ms())?));
        let failed = |error: ApiError| visitor.failed(FormPage::Register, Some(&fields), error);
        match made {
            Ok(Pending { answer: Ok(account), commit }) => {
                Reply::Ready(Ok(registered(&visitor, &account)), commit)
            }
            Ok(Pending { answer: Err(error), commit }) => Reply::Ready(failed(error.into()), commit),
            Err(error) => Reply::Ready(failed(error), None),
        }
    };
    Ok(Reply::Job(Lane::Password(context.share(Standing::Stranger)), None, Box::new(job)))
}

fn registered(visitor: &Visitor, account: &Account) -> Response {
    match visitor.response_format {
        ResponseFormat::Page => visitor.page(|chrome| pages::registered(chrome, account.username.as_str())),
        ResponseFormat::Json => success::with_data(201, "User registered", |out| {
            out.push(b'{');
            account.push_public(out);
            out.push(b'}');
        }),
    }
}

//! The input for a new account, and its rules. All problems are reported at once.

use super::account::{Account, AccountId, Profile, new_identifier};
use super::directory::CreateError;
use super::{Accounts, AccountsError};
use crate::auth::password::{Password, PasswordError, PasswordHash, Rule};
use crate::limits::{
    AGE_MAX, EMAIL_BYTES_MAX, FULL_NAME_CHARACTERS_MAX, GENDER_CHARACTERS_MAX, USERNAME_BYTES_MAX,
};
use crate::names::Username;
use crate::store::change::Revision;
use crate::store::commit::Pending;
use crate::store::error::StorageError;
use std::borrow::Cow;
use std::fmt;

/// The fields as typed; `None` for an absent one.
#[derive(Default)]
pub(crate) struct RawInput<'a> {
    pub username: Option<Cow<'a, str>>,
    pub email: Option<Cow<'a, str>>,
    pub password: Option<Cow<'a, str>>,
    pub full_name: Option<Cow<'a, str>>,
    pub age: Option<Cow<'a, str>>,
    pub gender: Option<Cow<'a, str>>,
}

/// Valid input.
pub struct NewAccount {
    pub username: Username,
    pub password: Password,
    pub profile: Profile,
}

/// The fields that must be present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Required {
    /// For a registration.
    Everything,
    /// For an account that an operator creates.
    NameAndPassword,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is absent or empty.
    Missing(Field),
    /// It breaks its rule, and is not the password.
    Invalid(Field),
    Password(PasswordError),
}

/// A field of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Username,
    Email,
    Password,
    FullName,
    Age,
    Gender,
}

impl Field {
    /// Its name in requests.
    pub fn name(self) -> &'static str {
        match self {
            Field::Username => "username",
            Field::Email => "email",
            Field::Password => "password",
            Field::FullName => "full_name",
            Field::Age => "age",
            Field::Gender => "gender",
        }
    }
}

impl Field {
    /// What its value must be, as advice.
    fn rule(self) -> String {
        match self {
            Field::Username => format!("use 1 to {USERNAME_BYTES_MAX} characters of A-Z a-z 0-9 . _ - @ +"),
            Field::Email => format!(
                "use an address such as name@example.com, without spaces and of at most {EMAIL_BYTES_MAX} bytes"
            ),
            Field::Password => "use another password".to_owned(),
            Field::FullName => format!("use one line of at most {FULL_NAME_CHARACTERS_MAX} characters"),
            Field::Age => format!("use a whole number from 1 to {AGE_MAX}"),
            Field::Gender => format!("use one line of at most {GENDER_CHARACTERS_MAX} characters"),
        }
    }
}

impl Problem {
    /// For a person, at the field of a page or in a terminal.
    pub(crate) fn for_person(&self) -> String {
        match self {
            Problem::Password(error) => error.to_string(),
            Problem::Missing(Field::Username) => "Enter a user name.".to_owned(),
            Problem::Invalid(Field::Username) => {
                format!("Use 1 to {USERNAME_BYTES_MAX} characters: A-Z a-z 0-9 . _ - @ +.")
            }
            Problem::Missing(Field::Email) => "Enter your email address.".to_owned(),
            Problem::Invalid(Field::Email) => format!(
                "Enter an address such as name@example.com, without spaces and of at most {EMAIL_BYTES_MAX} bytes."
            ),
            Problem::Missing(Field::Password) => "Enter a password.".to_owned(),
            Problem::Invalid(Field::Password) => "Use another password.".to_owned(),
            Problem::Missing(Field::FullName) => "Enter your full name.".to_owned(),
            Problem::Invalid(Field::FullName) => {
                format!("Enter one line of at most {FULL_NAME_CHARACTERS_MAX} characters.")
            }
            Problem::Missing(Field::Age) | Problem::Invalid(Field::Age) => {
                format!("Enter an age from 1 to {AGE_MAX}.")
            }
            Problem::Missing(Field::Gender) => "Choose your gender.".to_owned(),
            Problem::Invalid(Field::Gender) => {
                format!("Use one line of at most {GENDER_CHARACTERS_MAX} characters.")
            }
        }
    }

    pub fn field(&self) -> Field {
        match self {
            Problem::Missing(field) | Problem::Invalid(field) => *field,
            Problem::Password(_) => Field::Password,
        }
    }
}

impl Accounts {
    /// Creates the account with the hash of its password. Blocks for the disk.
    pub fn create(
        &self,
        new: &NewAccount,
        password: PasswordHash,
        now_ms: u64,
    ) -> Result<Pending<Result<Account, CreateError>>, AccountsError> {
        let mut account = Account {
            id: AccountId::new()?,
            username: new.username.clone(),
            profile: new.profile.clone(),
            password,
            credential: new_identifier()?,
            is_disabled: false,
            created_ms: now_ms,
            revision: Revision::ZERO,
        };
        let Pending { answer, commit } = self.add(&account, now_ms)?;
        let answer = answer.map(|revision| {
            account.revision = revision;
            account
        });
        Ok(Pending { answer, commit })
    }

    /// Adds `account`, as [`Accounts::create`] does. Returns the revision of its entry.
    pub fn add(
        &self,
        account: &Account,
        now_ms: u64,
    ) -> Result<Pending<Result<Revision, CreateError>>, AccountsError> {
        if self.directory.bucket().has_failed() {
            return Err(StorageError::Failed.into());
        }
        self.create_marker(&account.id, now_ms)?;
        let created = self.directory.create(account, now_ms);
        let may_exist = match &created {
            Ok(Pending { answer, .. }) => answer.is_ok(),
            // The account may still be created, and needs its marker then.
            Err(AccountsError::Storage(StorageError::Unconfirmed { .. })) => true,
            Err(_) => false,
        };
        if !may_exist && let Err(error) = self.remove_marker(&account.id, now_ms) {
            log::warn!("_account_data: the marker of an account that was not created stays: {error}");
        }
        created
    }
}

/// Checks the input, the password under `rule`. Returns every [`Problem`], in the order of the fields.
pub(crate) fn check(
    typed: &RawInput<'_>,
    required: Required,
    rule: Rule,
) -> Result<NewAccount, Vec<Problem>> {
    let mut problems = Vec::new();
    let username =
        field(Field::Username, &typed.username, Required::Everything, &mut problems, Username::parse);
    let email = field(Field::Email, &typed.email, required, &mut problems, check_email);
    // White space may be part of a password.
    let password = match typed.password.as_deref().filter(|text| !text.is_empty()) {
        None => Err(Problem::Missing(Field::Password)),
        Some(text) => Password::parse_new(text, rule).map_err(Problem::Password),
    };
    let password = password.map_err(|problem| problems.push(problem)).ok();
    let full_name = field(Field::FullName, &typed.full_name, required, &mut problems, |text| {
        check_text(text, FULL_NAME_CHARACTERS_MAX)
    });
    let age = field(Field::Age, &typed.age, required, &mut problems, check_age);
    let gender = field(Field::Gender, &typed.gender, required, &mut problems, |text| {
        check_text(text, GENDER_CHARACTERS_MAX)
    });
    match (username, password) {
        (Some(username), Some(password)) if problems.is_empty() => {
            Ok(NewAccount { username, password, profile: Profile { email, full_name, age, gender } })
        }
        (_, _) => Err(problems),
    }
}

/// The value of `field`. If that is invalid, or absent and required, `problems` gets the reason.
fn field<T>(
    field: Field,
    text: &Option<Cow<'_, str>>,
    required: Required,
    problems: &mut Vec<Problem>,
    check: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let checked = match (text.as_deref().map(str::trim).filter(|text| !text.is_empty()), required) {
        (Some(text), _) => check(text).ok_or(Problem::Invalid(field)),
        (None, Required::Everything) => Err(Problem::Missing(field)),
        (None, Required::NameAndPassword) => return None,
    };
    checked.map_err(|problem| problems.push(problem)).ok()
}

/// Accepts text, one `@`, and text. Only sending mail shows whether the address exists.
fn check_email(text: &str) -> Option<String> {
    let has_only = text.chars().all(|c| !c.is_control() && !c.is_whitespace());
    let parts = text.split_once('@').filter(|(_, domain)| !domain.contains('@'));
    let is_whole = parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    (has_only && is_whole && text.len() <= EMAIL_BYTES_MAX).then(|| text.to_owned())
}

fn check_text(text: &str, characters_max: usize) -> Option<String> {
    let fits = text.chars().count() <= characters_max;
    (fits && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

fn check_age(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|age| digits && (1..=AGE_MAX).contains(age))
}

/// For clients of an API.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Missing(field) => write!(f, "`{}` is missing; add it.", field.name()),
            Problem::Password(error) => error.fmt(f),
            Problem::Invalid(field) => {
                write!(f, "`{}` is not valid; {}.", field.name(), field.rule())
            }
        }
    }
}

impl std::error::Error for Problem {}

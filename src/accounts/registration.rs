//! What somebody types to get an account, and the rules for it. All that is wrong is said at once.

use super::account::{Account, AccountId, Profile, new_credential};
use super::directory::CreateError;
use super::{Accounts, AccountsError};
use crate::auth::password::{Password, PasswordError, PasswordHash, Rule};
use crate::limits::{
    AGE_MAX, EMAIL_BYTES_MAX, FULL_NAME_CHARACTERS_MAX, GENDER_CHARACTERS_MAX, USERNAME_BYTES_MAX,
};
use crate::names::Username;
use crate::store::commit::Pending;
use crate::store::error::StorageError;
use std::fmt;

/// The fields as typed; `None` for one that is not there.
#[derive(Default)]
pub(crate) struct RawInput<'a> {
    pub username: Option<&'a str>,
    pub email: Option<&'a str>,
    pub password: Option<&'a str>,
    pub full_name: Option<&'a str>,
    /// `age`, as digits.
    pub age: Option<&'a str>,
    pub gender: Option<&'a str>,
}

/// What a new account is made of.
pub struct NewAccount {
    /// How it signs in.
    pub username: Username,
    /// And with what.
    pub password: Password,
    /// Who it is.
    pub profile: Profile,
}

/// How much has to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Required {
    /// Everything: somebody registers.
    Everything,
    /// Name and password: an operator makes the account.
    NameAndPassword,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is not there, or empty.
    Missing(Field),
    /// The name breaks its rule.
    Username,
    /// The address is none.
    Email,
    /// The full name is too long or has control characters.
    FullName,
    /// The password breaks its rule.
    Password(PasswordError),
    /// The age is none.
    Age,
    /// The gender is too long or has control characters.
    Gender,
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
    /// What requests call it.
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

impl Problem {
    /// The field that it is about.
    pub fn field(&self) -> Field {
        match self {
            Problem::Missing(field) => *field,
            Problem::Username => Field::Username,
            Problem::Email => Field::Email,
            Problem::FullName => Field::FullName,
            Problem::Password(_) => Field::Password,
            Problem::Age => Field::Age,
            Problem::Gender => Field::Gender,
        }
    }
}

impl Accounts {
    /// Creates the account, with the hash of its password. Certain once the commit is resolved. Blocks for the disk.
    ///
    /// # Errors
    /// [`CreateError`] inside; [`AccountsError`] where the accounts cannot be asked.
    pub fn create(
        &self,
        new: &NewAccount,
        password: PasswordHash,
        now_ms: u64,
    ) -> Result<Pending<Result<Account, CreateError>>, AccountsError> {
        let account = Account {
            id: AccountId::new()?,
            username: new.username.clone(),
            profile: new.profile.clone(),
            password,
            credential: new_credential()?,
            is_disabled: false,
            created_ms: now_ms,
        };
        let Pending { answer, commit } = self.add(&account, now_ms)?;
        Ok(Pending { answer: answer.map(|()| account), commit })
    }

    /// Creates `account` as it is, as [`Accounts::create`] does.
    pub fn add(
        &self,
        account: &Account,
        now_ms: u64,
    ) -> Result<Pending<Result<(), CreateError>>, AccountsError> {
        if self.directory.bucket().has_failed() {
            return Err(StorageError::Failed.into());
        }
        self.create_marker(&account.id, now_ms)?;
        let created = self.directory.create(account, now_ms);
        if !matches!(&created, Ok(Pending { answer: Ok(()), .. }))
            && let Err(error) = self.remove_marker(&account.id, now_ms)
        {
            log::warn!("_account_data: the marker of an account that was not created stays: {error}");
        }
        created
    }
}

/// Checks what was typed, the password under `rule`.
///
/// # Errors
/// Every [`Problem`], in the order of the fields.
pub(crate) fn check(
    typed: &RawInput<'_>,
    required: Required,
    rule: Rule,
) -> Result<NewAccount, Vec<Problem>> {
    let mut problems = Vec::new();
    let username = field(Field::Username, typed.username, Required::Everything, &mut problems, |text| {
        Username::parse(text).ok_or(Problem::Username)
    });
    let email = field(Field::Email, typed.email, required, &mut problems, check_email);
    // White space may be part of a password.
    let password = match typed.password.filter(|text| !text.is_empty()) {
        None => Err(Problem::Missing(Field::Password)),
        Some(text) => Password::parse_new(text, rule).map_err(Problem::Password),
    };
    let password = password.map_err(|problem| problems.push(problem)).ok();
    let full_name = field(Field::FullName, typed.full_name, required, &mut problems, |text| {
        check_text(text, FULL_NAME_CHARACTERS_MAX).ok_or(Problem::FullName)
    });
    let age = field(Field::Age, typed.age, required, &mut problems, check_age);
    let gender = field(Field::Gender, typed.gender, required, &mut problems, |text| {
        check_text(text, GENDER_CHARACTERS_MAX).ok_or(Problem::Gender)
    });
    match (username, password) {
        (Some(username), Some(password)) if problems.is_empty() => {
            Ok(NewAccount { username, password, profile: Profile { email, full_name, age, gender } })
        }
        (_, _) => Err(problems),
    }
}

/// The field's value; `None` where it is not there or wrong, which `problems` gets unless it may be.
fn field<T>(
    field: Field,
    text: Option<&str>,
    required: Required,
    problems: &mut Vec<Problem>,
    check: impl FnOnce(&str) -> Result<T, Problem>,
) -> Option<T> {
    let checked = match (text.map(str::trim).filter(|text| !text.is_empty()), required) {
        (Some(text), _) => check(text),
        (None, Required::Everything) => Err(Problem::Missing(field)),
        (None, Required::NameAndPassword) => return None,
    };
    checked.map_err(|problem| problems.push(problem)).ok()
}

/// Something, one `@`, something. Whether mail arrives there only mail can tell.
fn check_email(text: &str) -> Result<String, Problem> {
    let has_only = text.chars().all(|c| !c.is_control() && !c.is_whitespace());
    let parts = text.split_once('@').filter(|(_, domain)| !domain.contains('@'));
    let is_whole = parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if has_only && is_whole && text.len() <= EMAIL_BYTES_MAX {
        Ok(text.to_owned())
    } else {
        Err(Problem::Email)
    }
}

fn check_text(text: &str, characters_max: usize) -> Option<String> {
    let fits = text.chars().count() <= characters_max;
    (fits && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

fn check_age(text: &str) -> Result<u64, Problem> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let age = text.parse().ok().filter(|age| digits && (1..=AGE_MAX).contains(age));
    age.ok_or(Problem::Age)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Missing(field) => write!(f, "{} is missing", field.name()),
            Problem::Username => {
                write!(f, "username has 1 to {USERNAME_BYTES_MAX} characters of A-Z a-z 0-9 . _ - @ +")
            }
            Problem::Email => write!(
                f,
                "email is an address such as name@example.com, without spaces and of at most {EMAIL_BYTES_MAX} bytes"
            ),
            Problem::FullName => {
                write!(f, "full_name is one line of at most {FULL_NAME_CHARACTERS_MAX} characters")
            }
            Problem::Password(error) => error.fmt(f),
            Problem::Age => write!(f, "age is a whole number from 1 to {AGE_MAX}"),
            Problem::Gender => write!(f, "gender is one line of at most {GENDER_CHARACTERS_MAX} characters"),
        }
    }
}

impl std::error::Error for Problem {}

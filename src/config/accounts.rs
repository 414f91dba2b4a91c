//! `accounts`: whether people have accounts here, who may open one, and what a password costs.

use serde::Serialize;

/// `accounts` as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AccountsChoice {
    /// Whether there are accounts at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Who may open one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
    /// An access token is good for this long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_ttl_seconds: Option<u64>,
    /// bcrypt's cost of a new password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bcrypt_cost: Option<u32>,
}

/// `accounts` in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accounts {
    /// Whether there are accounts at all.
    pub enabled: bool,
    /// Who may open one.
    pub registration: Registration,
    /// An access token is good for this long, seconds.
    pub token_ttl_s: u64,
    /// bcrypt's cost of a new password, the binary logarithm of its rounds.
    pub bcrypt_cost: u32,
}

/// Who may open an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Everybody.
    #[default]
    Open,
    /// Only the operator, with the global key.
    Closed,
}

impl Registration {
    /// The texts that [`Registration::parse`] takes.
    pub const NAMES: &'static [&'static str] = &["open", "closed"];

    /// The registration called `name`.
    pub fn parse(name: &str) -> Option<Registration> {
        [Registration::Open, Registration::Closed].into_iter().find(|choice| choice.name() == name)
    }

    /// What config.json calls it.
    pub fn name(self) -> &'static str {
        match self {
            Registration::Open => "open",
            Registration::Closed => "closed",
        }
    }
}

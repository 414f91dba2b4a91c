//! Access tokens, as all APIs give them out.

use crate::accounts::Accounts;
use crate::accounts::account::Account;
use crate::auth::jwt::{self, Claims};
use crate::catalog::Registry;
use crate::json;
use crate::secret::Secret;

/// A token that was just made.
pub(crate) struct Made {
    pub token: Secret,
    /// How long it is valid, seconds.
    pub expires_in_s: u64,
}

/// Makes a token for `account`, valid from `now_ms` for `accounts.token_ttl_seconds`.
pub(crate) fn make(registry: &Registry, accounts: &Accounts, account: &Account, now_ms: u64) -> Made {
    let expires_in_s = registry.accounts.token_ttl_s;
    let issued_s = now_ms / 1_000;
    let claims = Claims {
        subject: account.username.folded(),
        credential: account.credential.clone(),
        issued_s,
        expires_s: issued_s + expires_in_s,
    };
    Made { token: jwt::issue(&accounts.signing_key, &claims), expires_in_s }
}

impl Made {
    /// Appends `"token":…,"access_token":…`: the two names by which clients know it.
    pub(crate) fn push_tokens(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"token\":");
        json::encode_string(self.token.reveal(), out);
        out.extend_from_slice(b",\"access_token\":");
        json::encode_string(self.token.reveal(), out);
    }

    /// Appends `"access_token":…,"token_type":"Bearer","expires_in":…`.
    pub(crate) fn push_members(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"access_token\":");
        json::encode_string(self.token.reveal(), out);
        out.extend_from_slice(b",\"token_type\":\"Bearer\",\"expires_in\":");
        json::encode_u64(self.expires_in_s, out);
    }
}

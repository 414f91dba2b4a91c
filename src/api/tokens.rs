//! Access tokens, as all APIs issue them.

use crate::accounts::Accounts;
use crate::accounts::account::Account;
use crate::auth::jwt::{self, Claims};
use crate::catalog::Registry;
use crate::json;
use crate::secret::Secret;

pub(crate) struct Issued {
    pub token: Secret,
    pub expires_in_s: u64,
}

/// Issues a token for `account`, valid from `now_ms` for `accounts.token_ttl_seconds`.
pub(crate) fn issue(registry: &Registry, accounts: &Accounts, account: &Account, now_ms: u64) -> Issued {
    let expires_in_s = registry.accounts.token_ttl_s;
    let issued_s = now_ms / 1_000;
    let claims = Claims {
        subject: account.username.folded(),
        credential: account.credential.clone(),
        issued_s,
        expires_s: issued_s + expires_in_s,
    };
    Issued { token: jwt::issue(&accounts.signing_key, &claims), expires_in_s }
}

impl Issued {
    /// Appends `"token":…,"access_token":…`: clients read one or the other.
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

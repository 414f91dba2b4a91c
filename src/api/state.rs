//! The server as handlers see it.

use super::cookies;
use super::error::{AccountError, ApiError};
use super::site::pages::AuthLinks;
use crate::accounts::Accounts;
use crate::auth::access::Denied;
use crate::auth::client::Client;
use crate::auth::credential::{self, Credential};
use crate::auth::rate_limit::RateLimiter;
use crate::auth::throttle::Throttle;
use crate::catalog::{Catalog, ChangeError, Registry};
use crate::config::schema::Registration;
use crate::http::request::Head;
use crate::memory::Memory;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// The server.
pub struct App {
    pub catalog: Catalog,
    /// `None` if accounts were disabled when the server started.
    pub accounts: Option<Result<Arc<Accounts>, String>>,
    /// Counts requests to `/item`.
    pub rate_limiter: RateLimiter,
    pub registrations: RateLimiter,
    /// Counts failed logins.
    pub throttle: Throttle,
    /// Counts the memory of pending requests and responses.
    pub memory: Memory,
}

/// The time and the sender of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestOrigin {
    /// Milliseconds since 1970; "now" for the handler.
    pub wall_ms: u64,
    /// Of the monotonic clock.
    pub at: Instant,
    /// The other end of the connection: the client, or a proxy in front.
    pub peer: IpAddr,
    /// Whether it is read again, because the changes that its first answer depended on were rolled back.
    pub is_repeated: bool,
}

impl App {
    pub fn new(catalog: Catalog, accounts: Option<Result<Arc<Accounts>, String>>, memory: Memory) -> App {
        let (rate_limiter, registrations) = (RateLimiter::default(), RateLimiter::default());
        App { catalog, accounts, rate_limiter, registrations, throttle: Throttle::default(), memory }
    }

    /// Writes everything to the files and ends writing.
    pub fn close(&self) {
        self.catalog.close();
        if let Some(Ok(accounts)) = &self.accounts {
            accounts.close();
        }
    }

    /// # Errors
    /// [`AccountError::Disabled`]; [`ChangeError::Unreadable`] if their files could not be read.
    pub fn accounts(&self, registry: &Registry) -> Result<&Arc<Accounts>, ApiError> {
        match &self.accounts {
            Some(Ok(accounts)) if registry.accounts.enabled => Ok(accounts),
            Some(Err(_)) if registry.accounts.enabled => Err(ChangeError::Unreadable.into()),
            Some(_) | None => Err(AccountError::Disabled.into()),
        }
    }

    /// The links for a visitor who is not signed in.
    pub fn auth_links(&self, registry: &Registry) -> AuthLinks {
        let settings = &registry.accounts;
        match settings.registration {
            _ if self.accounts.is_none() || !settings.enabled => AuthLinks::Nothing,
            Registration::Open => AuthLinks::LogInOrRegister,
            Registration::Closed => AuthLinks::LogIn,
        }
    }

    /// The token of the browser's session, unless a header field has a credential.
    pub fn session<'b>(&self, head: &'b Head<'_>, client: Client, registry: &Registry) -> Option<&'b str> {
        let session = self.session_cookie(head, client, registry);
        session.filter(|_| matches!(self.credential(head, client, registry), Ok(None)))
    }

    /// The token in the session cookie.
    pub fn session_cookie<'b>(
        &self,
        head: &'b Head<'_>,
        client: Client,
        registry: &Registry,
    ) -> Option<&'b str> {
        let accounts = self.accounts(registry).ok()?;
        cookies::session(head, accounts, client).or_else(|| cookies::former_session(head, accounts, client))
    }

    /// The credential in the header fields of a request.
    pub fn credential<'b>(
        &self,
        head: &'b Head<'_>,
        client: Client,
        registry: &Registry,
    ) -> Result<Option<Credential<'b>>, Denied> {
        credential::credential(head, || {
            self.accounts(registry).is_ok_and(|accounts| cookies::session(head, accounts, client).is_some())
        })
    }
}

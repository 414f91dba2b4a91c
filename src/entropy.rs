//! Randomness from the operating system.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// The operating system returned no random bytes; nothing that needs a secret can continue.
#[derive(Debug)]
pub struct EntropyUnavailable(getrandom::Error);

impl std::fmt::Display for EntropyUnavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the operating system gave no random bytes: {}", self.0)
    }
}

impl std::error::Error for EntropyUnavailable {}

/// `N` random bytes, suitable for secrets.
///
/// # Errors
/// [`EntropyUnavailable`] if the operating system's source fails.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], EntropyUnavailable> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(EntropyUnavailable)?;
    Ok(bytes)
}

/// A secret of 32 random bytes, as 43 characters that are valid in cookies and URLs.
///
/// # Errors
/// [`EntropyUnavailable`] if the operating system's source fails.
pub fn random_token() -> Result<String, EntropyUnavailable> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random_bytes::<32>()?))
}

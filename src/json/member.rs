//! Deserialization of members that may be `null`.

use serde::{Deserialize, Deserializer};

/// For members that distinguish `null` from absence: serde treats both as `None` if the type is an `Option`.
///
/// # Errors
/// Those of `T`.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

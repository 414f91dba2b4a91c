//! What serde has to be told about the members of an object.

use serde::{Deserialize, Deserializer};

/// For members of which `null` is a value too: serde takes it for "absent" where it is an `Option`.
///
/// # Errors
/// As `T` has them.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

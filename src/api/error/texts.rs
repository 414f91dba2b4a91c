//! Texts in errors.

use crate::digits::grouped;
use crate::http::exchange::Waiting;
use crate::limits::SHOWN_NAME_CHARACTERS_MAX;

/// A name from outside, for a message.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(SHOWN_NAME_CHARACTERS_MAX).collect()
}

pub(super) fn late(waiting: Waiting) -> String {
    match waiting {
        Waiting::Body { received } => format!(
            "Only {} bytes of the body arrived in time; send it faster, and check that Content-Length is not larger \
             than the body.",
            grouped(received)
        ),
        Waiting::Idle | Waiting::Head => {
            "The header fields did not arrive in time; send them at once, and end them with an empty line."
                .to_owned()
        }
    }
}

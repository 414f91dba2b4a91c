//! The texts of errors that are long or the same each time.

use crate::http::exchange::Waiting;
use crate::limits::SHOWN_NAME_CHARACTERS_MAX;

pub(super) const INTERNAL: &str = "the server made a mistake; its log says more under this request id";
pub(super) const DISK_FULL: &str = "The server's disk is full, or a quota or the file-size limit of its process is reached. \
                         Nothing was changed. Reads work, and writes work again once there is space.";
pub(super) const METHOD_UNKNOWN: &str = "this method does not exist; GET, HEAD, POST, PUT, DELETE do";
pub(super) const ITEM_PROJECT_MISSING: &str =
    "item_api.project in config.json names no project of this server";
pub(super) const ROUTE_MISSING: &str = "Nothing is at this path. Keys are at /api/v1/projects/{id}/keys/{key}, the health \
                             check is at /healthz, and docs/HTTP-API.md describes all paths.";
/// What to do about a host that is not in `public_hosts`.
pub(super) const HOST_ADVICE: &str =
    "public_hosts in config.json has only others. Use one of them, or add this one.";

/// A name from outside, for a message.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(SHOWN_NAME_CHARACTERS_MAX).collect()
}

pub(super) fn memory_full(bytes_max: usize) -> String {
    format!(
        "Requests and answers under way hold all the memory that they may; the maximum is {bytes_max} bytes \
         (limits.memory_bytes_max). Try again shortly."
    )
}

pub(super) fn not_ready(projects: usize) -> String {
    format!(
        "{projects} of the projects cannot be written to; the server's log has their names and the reasons"
    )
}

pub(super) fn too_many_connections(max: usize) -> String {
    format!(
        "Your address has {max} connections to this server, which is the maximum \
         (limits.connections_per_address_max). Close one, then try again."
    )
}

/// What did not arrive in time, and the likely cause.
pub(super) fn late(waiting: Waiting) -> String {
    match waiting {
        Waiting::Body { received } => format!(
            "Only {received} bytes of the body arrived in time; send it faster, and check that Content-Length is \
             not larger than the body."
        ),
        Waiting::Idle | Waiting::Head => {
            "The header fields did not arrive in time; send them at once, and end them with an empty line."
                .to_owned()
        }
    }
}

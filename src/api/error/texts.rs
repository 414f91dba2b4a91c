//! The texts of errors that have nothing to fill in.

pub(super) const INTERNAL: &str = "the server made a mistake; its log says more under this request id";
pub(super) const UNREADABLE: &str =
    "the project's files could not be opened; the server's log says which, why, and what to do";
pub(super) const DISK_FULL: &str = "The server's disk is full, or a quota or the file-size limit of its process is reached. \
                         Nothing was changed. Reads work, and writes work again once there is space.";
pub(super) const METHOD_UNKNOWN: &str = "this method does not exist; GET, HEAD, POST, PUT, DELETE do";
pub(super) const CONFIG_EDITED: &str = "config.json was edited and not read since; send the server a SIGHUP, then try \
                again; where the edit has a mistake, the server's log says which";
pub(super) const LENGTH_REQUIRED: &str = "this needs a body; send it with Content-Length (curl: -d or -T)";
pub(super) const ITEM_PROJECT_MISSING: &str =
    "item_api.project in config.json names no project of this server";

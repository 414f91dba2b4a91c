//! What the operator may set of this layer.

use crate::config::schema::Timeouts;
use crate::log::Format;

/// What the operator may set of this layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How long the phases of a connection may take.
    pub timeouts: Timeouts,
    /// Body of one request, bytes.
    pub body_bytes_max: usize,
    /// Connections open at once.
    pub connections_max: usize,
    /// Connections of one client address, if they are bounded.
    pub connections_per_address_max: Option<usize>,
    /// How a line of the request log looks.
    pub log_format: Format,
    /// Cores of the machine.
    pub cores: usize,
    /// Tells the requests of this run from those of others.
    pub run_id: u32,
}

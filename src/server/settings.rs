//! The settings of this layer.

use crate::config::schema::Timeouts;
use crate::log::Format;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub timeouts: Timeouts,
    pub body_bytes_max: usize,
    pub connections_max: usize,
    /// `None`: unbounded.
    pub connections_per_address_max: Option<usize>,
    pub log_format: Format,
    /// Of the machine.
    pub cores: usize,
    /// Distinguishes the request ids of this run from those of others.
    pub run_id: u32,
}

//! What an event loop shares with the rest of the server.

use super::acceptor;
use super::mailbox::Mailbox;
use super::pools::Senders;
use super::settings::Settings;
use super::slots::Slots;
use crate::api::state::App;
use std::sync::Arc;

/// What a loop shares with the rest of the server.
pub(super) struct Shared {
    pub(super) app: Arc<App>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) slots: Arc<Slots>,
    pub(super) acceptor: acceptor::Handle,
    pub(super) pools: Senders,
    pub(super) settings: Settings,
    /// Which of the loops this is.
    pub(super) number: usize,
}

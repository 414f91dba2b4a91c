//! The state that an event loop shares with the rest of the server.

use super::acceptor;
use super::mailbox::Mailbox;
use super::pools::Pools;
use super::settings::Settings;
use super::slots::Slots;
use crate::api::state::App;
use std::sync::Arc;

pub(super) struct Shared {
    pub(super) app: Arc<App>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) slots: Arc<Slots>,
    pub(super) acceptor: acceptor::Handle,
    pub(super) pools: Pools,
    pub(super) settings: Settings,
    /// The number of the loop.
    pub(super) number: usize,
}

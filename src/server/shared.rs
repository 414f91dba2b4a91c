//! What an event loop shares with the rest of the server.

use super::acceptor;
use super::mailbox::Mailbox;
use super::password_lane;
use super::settings::Settings;
use super::slots::Slots;
use super::slow_lane::Work;
use crate::api::state::App;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// What a loop shares with the rest of the server.
pub(super) struct Shared {
    pub(super) app: Arc<App>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) slots: Arc<Slots>,
    pub(super) acceptor: acceptor::Handle,
    pub(super) slow_lane: SyncSender<Work>,
    pub(super) administration_lane: SyncSender<Work>,
    pub(super) password_lane: password_lane::Sender,
    pub(super) settings: Settings,
    /// Which of the loops this is.
    pub(super) number: usize,
}

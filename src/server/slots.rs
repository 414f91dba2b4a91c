//! How many connections are open, how many of them each client address has, and how much memory they hold.
//!
//! IPv6 addresses are counted by their /64. Connections of trusted proxies carry the requests of many clients, so
//! they count only towards the total.

use crate::auth::client::counted_address;
use crate::memory::{self, Memory};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The connections of the server.
pub(super) struct Slots {
    max: AtomicUsize,
    per_address_max: Option<usize>,
    open: AtomicUsize,
    accept_blocked: AtomicBool,
    /// Open connections on which nothing has arrived yet.
    silent: AtomicUsize,
    usages: Mutex<HashMap<IpAddr, Arc<AddressUsage>>>,
}

/// The connections and the memory of one client address.
pub(super) struct AddressUsage {
    /// `None` for a trusted proxy.
    address: Option<IpAddr>,
    connections: AtomicUsize,
    bytes: AtomicUsize,
}

/// The address has its maximum of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddressFull {
    pub(super) max: usize,
}

impl Slots {
    /// At most `max` connections, of which one address may have `per_address_max`.
    pub(super) fn new(max: usize, per_address_max: Option<usize>) -> Slots {
        Slots {
            max: AtomicUsize::new(max),
            per_address_max,
            open: AtomicUsize::new(0),
            accept_blocked: AtomicBool::new(false),
            silent: AtomicUsize::new(0),
            usages: Mutex::default(),
        }
    }

    pub(super) fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    /// Changes the number of connections that may be open. Surplus connections stay until they end.
    pub(super) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Whether clients wait to be accepted. Then each answer is the last one on its connection.
    pub(super) fn accept_blocked(&self) -> bool {
        self.accept_blocked.load(Ordering::Relaxed)
    }

    pub(super) fn set_accept_blocked(&self, accept_blocked: bool) {
        self.accept_blocked.store(accept_blocked, Ordering::Release);
    }

    pub(super) fn full(&self) -> bool {
        self.open.load(Ordering::Acquire) >= self.max()
    }

    pub(super) fn has_silent(&self) -> bool {
        self.silent.load(Ordering::Acquire) > 0
    }

    /// Counts a connection of `client` that is accepted but not served yet; `None` is a trusted proxy.
    pub(super) fn join(&self, client: Option<IpAddr>) -> Result<Arc<AddressUsage>, AddressFull> {
        let Some(address) = client.map(counted_address) else {
            return Ok(Arc::new(AddressUsage::of(None)));
        };
        let mut usages = self.usages.lock().unwrap_or_else(PoisonError::into_inner);
        let usage = usages.entry(address).or_insert_with(|| Arc::new(AddressUsage::of(Some(address))));
        match self.per_address_max {
            Some(max) if usage.connections() >= max => return Err(AddressFull { max }),
            Some(_) | None => usage.connections.fetch_add(1, Ordering::Relaxed),
        };
        Ok(Arc::clone(usage))
    }

    /// Counts a joined connection, which is silent, as open: an event loop gets it.
    pub(super) fn open(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.silent.fetch_add(1, Ordering::AcqRel);
    }

    /// To call when something arrives on a silent connection, or when it ends.
    pub(super) fn no_longer_silent(&self) {
        self.silent.fetch_sub(1, Ordering::AcqRel);
    }

    /// To call when an open connection ends.
    pub(super) fn close(&self, usage: &AddressUsage) {
        self.leave(usage);
        self.open.fetch_sub(1, Ordering::AcqRel);
    }

    /// To call when a connection ends that joined and was never open.
    pub(super) fn leave(&self, usage: &AddressUsage) {
        let Some(address) = usage.address else { return };
        let mut usages = self.usages.lock().unwrap_or_else(PoisonError::into_inner);
        usage.connections.fetch_sub(1, Ordering::Relaxed);
        if let Entry::Occupied(known) = usages.entry(address)
            && known.get().connections() == 0
        {
            known.remove();
        }
    }
}

impl AddressUsage {
    fn of(address: Option<IpAddr>) -> AddressUsage {
        AddressUsage { address, connections: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    /// Is 0 for a trusted proxy.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether an idle connection may be closed for a client whose address has `connections`.
    pub(super) fn yields_to(&self, connections: usize) -> bool {
        self.address.is_none() || self.connections() >= connections
    }

    /// Counts that a connection of this address, which held `before` bytes, holds `after` bytes.
    pub(super) fn recount(&self, memory: &Memory, before: usize, after: usize) {
        memory.recount(before, after);
        memory::recount(&self.bytes, before, after);
    }

    /// Whether `more` bytes are too many for the server, or for this address: it may have half of the server's memory,
    /// so that it cannot use up all of it.
    pub(super) fn is_exceeded_by(&self, memory: &Memory, more: usize) -> bool {
        let own = self.bytes.load(Ordering::Relaxed).saturating_add(more);
        !memory.has_space_for(more as u64) || (self.address.is_some() && own > memory.bytes_max() / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    #[test]
    fn an_address_cannot_exceed_its_maximum_of_connections() {
        let slots = Slots::new(10, Some(2));
        let first = slots.join(client("192.0.2.1")).unwrap();
        slots.join(client("192.0.2.1")).unwrap();
        assert_eq!(slots.join(client("192.0.2.1")).err(), Some(AddressFull { max: 2 }));
        slots.join(client("192.0.2.2")).unwrap();
        slots.leave(&first);
        slots.join(client("192.0.2.1")).unwrap();
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let slots = Slots::new(10, Some(1));
        let first = slots.join(client("2001:db8::1")).unwrap();
        assert!(slots.join(client("2001:db8::2:0:0:1")).is_err());
        slots.join(client("2001:db8:0:1::1")).unwrap();
        slots.leave(&first);
        slots.join(client("2001:db8::3")).unwrap();
    }

    #[test]
    fn trusted_proxies_are_not_bounded() {
        let slots = Slots::new(10, Some(1));
        for _ in 0..3 {
            slots.join(None).unwrap();
        }
    }

    #[test]
    fn an_address_without_connections_is_forgotten() {
        let slots = Slots::new(10, None);
        for number in 0..100 {
            let usage = slots.join(client(&format!("192.0.2.{number}"))).unwrap();
            slots.leave(&usage);
        }
        assert!(slots.usages.lock().unwrap().is_empty());
    }

    #[test]
    fn one_address_holds_at_most_half_of_the_memory() {
        let (slots, memory) = (Slots::new(10, None), Memory::new(100));
        let first = slots.join(client("192.0.2.1")).unwrap();
        first.recount(&memory, 0, 50);
        assert!(!first.is_exceeded_by(&memory, 0));
        assert!(first.is_exceeded_by(&memory, 1));
        let second = slots.join(client("192.0.2.2")).unwrap();
        assert!(!second.is_exceeded_by(&memory, 50));
        let proxy = slots.join(None).unwrap();
        proxy.recount(&memory, 0, 50);
        assert!(!proxy.is_exceeded_by(&memory, 0));
        assert!(second.is_exceeded_by(&memory, 1));
    }
}

//! Members in network namespaces of their own, with a router between them and the test that can drop packets.
//!
//! ```text
//! test, PiKV --- router --- member 0
//!                  |------- member 1
//!                  `------- member 2
//! ```
//! The router has a rule for each cut: packets that come from one side and go to another one are dropped, as a broken
//! network drops them. Both sides learn nothing. This needs root and `ip`.

use super::EtcdCluster;
use crate::harness::tool::Tool;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A side of the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Test,
    Member(usize),
}

/// The network of one cluster. Dropped, it is gone.
pub struct Network {
    /// The beginning of all names.
    name: String,
    /// The first three numbers of all addresses.
    prefix: String,
    size: usize,
}

/// A cluster in a network. Dropped, its members end before the network does.
pub struct PartitionableCluster {
    pub cluster: EtcdCluster,
    pub network: Network,
}

impl PartitionableCluster {
    /// Three members. `None` if etcd or the right to create namespaces is missing.
    pub fn start() -> Option<PartitionableCluster> {
        let network = Network::create(3)?;
        let member = |index| {
            let address = |port| SocketAddr::new(network.address(Side::Member(index)).parse().unwrap(), port);
            let wrapper = ["ip", "netns", "exec", &network.namespace(Side::Member(index))].map(str::to_owned);
            (address(2_379), address(2_380), wrapper.to_vec())
        };
        let cluster = EtcdCluster::start_at((0..3).map(member).collect(), &[])?;
        Some(PartitionableCluster { cluster, network })
    }
}

impl Network {
    fn create(size: usize) -> Option<Network> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let id = (std::process::id() * 8 + NUMBER.fetch_add(1, Ordering::Relaxed)) % 512;
        // The addresses are those that are reserved for tests of networks (RFC 2544).
        let network = Network {
            name: format!("pikv{id}"),
            prefix: format!("198.{}.{}", 18 + id / 256, id % 256),
            size,
        };
        let router = network.router();
        let missing = ip(&["netns", "add", &router]).err();
        if !Tool::NetworkNamespace.is_usable(missing.map(|error| format!("no network namespace: {error}"))) {
            return None;
        }
        network.connect(Side::Test);
        (0..size).for_each(|index| network.connect(Side::Member(index)));
        let forward = ["netns", "exec", &router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"];
        ip(&forward).unwrap();
        Some(network)
    }

    /// Creates a side with its link to the router, and the route to the others.
    fn connect(&self, side: Side) {
        let (router, namespace, address) = (self.router(), self.namespace(side), self.address(side));
        let (outer, inner) = (self.link(side), self.link_of_router(side));
        let gateway = self.gateway(side);
        ip(&["-n", &router, "link", "add", &outer, "type", "veth", "peer", "name", &inner]).unwrap();
        match side {
            Side::Test => {
                let own = std::process::id().to_string();
                ip(&["-n", &router, "link", "set", &outer, "netns", &own]).unwrap();
            }
            Side::Member(_) => {
                ip(&["netns", "add", &namespace]).unwrap();
                ip(&["-n", &router, "link", "set", &outer, "netns", &namespace]).unwrap();
            }
        }
        ip(&["-n", &router, "address", "add", &format!("{gateway}/30"), "dev", &inner]).unwrap();
        ip(&["-n", &router, "link", "set", &inner, "up"]).unwrap();
        let inside: Vec<&str> = match side {
            Side::Test => Vec::new(),
            Side::Member(_) => vec!["-n", &namespace],
        };
        let run = |words: &[&str]| ip(&[&inside[..], words].concat()).unwrap();
        run(&["address", "add", &format!("{address}/30"), "dev", &outer]);
        run(&["link", "set", &outer, "up"]);
        run(&["link", "set", "lo", "up"]);
        run(&["route", "add", &format!("{}.0/24", self.prefix), "via", &gateway]);
    }

    /// Drops what goes from one side to the other, and nothing else.
    pub fn cut(&self, from: Side, to: Side) {
        self.rule("add", from, to);
    }

    /// Passes it again.
    pub fn heal(&self, from: Side, to: Side) {
        self.rule("del", from, to);
    }

    fn rule(&self, change: &str, from: Side, to: Side) {
        let (link, address) = (self.link_of_router(from), self.address(to));
        ip(&["-n", &self.router(), "rule", change, "iif", &link, "to", &address, "blackhole"]).unwrap();
    }

    fn router(&self) -> String {
        format!("{}r", self.name)
    }

    fn namespace(&self, side: Side) -> String {
        format!("{}{}", self.name, number(side))
    }

    fn link(&self, side: Side) -> String {
        format!("{}e{}", self.name, number(side))
    }

    fn link_of_router(&self, side: Side) -> String {
        format!("{}i{}", self.name, number(side))
    }

    /// The address of a side. Each side has a subnet of four addresses.
    fn address(&self, side: Side) -> String {
        format!("{}.{}", self.prefix, 4 * number(side) + 1)
    }

    fn gateway(&self, side: Side) -> String {
        format!("{}.{}", self.prefix, 4 * number(side) + 2)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The links go with the namespace of the router.
        for index in 0..self.size {
            let _ = ip(&["netns", "delete", &self.namespace(Side::Member(index))]);
        }
        let _ = ip(&["netns", "delete", &self.router()]);
    }
}

fn number(side: Side) -> usize {
    match side {
        Side::Test => 0,
        Side::Member(index) => index + 1,
    }
}

/// Runs `ip` with `words`.
fn ip(words: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(words).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

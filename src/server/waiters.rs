//! The connections of a loop that wait for commits, grouped by commit: a wake-up checks each commit once, however many
//! connections wait for it.

use super::mailbox::ConnectionId;
use crate::limits::STALE_DEADLINES_MAX;
use crate::store::commit::Commit;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Waiters {
    /// By [`Commit::address`], which no other commit has while this one exists.
    groups: BTreeMap<usize, Group>,
}

struct Group {
    commit: Commit,
    ids: Vec<ConnectionId>,
}

impl Waiters {
    /// Adds a connection of a loop that has `connections`. Those that no longer wait are removed once they are many:
    /// while a disk hangs, connections come, wait and end.
    pub(super) fn add(
        &mut self,
        commit: &Commit,
        id: ConnectionId,
        connections: usize,
        waits: impl Fn(ConnectionId) -> bool,
    ) {
        let group = || Group { commit: commit.clone(), ids: Vec::new() };
        let ids = &mut self.groups.entry(commit.address()).or_insert_with(group).ids;
        if ids.len() > 2 * connections + STALE_DEADLINES_MAX {
            ids.retain(|id| waits(*id));
        }
        ids.push(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Removes and returns the connections whose commits are resolved. Some may have ended since.
    pub(super) fn take_resolved(&mut self) -> Vec<ConnectionId> {
        let resolved = self.groups.iter().filter(|(_, group)| !group.commit.is_pending());
        let resolved: Vec<usize> = resolved.map(|(address, _)| *address).collect();
        resolved
            .iter()
            .filter_map(|address| self.groups.remove(address))
            .flat_map(|group| group.ids)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::commit::CommitState;

    fn id(token: usize) -> ConnectionId {
        ConnectionId { token, slot_epoch: 1 }
    }

    #[test]
    fn connections_of_resolved_commits_are_returned_and_others_stay() {
        let (mut waiters, commits) = (Waiters::default(), [Commit::default(), Commit::default()]);
        for token in 0..6 {
            waiters.add(&commits[token % 2], id(token), 6, |_| true);
        }
        assert!(waiters.take_resolved().is_empty());
        commits[1].resolve(CommitState::Committed);
        assert_eq!(waiters.take_resolved(), [id(1), id(3), id(5)]);
        assert!(!waiters.is_empty());
        commits[0].resolve(CommitState::Failed);
        assert_eq!(waiters.take_resolved(), [id(0), id(2), id(4)]);
        assert!(waiters.is_empty());
    }

    #[test]
    fn connections_that_come_and_end_do_not_accumulate() {
        let (mut waiters, commit) = (Waiters::default(), Commit::default());
        for token in 0..10 * STALE_DEADLINES_MAX {
            waiters.add(&commit, id(token), 1, |id| id.token == 0);
            let waiting = waiters.groups.values().map(|group| group.ids.len()).sum::<usize>();
            assert!(waiting <= STALE_DEADLINES_MAX + 3, "{waiting}");
        }
        commit.resolve(CommitState::Committed);
        assert!(waiters.take_resolved().contains(&id(0)));
    }
}

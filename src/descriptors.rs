//! The file descriptors of the process. Each open project on disk holds some, and connections use the rest.

use crate::limits::{DESCRIPTORS_FOR_CONNECTIONS_MIN, DESCRIPTORS_RESERVED};
use std::fmt;

/// The descriptors that the projects of a configuration hold, or the connections to etcd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub projects: usize,
    /// Members of etcd that are connected to.
    pub members: usize,
    pub descriptors: usize,
}

/// The projects on disk need more descriptors than the process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFewDescriptors {
    held: Held,
    descriptors_max: usize,
}

impl Held {
    /// Whether a process that may have `descriptors_max` can open these projects and still serve connections.
    ///
    /// # Errors
    /// [`TooFewDescriptors`] has the numbers and the fix.
    pub fn check(self, descriptors_max: usize) -> Result<(), TooFewDescriptors> {
        let besides = DESCRIPTORS_RESERVED + DESCRIPTORS_FOR_CONNECTIONS_MIN;
        // A process with very few descriptors serves a few projects rather than none.
        let possible = descriptors_max.saturating_sub(besides).max(descriptors_max / 4);
        if self.descriptors <= possible {
            Ok(())
        } else {
            Err(TooFewDescriptors { held: self, descriptors_max })
        }
    }

    /// The number of connections that may be open in addition to these projects: `configured`, or what the descriptors
    /// allow.
    pub fn connections(self, configured: usize, descriptors_max: usize) -> usize {
        let besides = DESCRIPTORS_RESERVED + self.descriptors;
        // A process with very few descriptors serves a few connections rather than none.
        let few = descriptors_max.saturating_sub(self.descriptors) / 4;
        configured.min(descriptors_max.saturating_sub(besides).max(few).max(1))
    }
}

impl fmt::Display for TooFewDescriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Held { projects, members, descriptors } = self.held;
        let needed = descriptors + DESCRIPTORS_RESERVED + DESCRIPTORS_FOR_CONNECTIONS_MIN;
        // Twice what is needed, so that it lasts for a while and for more connections.
        let advised = 2 * needed.next_power_of_two();
        if members > 0 {
            return write!(
                f,
                "Connections to {members} endpoints of etcd need {needed} file descriptors; the limit of the process \
                 is {}. Raise it (`ulimit -n {advised}`, under systemd LimitNOFILE={advised}), or lower \
                 `engine.threads`.",
                self.descriptors_max
            );
        }
        write!(
            f,
            "{projects} projects on disk need {needed} file descriptors; the limit of the process is {}. Raise it \
             (`ulimit -n {advised}`, under systemd LimitNOFILE={advised}), or set on_disk to false for projects that \
             need no files.",
            self.descriptors_max
        )
    }
}

impl std::error::Error for TooFewDescriptors {}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(descriptors: usize) -> Held {
        Held { projects: descriptors, members: 0, descriptors }
    }

    #[test]
    fn connections_have_the_descriptors_that_projects_leave() {
        assert_eq!(held(0).connections(10_000, 1_024), 960);
        assert_eq!(held(100).connections(10_000, 1_024), 860);
        assert_eq!(held(0).connections(10_000, 65_536), 10_000);
        assert_eq!(held(0).connections(10_000, 40), 10);
        assert_eq!(held(40).connections(10_000, 40), 1);
        assert_eq!(held(0).connections(5, 0), 1);
        assert_eq!(held(7).connections(10_000, usize::MAX), 10_000);
    }

    #[test]
    fn projects_are_refused_from_the_first_that_leaves_too_few_connections() {
        assert_eq!(held(944).check(1_024), Ok(()));
        assert!(held(945).check(1_024).is_err());
        assert_eq!(held(10).check(40), Ok(()));
        assert!(held(11).check(40).is_err());
        assert_eq!(held(10_000).check(usize::MAX), Ok(()));
    }

    #[test]
    fn a_refusal_names_the_count_the_limit_and_a_limit_that_is_enough() {
        let text = held(1_100).check(1_024).unwrap_err().to_string();
        for part in
            ["1100 projects", "1180 file descriptors", "limit of the process is 1024", "`ulimit -n 4096`"]
        {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(held(1_100).check(4_096), Ok(()));
        let of_cells = Held { projects: 0, members: 3, descriptors: 1_100 };
        let text = of_cells.check(1_024).unwrap_err().to_string();
        assert!(
            text.contains("3 endpoints of etcd need 1180") && text.contains("`engine.threads`"),
            "{text}"
        );
    }
}

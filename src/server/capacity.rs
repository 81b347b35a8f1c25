//! How much the machine allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most connections chosen without being told.
pub const CONNECTIONS_DEFAULT_MAX: usize = 10_000;
/// Descriptors left for files, polls and whatever else is not a connection.
const DESCRIPTORS_RESERVED: usize = 128;

/// One shard per core unless told otherwise.
pub(super) fn shard_count(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        shards => shards,
    }
}

/// Raises the soft limit of open descriptors to the hard one; returns what is in force.
pub(super) fn raise_descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// How many connections so many descriptors allow. Where they are few, half go to connections.
pub fn connections_possible(descriptors: usize) -> usize {
    descriptors.saturating_sub(DESCRIPTORS_RESERVED).max(descriptors / 2)
}

/// Connections in all: as configured, else what the descriptors allow.
pub(super) fn connection_cap(configured: usize, descriptors: usize) -> usize {
    let possible = connections_possible(descriptors);
    match configured {
        0 => possible.min(CONNECTIONS_DEFAULT_MAX),
        cap if cap > possible => {
            log::warn!(
                max_connections = cap, possible, descriptors;
                "MAX_CONNECTIONS is more than the limit of open files allows; raise the limit, or lower \
                 MAX_CONNECTIONS"
            );
            possible
        }
        cap => cap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_follow_from_descriptors() {
        assert_eq!(connection_cap(0, 64), 32);
        assert_eq!(connection_cap(0, 1024), 896);
        assert_eq!(connection_cap(0, 1_000_000), 10_000);
        assert_eq!(connection_cap(50_000, 1_000_000), 50_000);
        assert_eq!(connection_cap(500, 64), 32);
    }
}

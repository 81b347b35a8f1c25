//! Where the bounds of memory end, all together (G5): what the unit allows, and what `inkring doctor` holds against the machine.

use crate::feature::Feature;
use crate::gate::limit::options::BUCKETS;
use crate::net::HELD_MAX_BYTES;
use crate::net::options::{BODY_BYTES, SHARDS, TLS_CERTIFICATE};
use crate::observe::QUEUE_BYTES;
use crate::settings::Settings;
use crate::store::options::QUEUE_JOBS;
use crate::store::{READER_PAGES_BYTES, WRITER_PAGES_BYTES};

use super::capacity::shard_count;

/// What a connection costs besides what is held for it: 4 KiB of input that is kept, and as much for itself.
const CONNECTION_BYTES: u64 = 8 * 1024;
/// What TLS keeps for each besides: 8 KiB of its own, and what has come of a record.
const TLS_CONNECTION_BYTES: u64 = 26 * 1024;
/// A bucket of the rate limits, rounded up.
const BUCKET_BYTES: u64 = 21;
/// Readers beside those of the shards: the housekeeper's, the plane's, and that of the figures.
const OTHER_READERS: u64 = 3;

/// Something that is kept in memory, up to a bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPart {
    /// What it is.
    pub what: &'static str,
    /// At most so many bytes of it.
    pub bytes: u64,
}

/// What a server with these features and settings keeps at most, with so many connections. `shards` is for those that are not
/// chosen.
pub fn memory_bounds(
    features: &[&Feature],
    settings: &Settings,
    shards: Option<usize>,
    connections: usize,
) -> Vec<MemoryPart> {
    let shards = shards.unwrap_or_else(|| shard_count(settings.count(&SHARDS))) as u64;
    let of_features: u64 = features.iter().map(|feature| (feature.memory)(settings, shards)).sum();
    let bytes = |knob| settings.count(knob) as u64;
    let others = QUEUE_BYTES as u64 + WRITER_PAGES_BYTES + (shards + OTHER_READERS) * READER_PAGES_BYTES;
    let of_connection =
        CONNECTION_BYTES + if settings.text(&TLS_CERTIFICATE).is_some() { TLS_CONNECTION_BYTES } else { 0 };
    vec![
        MemoryPart { what: "buffers of clients", bytes: shards * HELD_MAX_BYTES as u64 },
        MemoryPart { what: "features", bytes: of_features },
        MemoryPart { what: "queued changes", bytes: bytes(&QUEUE_JOBS).saturating_mul(bytes(&BODY_BYTES)) },
        MemoryPart { what: "connections", bytes: connections as u64 * of_connection },
        MemoryPart { what: "log lines, buckets and pages", bytes: others + bytes(&BUCKETS) * BUCKET_BYTES },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Sources};
    use crate::features::FEATURES;
    use crate::server::CONNECTIONS_DEFAULT_MAX;

    #[test]
    fn the_unit_allows_what_the_bounds_add_up_to_and_says_so() {
        const MIB: u64 = 1 << 20;
        let unit = include_str!("../../systemd/inkring.service");
        let settings = config::load(&Sources::default(), false).unwrap().settings;
        let kept = memory_bounds(FEATURES, &settings, Some(4), CONNECTIONS_DEFAULT_MAX);
        for MemoryPart { what, bytes } in &kept {
            let line = unit.lines().find(|line| line.starts_with(&format!("#   {what}: ")));
            let line = line.unwrap_or_else(|| panic!("the unit does not say {what}"));
            assert!(line.ends_with(&format!(" {} MiB", bytes.div_ceil(MIB))), "{line}: {bytes}");
        }
        let all: u64 = kept.iter().map(|kept| kept.bytes).sum();
        assert!(unit.contains(&format!("\n#   together: {} MiB\n", all.div_ceil(MIB))), "{all}");
        assert!(unit.contains("\nMemoryMax=1G\n") && all < 1024 * MIB, "{all}");
    }
}

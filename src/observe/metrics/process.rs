//! What the kernel says of this process.

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// A figure of `/proc/self/status` that is asked for by its name with a colon. Nothing where there is no such file.
fn status(text: &str, name: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Threads, and memory in bytes.
pub(super) struct Memory {
    pub(super) threads: i64,
    pub(super) resident: i64,
    pub(super) mapped: i64,
}

pub(super) fn memory() -> Option<Memory> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let bytes = |name| status(&text, name).map(|kilobytes| kilobytes.saturating_mul(1024));
    Some(Memory { threads: status(&text, "Threads:")?, resident: bytes("VmRSS:")?, mapped: bytes("VmSize:")? })
}

/// Processor time of all threads since the start, in seconds.
pub(super) fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Open descriptors, without the one that counting them takes.
pub(super) fn open_descriptors() -> Option<i64> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    i64::try_from(open.saturating_sub(1)).ok()
}

/// How many there may be; nothing without a limit.
pub(super) fn descriptor_limit() -> Option<i64> {
    getrlimit(Resource::Nofile).current.and_then(|limit| i64::try_from(limit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_read_as_it_writes() {
        let text = "Name:\tinkring\nVmRSS:\t    5124 kB\nThreads:\t7\n";
        assert_eq!(
            (status(text, "Threads:"), status(text, "VmRSS:"), status(text, "VmHWM:")),
            (Some(7), Some(5124), None)
        );
        let Memory { threads, resident, mapped } = memory().unwrap();
        assert!(threads >= 1 && resident > 100_000 && mapped > resident, "{threads}, {resident}, {mapped}");
        let spent = processor_seconds();
        assert!(spent > 0.0 && processor_seconds() > spent, "{spent} s");
        let before = open_descriptors().unwrap();
        let _file = std::fs::File::open("/proc/self/status").unwrap();
        assert!(before >= 3 && descriptor_limit().is_none_or(|limit| limit >= before));
    }
}

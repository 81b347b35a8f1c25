//! What the kernel says of this process.

use rustix::process::{Resource, getrlimit};

/// A figure of `/proc/self/status` that is asked for by its name with a colon. Nothing where there is no such file.
fn status(text: &str, name: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Threads, and resident memory in bytes.
pub(super) fn threads_and_memory() -> Option<(i64, i64)> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    Some((status(&text, "Threads:")?, status(&text, "VmRSS:")?.saturating_mul(1024)))
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
        let (threads, memory) = threads_and_memory().unwrap();
        assert!(threads >= 1 && memory > 100_000, "{threads} threads, {memory} bytes");
        let before = open_descriptors().unwrap();
        let _file = std::fs::File::open("/proc/self/status").unwrap();
        assert!(before >= 3 && descriptor_limit().is_none_or(|limit| limit >= before));
    }
}

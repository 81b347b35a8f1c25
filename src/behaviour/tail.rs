//! The last events of the files, with which the ring begins (contract 02 R19).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::event::Event;
use super::files;
use super::line::Line;
use super::names::{Named, Names, Shard};
use super::ring::RING_MAX_BYTES;

/// What is read of a file at first; twice as much each time that it is not enough.
const FIRST_LOOK_BYTES: u64 = 64 * 1024;

/// The last so many events of the active file and, as far as it has fewer, of the newest one that is not compressed; oldest first.
pub(super) fn last_events(names: &Names, count: usize) -> Vec<Event> {
    let mut events = last_of(names.active(), count).unwrap_or_default();
    if events.len() < count
        && let Some(name) = newest_shard(names)
    {
        let mut older = last_of(&names.path(&name), count - events.len()).unwrap_or_default();
        older.append(&mut events);
        events = older;
    }
    events
}

fn newest_shard(names: &Names) -> Option<String> {
    let shards = files::list(names).unwrap_or_default().into_iter();
    let plain = shards.filter_map(|found| match names.read(&found.name) {
        Named::Shard(shard @ Shard { packed: false, day: Some(_), .. }) => Some(shard),
        _ => None,
    });
    plain.max_by_key(|shard| (shard.day, shard.number)).map(|shard| shard.name)
}

/// The last so many events of a file, as far as [`RING_MAX_BYTES`] of it hold them. What is no event is left out.
fn last_of(path: &Path, count: usize) -> io::Result<Vec<Event>> {
    let file = File::open(path)?;
    let (length, mut look) = (file.metadata()?.len(), FIRST_LOOK_BYTES);
    loop {
        let bytes = look.min(length).min(RING_MAX_BYTES as u64);
        let mut tail = vec![0; bytes as usize];
        file.read_exact_at(&mut tail, length - bytes)?;
        let lines = tail.split(|byte| *byte == b'\n').filter_map(|line| Line::parse(line)?.into_event());
        let mut events: Vec<Event> = lines.collect();
        if events.len() >= count || bytes < look {
            return Ok(events.split_off(events.len().saturating_sub(count)));
        }
        look *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::super::line;
    use super::super::time::parse;
    use super::*;
    use crate::clock::Timestamp;

    fn lines(numbers: std::ops::Range<usize>, bytes: usize) -> String {
        let mut text = String::new();
        for number in numbers {
            let (visitor_id, metadata) = (format!("v-{number:06}"), format!("{{\"x\": \"{}\"}}", "x".repeat(bytes)));
            let timestamp = parse("2025-10-09").unwrap();
            let event = Event { visitor_id, name: "x".to_owned(), timestamp, metadata, user_agent: None };
            line::write(&event, Timestamp(1_760_013_296_000_000), &mut text);
        }
        text
    }

    fn numbers(events: &[Event]) -> Vec<usize> {
        events.iter().map(|event| event.visitor_id[2..].parse().unwrap()).collect()
    }

    #[test]
    fn the_last_events_come_from_the_end_and_from_the_file_before() {
        let directory = tempfile::tempdir().unwrap();
        let names = Names::of(&directory.path().join("metrics.jsonl"));
        let last = |count| numbers(&last_events(&names, count));
        assert!(last(5).is_empty());
        std::fs::write(names.path("metrics-2025-10-08.jsonl"), lines(0..10, 0)).unwrap();
        std::fs::write(names.path("metrics-2025-10-09.jsonl"), lines(10..20, 0)).unwrap();
        std::fs::write(names.path("metrics-2025-10-09.1.jsonl"), lines(20..30, 0)).unwrap();
        std::fs::write(names.path("metrics-2025-10-10.jsonl.gz"), "packed").unwrap();
        assert_eq!(last(3), [27, 28, 29]);
        let torn = &lines(40..41, 0)[..60];
        let nan = "{\"visitor_id\": \"v-000099\", \"event\": \"x\", \"timestamp\": \"2025-10-09T00:00:00Z\", \"metadata\": {\"n\": NaN}}";
        std::fs::write(names.active(), format!("no line\n{}{nan}\n\n{}{torn}", lines(30..33, 0), lines(33..40, 0)))
            .unwrap();
        assert_eq!(last(4), [36, 37, 38, 39]);
        assert_eq!(last(12), (28..40).collect::<Vec<_>>());
        assert_eq!(last(500), (20..40).collect::<Vec<_>>());
    }

    #[test]
    fn large_lines_are_read_up_to_a_bound() {
        let directory = tempfile::tempdir().unwrap();
        let names = Names::of(&directory.path().join("metrics.jsonl"));
        std::fs::write(names.active(), lines(0..200, 60_000)).unwrap();
        let last = numbers(&last_events(&names, 20));
        assert_eq!(last, (180..200).collect::<Vec<_>>());
        let all = numbers(&last_events(&names, 200));
        assert!((100..180).contains(&all.len()) && all.last() == Some(&199), "{}", all.len());
    }
}

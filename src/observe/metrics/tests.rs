use super::*;
use crate::clock::{Clock, DAY_MICROS, Timekeeper};
use crate::observe::LogHandle;

static SIZE: Row = Row::gauge(&STORAGE, "size").says("How large it is", "How large is it?");
static MADE: Row = Row::counter(&STORAGE, "made_total").says("Things that were made", "Is anything made?");

#[test]
fn what_is_looked_at_is_looked_at_when_somebody_asks() {
    let metrics = Metrics::default();
    let (size, made) = (metrics.gauge(&SIZE), metrics.counter(&MADE));
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    metrics.sample_with(move || {
        let times = counted.fetch_add(1, Ordering::Relaxed) + 1;
        size.set(i64::try_from(times).unwrap());
        raise_to(&made, 10 - times);
    });
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert!(metrics.encode().contains("\nsize 1\n"));
    let text = metrics.encode();
    assert!(text.contains("\nsize 2\n") && text.contains("\nmade_total 9\n"), "a counter never goes back");
    metrics.stop_sampling();
    assert_eq!(Arc::strong_count(&asked), 1, "what it held is let go");
    assert!(!metrics.encode().is_empty());
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[test]
fn the_process_says_what_it_is_and_since_when() {
    let metrics = Metrics::default();
    count_process(&metrics, "3.0", LogHandle::default());
    let clock = Clock::manual(Timestamp(1_770_000_000_000_000));
    show_clock(&metrics, Timekeeper::new(clock.clone(), || Some(Timestamp(1_770_000_007_500_000))));
    let says = |lines: &[&str]| {
        let text = metrics.encode();
        for line in lines {
            assert!(text.lines().any(|known| known == *line), "{line} is not in\n{text}");
        }
    };
    let build = format!("inkring_build_info{{version=\"{}\",sqlite=\"3.0\"}} 1", crate::version::VERSION);
    says(&["process_start_time_seconds 1770000000.0", &build]);
    says(&["inkring_clock_suspect 0", "inkring_clock_ahead_seconds 0.0", "inkring_stored_times_ahead_seconds 7.5"]);
    clock.advance(5_000_000);
    clock.set(400 * DAY_MICROS);
    says(&[
        "inkring_clock_suspect 1",
        "inkring_clock_ahead_seconds 34560000.0",
        "inkring_stored_times_ahead_seconds 0.0",
    ]);
    says(&["process_start_time_seconds 1804560000.0"]);
}

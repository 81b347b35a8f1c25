use super::*;
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
    count_process(&metrics, "3.0", Timestamp(1_700_000_000_000_000), LogHandle::default());
    let text = metrics.encode();
    for line in ["start_time_seconds 1700000000.0", "build_info{version=\"0.1.0\",sqlite=\"3.0\"} 1"] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
}

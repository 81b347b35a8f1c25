//! A body of events never panics, and comes to at most a hundred lines, each of which is JSON. Each of them, and all of them
//! together in both ways, come to the same lines when they are sent again: nothing that is stored is refused or changed.
#![no_main]

use inkring::behaviour::lines_of;
use inkring::clock::Timestamp;
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp(1_760_013_297_000_123);

fuzz_target!(|body: &[u8]| {
    let Some(lines) = lines_of(body, NOW) else { return };
    let each: Vec<&str> = lines.lines().collect();
    assert!((1..=100).contains(&each.len()) && lines.ends_with('\n'));
    for line in &each {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok_and(|value| value.is_object()), "{line}");
        assert_eq!(lines_of(line.as_bytes(), NOW), Some(format!("{line}\n")));
    }
    assert_eq!(lines_of(lines.as_bytes(), NOW).as_ref(), Some(&lines));
    assert_eq!(lines_of(format!("[{}]", each.join(",")).as_bytes(), NOW).as_ref(), Some(&lines));
});

//! Secrets that are long enough and can be guessed all the same. What people write by hand has patterns; what chance makes
//! has none of these, not once in the lifetime of a machine.

/// Examples of keys, ours and others', that are long enough: everyone knows them.
const KNOWN_SECRETS: [&str; 3] = [
    "only-for-the-examples-of-this-page",
    "take-your-own-32-random-bytes-or-more",
    "a-string-secret-at-least-256-bits-long",
];

/// A secret may not have this many bytes in a row that are equal, or count up or down: `aaaaaaaa`, `12345678`.
const RUN_MAX_BYTES: usize = 8;

/// Why a secret that has at least `min_bytes` bytes can be guessed: the rest of a sentence about it. Half as many bytes have
/// to be different, and a quarter where all of them are hexadecimal digits, of which there are 16.
pub(super) fn guessable(secret: &[u8], min_bytes: usize) -> Option<String> {
    let hexadecimal = secret.iter().all(u8::is_ascii_hexdigit);
    let (different, what) = if hexadecimal { (min_bytes / 4, "digits") } else { (min_bytes / 2, "bytes") };
    if KNOWN_SECRETS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(secret)) {
        Some("is a published example".to_owned())
    } else if period(secret) * 2 <= secret.len() {
        Some("is one text repeated".to_owned())
    } else if longest_run(secret) >= RUN_MAX_BYTES {
        Some(format!("has {RUN_MAX_BYTES} equal or consecutive characters in a row"))
    } else if count_different(secret) < different {
        Some(format!("has fewer than {different} different {what}"))
    } else {
        None
    }
}

/// The length of the shortest beginning which, written again and again, makes the whole (its last time maybe cut short).
fn period(text: &[u8]) -> usize {
    // Of each beginning, how much of it is both its beginning and its end (Knuth, Morris, Pratt).
    let mut borders = vec![0; text.len()];
    for end in 1..text.len() {
        let mut border = borders[end - 1];
        while border > 0 && text[border] != text[end] {
            border = borders[border - 1];
        }
        borders[end] = border + usize::from(text[border] == text[end]);
    }
    text.len() - borders.last().copied().unwrap_or_default()
}

/// How many bytes in a row differ from the one before by the same step, which is at most one.
fn longest_run(text: &[u8]) -> usize {
    let (mut longest, mut length, mut step) = (text.len().min(1), 1, None);
    for pair in text.windows(2) {
        let next = i16::from(pair[1]) - i16::from(pair[0]);
        length = if step == Some(next) { length + 1 } else { 2 };
        step = Some(next);
        if next.abs() <= 1 {
            longest = longest.max(length);
        }
    }
    longest
}

fn count_different(text: &[u8]) -> usize {
    let mut bytes = text.to_vec();
    bytes.sort_unstable();
    bytes.dedup();
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_write_by_hand_is_found() {
        for (secret, why) in [
            ("0".repeat(32), "is one text repeated"),
            ("a".repeat(40), "is one text repeated"),
            ("changeme-".repeat(4), "is one text repeated"),
            ("changeme-changeme-changeme-changeme".to_owned(), "is one text repeated"),
            ("secret".repeat(6), "is one text repeated"),
            ("0123456789abcdef0123456789abcdef".to_owned(), "is one text repeated"),
            ("Only-for-the-examples-of-this-page".to_owned(), "is a published example"),
            ("this is the secret 12345678 of us".to_owned(), "has 8 equal or consecutive characters in a row"),
            ("The zyxwvuts, and something else!".to_owned(), "has 8 equal or consecutive characters in a row"),
            (
                "my dear Watson..........my dear Watson, come".to_owned(),
                "has 8 equal or consecutive characters in a row",
            ),
            ("a secret secret is a secret, is it".to_owned(), "has fewer than 16 different bytes"),
            ("0001000100110010000100110001000a".to_owned(), "has fewer than 8 different digits"),
        ] {
            assert!(guessable(secret.as_bytes(), 32).is_some_and(|said| said.starts_with(why)), "{secret}");
        }
        assert_eq!(guessable(b"opsopsopsopsops!", 16), Some("has fewer than 8 different bytes".to_owned()));
    }

    #[test]
    fn periods_and_runs() {
        for (text, expected) in [("", 0), ("a", 1), ("aa", 1), ("abab", 2), ("abaab", 3), ("abcab", 3), ("abcd", 4)] {
            assert_eq!(period(text.as_bytes()), expected, "{text}");
        }
        for (text, expected) in
            [("", 0), ("a", 1), ("ac", 1), ("ab", 2), ("abcba", 3), ("xxabc", 3), ("aceg", 1), ("aab", 2)]
        {
            assert_eq!(longest_run(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(longest_run(&[255, 0, 1]), 2, "it does not come round");
    }

    proptest! {
        #[test]
        fn what_chance_makes_is_not_suspected(bytes in proptest::collection::vec(any::<u8>(), 32)) {
            // Shrinking leads to what is no chance any more.
            prop_assume!(count_different(&bytes) > 20);
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            prop_assert_eq!(guessable(hex.as_bytes(), 32), None);
            prop_assert_eq!(guessable(hex[..32].to_ascii_uppercase().as_bytes(), 32), None);
            prop_assert_eq!(guessable(&bytes, 32), None);
        }
    }
}

//! What a browser says that it would rather have.

/// The items of a header of the family of `Accept`, each with its weight (RFC 9110 §12.4.2): 1 unless it says another, 0 where that is
/// no number. What is no text has none.
pub(super) fn weighted(value: &[u8]) -> impl Iterator<Item = (&str, f32)> {
    str::from_utf8(value).unwrap_or_default().split(',').map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        (name, weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
    })
}

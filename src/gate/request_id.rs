//! Every request has an id: the client's if it is fit to be repeated, else a new one (contract 01 §5 with R21).

use http::HeaderValue;
use uuid::Uuid;

/// The longest id taken from a client.
pub(super) const MAX_BYTES: usize = 128;

/// An id of visible ASCII characters, safe in headers, logs and rows. Kept as the header it will be sent as, which is
/// cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The client's id when it is 1 to [`MAX_BYTES`] visible ASCII characters, else a new UUID.
    #[must_use]
    pub fn from_header(header: Option<&[u8]>) -> Self {
        let fit = |bytes: &&[u8]| (1..=MAX_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        let mut minted = Uuid::encode_buffer();
        let id = header.filter(fit).unwrap_or_else(|| Uuid::new_v4().hyphenated().encode_lower(&mut minted).as_bytes());
        // Visible ASCII is always a legal value; the fallback keeps this total without a panic.
        Self(HeaderValue::from_bytes(id).unwrap_or(HeaderValue::from_static("-")))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// As the value of `x-request-id`.
    #[must_use]
    pub fn to_header(&self) -> HeaderValue {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_id_is_kept_and_any_other_replaced() {
        let from = |bytes: &[u8]| RequestId::from_header(Some(bytes)).as_str().to_owned();
        assert_eq!(from(b"RID-1"), "RID-1");
        assert_eq!(from(&[b'x'; MAX_BYTES]), "x".repeat(MAX_BYTES));
        for unfit in [&b""[..], b"a b", b"a\tb", &[0xff], "é".as_bytes(), &[b'x'; MAX_BYTES + 1]] {
            assert!(Uuid::parse_str(&from(unfit)).is_ok(), "{unfit:?}");
        }
        assert!(Uuid::parse_str(RequestId::from_header(None).as_str()).is_ok());
    }
}

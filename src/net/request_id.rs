//! Every request has an id: the client's if it is fit to be repeated, else a new one (contract 01 §5 with R21).

use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// The longest id taken from a client.
pub(crate) const REQUEST_ID_MAX_BYTES: usize = 128;

/// An id of visible ASCII characters, safe in headers, logs and rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Text);

/// Ours, which nearly all are, costs no allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Text {
    Minted([u8; Hyphenated::LENGTH]),
    Given(Box<[u8]>),
}

impl RequestId {
    /// The client's id when it is 1 to [`REQUEST_ID_MAX_BYTES`] visible ASCII characters, else a new UUID.
    pub fn from_header(header: Option<&[u8]>) -> Self {
        let fit =
            |bytes: &&[u8]| (1..=REQUEST_ID_MAX_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        Self(match header.filter(fit) {
            Some(given) => Text::Given(given.into()),
            None => {
                let mut minted = [0; Hyphenated::LENGTH];
                Uuid::new_v4().hyphenated().encode_lower(&mut minted);
                Text::Minted(minted)
            }
        })
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        // Visible ASCII is always UTF-8.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Appends it as a JSON string. Of what is visible in ASCII, two characters have to be escaped there.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        match &self.0 {
            Text::Minted(minted) => out.extend_from_slice(minted),
            Text::Given(given) => {
                for byte in given.iter() {
                    if matches!(byte, b'"' | b'\\') {
                        out.push(b'\\');
                    }
                    out.push(*byte);
                }
            }
        }
        out.push(b'"');
    }

    /// As the value of `x-request-id`.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Minted(minted) => minted,
            Text::Given(given) => given,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_id_is_kept_and_any_other_replaced() {
        let from = |bytes: &[u8]| RequestId::from_header(Some(bytes)).as_str().to_owned();
        assert_eq!(from(b"RID-1"), "RID-1");
        assert_eq!(from(&[b'x'; REQUEST_ID_MAX_BYTES]), "x".repeat(REQUEST_ID_MAX_BYTES));
        for unfit in [&b""[..], b"a b", b"a\tb", &[0xff], "é".as_bytes(), &[b'x'; REQUEST_ID_MAX_BYTES + 1]] {
            assert!(Uuid::parse_str(&from(unfit)).is_ok(), "{unfit:?}");
        }
        assert!(Uuid::parse_str(RequestId::from_header(None).as_str()).is_ok());
    }
}

//! The primitives of the Yjs wire (contract 03 §2.1): variable-length integers and what is prefixed by its length. Pure: bytes
//! in, values out, nothing allocated before the bytes are there.

/// The largest number that a client can mean: JavaScript counts exactly no further.
pub const UINT_MAX: u64 = (1 << 53) - 1;

/// Bytes of the longest number taken: 53 bits, 7 of them a byte.
const UINT_MAX_BYTES: usize = 8;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They end within a value.
    #[error("the data ends in the middle of a value")]
    Short,
    /// A number without an end, or over [`UINT_MAX`].
    #[error("a number greater than {UINT_MAX}")]
    TooLarge,
    /// Text that is none.
    #[error("text that is not valid UTF-8")]
    NotUtf8,
    /// More messages in one frame than this.
    #[error("more than {0} messages in one frame")]
    TooMany(usize),
}

/// Reads values off the front of some bytes.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    left: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// At the start of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// What has not been read.
    pub fn left(&self) -> &'a [u8] {
        self.left
    }

    /// Whether all was read.
    pub fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }

    /// One byte.
    ///
    /// # Errors
    /// There is none.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.left.split_first().ok_or(Malformed::Short)?;
        self.left = rest;
        Ok(first)
    }

    /// So many bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.left.split_at_checked(count).ok_or(Malformed::Short)?;
        self.left = rest;
        Ok(bytes)
    }

    /// A number without a sign, of at most [`UINT_MAX`]: 7 bits a byte, the lowest first.
    ///
    /// # Errors
    /// It does not end, or is larger.
    pub fn uint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (at, &byte) in self.left.iter().enumerate() {
            if at == UINT_MAX_BYTES {
                return Err(Malformed::TooLarge);
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                if value > UINT_MAX {
                    return Err(Malformed::TooLarge);
                }
                self.left = &self.left[at + 1..];
                return Ok(value);
            }
        }
        Err(Malformed::Short)
    }

    /// Passes over a number with a sign, which nothing here needs: 6 bits in its first byte, then 7 a byte.
    ///
    /// # Errors
    /// It does not end, or takes more bytes than 53 bits can.
    pub fn skip_int(&mut self) -> Result<(), Malformed> {
        let end = self.left.iter().take(UINT_MAX_BYTES).position(|byte| byte & 0x80 == 0);
        let Some(end) = end else {
            return Err(if self.left.len() < UINT_MAX_BYTES { Malformed::Short } else { Malformed::TooLarge });
        };
        self.left = &self.left[end + 1..];
        Ok(())
    }

    /// Bytes after their number.
    ///
    /// # Errors
    /// There are fewer than that.
    pub fn buf(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.uint()?).map_err(|_| Malformed::Short)?;
        self.bytes(length)
    }

    /// Text after the number of its bytes.
    ///
    /// # Errors
    /// There are fewer bytes than that, or they are no text.
    pub fn str(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.buf()?).map_err(|_| Malformed::NotUtf8)
    }
}

/// Appends a number of at most [`UINT_MAX`].
pub fn put_uint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes [`put_uint`] appends.
pub fn uint_bytes(value: u64) -> usize {
    (64 - value.leading_zeros() as usize).max(1).div_ceil(7)
}

/// Appends bytes after their number.
pub fn put_buf(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_in_the_fewest_bytes_up_to_the_largest() {
        for (value, bytes) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (UINT_MAX, 8)] {
            let mut out = Vec::new();
            put_uint(&mut out, value);
            assert_eq!((out.len(), uint_bytes(value)), (bytes, bytes), "{value}");
            assert_eq!(Decoder::new(&out).uint(), Ok(value));
        }
        assert_eq!(Decoder::new(&[0x80, 0]).uint(), Ok(0), "longer than need be is still a number");
    }

    #[test]
    fn numbers_without_an_end_or_over_the_largest_are_refused() {
        assert_eq!(Decoder::new(&[0x80; 7]).uint(), Err(Malformed::Short));
        assert_eq!(Decoder::new(&[0xff; 9]).uint(), Err(Malformed::TooLarge));
        assert_eq!(Decoder::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10]).uint(), Err(Malformed::TooLarge));
        assert_eq!(Decoder::new(&[0xff; 7]).skip_int(), Err(Malformed::Short));
        assert_eq!(Decoder::new(&[0xff; 8]).skip_int(), Err(Malformed::TooLarge));
        let mut decoder = Decoder::new(&[0xc1, 0x01, 0x05]);
        assert_eq!((decoder.skip_int(), decoder.uint()), (Ok(()), Ok(5)));
    }

    #[test]
    fn what_is_counted_has_to_be_there_and_text_has_to_be_text() {
        assert_eq!(Decoder::new(&[3, 1, 2]).buf(), Err(Malformed::Short));
        assert_eq!(Decoder::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).buf(), Err(Malformed::Short));
        assert_eq!(Decoder::new(&[1, 0xff]).str(), Err(Malformed::NotUtf8));
        let mut out = Vec::new();
        put_buf(&mut out, "é".as_bytes());
        let mut decoder = Decoder::new(&out);
        assert_eq!((decoder.str(), decoder.is_at_end(), decoder.byte()), (Ok("é"), true, Err(Malformed::Short)));
    }
}

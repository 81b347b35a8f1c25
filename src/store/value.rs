//! What goes into a statement and what comes out of a column.

use super::error::Error;
use crate::clock::Timestamp;

/// A value of a parameter or of a column. It borrows: binding it copies nothing on our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// A whole number; booleans are 0 and 1, times are microseconds.
    Int(i64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<i32> for Value<'_> {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

/// A count; one that no column could hold is bound as the largest that one can.
impl From<usize> for Value<'_> {
    fn from(count: usize) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Int(flag.into())
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Int(at.0)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A type that a column can be read as.
pub trait Column<'r>: Sized {
    /// The value as this type; nothing if it is of another kind, or does not fit.
    fn of(value: Value<'r>) -> Option<Self>;

    /// Reads the value of the column at `index`.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is of another kind: rows have what was written into them.
    fn read(value: Value<'r>, index: usize) -> Result<Self, Error> {
        Self::of(value).ok_or_else(|| {
            let found = match value {
                Value::Null => "null",
                Value::Int(_) => "a number that does not belong there",
                Value::Text(_) => "text",
                Value::Blob(_) => "bytes",
            };
            Error::Damaged(format!("column {index} of a row is {found}"))
        })
    }
}

impl Column<'_> for i64 {
    fn of(value: Value<'_>) -> Option<Self> {
        if let Value::Int(number) = value { Some(number) } else { None }
    }
}

impl Column<'_> for i32 {
    fn of(value: Value<'_>) -> Option<Self> {
        i64::of(value).and_then(|number| number.try_into().ok())
    }
}

impl Column<'_> for bool {
    fn of(value: Value<'_>) -> Option<Self> {
        i64::of(value).map(|number| number != 0)
    }
}

impl Column<'_> for Timestamp {
    fn of(value: Value<'_>) -> Option<Self> {
        i64::of(value).map(Self)
    }
}

impl<'r> Column<'r> for &'r str {
    fn of(value: Value<'r>) -> Option<Self> {
        if let Value::Text(text) = value { Some(text) } else { None }
    }
}

impl Column<'_> for String {
    fn of(value: Value<'_>) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.to_owned()) } else { None }
    }
}

impl<'r> Column<'r> for &'r [u8] {
    fn of(value: Value<'r>) -> Option<Self> {
        if let Value::Blob(bytes) = value { Some(bytes) } else { None }
    }
}

/// Bytes of which there are always so many.
impl<const N: usize> Column<'_> for [u8; N] {
    fn of(value: Value<'_>) -> Option<Self> {
        if let Value::Blob(bytes) = value { bytes.try_into().ok() } else { None }
    }
}

impl Column<'_> for Vec<u8> {
    fn of(value: Value<'_>) -> Option<Self> {
        if let Value::Blob(bytes) = value { Some(bytes.to_owned()) } else { None }
    }
}

impl<'r, T: Column<'r>> Column<'r> for Option<T> {
    fn of(value: Value<'r>) -> Option<Self> {
        if value == Value::Null { Some(None) } else { T::of(value).map(Some) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_read_as_what_it_holds_and_as_nothing_else() {
        assert_eq!(i64::read(7.into(), 0), Ok(7));
        assert_eq!(Option::<i64>::read(Value::Null, 0), Ok(None));
        assert_eq!(Option::<String>::read("a".into(), 0), Ok(Some("a".to_owned())));
        assert_eq!(<&[u8]>::read(b"a".into(), 0), Ok(b"a".as_slice()));
        assert_eq!(<[u8; 2]>::read(b"ab".into(), 0), Ok(*b"ab"));
        assert_eq!((bool::read(1.into(), 0), bool::read(false.into(), 0)), (Ok(true), Ok(false)));
        for (index, error) in [
            (3, i64::read(Value::Null, 3).unwrap_err()),
            (4, String::read(b"a".into(), 4).map(|_| ()).unwrap_err()),
            (5, i32::read(i64::MAX.into(), 5).map(|_| ()).unwrap_err()),
            (6, Option::<i64>::read("7".into(), 6).map(|_| ()).unwrap_err()),
            (7, <[u8; 2]>::read(b"a".into(), 7).map(|_| ()).unwrap_err()),
        ] {
            assert!(
                error.is_damage() && error.to_string().starts_with(&format!("column {index} of a row is ")),
                "{error}"
            );
        }
    }
}

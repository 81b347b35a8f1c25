//! A row of SQLite.

use rusqlite::types::ValueRef;

use crate::store::error::Error;
use crate::store::value::Value;

/// A row that a statement stands on.
#[derive(Clone, Copy)]
pub(in crate::store) struct Row<'r>(pub(super) &'r rusqlite::Row<'r>);

impl<'r> Row<'r> {
    pub(in crate::store) fn value(&self, index: usize) -> Result<Value<'r>, Error> {
        Ok(match self.0.get_ref(index)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Int(number),
            ValueRef::Text(bytes) => Value::Text(
                std::str::from_utf8(bytes)
                    .map_err(|error| Error::Damaged(format!("column {index} of a row is not text: {error}")))?,
            ),
            ValueRef::Blob(bytes) => Value::Blob(bytes),
            ValueRef::Real(_) => return Err(Error::Damaged(format!("column {index} of a row is a fraction"))),
        })
    }

    pub(in crate::store) fn bytes(&self, index: usize) -> Result<Option<&'r [u8]>, Error> {
        Ok(self.0.get_ref(index)?.as_bytes_or_null().unwrap_or_default())
    }
}

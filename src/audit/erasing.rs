//! Taking one person out of the log. Rows stay, and so does their order; what they say of the person goes, and the chain of hashes
//! is made anew from the first of them on. Whoever has noted a head of before finds it in the row that says so, and nowhere else.

use serde_json::Value;

use super::chain::{Content, hash};
use super::store::{self, Stored};
use crate::store::{Error, Tx};
use crate::text::hex;

/// Rows whose hashes are made anew in one change: while that runs nothing else is written.
pub const RECHAINED_MAX_ROWS: u64 = 100_000;

/// What was found of a person.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Rows of what they did.
    pub own: u64,
    /// Rows of others that named them.
    pub named: u64,
    /// Rows whose hashes were made anew.
    pub rechained: u64,
    /// The head of the chain before.
    pub head: String,
}

/// Takes a person out of all rows; `pseudonym` stands in their place.
///
/// # Errors
/// When the store fails, or more than [`RECHAINED_MAX_ROWS`] would be made anew.
pub fn erase(tx: &mut Tx<'_>, user: &str, pseudonym: &str) -> Result<Traces, Error> {
    let mut traces = Traces { head: hex(&store::head(tx)?.hash), ..Traces::default() };
    let mut link = store::anchor(tx)?;
    let (mut after, mut changed) = (link.id, false);
    loop {
        let rows = store::stored(tx, after)?;
        let Some(last) = rows.last().map(|row| row.id) else { return Ok(traces) };
        for mut row in rows {
            match row.forget(user, pseudonym) {
                Some(Trace::Own) => traces.own += 1,
                Some(Trace::Named) => traces.named += 1,
                None if !changed => {
                    link = row.link();
                    continue;
                }
                None => {}
            }
            changed = true;
            traces.rechained += 1;
            if traces.rechained > RECHAINED_MAX_ROWS {
                let why = format!("more than {RECHAINED_MAX_ROWS} rows of the audit log would need new hashes");
                return Err(Error::Other(why));
            }
            row.prev_hash.clone_from(&link.hash);
            row.hash = hash(row.id, &row.content(), &link.hash).to_vec();
            link = row.link();
            store::rewrite(tx, &row)?;
        }
        after = last;
    }
}

/// How a row says something of a person.
enum Trace {
    Own,
    Named,
}

impl Stored {
    fn content(&self) -> Content<'_> {
        let mut texts = [None; 7];
        for (place, text) in texts.iter_mut().zip(&self.texts) {
            *place = text.as_deref().map(str::as_bytes);
        }
        Content { ts: self.ts, texts }
    }

    /// Takes a person out of it, if it says anything of them.
    fn forget(&mut self, user: &str, pseudonym: &str) -> Option<Trace> {
        let [_, user_id, _, subject, metadata, ip, agent] = &mut self.texts;
        let is_own = user_id.as_deref() == Some(user);
        let mut is_named = false;
        for text in [user_id, subject] {
            if text.as_deref() == Some(user) {
                *text = Some(pseudonym.to_owned());
                is_named = true;
            }
        }
        if is_own {
            // Where they were, with what, and whatever the details say of it.
            (*ip, *agent, *metadata) = (None, None, None);
            return Some(Trace::Own);
        }
        let details: Option<Value> = metadata.as_deref().and_then(|text| serde_json::from_str(text).ok());
        if let Some(Value::Object(mut details)) = details {
            let values = details.values_mut().filter(|value| value.as_str() == Some(user));
            let named = values.map(|value| *value = pseudonym.into()).count() > 0;
            if named {
                *metadata = Some(Value::Object(details).to_string());
                is_named = true;
            }
        }
        is_named.then_some(Trace::Named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::MIGRATIONS;
    use crate::audit::verify::verify;
    use crate::store::Reader;

    fn append(tx: &mut Tx<'_>, user: &str, metadata: &str) {
        let texts = ["r", user, "act", "d", metadata, "192.0.2.1", "curl"].map(|text| Some(text.as_bytes()));
        store::append(tx, &Content { ts: 7, texts }).unwrap();
    }

    #[test]
    fn a_person_goes_and_the_chain_holds() {
        let reader = Reader::in_memory(MIGRATIONS);
        let erase = |tx: &mut Tx<'_>| erase(tx, "mallory", "erased-1");
        let traces = reader
            .write(|tx| {
                append(tx, "alice", r#"{"title":"mallory and I"}"#);
                append(tx, "mallory", r#"{"title":"mine"}"#);
                append(tx, "alice", r#"{"to_user_id":"mallory","n":1}"#);
                append(tx, "bob", "{}");
                erase(tx)
            })
            .unwrap();
        assert_eq!((traces.own, traces.named, traces.rechained), (1, 1, 3));
        let report = verify(&reader, None).unwrap();
        assert_eq!((report.rows, report.fault), (4, None));
        let left = "SELECT count(*) FROM audit_events WHERE user_id = 'mallory' OR metadata LIKE '%\"mallory\"%' \
                    OR metadata LIKE '%mine%' OR (user_id = 'erased-1' AND coalesce(ip, user_agent) IS NOT NULL)";
        assert_eq!(reader.number(left), 0);
        let kept = "SELECT count(*) FROM audit_events WHERE metadata = '{\"to_user_id\":\"erased-1\",\"n\":1}' AND ip IS NOT NULL";
        assert_eq!(reader.number(kept), 1);
        let again = reader.write(erase).unwrap();
        assert_eq!((again.own, again.named, again.rechained), (0, 0, 0));
    }

    #[test]
    fn so_many_rows_are_made_anew_and_no_more() {
        let reader = Reader::in_memory(MIGRATIONS);
        let fill = |rows: u64| {
            format!(
                "DELETE FROM audit_events; WITH RECURSIVE n (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM n WHERE at < {rows}) \
                 INSERT INTO audit_events (id, ts, user_id, action, prev_hash, hash) SELECT at, 0, 'mallory', 'act', x'', x'' FROM n"
            )
        };
        reader.batch(&fill(RECHAINED_MAX_ROWS));
        assert_eq!(reader.write(|tx| erase(tx, "mallory", "erased-1")).unwrap().rechained, RECHAINED_MAX_ROWS);
        reader.batch(&fill(RECHAINED_MAX_ROWS + 1));
        let refused = reader.write(|tx| erase(tx, "mallory", "erased-1")).unwrap_err();
        assert!(refused.to_string().contains("100000"), "{refused}");
    }
}

//! What every import of records has in common: dry runs, one change after the other, and what is said in the end.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::gate::validate::{Check, flag_of};
use crate::gate::{ApiError, Call};
use crate::store::{ChoreError, Error, Tx, WriterHandle, run_chore};

/// Lines that are told what is wrong with them.
pub(super) const REPORTED_MAX_LINES: usize = 100;

/// Whether a request only wants to know what an import would do.
pub(super) fn is_dry(call: &Call<'_>) -> Result<bool, ApiError> {
    let text = call.query_value("dry_run").unwrap_or_default();
    if text.is_empty() {
        return Ok(false);
    }
    let mut check = Check::new();
    let is_dry = flag_of(&text);
    if is_dry.is_none() {
        check.refuse("query", "dry_run", &text, "Input should be a valid boolean, unable to interpret input");
    }
    check.done()?;
    Ok(is_dry.unwrap_or_default())
}

/// What became of a record that is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    Made,
    Changed,
    Unchanged,
}

/// What became of all of them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Report {
    made: u64,
    changed: u64,
    unchanged: u64,
    refused: u64,
    lines: Vec<(u64, String)>,
}

impl Report {
    /// Counts one that is refused; `number` is the line in which it is.
    pub(super) fn refuse(&mut self, number: u64, why: String) {
        self.refused += 1;
        if self.lines.len() < REPORTED_MAX_LINES {
            self.lines.push((number, why));
        }
    }

    /// Counts one that is right.
    pub(super) fn count(&mut self, done: Done) {
        match done {
            Done::Made => self.made += 1,
            Done::Changed => self.changed += 1,
            Done::Unchanged => self.unchanged += 1,
        }
    }

    /// Adds what became of those that came next.
    pub(super) fn add(&mut self, other: Self) {
        self.made += other.made;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.refused += other.refused;
        self.lines.extend(other.lines);
        self.lines.truncate(REPORTED_MAX_LINES);
    }

    /// As it is answered.
    pub(super) fn shown(&self, is_dry: bool) -> Value {
        let lines: Vec<Value> = self.lines.iter().map(|(line, why)| json!({ "line": line, "why": why })).collect();
        let Self { made, changed, unchanged, refused, .. } = self;
        json!({
            "made": made, "changed": changed, "unchanged": unchanged, "refused": refused, "lines": lines, "dry_run": is_dry,
        })
    }
}

/// Has a part of an import carried out as one change, and waits for it: not for shards.
pub(super) fn carried_out<T: Send + 'static>(
    writer: &WriterHandle,
    mut job: impl FnMut(&mut Tx<'_>) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let result = Arc::new(Mutex::new(None));
    let to = Arc::clone(&result);
    let settled = run_chore(writer, move |tx| {
        let done = job(tx);
        let failed = done.as_ref().err().map(|error| error.message().unwrap_or_default().to_owned());
        *to.lock() = Some(done);
        failed.map_or(Ok(0), |why| Err(Error::Other(why)))
    });
    let result = result.lock().take();
    match (settled, result) {
        (Ok(_), Some(Ok(done))) => Ok(done),
        (Err(ChoreError::Database(_)), Some(Err(error))) => Err(error),
        (Err(error), _) => Err(put_off(error)),
        (Ok(_), _) => Err(ApiError::internal("a part of an import was not carried out")),
    }
}

fn put_off(error: ChoreError) -> ApiError {
    match error {
        ChoreError::Failed(error) => error.into(),
        ChoreError::Database(error) => error.into(),
        ChoreError::QueueFull | ChoreError::NoWriter | ChoreError::Stopping => {
            ApiError::overloaded("Too many changes are waiting to be written; send the same again for the rest")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_bad_lines_are_reported_and_all_are_counted() {
        let mut report = Report::default();
        for number in 0..REPORTED_MAX_LINES as u64 + 5 {
            report.refuse(number, "why".to_owned());
        }
        let mut all = Report { refused: 1, lines: vec![(0, "first".to_owned())], made: 2, ..Report::default() };
        all.add(report);
        assert_eq!((all.refused, all.lines.len(), all.made), (REPORTED_MAX_LINES as u64 + 6, REPORTED_MAX_LINES, 2));
        assert_eq!(all.shown(true)["lines"][0], json!({ "line": 0, "why": "first" }));
    }
}

//! Erasing one person: what every feature and the audit log keep of them, in one change, with a report of it.
//!
//! A dry run is the same change, undone: its figures are those of the change, at that moment.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use super::store;
use crate::audit::{self, Field};
use crate::feature::{Erase, Erased, Person};
use crate::gate::{ApiError, Code, is_user_id};
use crate::plane::record::Operator;
use crate::store::{Error, Topic, Tx};

/// Where a person is erased, on the private plane.
pub(super) const ERASE: &str = "/users/erase";
/// What stands in front of a pseudonym.
const PSEUDONYM: &str = "erased-";

/// Who is to be erased, and whether it is only tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    user: String,
    dry: bool,
}

/// What was done.
#[derive(Debug)]
pub(super) struct Done {
    /// As it is told.
    pub(super) said: Value,
    /// Who is erased.
    pub(super) user: String,
    /// What went with them.
    pub(super) gone: Vec<Topic>,
}

/// Says what a dry run would have done, as it is undone.
#[derive(Clone, Default)]
pub(super) struct Report(Arc<Mutex<Option<Value>>>);

impl Report {
    /// What was reported by a change that was undone on purpose.
    pub(super) fn taken(&self) -> Option<Value> {
        self.0.lock().take()
    }
}

impl Wanted {
    /// This user.
    ///
    /// # Errors
    /// 422: it is none.
    pub(super) fn new(user: &str, dry: bool) -> Result<Self, ApiError> {
        if !is_user_id(user) {
            return Err(ApiError::malformed("A user id has 1 to 100 characters, none of them a control character"));
        }
        Ok(Self { user: user.to_owned(), dry })
    }

    /// Reads the body of a request.
    ///
    /// # Errors
    /// 422: what is wrong with it.
    pub(super) fn of(body: &Value) -> Result<Self, ApiError> {
        let user = body["user"].as_str().ok_or_else(|| ApiError::malformed("The body must have a user"))?;
        match &body["dry_run"] {
            Value::Bool(dry) => Self::new(user, *dry),
            _ => Err(ApiError::malformed("The body must say whether this is a dry_run: true or false")),
        }
    }

    /// The body of a request.
    pub(super) fn body(&self) -> Value {
        json!({ "user": self.user, "dry_run": self.dry })
    }

    /// Erases, with a row in the audit log, and says what became of everything.
    ///
    /// # Errors
    /// When it cannot be done; after a dry run always, and then the report says what would have been done.
    pub(super) fn erase(
        &self,
        tx: &mut Tx<'_>,
        erasers: &[Erase],
        operator: &Operator,
        report: &Report,
    ) -> Result<Done, ApiError> {
        let pseudonym = format!("{PSEUDONYM}{:.12}", Uuid::new_v4().simple().to_string());
        let person = Person { user: &self.user, pseudonym: &pseudonym, request_id: &operator.request_id };
        let (mut lines, mut gone) = (Vec::new(), Vec::new());
        for erase in erasers {
            let erasure = erase(tx, &person)?;
            lines.extend(erasure.report);
            gone.extend(erasure.gone);
        }
        lines.extend(revocations(tx, &self.user)?);
        // After what the others have recorded.
        let traces = audit::erasing::erase(tx, &self.user, &pseudonym).map_err(too_many)?;
        lines.extend([
            Erased::all(
                "audit rows of what they did",
                traces.own,
                "the pseudonym replaces their name; address, program and details are removed; time, action and draft \
                 stay",
            ),
            Erased::all("audit rows that named them", traces.named, "the pseudonym replaces their name"),
        ]);
        lines.extend(elsewhere());
        let rows = i64::try_from(traces.rechained).unwrap_or(i64::MAX);
        let details = [
            ("pseudonym", Field::Text(&pseudonym)),
            ("rechained_rows", Field::Number(rows)),
            ("head_before", Field::Text(&traces.head)),
        ];
        operator.record(tx, "user.erased", &pseudonym, &details)?;
        let lines: Vec<Value> = lines.iter().map(Erased::to_json).collect();
        let said = json!({ "pseudonym": pseudonym, "dry_run": self.dry, "rechained_rows": rows, "report": lines });
        if self.dry {
            *report.0.lock() = Some(said);
            return Err(ApiError::internal("a dry run is undone"));
        }
        Ok(Done { said, user: self.user.clone(), gone })
    }
}

fn too_many(error: Error) -> ApiError {
    match error {
        Error::Other(why) => ApiError::new(Code::HttpError, why).with_status(http::StatusCode::CONFLICT),
        error => error.into(),
    }
}

/// A revocation has to name whom it concerns.
fn revocations(tx: &Tx<'_>, user: &str) -> Result<Option<Erased>, Error> {
    let found = store::of_user(tx, user)?;
    let why = "they keep tokens of this user rejected, and are removed when those have expired";
    Ok((found > 0).then(|| Erased::stays("revocations of their tokens", found, why)))
}

/// What is kept elsewhere than in this database.
fn elsewhere() -> [Erased; 4] {
    [
        Erased::stays(
            "behaviour events",
            0,
            "not checked: they identify visitors by a number, not by user; `inkring metrics erase --visitor ID`",
        ),
        Erased::stays("records and files of the household", 0, "not checked: they do not record whose they are"),
        Erased::stays(
            "backups",
            0,
            "earlier backups contain everything, until they are removed (BACKUP_KEEP_DAYS; other copies by hand)",
        ),
        Erased::stays("the log of the server", 0, "it contains names and addresses, for as long as you keep it"),
    ]
}

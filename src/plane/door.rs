//! The one door for verbs of the command line: a server that runs is asked over its private plane, and the database of one
//! that does not is opened where it lies. Who has the database decides, never a flag.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use super::PROCESS_HEADER;
use super::client;
use crate::clock::Clock;
use crate::gate::{ApiError, NO_ROUTE};
use crate::hub::Hub;
use crate::net::Endpoint;
use crate::net::client::{Answer, Ask, AskError};
use crate::settings::Settings;
use crate::store::options::DATABASE;
use crate::store::{
    ChoreError, DatabaseLock, Error, OpenError, Pending, Reader, Schema, Store, Tx, Writer, lock_database, open_after,
    open_locked, require, run_chore, schema_version,
};
use crate::text::visible;

/// How long a server may take for what it is asked.
const DOOR_PATIENCE: Duration = Duration::from_secs(600);
/// Its answer is not read any further.
pub(super) const DOOR_ANSWER_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Why something was not done, by a server or here.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// Its server has no private plane.
    #[error(
        "process {pid} {has}, and its private plane, which is needed for this, is off; set OPS_ADDR for both the server and this \
         verb, or stop the server first"
    )]
    NoPlane {
        /// Which process.
        pid: String,
        /// Why it is asked.
        has: String,
    },
    /// The plane does not answer.
    #[error(
        "process {pid} {has}, and its private plane does not answer: {error}; make sure that OPS_ADDR is the one the \
         server was started with, or stop the server first"
    )]
    Silent {
        /// Which process.
        pid: String,
        /// Why it is asked.
        has: String,
        /// What was tried.
        error: AskError,
    },
    /// An answer has no end.
    #[error("the response of {from} was interrupted: {error}; nothing was kept")]
    Broken {
        /// Whose.
        from: Endpoint,
        /// How.
        error: io::Error,
    },
    /// The server says no.
    #[error("the server refused: {code}: {message}{}", hint(*.status, .code, .message))]
    Refused {
        /// With this status.
        status: u16,
        /// Its code.
        code: String,
        /// Why.
        message: String,
    },
    /// An answer that no inkring gives.
    #[error("the response of {from} is not the expected one: {why}")]
    Strange {
        /// Whose.
        from: Endpoint,
        /// What is wrong with it.
        why: String,
    },
    /// It is no database, or another one.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// It cannot be done, says what a server would say.
    #[error("{message}")]
    Here {
        /// The code that a server would answer with.
        code: &'static str,
        /// Why.
        message: String,
    },
    /// The writer did not commit it.
    #[error("it was not stored: {0}")]
    Chore(#[from] ChoreError),
    /// The system has no thread left.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
}

impl NotDone {
    /// The code of what was refused, be it by a server or here.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Here { code, .. } => Some(code),
            _ => None,
        }
    }
}

impl From<ApiError> for NotDone {
    fn from(error: ApiError) -> Self {
        let message = error.message().or(error.context()).unwrap_or("it does not say why");
        Self::Here { code: error.code().as_str(), message: visible(message).into_owned() }
    }
}

fn hint(status: u16, code: &str, message: &str) -> &'static str {
    match status {
        401 => "; set OPS_TOKEN to the server's",
        // Not that what is asked about is not there, but that nobody knows the question.
        404 if code == "404" || message == NO_ROUTE => "; is OPS_ADDR the private plane of an inkring?",
        412 => "; set OPS_ADDR to that of the server that has it",
        _ => "",
    }
}

/// Where a verb does what it is asked.
#[derive(Clone, Copy)]
pub struct Door<'a> {
    settings: &'a Settings,
    schema: &'a Schema,
}

impl<'a> Door<'a> {
    /// To the server with these settings, or to its database, which has this schema.
    #[must_use]
    pub fn new(settings: &'a Settings, schema: &'a Schema) -> Self {
        Self { settings, schema }
    }

    /// What `target` shows of a server that runs, or what `here` reads of a database that nobody serves: the same.
    ///
    /// # Errors
    /// Why there is nothing.
    pub fn read(&self, target: &str, here: impl FnOnce(&Reader) -> Result<Value, ApiError>) -> Result<Value, NotDone> {
        match Place::of(self.settings.database(&DATABASE), self.schema)? {
            Place::Stopped { reader, .. } => Ok(here(&reader)?),
            Place::Served(pid) => Server::of(self.settings, pid)?.said("GET", target, b""),
        }
    }

    /// What a server that runs says when it is asked for a change, or what `here` returns, run inside a transaction of the
    /// database that nobody serves: the same. `here` may be run a second time, with nothing left of the first.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub fn change(
        &self,
        (method, target, body): (&str, &str, &Value),
        here: impl FnMut(&mut Tx<'_>) -> Result<Value, ApiError> + Send + 'static,
    ) -> Result<Value, NotDone> {
        match open(self.settings.database(&DATABASE), self.schema)? {
            Ok(store) => change(store, here),
            Err(pid) => {
                let body = if body.is_null() { String::new() } else { body.to_string() };
                Server::of(self.settings, pid)?.said(method, target, body.as_bytes())
            }
        }
    }
}

/// The server that has the database open, or a file that nobody else may write.
pub struct Server<'a> {
    settings: &'a Settings,
    plane: &'a Endpoint,
    pid: String,
    /// Why it is asked, for who has to be told.
    has: String,
    patience: Duration,
}

impl<'a> Server<'a> {
    /// The process of this number, which has the database open, by its private plane.
    ///
    /// # Errors
    /// There is none.
    pub fn of(settings: &'a Settings, pid: String) -> Result<Self, NotDone> {
        Self::with(settings, pid, "has the database open".to_owned())
    }

    /// The same of a process that writes this file.
    ///
    /// # Errors
    /// It has no private plane.
    pub fn of_file(settings: &'a Settings, pid: String, file: &str) -> Result<Self, NotDone> {
        Self::with(settings, pid, format!("writes {file}"))
    }

    fn with(settings: &'a Settings, pid: String, has: String) -> Result<Self, NotDone> {
        match client::place(settings) {
            Some(plane) => Ok(Self { settings, plane, pid, has, patience: DOOR_PATIENCE }),
            None => Err(NotDone::NoPlane { pid, has }),
        }
    }

    /// The same, which may take so long.
    #[must_use]
    pub fn patiently(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// What it says as JSON; null if that is nothing.
    ///
    /// # Errors
    /// It does not do it, or does not say anything that can be read.
    pub fn said(&self, method: &str, target: &str, body: &[u8]) -> Result<Value, NotDone> {
        let text = self.text(self.done(self.ask(method, target, body)?)?)?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|error| self.strange(error.to_string()))
    }

    /// Asks it.
    ///
    /// # Errors
    /// It does not answer.
    pub fn ask(&self, method: &str, target: &str, body: &[u8]) -> Result<Answer, NotDone> {
        // At the address may be the server of another database. A process that has not told its number cannot be told from it.
        let process = self.pid.parse::<u32>().is_ok().then_some((PROCESS_HEADER, self.pid.as_str()));
        let headers: Vec<_> = process.into_iter().collect();
        let ask = Ask { method, target, headers: &headers, body };
        client::ask(ask, self.plane, self.settings, self.patience).map_err(|error| NotDone::Silent {
            pid: self.pid.clone(),
            has: self.has.clone(),
            error,
        })
    }

    /// An answer that says yes.
    ///
    /// # Errors
    /// It says no.
    pub fn done(&self, answer: Answer) -> Result<Answer, NotDone> {
        match answer.status {
            200..=299 => Ok(answer),
            status => Err(self.refused(status, answer)),
        }
    }

    /// What an answer that says no says.
    pub fn refused(&self, status: u16, answer: Answer) -> NotDone {
        let text = match self.text(answer) {
            Ok(text) => text,
            Err(broken) => return broken,
        };
        let error: Value = serde_json::from_str(&text).unwrap_or_default();
        let part = |name: &str| error["error"][name].as_str().map(|text| visible(text).into_owned());
        let code = part("code").unwrap_or_else(|| status.to_string());
        NotDone::Refused { status, code, message: part("message").unwrap_or_else(|| "it does not say why".to_owned()) }
    }

    /// The text of an answer.
    ///
    /// # Errors
    /// It breaks off, or is too long.
    pub fn text(&self, answer: Answer) -> Result<String, NotDone> {
        answer.text(DOOR_ANSWER_MAX_BYTES).map_err(|error| self.broken(error))
    }

    /// An answer broke off.
    pub fn broken(&self, error: io::Error) -> NotDone {
        NotDone::Broken { from: self.plane.clone(), error }
    }

    /// An answer is none.
    pub fn strange(&self, why: String) -> NotDone {
        NotDone::Strange { from: self.plane.clone(), why }
    }
}

/// Where a database is read.
pub enum Place {
    /// Here: no server has it, and none can have it while this is kept.
    Stopped {
        /// Reads it.
        reader: Reader,
        /// Keeps servers from it.
        _lock: DatabaseLock,
    },
    /// By the process with this number, as far as it told.
    Served(String),
}

impl Place {
    /// Where this database is read.
    ///
    /// # Errors
    /// It cannot be read at all, or is of another version.
    pub fn of(database: &Path, schema: &Schema) -> Result<Self, OpenError> {
        require(database)?;
        let lock = match lock_database(database) {
            Ok(lock) => lock,
            Err(OpenError::InUse { pid, .. } | OpenError::InUseAsIs { pid, .. }) => return Ok(Self::Served(pid)),
            Err(error) => return Err(error),
        };
        let reader = open_locked(&lock, schema)?;
        let path = || database.to_owned();
        let found = schema_version(&reader).map_err(|source| OpenError::Database { path: path(), source })?;
        if found < schema.version() {
            return Err(OpenError::Older { path: path(), found, known: schema.version() });
        }
        Ok(Self::Stopped { reader, _lock: lock })
    }
}

/// Opens a database to change it, as a server would; or says which process has it. It is neither made nor brought up to date:
/// that is for a server, which makes a backup first.
///
/// # Errors
/// It cannot be opened.
pub fn open(database: &Path, schema: &Schema) -> Result<Result<Store, String>, OpenError> {
    require(database)?;
    let mut before =
        |_: &Pending<'_>| Err("start its server once, which makes a backup first if BACKUP_DIR is set".into());
    match open_after(database, schema, &mut before) {
        Ok(store) => Ok(Ok(store)),
        Err(OpenError::InUse { pid, .. } | OpenError::InUseAsIs { pid, .. }) => Ok(Err(pid)),
        Err(error) => Err(error),
    }
}

/// Has a writer make one change, and waits until it is on disk and the database is closed. Returns what `work` did, as a
/// count.
///
/// # Errors
/// It was not made.
pub fn count_change<E: From<ChoreError> + From<io::Error>>(
    store: Store,
    work: impl FnMut(&mut Tx<'_>) -> Result<u64, Error> + Send + 'static,
) -> Result<u64, E> {
    let clock = Clock::system();
    // Nobody is told of it here.
    let writer = Writer::start(store, 1, Arc::new(Hub::new(clock.clone())), clock)?;
    let done = run_chore(&writer.handle(), work);
    writer.stop();
    Ok(done?)
}

/// The same for a change that answers, or refuses, as one that was asked for over HTTP.
fn change(
    store: Store,
    mut work: impl FnMut(&mut Tx<'_>) -> Result<Value, ApiError> + Send + 'static,
) -> Result<Value, NotDone> {
    let answer = Arc::new(Mutex::new(None));
    let place = Arc::clone(&answer);
    let done = count_change(store, move |tx| {
        let result = work(tx);
        let refused = result.is_err();
        *place.lock() = Some(result);
        // What was refused undoes itself by failing.
        if refused { Err(Error::Other("refused".to_owned())) } else { Ok(1) }
    });
    let result = answer.lock().take();
    match (done, result) {
        (_, Some(Err(refused))) => Err(refused.into()),
        (Ok(_), Some(Ok(said))) => Ok(said),
        (Err(error), _) => Err(error),
        (Ok(_), None) => Err(ChoreError::NoWriter.into()),
    }
}

/// A body that is one JSON object, of a request of the operator that may have so many bytes.
///
/// # Errors
/// 422: it is none.
pub fn object(bytes: &[u8], most: usize) -> Result<Value, ApiError> {
    let body: Option<Value> = serde_json::from_slice(bytes).ok();
    body.filter(Value::is_object)
        .ok_or_else(|| ApiError::malformed(format!("The body must be one JSON object of at most {most} bytes")))
}

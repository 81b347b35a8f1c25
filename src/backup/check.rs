//! Looking into a copy: is it sound, what is in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use super::files;
use super::halt::{Halt, checksum};
use super::manifest::{Manifest, Moment};
use crate::audit;
use crate::store::{self, Depth, Error, OpenError, Reader, Schema};

/// Faults that are listed; of more there is no telling apart anyway.
pub(super) const FAULTS_MAX: usize = 10;
/// What can be counted in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) schema_version: i32,
    pub(super) rows: BTreeMap<String, u64>,
    pub(super) newest_change: Option<Moment>,
}

impl Facts {
    pub(super) fn read(reader: &Reader, halt: &Halt) -> Result<Self, Error> {
        let read = || {
            let rows = store::row_counts(reader)?;
            let newest_change = store::last_change(reader)?.map(Moment);
            Ok(Self { schema_version: store::schema_version(reader)?, rows, newest_change })
        };
        halt.reading(reader, read)
    }
}

/// What the database engine finds wrong.
pub(super) fn faults(reader: &Reader, depth: Depth, halt: &Halt) -> Result<Vec<String>, Error> {
    halt.reading(reader, || store::faults(reader, depth, FAULTS_MAX))
}

/// What a look at a backup has found.
#[derive(Debug)]
pub(super) struct Checked {
    /// What is wrong, a sentence each; a good backup has none.
    pub problems: Vec<String>,
    /// How long the file is.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// Its manifest, if it has one.
    pub manifest: Option<Manifest>,
    /// Its schema version, if it has one.
    pub schema_version: Option<i32>,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
    /// When the newest change in it was made.
    pub newest_change: Option<Moment>,
    /// How many rows of the audit log are a whole chain; nothing before there was one.
    pub audit_rows: Option<u64>,
}

/// Looks at everything: the whole file, every page and index, the manifest, the files that go with it, the chain of the audit log.
///
/// # Errors
/// When there is no file that can be read.
pub(super) fn verify(path: &Path, schema: &Schema) -> io::Result<Checked> {
    let halt = Halt::default();
    let mut file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let (bytes, sha256) = checksum(&mut file, &halt)?.unwrap_or_default();
    drop(file);
    let (manifest, unreadable) = match Manifest::beside(path) {
        Ok(manifest) => (manifest, None),
        Err(sentence) => (None, Some(sentence)),
    };
    // Where nobody can tell, it is as good as what is found in it.
    let live = store::in_use(path).ok().flatten().map(|pid| {
        format!(
            "process {pid} has it open: it is the database of a running server, not a backup, and part of its data \
             is in the log next to it; make a backup with inkring backup"
        )
    });
    let mut checked = Checked {
        problems: unreadable.into_iter().chain(live).collect(),
        bytes,
        sha256,
        manifest,
        schema_version: None,
        rows: BTreeMap::new(),
        newest_change: None,
        audit_rows: None,
    };
    checked.compare_file();
    let with_it = checked.manifest.as_ref().and_then(|manifest| manifest.files.as_ref());
    let problems = with_it.map(|with_it| files::problems(path, with_it, FAULTS_MAX, &halt)).unwrap_or_default();
    checked.problems.extend(problems);
    if let Err(sentence) = checked.look_inside(path, schema, &halt) {
        checked.problems.push(sentence);
    }
    Ok(checked)
}

impl Checked {
    fn compare_file(&mut self) {
        let Some(manifest) = &self.manifest else { return };
        if self.bytes != manifest.bytes {
            let (found, wanted) = (self.bytes, manifest.bytes);
            self.problems.push(format!("the file has {found} bytes, and its manifest says {wanted}"));
        } else if self.sha256 != manifest.sha256 {
            self.problems.push("the file has another SHA-256 than its manifest says: it was changed".to_owned());
        }
    }

    fn look_inside(&mut self, path: &Path, schema: &Schema, halt: &Halt) -> Result<(), String> {
        if self.bytes == 0 {
            // To SQLite that is a database without tables.
            return Err("it is empty".to_owned());
        }
        let reader = store::open_any_version(path, schema).map_err(|error| match error {
            OpenError::Foreign { found, .. } => format!("it is not an inkring database: {found}"),
            OpenError::Newer { found, known, .. } => format!(
                "it has schema version {found}, and this inkring knows versions up to {known}; use the newer inkring"
            ),
            OpenError::Database { source, .. } => unread(source),
            other => other.to_string(),
        })?;
        let faults = faults(&reader, Depth::Indexes, halt).map_err(unread)?;
        self.problems.extend(faults.into_iter().map(|fault| format!("SQLite says: {fault}")));
        let facts = Facts::read(&reader, halt).map_err(unread)?;
        if facts.schema_version == 0 {
            return Err(
                "it has no tables: it was made by no backup, and perhaps copied without its log (-wal); make a \
                        backup with inkring backup"
                    .to_owned(),
            );
        }
        self.schema_version = Some(facts.schema_version);
        self.newest_change = facts.newest_change;
        if let Some(manifest) = &self.manifest {
            if manifest.schema_version != facts.schema_version {
                let (found, wanted) = (facts.schema_version, manifest.schema_version);
                self.problems.push(format!("it has schema version {found}, and its manifest says {wanted}"));
            }
            let tables: std::collections::BTreeSet<_> = manifest.rows.keys().chain(facts.rows.keys()).collect();
            for table in tables {
                let (found, wanted) = (facts.rows.get(table), manifest.rows.get(table));
                if found != wanted {
                    let number = |rows: Option<&u64>| rows.map_or("none".to_owned(), u64::to_string);
                    let (found, wanted) = (number(found), number(wanted));
                    self.problems.push(format!("rows of {table}: {found}, and its manifest says {wanted}"));
                }
            }
        }
        let audited = facts.rows.contains_key("audit_events");
        self.rows = facts.rows;
        if audited {
            let report = audit::verify::verify(&reader, None).map_err(unread)?;
            self.audit_rows = Some(report.rows);
            self.problems.extend(report.fault.map(|fault| format!("the audit log is not intact: {fault}")));
        }
        Ok(())
    }
}

fn unread(error: Error) -> String {
    format!("it cannot be read as a database: {error}")
}

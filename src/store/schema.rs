//! How a database comes to have its tables: every owner's migrations, put together to one version.

/// A step of the schema. It is never changed once it was released: what comes after it is a step of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The version that it leads to; the first is 1. Several owners may have a step to the same version.
    pub version: i32,
    /// The statements.
    pub sql: &'static str,
}

/// The store's own tables: one row, and what is searched.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, sql: include_str!("migrations/001_probe.sql") },
    Migration { version: LAST_CHANGE_SINCE, sql: include_str!("migrations/003_last_change.sql") },
    Migration { version: 5, sql: include_str!("migrations/005_texts.sql") },
];

/// The version from which on the store's row says when the last change was made.
pub(super) const LAST_CHANGE_SINCE: i32 = 3;

/// The shape of the databases that a program reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// In the order in which they are to be taken.
    steps: Vec<Migration>,
}

impl Schema {
    /// Everybody's migrations: versions in order, and within a version owners in the order given.
    pub fn of(owners: &[&[Migration]]) -> Self {
        let mut steps = owners.concat();
        steps.sort_by_key(|step| step.version);
        Self { steps }
    }

    /// Its version (`PRAGMA user_version`).
    pub fn version(&self) -> i32 {
        self.steps.last().map_or(0, |step| step.version)
    }

    /// The statements that lead here from an older version; from 0, an empty database.
    pub(super) fn after(&self, version: i32) -> impl Iterator<Item = &'static str> {
        self.steps.iter().filter(move |step| step.version > version).map(|step| step.sql)
    }

    /// The statements that lead from nothing to a version.
    pub(super) fn up_to(&self, version: i32) -> impl Iterator<Item = &'static str> {
        self.steps.iter().filter(move |step| step.version <= version).map(|step| step.sql)
    }

    /// The tables that it has, in the order in which they are made.
    pub fn tables(&self) -> Vec<&'static str> {
        let after = |sql: &'static str| sql.split("CREATE TABLE ").skip(1);
        self.steps.iter().flat_map(|step| after(step.sql)).filter_map(|rest| rest.split_whitespace().next()).collect()
    }

    /// The whole of it, for people to read.
    pub fn text(&self) -> String {
        let mut text = include_str!("migrations/head.sql").to_owned();
        let mut version = 0;
        for step in &self.steps {
            if step.version > version {
                version = step.version;
                text.push_str(&format!("\n-- Version {version}\n"));
            }
            text.push('\n');
            text.push_str(step.sql);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_by_version_and_then_by_owner() {
        const A: &[Migration] =
            &[Migration { version: 1, sql: "CREATE TABLE a (x);" }, Migration { version: 3, sql: "a3" }];
        const B: &[Migration] = &[Migration { version: 1, sql: "b1" }, Migration { version: 2, sql: "b2" }];
        let schema = Schema::of(&[A, B]);
        assert_eq!(schema.version(), 3);
        assert_eq!(schema.after(0).collect::<Vec<_>>(), ["CREATE TABLE a (x);", "b1", "b2", "a3"]);
        assert_eq!(schema.after(1).collect::<Vec<_>>(), ["b2", "a3"]);
        assert_eq!(schema.after(3).count(), 0);
        assert_eq!(schema.tables(), ["a"]);
        assert_eq!(Schema::of(&[]).version(), 0);
    }
}

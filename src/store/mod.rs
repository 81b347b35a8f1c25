//! The store: one database, one writer, a reader per shard, in words of its own.
//!
//! [`open`] opens or creates it, checks that it is ours and that it behaves as promised. [`Writer`] is the only thread that
//! changes it: changes are [`Job`]s in a bounded queue, committed in groups, and an answer leaves only after the commit's
//! fsync (G1, G2). A [`Reader`] is a shard's own read-only connection. Both are asked by a few verbs ([`Query`], [`Tx`]), which
//! are shaped so that another engine could stand behind them. When the storage fails, the writer refuses changes until a
//! probe of its own is committed again ([`Fault`]).
//!
//! This folder has the words; `sqlite/` is the engine.

mod chore;
pub mod counters;
mod error;
mod event;
mod fault;
mod handle;
mod job;
pub mod options;
mod prune;
mod reader;
mod row;
mod schema;
mod sqlite;
mod state;
#[cfg(test)]
pub mod testing;
mod tx;
mod value;
mod watch;

pub use chore::run_chore;
pub use counters::Counters;
pub use error::{ChoreError, CopyError, Error, OpenError, StoreError};
pub use event::{Event, Publisher, Space, Topic};
pub use fault::Fault;
pub use handle::{WriterHandle, WriterView};
pub use job::{Job, JobTimes, Verdict};
pub use options::STALLED_AFTER;
pub use prune::{Pruned, Pruner, Run};
pub use reader::{Query, Reader};
pub use row::Row;
pub use schema::{MIGRATIONS, Migration, Schema};
pub(crate) use sqlite::bounds::BOUNDS;
pub use sqlite::check::{Depth, faults, row_counts};
pub use sqlite::connection::Interrupter;
pub use sqlite::copy::{copy, copy_alone};
pub use sqlite::copying::{Copied, CopyTarget, make_single_file};
pub use sqlite::files::{
    bytes_of, check_place, chown_like, directory_of, is_not_offered, require, require_directory_sync, sync_directory,
    with_suffix,
};
pub use sqlite::identity::{APPLICATION_ID, schema_version, tables};
pub use sqlite::last_change::last_change;
pub use sqlite::lock::{DatabaseLock, in_use, locked_by};
pub use sqlite::look::{open_any_version, open_immutable, open_leaving_nothing, open_locked, open_read_only};
pub use sqlite::migrate::{BeforeMigration, Pending};
pub(crate) use sqlite::open::{READER_PAGES_BYTES, WRITER_PAGES_BYTES};
pub use sqlite::open::{Readers, Store, open, open_after};
pub use sqlite::place::real_path;
pub use sqlite::restoring::{lock_database, put_in_place, staging};
pub use sqlite::sqlite_version;
pub use sqlite::survey::{Figures, Room, Survey, room};
pub use sqlite::tallies::{TALLY_NUMBERS, TallyTable};
pub use sqlite::texts::{Order, Search, TextGroup, TextWords, composed};
pub use sqlite::vacuum::task as vacuum_task;
pub use sqlite::writer::Writer;
pub use tx::Tx;
pub use value::{Column, Value};
pub use watch::task as watch_task;

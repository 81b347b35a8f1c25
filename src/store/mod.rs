//! SQLite: one file, one writer, a reader per shard.
//!
//! [`open`] opens or creates the file, checks that it is ours and sets every pragma explicitly. [`Writer`] is the
//! only thread that changes it: changes are [`Job`]s in a bounded queue, committed in groups, and an answer leaves only
//! after the commit's fsync (G1, G2). A [`Reader`] is a shard's own read-only connection. When the storage fails, the writer
//! refuses changes until a probe of its own is committed again ([`Fault`]).

mod chore;
mod copy;
pub mod counters;
mod event;
mod fault;
mod migrations;
mod open;
pub mod options;
mod reader;
mod reserve;
mod restoring;
mod survey;
mod writer;

pub use chore::{PutOff, run_chore};
pub use copy::{Copied, CopyError, copy, copy_alone};
pub use counters::Counters;
pub use event::{Event, Publisher, Space, Topic};
pub use fault::{Fault, damage, is_damage};
pub use migrations::SCHEMA_VERSION;
pub use open::{
    APPLICATION_ID, Kept, OpenError, Store, beside, directory_of, hand_over, in_use, look, look_as_it_is, look_at_rest,
    newest_change, open, schema_version, sync_directory, tables,
};
pub use reader::Reader;
pub use restoring::{put_in_place, staging};
pub use rusqlite::version as sqlite_version;
pub use survey::{Figures, Room, Survey, room};
pub use writer::{Job, JobTimes, StoreError, Tx, Verdict, Writer, WriterHandle, WriterView};

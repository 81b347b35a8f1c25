//! What is configured of the database and of the writer in front of it.

use std::time::Duration;

use crate::settings::{Kind, Knob, STORAGE, int};

pub(crate) static DATABASE: Knob =
    Knob::new(&STORAGE, "DATABASE_URL", Kind::Database, "sqlite:data/inkring.db").first().refusing().meaning(
        "The SQLite file with all data, as sqlite:PATH. Relative paths are relative to the working directory of the \
         server.",
    );

pub(crate) static QUEUE_JOBS: Knob = Knob::new(&STORAGE, "WRITER_QUEUE_JOBS", int(1, 1_000_000, "jobs"), "4096")
    .at_bound("503 `overloaded`", "a_full_writer_queue_is_answered_503_and_nothing_is_changed")
    .meaning(
        "Maximum number of changes waiting for the writer. If the queue is full, further changes get 503 overloaded.",
    );

pub(crate) static COMMIT_TIMEOUT: Knob = Knob::new(&STORAGE, "COMMIT_TIMEOUT_SECONDS", int(1, 600, "seconds"), "30")
    .at_bound(
        "503 `overloaded`; the change may still be stored",
        "a_change_not_confirmed_in_time_is_answered_503_and_its_late_end_disturbs_nobody",
    )
    .meaning(
        "How long a request waits for its change to be committed before it gets 503. The change may still be \
         committed, so retry with the same idempotency key.",
    );

pub(crate) static RESERVE: Knob = Knob::new(&STORAGE, "RESERVE_FILE_BYTES", int(0, 1_073_741_824, "bytes"), "8388608")
    .at_bound("released when the disk is full", "a_full_disk_gives_up_its_reserve_and_has_it_back_when_there_is_room")
    .meaning(
        "Size of a reserve file next to the database, which is released when the disk is full. 0 reserves nothing.",
    );

pub(crate) const KNOBS: &[&Knob] = &[&DATABASE, &QUEUE_JOBS, &COMMIT_TIMEOUT, &RESERVE];

/// A batch that runs longer than this is a writer that does not come back.
pub const STALLED_AFTER: Duration = Duration::from_secs(2);

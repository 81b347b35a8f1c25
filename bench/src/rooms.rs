//! `rooms`: documents that are edited together. Eight measures, each against the servers that came with y-websocket, against
//! another part of this server, or against a bound.
//!
//! The peers run under Node and are installed below target by npm; where that is not possible the rows have ours alone.
//! hocuspocus and y-sweet are left out: the one has a protocol of its own, the other is built by hand.

mod memory;
mod party;
mod row;
mod speed;

use crate::options::{Options, Result};
use crate::process;
use crate::table::{Table, none};
use row::{Row, Setting};

/// A measure: the names of its rows in the table, and how it is taken.
struct Measure {
    rows: &'static [&'static str],
    run: fn(&Setting) -> Result<Vec<Row>>,
}

const MEASURES: [Measure; 8] = [
    Measure { rows: &["1 delivery to 100 readers, 500 updates/s", "1 … server CPU per frame"], run: speed::delivery },
    Measure { rows: &["2 CPU per character in 3.3 MB"], run: speed::edit },
    Measure { rows: &["3 acknowledged updates, 64 writers in 64 rooms"], run: speed::acknowledged },
    Measure { rows: &["4 memory of an idle socket, 10 to a room"], run: memory::idle },
    Measure { rows: &["5 memory of a loaded room"], run: memory::loaded },
    Measure { rows: &["6 random inserts and deletes, compacted"], run: memory::compacted },
    Measure { rows: &["7 growth by a reader that pauses"], run: memory::paused },
    Measure { rows: &["8 delivery while a room of 16 MiB is loaded"], run: speed::loading },
];

pub fn run(options: &Options) -> Result<u64> {
    let peers = process::install_rooms().map_err(|error| error.to_string());
    let setting = Setting::of(options, process::build_server()?, peers)?;
    match setting.cores {
        Some((server, load)) => println!(
            "rows 1, 2, 4, 5, 7: the server pinned to core {server}; rows 1, 2: the load to core {load}; else not pinned"
        ),
        None => println!("not pinned"),
    }
    let everywhere = rustix::thread::sched_getaffinity(None)?;
    if let Err(why) = &setting.peers {
        println!("nothing to compare with: {why}");
    }
    let mut table = Table::new(&["", "ours", "against", "ratio"]);
    let mut failures = 0;
    for (number, measure) in MEASURES.iter().enumerate() {
        if options.rows.as_ref().is_some_and(|rows| !rows.contains(&(number + 1))) {
            continue;
        }
        let measured = (measure.run)(&setting);
        rustix::thread::sched_setaffinity(None, &everywhere)?;
        match measured {
            Ok(rows) => {
                for (name, row) in measure.rows.iter().zip(rows) {
                    failures += row.failures;
                    table.row([(*name).into(), row.ours, row.peer, row.verdict]);
                }
            }
            Err(error) => {
                failures += 1;
                table.row([measure.rows[0].into(), format!("failed: {error}"), none(), none()]);
            }
        }
    }
    table.print();
    println!(
        "Ratios are medians of paired rounds, with their range. 1: from the writer's send to each reader; a frame is one that \
         reaches a socket. 3: answers to appends hold the whole draft. 7: what the process grew by with a paused reader and \
         with one that reads. 8: p99 of four other rooms."
    );
    Ok(failures)
}

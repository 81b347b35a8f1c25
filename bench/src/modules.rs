//! `modules`: what the household's modules cost. Each figure stands against another one of this server in the same run, or
//! against a bound.

mod household;
mod memory;
mod setting;
mod speed;

use household::Household;
use setting::{Measured, Setting};

use crate::options::{Options, Result};
use crate::process;
use crate::table::{Table, none};

type Measure = fn(&Setting<'_>, &mut Option<Household>) -> Result<Measured>;

/// By their numbers for `--rows`. The household that some need is filled by the first of them and handed on.
const MEASURES: [Measure; 5] = [speed::list, speed::create, speed::search, memory::upload, memory::export];

pub fn run(options: &Options) -> Result<u64> {
    let program = process::build_server()?;
    let cores = process::two_cores()?.filter(|_| !options.unpinned);
    match cores {
        Some((server, load)) => println!("rows 1, 3: the server pinned to core {server}, the load to core {load}"),
        None => println!("not pinned"),
    }
    let setting = Setting { options, program, cores };
    let everywhere = rustix::thread::sched_getaffinity(None)?;
    let mut household = None;
    let mut table = Table::new(&["", "ours", "against", "reach", "others CPU %"]);
    let mut failures = 0;
    for (number, measure) in (1..).zip(MEASURES) {
        if options.rows.as_ref().is_some_and(|rows| !rows.contains(&number)) {
            continue;
        }
        let measured = measure(&setting, &mut household);
        rustix::thread::sched_setaffinity(None, &everywhere)?;
        match measured {
            Ok(measured) => {
                failures += measured.failures;
                for row in measured.rows {
                    let others = format!("{:.0}", measured.others);
                    table.row([format!("{number} {}", row.name), row.ours, row.against, row.verdict, others]);
                }
            }
            Err(error) => {
                failures += 1;
                table.row([number.to_string(), format!("failed: {error}"), none(), none(), none()]);
            }
        }
    }
    table.print();
    println!(
        "Ratios are medians of paired rounds, with their range. Appends are answered with receipts. Memory is the most of it beyond \
         what the warm server had. Others: what everything else on this machine used at most, of one core."
    );
    Ok(failures)
}

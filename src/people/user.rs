//! `inkring user`: erases a person, and says what was there, what is gone, and what stays and why.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;

use super::erasing::{ERASE, Report, Wanted};
use crate::feature::verb::{Program, Whom, fail, misconfigured, print};
use crate::plane::door::{Door, NotDone};
use crate::plane::record::Operator;
use crate::settings::Settings;
use crate::store::Tx;
use crate::text::visible;

/// What can be done about a user.
#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// Erase a person: their texts, their memberships, their details in the audit log
    ///
    /// Prints what was found, what is removed, and what stays and why. Without --yes it is a dry run and changes
    /// nothing. A running server is asked through its private plane (OPS_ADDR, with OPS_TOKEN); otherwise the
    /// database is opened directly. The person's tokens stay valid: revoke them with `inkring token revoke --user`.
    /// Only a backup can bring the data back.
    #[command(after_help = "Exit codes: 0 done, 1 failure, 2 usage, 3 the settings are wrong.")]
    Erase {
        #[command(flatten)]
        whom: Whom,
        /// Erase them
        #[arg(long)]
        yes: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(asked: Asked, program: &Program<'_>) -> ExitCode {
    let settings = match (program.settings)() {
        Ok(settings) => settings,
        Err(error) => return misconfigured(&error),
    };
    let Asked::Erase { whom, yes, json } = asked;
    let id = whom.id();
    match erase(&id, !yes, &settings, program) {
        Ok(said) if json => print(&format!("{said}\n")),
        Ok(said) => print(&table(&id, &said)),
        Err(error) => fail("nobody was erased", &error, 1),
    }
}

fn erase(id: &str, dry: bool, settings: &Settings, program: &Program<'_>) -> Result<Value, NotDone> {
    let wanted = Wanted::new(id, dry)?;
    let (body, erasers, report) = (wanted.body(), program.erasers.clone(), Report::default());
    let operator = Operator::of_verb(settings, "inkring user erase");
    let undone = report.clone();
    let here = move |tx: &mut Tx<'_>| wanted.erase(tx, &erasers, &operator, &report).map(|done| done.said);
    let done = Door::new(settings, &program.schema).change(("POST", ERASE, &body), here);
    // A dry run undoes itself by failing.
    undone.taken().map_or(done, Ok)
}

fn table(id: &str, said: &Value) -> String {
    let (id, pseudonym) = (visible(id), said["pseudonym"].as_str().unwrap_or_default());
    if said["report"].as_array().into_iter().flatten().all(|line| line["found"] == 0) {
        return format!("nothing is stored about '{id}'\n");
    }
    let mut lines = match said["dry_run"] == true {
        true => format!("Nothing was changed. With --yes, of {id}:\n\n"),
        false => format!("{id} is erased. Where a name has to stay, {pseudonym} replaces it.\n\n"),
    };
    lines.push_str(&format!("{:>8}  {:>8}  {:>8}  WHAT\n", "FOUND", "GONE", "STAYS"));
    for line in said["report"].as_array().into_iter().flatten() {
        let number = |name: &str| line[name].as_u64().unwrap_or_default();
        let text = |name: &str| visible(line[name].as_str().unwrap_or_default()).into_owned();
        let [found, gone, stays] = ["found", "gone", "stays"].map(number);
        lines.push_str(&format!("{found:>8}  {gone:>8}  {stays:>8}  {}: {}\n", text("what"), text("how")));
    }
    let rows = said["rechained_rows"].as_u64().unwrap_or_default();
    if rows > 0 {
        lines.push_str(&format!(
            "\n\
             The hashes of {rows} audit log rows were rewritten: a head noted earlier no longer verifies; it is \
             recorded in the row `user.erased`.\n"
        ));
    }
    lines
}

//! What is configured of the audit log.

use super::Audit;
use crate::settings::{AUDIT, Kind, Knob, Settings, flag, int};

pub(crate) static ENABLED: Knob = flag(&AUDIT, "AUDIT_ENABLED", "false")
    .in_production("true")
    .in_status("audit")
    .refusing()
    .guarding_against("changes are not recorded")
    .meaning("Records each change in the audit log: who, what, when and from where. See AUDIT.md.");

pub(crate) static SAMPLE_RATE: Knob = Knob::new(&AUDIT, "AUDIT_SAMPLE_RATE", Kind::Fraction, "1.0")
    .only_with(&[&ENABLED])
    .meaning("The fraction of changes recorded, chosen at random. 1.0 records all.");

pub(crate) static RETENTION_DAYS: Knob = Knob::new(&AUDIT, "AUDIT_RETENTION_DAYS", int(0, 36_500, "days"), "0")
    .in_status("audit_retention_days")
    .meaning("How long rows of the audit log are kept. Older rows are removed in small steps. 0 keeps them forever.");

pub(crate) const KNOBS: &[&Knob] = &[&ENABLED, &SAMPLE_RATE, &RETENTION_DAYS];

impl Audit {
    /// One as configured, if there is to be any.
    pub fn of(settings: &Settings) -> Option<Self> {
        settings.flag(&ENABLED).then(|| Self::new(settings.fraction(&SAMPLE_RATE).as_f64()))
    }
}

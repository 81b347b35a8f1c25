//! What is bounded of the verbs.

use super::doctor::QUICK_CHECK_MAX_BYTES;
use super::healthcheck::HEALTHCHECK_PATIENCE;
use crate::feature::smoke::SMOKE_ANSWER_MAX_BYTES;
use crate::feature::verb::TOKEN_STDIN_MAX_BYTES;
use crate::settings::{ACCESS, BoundRow, OPERATIONS};

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&ACCESS, "TOKEN_STDIN_MAX_BYTES", TOKEN_STDIN_MAX_BYTES, "bytes")
        .of("A token that `inkring token inspect` reads from stdin.", "not read further"),
    BoundRow::new(&OPERATIONS, "HEALTHCHECK_PATIENCE", HEALTHCHECK_PATIENCE.as_secs(), "seconds")
        .of("Each step of `inkring healthcheck`.", "not ready"),
    BoundRow::new(&OPERATIONS, "QUICK_CHECK_MAX_BYTES", QUICK_CHECK_MAX_BYTES, "bytes")
        .of("The database that `inkring doctor` checks completely.", "not checked, and reported as such")
        .tested_by("a_large_database_is_not_read_in_passing"),
    BoundRow::new(&OPERATIONS, "SMOKE_ANSWER_MAX_BYTES", SMOKE_ANSWER_MAX_BYTES as u64, "bytes")
        .of("A response that `inkring smoke` reads.", "not read further"),
];

//! What is bounded of the files that the configuration is read from.

use super::grammar::MALFORMED_MAX;
use super::path::SETTINGS_FILE_MAX_BYTES;
use super::sources::SECRET_FILE_MAX_BYTES;
use crate::settings::{ACCESS, BoundRow, GENERAL};

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&GENERAL, "SETTINGS_FILE_MAX_BYTES", SETTINGS_FILE_MAX_BYTES, "bytes")
        .of("The settings file.", "no start")
        .tested_by("the_file_in_the_directory_is_read"),
    BoundRow::new(&GENERAL, "MALFORMED_MAX", MALFORMED_MAX as u64, "lines")
        .of("Malformed lines of a settings file that are reported at once.", "not reported")
        .tested_by("a_line_that_does_not_fit_is_told_by_number_and_name_and_never_shown"),
    BoundRow::new(&ACCESS, "SECRET_FILE_MAX_BYTES", SECRET_FILE_MAX_BYTES, "bytes")
        .of("A file with a secret.", "no start")
        .tested_by("a_file_is_for_secrets_only_and_never_guessed_at"),
];

//! What is bounded of identities.

use super::bad_token::TOKEN_MAX_BYTES;
use super::keys::{KEYS_FILE_MAX_BYTES, KEYS_MAX};
use super::revocations::{JTI_MAX_CHARS, REVOCATIONS_MAX};
use super::ticket::TICKET_SECONDS;
use super::token::MINT_MAX_HOURS;
use super::user::USER_ID_MAX_CHARS;
use crate::settings::{ACCESS, BoundRow};

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&ACCESS, "USER_ID_MAX_CHARS", USER_ID_MAX_CHARS as u64, "characters")
        .of("A user id.", "422; in a token 401")
        .tested_by("users_are_named_by_1_to_100_characters_without_control_characters"),
    BoundRow::new(&ACCESS, "TOKEN_MAX_BYTES", TOKEN_MAX_BYTES as u64, "bytes")
        .of("A token.", "401")
        .tested_by("a_token_is_read_up_to_its_bound_and_not_one_byte_further"),
    BoundRow::new(&ACCESS, "MINT_MAX_HOURS", MINT_MAX_HOURS as u64, "hours")
        .of("The lifetime of a token made by `inkring token mint`.", "refused")
        .tested_by("a_minted_token_is_what_the_server_asks_for"),
    BoundRow::new(&ACCESS, "TICKET_SECONDS", TICKET_SECONDS, "seconds")
        .of("The lifetime of a ticket that opens a socket.", "1008 `Token expired`")
        .tested_by("a_ticket_is_taken_for_its_time_by_whoever_made_it"),
    BoundRow::new(&ACCESS, "REVOCATIONS_MAX", REVOCATIONS_MAX as u64, "revocations")
        .of("Revocations in force at once.", "409 `revocations_full`; nothing is revoked")
        .tested_by("so_many_revocations_there_are_and_no_more"),
    BoundRow::new(&ACCESS, "JTI_MAX_CHARS", JTI_MAX_CHARS as u64, "characters")
        .of("The `jti` of a revoked token.", "refused")
        .tested_by("what_cannot_be_revoked_is_refused_with_the_bound"),
    BoundRow::new(&ACCESS, "KEYS_FILE_MAX_BYTES", KEYS_FILE_MAX_BYTES as u64, "bytes")
        .of("A key file.", "no start; at run time, the old keys stay in use")
        .tested_by("a_file_that_has_changed_is_taken_and_a_bad_one_keeps_the_keys"),
    BoundRow::new(&ACCESS, "KEYS_MAX", KEYS_MAX as u64, "keys")
        .of("Keys in a JWK set.", "no start; at run time, the old keys stay in use")
        .tested_by("a_bad_key_is_refused_by_what_is_wrong_and_not_repeated"),
];

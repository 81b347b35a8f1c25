//! The pages in a browser, as people use them (contract 04 §7, item 8): what each scenario does and expects is in
//! `tests/clients/pages.mjs`, which drives Chromium.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::repository::root;
use crate::support::needs::{browser, program, skip};
use crate::support::{Server, UNHURRIED};

/// Where what drives the browser is installed, if it is.
#[track_caller]
fn clients() -> Option<PathBuf> {
    let clients = root().join("target/clients");
    let is_there = program(&["node"]).is_some() && clients.join("node_modules/playwright-core").is_dir();
    if !is_there {
        skip("node and playwright-core, as .ci/run installs it");
    }
    is_there.then_some(clients)
}

/// Plays a scenario to its end against this server.
#[track_caller]
fn play(scenario: &str, settings: &[(&str, &str)]) {
    let (Some(clients), Some(browser)) = (clients(), browser()) else { return };
    let server = Server::with(&[&UNHURRIED[..], settings].concat());
    run(&clients, browser.path(), scenario, &server);
}

#[track_caller]
fn run(clients: &Path, browser: &Path, scenario: &str, server: &Server) {
    let output = Command::new("node")
        .arg(root().join("tests/clients/pages.mjs"))
        .arg(clients)
        .arg(browser)
        .args([scenario, &format!("http://{}", server.address)])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{scenario}\n{stdout}\n{stderr}");
    assert_eq!(stdout.lines().last(), Some("done"), "{stdout}\n{stderr}");
}

#[test]
fn every_page_works_in_both_languages_at_three_widths_and_for_everybody() {
    play("frame.everywhere", &[]);
}

#[test]
fn the_frame_leads_everywhere_and_remembers_the_language() {
    play("frame.shell", &[]);
}

#[test]
fn a_keyboard_is_enough() {
    play("frame.keyboard", &[]);
}

#[test]
fn what_people_write_is_text_on_every_page() {
    play("frame.hostile", &[]);
}

#[test]
fn a_page_says_that_there_is_no_network_and_goes_on_when_there_is_one() {
    play("frame.offline", &[]);
}

#[test]
fn a_story_is_written_found_changed_deleted_and_brought_back() {
    play("kazkar.story", &[]);
}

#[test]
fn legends_show_by_themselves_and_nothing_is_overwritten() {
    play("kazkar.legends", &[]);
}

#[test]
fn an_event_is_counted_down_to_done_changed_deleted_and_put_into_the_calendar() {
    play("podija.event", &[]);
}

#[test]
fn an_idea_is_moved_by_keys_and_by_mouse_and_stays_where_it_is() {
    play("malya.board", &[]);
}

#[test]
fn one_tap_keeps_a_mood_and_its_chart_is_a_table_as_well() {
    play("nastrij.mood", &[]);
}

#[test]
fn a_sentence_becomes_records_and_is_taken_back() {
    play("ci.capture", &[]);
}

#[test]
fn what_is_kept_is_found_from_everywhere_and_answers_questions() {
    play("ci.found", &[]);
}

#[test]
fn the_legend_is_walked_by_keyboard_and_knows_where_one_was() {
    play("ci.legend", &[]);
}

#[test]
fn an_entry_recurs_weekly_but_for_the_one_that_is_left_out() {
    play("calendar.weekly", &[]);
}

#[test]
fn files_are_sent_cancelled_refused_seen_and_deleted() {
    // The scenario sends one that is larger.
    play("gallery.files", &[("GALLERY_MAX_BYTES", "2000000")]);
}

#[test]
fn a_thousand_items_scroll_and_none_is_drawn_anew() {
    play("gallery.scrolling", &[]);
}

#[test]
fn a_copy_is_taken_in_again_and_changes_nothing_by_surprise() {
    play("settings.copies", &[]);
}

#[test]
fn the_bin_gives_back_and_the_address_of_the_feed_is_shown_once() {
    play("settings.keys", &[]);
}

#[test]
fn two_people_write_a_draft_in_turn() {
    play("drafts.turns", &[]);
}

#[test]
fn a_token_opens_drafts_where_names_are_not_believed() {
    // The scenario signs with the same key.
    let key = ("JWT_SECRET", "a secret of the tests that is 32 bytes long");
    play("drafts.token", &[key, ("AUTH_TRUST_USER_HEADER", "false")]);
}

#[test]
fn a_household_with_a_password_is_entered_by_it_and_left() {
    play("door.signIn", &[("HOUSEHOLD_PASSWORD", "a password of the tests")]);
}

#[test]
fn every_page_shows_something_before_its_data_have_come() {
    play("speed.paint", &[]);
}

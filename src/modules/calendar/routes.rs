//! What the calendar serves beyond its records (contract 04 §5.2).

use std::rc::Rc;

use http::Method;

use super::{files, import, occurrences, reminders};
use crate::gate::{Route, Routes};
use crate::modules::desk::Desk;
use crate::modules::records::OwnList;

/// What is served.
pub(in crate::modules) const ROUTES: [Route; 9] = [
    Route::json(&Method::POST, OCCURRENCE).anyone().does("Skip, move or complete one occurrence of an entry"),
    Route::public(&Method::DELETE, OCCURRENCE).does("Undo the change of one occurrence"),
    Route::public(&Method::GET, "/api/v1/calendar/export.ics")
        .does("Export the calendar as a file, with podija's dated events"),
    Route::public(&Method::GET, "/api/v1/calendar/feed.ics")
        .does("The same for calendar subscriptions, with the feed's `token`"),
    Route::public(&Method::POST, "/api/v1/calendar/feed")
        .does("Create the feed's token, which is shown only now; a previous one is revoked"),
    Route::public(&Method::DELETE, "/api/v1/calendar/feed").does("Revoke the feed's token"),
    Route::public(&Method::GET, "/api/v1/calendar/entries/{id}.ics").does("Export one entry as a calendar file"),
    Route::public(&Method::POST, "/api/v1/calendar/import").streaming(import::BODY_MAX_BYTES).does(
        "Import a calendar file: the body, or the part `file` of a form; may be repeated. With `dry_run=1`, only \
         report what would be done",
    ),
    Route::public(&Method::GET, "/api/v1/calendar/reminders/due").does(
        "List the reminders that came due after `from` (default: a day ago) and until `to` (default: now), at most a \
         week back",
    ),
];

const OCCURRENCE: &str = "/api/v1/calendar/entries/{id}/occurrences/{moment}";

/// What it says itself of its lists.
pub(in crate::modules) static LISTS: &[(&str, OwnList)] = &[("calendar", occurrences::list)];

/// Adds them for one shard.
pub(in crate::modules) fn add(desk: &Rc<Desk>, to: &mut Routes) {
    let [set, take_back, export, feed, make_feed, end_feed, entry, take, due] = ROUTES;
    desk.add(to, set, occurrences::set);
    desk.add(to, take_back, occurrences::take_back);
    desk.add(to, export, files::export);
    // Phones that subscribe have no session: its token is what lets them in.
    desk.add_open(to, feed, files::feed);
    desk.add(to, make_feed, files::make_feed);
    desk.add(to, end_feed, files::end_feed);
    desk.add(to, entry, files::entry);
    desk.add(to, take, import::take);
    desk.add(to, due, reminders::list);
}

//! What makes one household of six kinds of record: a search in all of them, a day, links, the bin, and the way out and in
//! (contract 04 §5.2).

mod bin;
mod day;
mod export;
mod import;
mod item;
mod line;
mod links;
mod search;
mod snippet;
pub(super) mod store;

use std::rc::Rc;

use http::Method;

pub(super) use bin::{BIN_DAYS, purged, task};
pub(super) use day::DAY_MAX_ITEMS;
pub(super) use import::{CLAIMED_MAX, IMPORT_MAX_BYTES, LINE_MAX_BYTES};
pub(super) use links::{LINK_KIND_MAX_CHARS, LINKS_MAX, link};
pub(super) use search::{FOUND_MAX, LOOKED_AT_MAX};
pub(super) use snippet::SNIPPET_MAX_CHARS;

use super::desk::Desk;
use crate::gate::{Route, Routes};

/// What is served.
pub(super) const ROUTES: [Route; 9] = [
    Route::public(&Method::GET, "/api/v1/search").does(
        "Search all modules, or one (`module`), for the words of `q`: matches in titles first, newest first, at most \
         `limit`",
    ),
    Route::public(&Method::GET, "/api/v1/day/{date}").does("Read everything the household has on a day"),
    Route::json(&Method::POST, "/api/v1/links").anyone().does("Link a record to another"),
    Route::public(&Method::DELETE, "/api/v1/links/{id}").does("Remove a link"),
    Route::public(&Method::GET, "/api/v1/{module}/{collection}/{id}/links").does("List the links from and to a record"),
    Route::public(&Method::GET, "/api/v1/bin")
        .does("List deleted records, newest first: `skip` and `limit` (at most 100)"),
    Route::public(&Method::DELETE, "/api/v1/bin/{module}/{id}")
        .does("Remove a deleted record permanently; only a backup can bring it back"),
    Route::public(&Method::GET, "/api/v1/export").does("Export all records and links as JSON Lines"),
    Route::public(&Method::POST, "/api/v1/import")
        .streaming(IMPORT_MAX_BYTES)
        .does("Import the lines of such an export; safe to repeat. With `dry_run=1`, only report what would be done"),
];

/// Adds them for one shard.
pub(super) fn add(desk: &Rc<Desk>, to: &mut Routes) {
    let [search, day, link, unlink, links, bin, purge, export, import] = ROUTES;
    desk.add(to, search, |desk, call| search::find(desk, call));
    desk.add(to, day, |desk, call| day::show(desk, call));
    desk.add(to, link, |desk, call| links::create(desk, call));
    desk.add(to, unlink, |desk, call| links::delete(desk, call));
    desk.add(to, links, |desk, call| links::list(desk, call));
    desk.add(to, bin, |desk, call| bin::list(desk, call));
    desk.add(to, purge, |desk, call| bin::purge(desk, call));
    desk.add(to, export, |desk, call| export::give(desk, call));
    desk.add(to, import, |desk, call| import::take(desk, call));
}

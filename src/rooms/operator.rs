//! What the operator is served: the rooms, and what their owners may do with them.

use std::rc::Rc;

use http::Method;

use super::options::DOCUMENT_MAX_BYTES;
use super::owners::{self, Asker};
use super::socket::Rooms;
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::plane;

/// What is served to the operator.
pub(super) const ROUTES: [Route; 4] = [
    Route::public(&Method::GET, "/rooms")
        .does("List rooms by name; query: `after`, the last name of the previous page, and `limit`"),
    Route::public(&Method::GET, "/rooms/{*room}")
        .does("With `/update` after the name: read the whole document of a room as one Yjs update"),
    Route::public(&Method::PUT, "/rooms/{*room}")
        .streaming(DOCUMENT_MAX_BYTES)
        .does("With `/update` after the name: merge the Yjs update in the body into a room"),
    Route::public(&Method::DELETE, "/rooms/{*room}").does("Delete a room with its contents, and close its sockets"),
];

/// Adds them.
pub(super) fn add(routes: &mut Routes, rooms: &Rc<Rooms>) {
    let with = |handler: fn(&Rc<Rooms>, &Call<'_>, Asker) -> Result<Outcome, ApiError>, changes: bool| {
        let rooms = Rc::clone(rooms);
        move |call: &Call<'_>| {
            if changes {
                plane::meant_for_us(call, "room")?;
                plane::log_request(call, call.method.as_str());
            }
            handler(&rooms, call, Asker::Operator)
        }
    };
    let [to_list, to_export, to_import, to_delete] = ROUTES;
    routes.add(to_list, with(owners::list, false));
    routes.add(to_export, with(owners::export, false));
    routes.add(to_import, with(owners::import, true));
    routes.add(to_delete, with(owners::delete, true));
}

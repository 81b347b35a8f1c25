//! Where rooms are: on the public port below `/rooms`, and on a port of their own by the URLs of the original.

use std::rc::Rc;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::json;

use super::admit;
use super::counters::Figures;
use super::dialect::Form;
use super::name::{BadName, RoomName};
use super::owners::{self, Asker};
use super::socket::Rooms;
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::net::Response;

/// The sockets of rooms on the public port.
pub(super) const SOCKETS: [Route; 2] = [
    Route::socket("/rooms").with_query_token("token").does("Join the room named by `?room=`, over a WebSocket"),
    Route::socket("/rooms/{*room}")
        .with_query_token("token")
        .does("Join a room over a WebSocket, with a stock Yjs provider"),
];

/// What rooms have on a port of their own (contract 03 §1.1, §1.4).
pub(super) const OWN: [Route; 6] = [
    Route::socket("/").with_query_token("token").does("Join the room named by `?room=`, over a WebSocket"),
    Route::socket("/{*room}").with_query_token("token").does("Join a room over a WebSocket, with a stock Yjs provider"),
    Route::socket("/health").with_query_token("token").does("Enter the room `health` over a WebSocket"),
    Route::socket("/stats").with_query_token("token").does("Enter the room `stats` over a WebSocket"),
    Route::public(&Method::GET, "/health").probe().does("Say how many rooms and sockets there are"),
    Route::public(&Method::GET, "/stats").probe().does("Say which rooms are in memory, and how many sockets each has"),
];

/// Adds the routes of the public port.
pub(super) fn add(routes: &mut Routes, rooms: &Rc<Rooms>) {
    let [at_query, at_path] = SOCKETS;
    add_sockets(routes, rooms, at_query, at_path);
    let [to_list, to_export, to_import, to_delete] = owners::ROUTES;
    let with = |handler: fn(&Rc<Rooms>, &Call<'_>, Asker) -> Result<Outcome, ApiError>| {
        let rooms = Rc::clone(rooms);
        move |call: &Call<'_>| handler(&rooms, call, Asker::Owner)
    };
    routes.add(to_list, with(owners::list));
    routes.add(to_export, with(owners::export));
    routes.add(to_import, with(owners::import));
    routes.add(to_delete, with(owners::delete));
}

/// Adds the routes of a port of their own.
pub(super) fn add_own(routes: &mut Routes, rooms: &Rc<Rooms>) {
    let [at_query, at_path, at_health, at_stats, health, stats] = OWN;
    add_sockets(routes, rooms, at_query, at_path);
    // The original lets every path be a room.
    for (route, path) in [(at_health, "health"), (at_stats, "stats")] {
        let rooms = Rc::clone(rooms);
        routes.add(route, move |call| by_path(&rooms, call, path));
    }
    let (registry, clock) = (Arc::clone(&rooms.registry), rooms.shared.house.clock.clone());
    routes.add(health, move |_| {
        let Figures { rooms, sockets, .. } = registry.figures();
        let timestamp = clock.now().iso_ms();
        // In the order of the original.
        let body = format!(
            "{{\"status\":\"healthy\",\"timestamp\":\"{timestamp}\",\"rooms\":{rooms},\"connections\":{sockets}}}"
        );
        Ok(Outcome::Now(Response::json(StatusCode::OK, body.into_bytes())))
    });
    let registry = Arc::clone(&rooms.registry);
    routes.add(stats, move |_| {
        let seen = registry.seen();
        Ok(Outcome::Now(Response::json(StatusCode::OK, stats_of(&seen).into_bytes())))
    });
}

/// As the original writes it: indented by two.
fn stats_of(seen: &[super::live::Seen]) -> String {
    let total: usize = seen.iter().map(|room| room.sockets).sum();
    let mut body = format!("{{\n  \"rooms\": {},\n  \"totalConnections\": {total},\n  \"roomDetails\": [", seen.len());
    for (at, room) in seen.iter().enumerate() {
        let name = json!(room.name.as_str());
        let comma = if at == 0 { "" } else { "," };
        body.push_str(&format!(
            "{comma}\n    {{\n      \"roomId\": {name},\n      \"connections\": {}\n    }}",
            room.sockets
        ));
    }
    body.push_str(if seen.is_empty() { "]\n}" } else { "\n  ]\n}" });
    body
}

fn add_sockets(routes: &mut Routes, rooms: &Rc<Rooms>, at_query: Route, at_path: Route) {
    let (queried, placed) = (Rc::clone(rooms), Rc::clone(rooms));
    routes.add(at_query, move |call| admit::open(&queried, call, Form::Query, RoomName::of_query(call.query)));
    routes.add(at_path, move |call| by_path(&placed, call, call.raw_rest()));
}

/// The socket of the room that this part of a path names. What the query names comes first, if it names something
/// (contract 03 §1.1).
fn by_path(rooms: &Rc<Rooms>, call: &Call<'_>, path: &str) -> Result<Outcome, ApiError> {
    match RoomName::of_query(call.query) {
        Err(BadName::Missing) => admit::open(rooms, call, Form::Path, RoomName::of_path(path)),
        named => admit::open(rooms, call, Form::Query, named),
    }
}

//! Ideas as a board, from the first thought to what was done (contract 04 §5.2).

use std::rc::Rc;

use http::Method;
use serde_json::{Map, Value, json};

use super::desk::Desk;
use super::podija::{kind_of, members};
use super::promote::promote;
use super::records::answer;
use super::records::read::text_of;
use super::records::store;
use super::records::wanted::Wanted;
use crate::gate::validate::{Problem, echo};
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::store::{Order, Reader};

/// What is served.
pub(super) const ROUTES: [Route; 2] = [
    Route::public(&Method::GET, "/api/v1/malya/board").does("List ideas by status, newest first"),
    Route::json(&Method::POST, "/api/v1/malya/ideas/{id}/promote").anyone().does(
        "Create an event or a calendar entry from an idea: `to` is podija or calendar, the rest of the body is \
             its fields",
    ),
];

/// Ideas on one board.
pub(super) const BOARD_MAX_IDEAS: usize = 500;
/// The columns that there always are; one of another status follows them.
const COLUMNS: [&str; 5] = ["draft", "active", "in_progress", "completed", "archived"];

/// Adds them for one shard.
pub(super) fn add(desk: &Rc<Desk>, to: &mut Routes) {
    let [board_route, promote_route] = ROUTES;
    desk.add(to, board_route, |desk, call| board(desk, call));
    desk.add(to, promote_route, |desk, call| {
        let mut sent = members(&call.body)?;
        let module = target(&sent)?;
        sent.remove("to");
        promote(desk, call, kind_of("malya")?, kind_of(module)?, sent, &[])
    });
}

/// The module that an idea is to go to.
fn target(sent: &Map<String, Value>) -> Result<&'static str, ApiError> {
    let named = sent.get("to");
    let known = ["podija", "calendar"].into_iter().find(|module| named.and_then(Value::as_str) == Some(module));
    known.ok_or_else(|| {
        let (kind, msg, input, ctx) = match named {
            None => ("missing", "Field required", echo(&Value::Object(sent.clone())), None),
            Some(other) => {
                let expected = "'podija' or 'calendar'";
                let ctx = Some(json!({ "expected": expected }));
                ("literal_error", "Input should be 'podija' or 'calendar'", echo(other), ctx)
            }
        };
        let loc = vec!["body".into(), "to".into()];
        ApiError::invalid(&[Problem { kind, loc, msg: msg.to_owned(), input, ctx, hint: "" }])
    })
}

fn board(desk: &Desk, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let kind = kind_of("malya")?;
    desk.active(kind.module)?;
    let fetch = move |reader: &Reader| {
        let most = i64::try_from(BOARD_MAX_IDEAS).unwrap_or(i64::MAX);
        let newest = Wanted {
            skip: 0,
            limit: most,
            order: Order::Newest,
            facts: Vec::new(),
            from: None,
            until: None,
            words: None,
        };
        let mut ideas: Vec<Map<String, Value>> = Vec::new();
        store::list(reader, kind, &newest, |json| ideas.extend(serde_json::from_slice::<Map<_, _>>(json)))?;
        Ok((ideas, store::counts(reader, kind)?.records))
    };
    desk.parts.read(call, fetch, |(ideas, total)| Ok(answer(&columns(ideas, total))))
}

/// The board. An idea without a status is a draft.
fn columns(ideas: Vec<Map<String, Value>>, total: i64) -> Value {
    let mut columns: Vec<(String, Vec<Value>)> =
        COLUMNS.iter().map(|status| ((*status).to_owned(), Vec::new())).collect();
    for idea in ideas {
        let status =
            text_of(&idea, "status").filter(|status| !status.trim().is_empty()).unwrap_or(COLUMNS[0]).to_owned();
        match columns.iter_mut().find(|(known, _)| *known == status) {
            Some((_, ideas)) => ideas.push(idea.into()),
            None => columns.push((status, vec![idea.into()])),
        }
    }
    let column =
        |(status, ideas): (String, Vec<Value>)| json!({ "status": status, "count": ideas.len(), "ideas": ideas });
    json!({ "total": total, "columns": columns.into_iter().map(column).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_has_its_columns_and_those_of_other_words() {
        let ideas = [
            json!({ "id": 4, "status": "active" }),
            json!({ "id": 3, "status": "мрія" }),
            json!({ "id": 2 }),
            json!({ "id": 1, "status": "active" }),
        ];
        let shown = columns(ideas.iter().map(|idea| idea.as_object().unwrap().clone()).collect(), 4);
        assert_eq!(shown["total"], 4);
        let of = |column: &Value| {
            let ids: Vec<i64> =
                column["ideas"].as_array().unwrap().iter().map(|idea| idea["id"].as_i64().unwrap()).collect();
            (column["status"].as_str().unwrap().to_owned(), column["count"].as_u64().unwrap(), ids)
        };
        let columns: Vec<_> = shown["columns"].as_array().unwrap().iter().map(of).collect();
        let expected = [
            ("draft", vec![2]),
            ("active", vec![4, 1]),
            ("in_progress", vec![]),
            ("completed", vec![]),
            ("archived", vec![]),
            ("мрія", vec![3]),
        ];
        let expected = expected.map(|(status, ids)| (status.to_owned(), ids.len() as u64, ids));
        assert_eq!(columns, expected);
    }
}

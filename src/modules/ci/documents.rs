//! The entry pages and the legend of ci over HTTP: documents that never change (contract 04 §1.9).

use std::rc::Rc;

use http::Method;
use serde_json::Value;

use super::super::desk::Desk;
use super::super::records::{answer, path_number};
use super::legend::{self, Missing};
use super::seo::{self, Refusal};
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};

/// What is served.
pub(in crate::modules) const ROUTES: [Route; 15] = [
    document("/api/v1/ci/seo/states").does("List the states"),
    document("/api/v1/ci/seo/intents").does("List the intents"),
    document("/api/v1/ci/seo/languages").does("List the languages of the entry pages"),
    document("/api/v1/ci/seo/entry/{lang}/{state}/{intent}").does("Read an entry page"),
    document("/api/v1/ci/seo/entries/{lang}").does("List the entry pages of a language"),
    document("/api/v1/ci/seo/module/{state}").does("Read which module a state leads to"),
    document("/api/v1/ci/seo/sitemap").does("List the addresses of the entry pages, below `base_url`"),
    document("/api/v1/ci/seo/seeds").does("List search terms, in all languages or in `lang`"),
    document("/api/v1/ci/legend").does("Describe the parts of the legend"),
    document("/api/v1/ci/legend/nodes").does("List the nodes of the legend, or those with any of `tags`"),
    document("/api/v1/ci/legend/nodes/{id}").does("Read a node of the legend"),
    document("/api/v1/ci/legend/duality").does("Read the text of the legend"),
    document("/api/v1/ci/legend/duality/sections/{id}").does("Read a section of the text of the legend"),
    document("/api/v1/ci/legend/symbols").does("Read the meanings of the legend's symbols"),
    document("/api/v1/ci/legend/navigation/{id}").does("Read where to go from a node, in a reading `state`"),
];

const fn document(template: &'static str) -> Route {
    Route::public(&Method::GET, template)
}

/// Gives the document that a request asks for.
type Document = fn(&Call<'_>) -> Result<Value, ApiError>;

/// Adds them for one shard.
pub(in crate::modules) fn add(desk: &Rc<Desk>, to: &mut Routes) {
    let handlers: [Document; ROUTES.len()] = [
        |_| Ok(seo::states()),
        |_| Ok(seo::intents()),
        |_| Ok(seo::languages()),
        |call| seo::entry(call.param("lang"), call.param("state"), call.param("intent")).map_err(refused),
        |call| seo::entries(call.param("lang")).map_err(refused),
        |call| seo::module(call.param("state")).map_err(refused),
        |call| seo::sitemap(&call.query_value("base_url").unwrap_or_default()).map_err(refused),
        |call| seo::seeds(call.query_value("lang").as_deref()).map_err(refused),
        |_| Ok(legend::about().clone()),
        |call| Ok(legend::nodes(call.query_value("tags").as_deref())),
        |call| legend::node(node_of(call)?).map_err(missing),
        |_| Ok(legend::duality().clone()),
        |call| legend::section(call.param("id")).cloned().map_err(missing),
        |_| Ok(legend::symbols().clone()),
        |call| {
            let state = call.query_value("state");
            legend::navigation(node_of(call)?, state.as_deref().unwrap_or("overview")).map_err(missing)
        },
    ];
    for (route, handler) in ROUTES.into_iter().zip(handlers) {
        desk.add(to, route, move |desk, call| {
            desk.active("ci")?;
            Ok(Outcome::Now(answer(&handler(call)?)))
        });
    }
}

/// The number of the node that a path names. One beyond all numbers is as much that of no node as the largest.
fn node_of(call: &Call<'_>) -> Result<i64, ApiError> {
    Ok(path_number(call.param("id"), "node_id")?.unwrap_or(i64::MAX))
}

fn refused(refusal: Refusal) -> ApiError {
    let error = match refusal {
        Refusal::NotFound(detail) => ApiError::new(Code::NotFound, detail),
        Refusal::BadRequest(detail) => ApiError::new(Code::ValidationError, detail),
    };
    error.logged_as("No such page of ci")
}

fn missing(Missing(detail): Missing) -> ApiError {
    ApiError::new(Code::NotFound, detail)
}

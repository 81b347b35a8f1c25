//! The legend of ci (contract 04 §1.9): twenty nodes that lead to one another, a text in ten parts, and what its symbols mean.
//! The texts are our own (R22) and stand in `data/legend.json`.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::words::folded;
use crate::text::cut;

/// Tags of a filter that are looked at; what more there are is left out.
pub const FILTER_TAGS_MAX: usize = 50;
/// Where a reader may begin.
const BEGINNINGS: [i64; 3] = [1, 2, 8];
/// Where threads come together.
const JUNCTIONS: [i64; 3] = [17, 19, 20];
/// Tags that two nodes share when one is recommended beside the other.
const SHARED_TAGS: usize = 2;
/// Nodes recommended beside one.
const RECOMMENDED_MAX: usize = 3;
/// Characters of a name in an error message.
const SHOWN_CHARS: usize = 50;

/// The data file.
#[derive(Default, Deserialize)]
struct Legend {
    about: Value,
    nodes: Vec<Value>,
    duality: Value,
    symbols: Value,
}

/// Proved by the tests to be whole.
static LEGEND: LazyLock<Legend> =
    LazyLock::new(|| serde_json::from_str(include_str!("data/legend.json")).unwrap_or_default());

/// There is no such part: 404, with this `detail`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(pub String);

/// `GET /ci/legend`: title, structure, states of the reader, principles.
#[must_use]
pub fn about() -> &'static Value {
    &LEGEND.about
}

/// `GET /ci/legend/nodes?tags=`: the nodes that have any of these tags, divided by commas; all without a filter.
#[must_use]
pub fn nodes(tags: Option<&str>) -> Value {
    let asked: Vec<String> = tags.unwrap_or_default().split(',').take(FILTER_TAGS_MAX).map(folded).collect();
    let is_asked = |node: &&Value| tags_of(node).any(|tag| asked.iter().any(|asked| *asked == folded(tag)));
    let nodes: Vec<&Value> = match tags {
        None | Some("") => LEGEND.nodes.iter().collect(),
        Some(_) => LEGEND.nodes.iter().filter(is_asked).collect(),
    };
    json!({ "total": nodes.len(), "nodes": nodes })
}

/// `GET /ci/legend/nodes/{id}`: the node, and who is next to it.
///
/// # Errors
/// No node has this number.
pub fn node(id: i64) -> Result<Value, Missing> {
    let node = find(id)?;
    let connected: Vec<Value> = neighbours(node).map(|node| brief(node, &["id", "title", "icon"])).collect();
    let mut whole = node.clone();
    whole["connected_nodes"] = connected.into();
    Ok(whole)
}

/// `GET /ci/legend/duality`.
#[must_use]
pub fn duality() -> &'static Value {
    &LEGEND.duality
}

/// `GET /ci/legend/duality/sections/{id}`.
///
/// # Errors
/// No part has this id.
pub fn section(id: &str) -> Result<&'static Value, Missing> {
    let mut sections = LEGEND.duality["sections"].as_array().into_iter().flatten();
    let found = sections.find(|section| section["id"].as_str() == Some(id));
    found.ok_or_else(|| Missing(format!("Section {} not found", cut(id, SHOWN_CHARS))))
}

/// `GET /ci/legend/symbols`.
#[must_use]
pub fn symbols() -> &'static Value {
    &LEGEND.symbols
}

/// `GET /ci/legend/navigation/{id}?state=`: where one can go from here. In an overview the beginnings are recommended, in
/// immersion what shares two tags with this node, for integration where threads come together; in another state nothing.
///
/// # Errors
/// No node has this number.
pub fn navigation(id: i64, state: &str) -> Result<Value, Missing> {
    let current = find(id)?;
    let direct: Vec<Value> =
        neighbours(current).map(|node| brief(node, &["id", "title", "icon", "short_text"])).collect();
    let numbered = |ids: [i64; 3]| LEGEND.nodes.iter().filter(|node| ids.contains(&id_of(node))).collect();
    let is_near = |node: &&Value| {
        let shared = tags_of(node).filter(|tag| tags_of(current).any(|own| own == *tag)).count();
        id_of(node) != id && shared >= SHARED_TAGS
    };
    let recommended: Vec<&Value> = match state {
        "overview" => numbered(BEGINNINGS),
        "immersion" => LEGEND.nodes.iter().filter(is_near).take(RECOMMENDED_MAX).collect(),
        "integration" => numbered(JUNCTIONS),
        _ => Vec::new(),
    };
    Ok(json!({
        "current_node": brief(current, &["id", "title", "icon"]),
        "state": cut(state, SHOWN_CHARS),
        "direct_connections": direct,
        "recommendations": recommended,
    }))
}

fn find(id: i64) -> Result<&'static Value, Missing> {
    LEGEND.nodes.iter().find(|node| id_of(node) == id).ok_or_else(|| Missing(format!("Node {id} not found")))
}

fn id_of(node: &Value) -> i64 {
    node["id"].as_i64().unwrap_or_default()
}

fn tags_of(node: &Value) -> impl Iterator<Item = &str> {
    node["tags"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn neighbours(node: &Value) -> impl Iterator<Item = &'static Value> {
    let ids = node["connections"].as_array().into_iter().flatten().filter_map(Value::as_i64);
    ids.filter_map(|id| find(id).ok())
}

fn brief(node: &Value, members: &[&str]) -> Value {
    let members = members.iter().map(|member| ((*member).to_owned(), node[*member].clone()));
    Value::Object(members.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    fn ids(values: &Value) -> Vec<i64> {
        values.as_array().unwrap().iter().map(id_of).collect()
    }

    const MEMBERS: [&str; 9] =
        ["id", "title", "short_text", "deep_text", "icon", "tags", "visual_hint", "motion_scenario", "connections"];

    #[test]
    fn there_are_twenty_nodes_in_seven_sections() {
        let about = about();
        assert_eq!(
            keys(about),
            ["title", "subtitle", "version", "total_nodes", "structure", "states", "interaction_principles"]
        );
        assert_eq!(about["total_nodes"], 20);
        assert_eq!(keys(&about["states"]), ["overview", "immersion", "integration"]);
        assert_eq!(about["interaction_principles"].as_array().unwrap().len(), 3);
        let sections = about["structure"].as_object().unwrap();
        assert_eq!(sections.len(), 7);
        let listed: Vec<i64> =
            sections.values().flat_map(|ids| ids.as_array().unwrap()).map(|id| id.as_i64().unwrap()).collect();
        assert_eq!(listed, (1..=20).collect::<Vec<_>>());
        let all = nodes(None);
        assert_eq!((keys(&all), &all["total"]), (vec!["total", "nodes"], &json!(20)));
        assert_eq!(ids(&all["nodes"]), listed);
        for node in &LEGEND.nodes {
            assert_eq!(keys(node), MEMBERS);
            for member in &MEMBERS[1..] {
                let value = &node[*member];
                let is_full = value.as_str().is_some_and(|text| !text.trim().is_empty());
                assert!(is_full || value.as_array().is_some_and(|list| !list.is_empty()), "{member} of {node}");
            }
        }
    }

    #[test]
    fn every_way_leads_back_and_all_nodes_can_be_reached() {
        let connections = |node: &Value| -> BTreeSet<i64> {
            node["connections"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect()
        };
        for node in &LEGEND.nodes {
            for other in connections(node) {
                assert_ne!(other, id_of(node));
                assert!(connections(find(other).unwrap()).contains(&id_of(node)), "{} and {other}", id_of(node));
            }
        }
        let (mut seen, mut open) = (HashSet::new(), vec![1]);
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(connections(find(id).unwrap()));
            }
        }
        assert_eq!(seen.len(), 20);
    }

    #[test]
    fn any_of_the_tags_is_enough() {
        let with =
            |tags: &str| nodes(Some(tags))["nodes"].as_array().unwrap().iter().map(id_of).collect::<BTreeSet<_>>();
        let (quiet, word) = (with("тиша"), with("слово"));
        assert!(!quiet.is_empty() && !word.is_empty() && quiet.is_disjoint(&word));
        assert_eq!(with(" ТИША , слово"), &quiet | &word);
        assert_eq!(with("пам’ять"), with("пам'ять"));
        assert_eq!((with("немає").len(), with(",").len(), with("").len()), (0, 0, 20));
    }

    #[test]
    fn a_node_knows_who_is_next_to_it() {
        let node = node(1).unwrap();
        assert_eq!(keys(&node)[9], "connected_nodes");
        assert_eq!(keys(&node["connected_nodes"][0]), ["id", "title", "icon"]);
        assert_eq!(json!(ids(&node["connected_nodes"])), node["connections"]);
        assert_eq!(super::node(99), Err(Missing("Node 99 not found".to_owned())));
    }

    #[test]
    fn the_text_has_ten_parts_and_the_symbols_three_kinds() {
        assert_eq!(keys(duality()), ["id", "title", "subtitle", "icon", "sections"]);
        assert_eq!(duality()["sections"].as_array().unwrap().len(), 10);
        for number in 1..=10 {
            let part = section(&format!("section_{number}")).unwrap();
            assert_eq!(keys(part), ["id", "title", "content", "icon"]);
            assert!(part["content"].as_str().unwrap().len() > 100);
        }
        assert_eq!(section("section_11"), Err(Missing("Section section_11 not found".to_owned())));
        assert_eq!(keys(symbols()), ["numbers", "geometry", "elements"]);
    }

    #[test]
    fn from_each_node_there_is_a_way_on() {
        let to = |id, state| navigation(id, state).unwrap();
        assert_eq!(keys(&to(7, "overview")), ["current_node", "state", "direct_connections", "recommendations"]);
        assert_eq!(ids(&to(7, "overview")["recommendations"]), BEGINNINGS);
        assert_eq!(ids(&to(7, "integration")["recommendations"]), JUNCTIONS);
        assert_eq!(to(7, "elsewhere")["recommendations"], json!([]));
        assert_eq!(keys(&to(7, "")["direct_connections"][0]), ["id", "title", "icon", "short_text"]);
        for id in 1..=20 {
            let near = to(id, "immersion");
            assert!(near["recommendations"].as_array().unwrap().len() <= RECOMMENDED_MAX);
            assert!(!ids(&near["recommendations"]).contains(&id));
        }
        assert!(!ids(&to(1, "immersion")["recommendations"]).is_empty());
        assert_eq!(navigation(0, "overview"), Err(Missing("Node 0 not found".to_owned())));
    }
}

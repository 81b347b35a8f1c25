//! The pages that ci can be entered by: one of each state, intent and language (contract 04 §1.9; the Ukrainian path is `uk`,
//! R21). Their texts are data, `data/pages.json`: a page is what is said of its state and what is said of its intent.

use std::sync::LazyLock;

use http::Uri;
use serde_json::{Map, Value, json};

use super::state::{Intent, State, Target, Write};
use crate::text::cut;

/// Bytes of a base address.
pub const BASE_MAX_BYTES: usize = 500;
/// Characters of a name in an error message.
const SHOWN_CHARS: usize = 50;

/// The languages, by their codes; what alternates with a page is in this order.
pub const LANGUAGES: [&str; 2] = ["en", "uk"];

/// What the data file says. Proved by the tests to have every state and intent in every language.
static PAGES: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("data/pages.json")).unwrap_or_default());

/// Why there is no answer. The text is the `detail` of the error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 404.
    NotFound(String),
    /// 400.
    BadRequest(String),
}

/// `GET /ci/seo/states`.
#[must_use]
pub fn states() -> Value {
    json!({ "states": State::NAMED.map(State::name) })
}

/// `GET /ci/seo/intents`.
#[must_use]
pub fn intents() -> Value {
    json!({ "intents": Intent::ALL.map(Intent::name) })
}

/// `GET /ci/seo/languages`.
#[must_use]
pub fn languages() -> Value {
    json!({ "languages": LANGUAGES })
}

/// `GET /ci/seo/entry/{lang}/{state}/{intent}`.
///
/// # Errors
/// 404 where one of the three is unknown.
pub fn entry(lang: &str, state: &str, intent: &str) -> Result<Value, Refusal> {
    match (language(lang), State::named(state), Intent::named(intent)) {
        (Some(lang), Some(state), Some(intent)) => Ok(page(lang, state, intent)),
        _ => Err(Refusal::NotFound(format!(
            "SEO entry not found for {}/{}/{}",
            cut(lang, SHOWN_CHARS),
            cut(state, SHOWN_CHARS),
            cut(intent, SHOWN_CHARS)
        ))),
    }
}

/// `GET /ci/seo/entries/{lang}`: all 49, state by state.
///
/// # Errors
/// 400 where there is no such language.
pub fn entries(lang: &str) -> Result<Value, Refusal> {
    let lang = language(lang).ok_or_else(|| unsupported(lang))?;
    let entries: Vec<Value> = addresses().map(|(state, intent)| page(lang, state, intent)).collect();
    let count = entries.len();
    Ok(json!({ "lang": lang, "entries": entries, "count": count }))
}

/// `GET /ci/seo/module/{state}`.
///
/// # Errors
/// 400 where there is no such state.
pub fn module(state: &str) -> Result<Value, Refusal> {
    let state = State::named(state)
        .ok_or_else(|| Refusal::BadRequest(format!("Invalid state: {}", cut(state, SHOWN_CHARS))))?;
    let target = state.target();
    Ok(json!({ "state": state.name(), "module": target.id(), "writes_policy": writes_policy(target) }))
}

/// `GET /ci/seo/sitemap?base_url=`: 49 addresses, the Ukrainian ones, each with both languages beside it. Without a base the
/// addresses begin at the root.
///
/// # Errors
/// 400 where the base is no `http` or `https` address.
pub fn sitemap(base: &str) -> Result<Value, Refusal> {
    let base = checked_base(base)?;
    let urls: Vec<Value> = addresses()
        .map(|(state, intent)| {
            let at = |lang| format!("{base}{}", path(lang, state, intent));
            let alternates = LANGUAGES.map(|lang| json!({ "hreflang": lang, "href": at(lang) }));
            json!({ "loc": at("uk"), "alternates": alternates })
        })
        .collect();
    let count = urls.len();
    Ok(json!({ "sitemap": urls, "count": count }))
}

/// `GET /ci/seo/seeds?lang=`: phrases that people look for, by language and state.
///
/// # Errors
/// 400 where there is no such language.
pub fn seeds(lang: Option<&str>) -> Result<Value, Refusal> {
    let of = |lang: &str| PAGES.get(lang).map_or(Value::Null, |pages| pages["seeds"].clone());
    let seeds = match lang {
        Some(lang) => of(language(lang).ok_or_else(|| unsupported(lang))?),
        None => LANGUAGES.iter().map(|lang| ((*lang).to_owned(), of(lang))).collect::<Map<_, _>>().into(),
    };
    Ok(json!({ "seeds": seeds }))
}

/// What a module's captures write (contract 04 §1.9).
#[must_use]
pub fn writes_policy(target: Target) -> Value {
    json!({
        "min": 2,
        "max": 3,
        "mandatory": [Write::TimePoint.name(), Write::Snapshot.name()],
        "optional": target.write().name(),
    })
}

fn addresses() -> impl Iterator<Item = (State, Intent)> {
    State::NAMED.into_iter().flat_map(|state| Intent::ALL.map(move |intent| (state, intent)))
}

fn path(lang: &str, state: State, intent: Intent) -> String {
    format!("/{lang}/{}/{}", state.name(), intent.name())
}

fn page(lang: &str, state: State, intent: Intent) -> Value {
    let text = |kind: &str, name: &str, member: &str| {
        PAGES.get(lang).and_then(|pages| pages[kind][name][member].as_str()).unwrap_or_default()
    };
    let of_state = |member| text("states", state.name(), member);
    let of_intent = |member| text("intents", intent.name(), member);
    let target = state.target();
    json!({
        "title": format!("{}: {}", of_state("name"), of_intent("name")),
        "description": format!("{} {}", of_state("text"), of_intent("text")),
        "url": path(lang, state, intent),
        "module": target.id(),
        "writes_policy": writes_policy(target),
        "state": state.name(),
        "intent": intent.name(),
        "lang": lang,
    })
}

fn language(lang: &str) -> Option<&'static str> {
    LANGUAGES.into_iter().find(|known| *known == lang)
}

fn unsupported(lang: &str) -> Refusal {
    Refusal::BadRequest(format!("Unsupported language: {}", cut(lang, SHOWN_CHARS)))
}

/// The base without the slash at its end.
fn checked_base(base: &str) -> Result<&str, Refusal> {
    if base.is_empty() {
        return Ok(base);
    }
    let refused = |why: &str| Refusal::BadRequest(format!("base_url {why}: {}", cut(base, SHOWN_CHARS)));
    if base.len() > BASE_MAX_BYTES {
        return Err(refused(&format!("is longer than {BASE_MAX_BYTES} bytes")));
    }
    let uri: Uri = base.parse().map_err(|_| refused("is not an address"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(refused("should begin with http:// or https://"));
    }
    if uri.host().is_none_or(str::is_empty) || uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err(refused("should name a host and no user"));
    }
    if base.contains(['?', '#', '<', '>', '"', '\'']) {
        return Err(refused("should end with a path"));
    }
    Ok(base.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn every_page_has_its_texts_in_every_language() {
        assert_eq!(PAGES.keys().collect::<HashSet<_>>(), HashSet::from([&"uk".to_owned(), &"en".to_owned()]));
        for lang in LANGUAGES {
            let body = entries(lang).unwrap();
            assert_eq!(keys(&body), ["lang", "entries", "count"]);
            assert_eq!((&body["lang"], &body["count"]), (&json!(lang), &json!(49)));
            let pages = body["entries"].as_array().unwrap();
            let titles: HashSet<&str> = pages.iter().map(|page| page["title"].as_str().unwrap()).collect();
            let texts: HashSet<&str> = pages.iter().map(|page| page["description"].as_str().unwrap()).collect();
            assert_eq!((pages.len(), titles.len(), texts.len()), (49, 49, 49));
            for page in pages {
                let (title, text) = (page["title"].as_str().unwrap(), page["description"].as_str().unwrap());
                assert!(!title.starts_with(':') && !title.ends_with(": ") && text.len() > 40, "{page}");
            }
        }
    }

    #[test]
    fn a_page_has_the_members_of_the_contract_in_its_order() {
        let page = entry("uk", "fatigue", "capture").unwrap();
        let members = ["title", "description", "url", "module", "writes_policy", "state", "intent", "lang"];
        assert_eq!(keys(&page), members);
        assert_eq!((&page["url"], &page["title"]), (&json!("/uk/fatigue/capture"), &json!("Втома: записати мить")));
        assert_eq!(entry("en", "joy", "preserve").unwrap()["url"], "/en/joy/preserve");
        for (lang, state, intent) in
            [("ua", "joy", "calm"), ("uk", "neutral", "calm"), ("uk", "joy", "Calm"), ("", "", "")]
        {
            let detail = format!("SEO entry not found for {lang}/{state}/{intent}");
            assert_eq!(entry(lang, state, intent), Err(Refusal::NotFound(detail)));
        }
    }

    #[test]
    fn lists_are_those_of_the_contract() {
        assert_eq!(
            states().to_string(),
            r#"{"states":["fatigue","tension","anxiety","joy","loss","anticipation","change"]}"#
        );
        assert_eq!(
            intents().to_string(),
            r#"{"intents":["understand","capture","calm","check","preserve","connect","prepare"]}"#
        );
        assert_eq!(languages().to_string(), r#"{"languages":["en","uk"]}"#);
        assert_eq!(entries("de"), Err(Refusal::BadRequest("Unsupported language: de".to_owned())));
    }

    #[test]
    fn each_state_has_its_module_and_policy() {
        assert_eq!(
            module("fatigue").unwrap().to_string(),
            "{\"state\":\"fatigue\",\"module\":\"nastrij\",\"writes_policy\":{\"min\":2,\"max\":3,\"mandatory\":\
             [\"calendar.time_point\",\"gallery.experience_snapshot\"],\"optional\":\"nastrij.state_mark\"}}"
        );
        for (state, id, optional) in [
            ("tension", "nastrij", "nastrij.state_mark"),
            ("anxiety", "nastrij", "nastrij.state_mark"),
            ("joy", "nastrij", "nastrij.state_mark"),
            ("loss", "kazkar", "kazkar.memory_node"),
            ("anticipation", "podija", "podija.future_link"),
            ("change", "podija", "podija.future_link"),
        ] {
            let body = module(state).unwrap();
            assert_eq!((&body["module"], &body["writes_policy"]["optional"]), (&json!(id), &json!(optional)));
        }
        assert_eq!(module("neutral"), Err(Refusal::BadRequest("Invalid state: neutral".to_owned())));
    }

    #[test]
    fn the_sitemap_has_every_page_in_both_languages() {
        let body = sitemap("https://example.org/family/").unwrap();
        assert_eq!(keys(&body), ["sitemap", "count"]);
        let urls = body["sitemap"].as_array().unwrap();
        assert_eq!((urls.len(), &body["count"]), (49, &json!(49)));
        assert_eq!(
            urls[0].to_string(),
            "{\"loc\":\"https://example.org/family/uk/fatigue/understand\",\"alternates\":[\
             {\"hreflang\":\"en\",\"href\":\"https://example.org/family/en/fatigue/understand\"},\
             {\"hreflang\":\"uk\",\"href\":\"https://example.org/family/uk/fatigue/understand\"}]}"
        );
        assert_eq!(sitemap("").unwrap()["sitemap"][0]["loc"], "/uk/fatigue/understand");
        assert_eq!(
            sitemap("HTTP://localhost:8000").unwrap()["sitemap"][48]["loc"],
            "HTTP://localhost:8000/uk/change/prepare"
        );
        let long = format!("https://{}", "a".repeat(BASE_MAX_BYTES));
        for base in [
            "javascript:alert(1)",
            "ftp://a",
            "example.org",
            "/x",
            "https://",
            "https://a b",
            "https://u@a",
            "https://a/?x=1",
            "https://a/#x",
            "https://a/<b>",
            "\n",
            long.as_str(),
        ] {
            assert!(matches!(sitemap(base), Err(Refusal::BadRequest(_))), "{base}");
        }
    }

    #[test]
    fn seeds_are_phrases_of_each_state() {
        let all = seeds(None).unwrap();
        for lang in LANGUAGES {
            let one = seeds(Some(lang)).unwrap();
            assert_eq!(all["seeds"][lang], one["seeds"]);
            assert_eq!(keys(&one["seeds"]), State::NAMED.map(State::name));
            for state in State::NAMED {
                assert!(
                    one["seeds"][state.name()]
                        .as_array()
                        .unwrap()
                        .iter()
                        .all(|phrase| !phrase.as_str().unwrap().is_empty())
                );
                assert!(!one["seeds"][state.name()].as_array().unwrap().is_empty());
            }
        }
        assert_eq!(seeds(Some("ua")), Err(Refusal::BadRequest("Unsupported language: ua".to_owned())));
    }
}

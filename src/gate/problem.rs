//! One thing wrong with a request: an item of a 422's `detail` (contract 01 §3.3).

use serde_json::{Value, json};

/// One thing wrong with a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The catalogue's name for it.
    pub kind: &'static str,
    /// Where: `body`, `query`, `header` or `path`, then the way down.
    pub loc: Vec<Value>,
    /// A sentence.
    pub msg: String,
    /// The offending value, capped.
    pub input: Value,
    /// The bound, where there is one.
    pub ctx: Option<Value>,
    /// What to do about it, for the sentence only; empty where the sentence says it all.
    pub hint: &'static str,
}

impl Problem {
    /// The item of `detail`.
    pub fn to_json(&self) -> Value {
        let mut item = json!({ "type": self.kind, "loc": self.loc, "msg": self.msg, "input": self.input });
        if let Some(ctx) = &self.ctx {
            item["ctx"] = ctx.clone();
        }
        item
    }

    /// For people: `body.title: Field required`.
    pub fn sentence(&self) -> String {
        let place: Vec<String> =
            self.loc.iter().map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned)).collect();
        format!("{}: {}{}", place.join("."), self.msg, self.hint)
    }
}

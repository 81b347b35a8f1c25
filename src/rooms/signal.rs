//! What y-webrtc's signalling says (contract 03 §2.10): browsers that meet under a topic hand each other what they need to
//! connect. Pure.
//!
//! What is published goes to everyone who listens, the sender among them, as the same object with the number of listeners added.
//! It is not read: it may be encrypted by the password of the room.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::json::{Name, Object, Text, is_too_deep};

/// Topics that one socket may listen to. A page has one for each of its rooms.
pub const SIGNAL_TOPICS_MAX: usize = 64;

/// The longest name of a topic, in bytes.
pub const SIGNAL_TOPIC_MAX_BYTES: usize = 255;

/// Topics that somebody may listen to, in all.
pub const SIGNAL_TOPICS_ALL_MAX: usize = 65_536;

/// Messages of one socket at once: who comes to a topic says something to everyone there.
pub const SIGNAL_BURST_MESSAGES: u32 = 400;

/// Messages of one socket within a second, after that.
pub const SIGNAL_MESSAGES_PER_SECOND: u32 = 100;

/// What tells a client that its connection lives.
pub const PONG: &str = r#"{"type":"pong"}"#;

/// What a client has said.
#[derive(Debug)]
pub enum Heard<'a> {
    /// It wants to hear of these topics. One more than [`SIGNAL_TOPICS_MAX`] at most, however many it names.
    Subscribe(Vec<Cow<'a, str>>),
    /// It wants to hear of these no more.
    Unsubscribe(Vec<Cow<'a, str>>),
    /// Something for everyone who listens.
    Publish(Publication<'a>),
    /// Is anyone there?
    Ping,
    /// Nothing that is known here.
    Ignored,
}

/// Something for everyone who listens to a topic.
#[derive(Debug)]
pub struct Publication<'a> {
    /// The topic.
    pub topic: Cow<'a, str>,
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl Publication<'_> {
    /// What they are told: all that was said, and how many they are.
    pub fn to(&self, clients: usize) -> String {
        let members = self.members.iter().fold(Object::empty(), |told, (name, value)| told.raw(name, Some(value)));
        members.number("clients", clients as u64).end()
    }
}

impl<'a> Heard<'a> {
    /// Reads a message.
    pub fn of(text: &'a str) -> Self {
        if is_too_deep(text) {
            return Self::Ignored;
        }
        let Ok(Members(members)) = serde_json::from_str(text) else { return Self::Ignored };
        // Of two of one name the last counts, as for `JSON.parse`.
        let member = |name: &str| members.iter().rev().find(|(known, _)| known == name).map(|(_, value)| *value);
        let text = |name: &str| member(name).map_or(Text::Absent, Text::of);
        let topics = || {
            member("topics").and_then(|topics| serde_json::from_str(topics.get()).ok()).unwrap_or(Topics(Vec::new())).0
        };
        let Text::Is(kind) = text("type") else { return Self::Ignored };
        match &*kind {
            "subscribe" => Self::Subscribe(topics()),
            "unsubscribe" => Self::Unsubscribe(topics()),
            "publish" => match text("topic") {
                Text::Is(topic) if !topic.is_empty() => {
                    let others = members.into_iter().filter(|(name, _)| name != "clients");
                    Self::Publish(Publication { topic, members: others.collect() })
                }
                _ => Self::Ignored,
            },
            "ping" => Self::Ping,
            _ => Self::Ignored,
        }
    }
}

/// An object as it was written.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Deserialize<'a> for Members<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'a> Visitor<'a> for MembersVisitor {
    type Value = Members<'a>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
        let mut members = Vec::new();
        while let Some((Name(name), value)) = map.next_entry()? {
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

/// The texts of an array, each once; other items are passed over, and so is what is beyond [`SIGNAL_TOPICS_MAX`] and one more.
struct Topics<'a>(Vec<Cow<'a, str>>);

impl<'a> Deserialize<'a> for Topics<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(TopicsVisitor)
    }
}

struct TopicsVisitor;

impl<'a> Visitor<'a> for TopicsVisitor {
    type Value = Topics<'a>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<Topics<'a>, A::Error> {
        let mut topics = Vec::new();
        while topics.len() <= SIGNAL_TOPICS_MAX {
            let Some(item) = items.next_element()? else { return Ok(Topics(topics)) };
            if let Text::Is(topic) = Text::of(item)
                && !topic.is_empty()
                && !topics.contains(&topic)
            {
                topics.push(topic);
            }
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Topics(topics))
    }
}

/// How many sockets listen to each topic. At most so many topics; one without listeners is forgotten.
#[derive(Debug)]
pub struct Listeners {
    counts: HashMap<Arc<str>, usize>,
    most: usize,
}

/// There are as many topics as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("There are already {0} topics, which is the maximum; try again later")]
pub struct TooManyTopics(pub usize);

impl Listeners {
    /// Nobody, of at most so many topics.
    pub fn new(most: usize) -> Self {
        Self { counts: HashMap::new(), most }
    }

    /// One more listens to this topic.
    ///
    /// # Errors
    /// Nobody does yet, and there are too many others.
    pub fn add(&mut self, topic: &Arc<str>) -> Result<(), TooManyTopics> {
        if let Some(count) = self.counts.get_mut(topic) {
            *count += 1;
        } else if self.counts.len() >= self.most {
            return Err(TooManyTopics(self.most));
        } else {
            self.counts.insert(Arc::clone(topic), 1);
        }
        Ok(())
    }

    /// One less does.
    pub fn remove(&mut self, topic: &str) {
        if let Some(count) = self.counts.get_mut(topic) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(topic);
            }
        }
    }

    /// How many listen to it.
    pub fn of(&self, topic: &str) -> usize {
        self.counts.get(topic).copied().unwrap_or_default()
    }

    /// Whether nobody listens to anything.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

/// What one socket may still say.
#[derive(Debug)]
pub struct Budget {
    /// What a message costs.
    each: Duration,
    /// How far ahead it may spend.
    most: Duration,
    /// Until when it has spent.
    spent: Instant,
}

impl Budget {
    /// So many messages at once, and then so many a second.
    pub fn new(burst: u32, per_second: u32, now: Instant) -> Self {
        let each = Duration::from_secs(1) / per_second;
        Self { each, most: each * burst, spent: now }
    }

    /// Whether it may say one more.
    pub fn take(&mut self, now: Instant) -> bool {
        let spent = self.spent.max(now) + self.each;
        let may = spent <= now + self.most;
        if may {
            self.spent = spent;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Clock;

    fn heard(text: &str) -> String {
        match Heard::of(text) {
            Heard::Subscribe(topics) => format!("subscribe {}", topics.join(",")),
            Heard::Unsubscribe(topics) => format!("unsubscribe {}", topics.join(",")),
            Heard::Publish(publication) => format!("{} {}", publication.topic, publication.to(3)),
            Heard::Ping => "ping".to_owned(),
            Heard::Ignored => "ignored".to_owned(),
        }
    }

    #[test]
    fn what_y_webrtc_says_is_understood() {
        for (text, meaning) in [
            (r#"{"type":"subscribe","topics":["a","b\u002fc","a",7,null,""]}"#, "subscribe a,b/c"),
            (r#"{"type":"subscribe"}"#, "subscribe "),
            (r#"{"type":"subscribe","topics":"a"}"#, "subscribe "),
            (r#"{"type":"subscribe","topics":["a"],"topics":["b"]}"#, "subscribe b"),
            (r#"{"type":"unsubscribe","topics":["a"]}"#, "unsubscribe a"),
            (
                r#"{"type":"publish","topic":"a","data":{"to": "x"}}"#,
                r#"a {"type":"publish","topic":"a","data":{"to":"x"},"clients":3}"#,
            ),
            (
                r#"{ "clients":9, "topic":"a", "more":[1, 2], "type":"publish" }"#,
                r#"a {"topic":"a","more":[1,2],"type":"publish","clients":3}"#,
            ),
            (r#"{"type":"publish","topic":"","data":1}"#, "ignored"),
            (r#"{"type":"publish","topic":7}"#, "ignored"),
            (r#"{"type":"publish","data":1}"#, "ignored"),
            (r#"{"type":"ping"}"#, "ping"),
            (r#"{"type":"pong"}"#, "ignored"),
            (r#"{"type":["ping"]}"#, "ignored"),
            ("{}", "ignored"),
            ("null", "ignored"),
            ("[]", "ignored"),
            ("ping", "ignored"),
            ("", "ignored"),
        ] {
            assert_eq!(heard(text), meaning, "{text}");
        }
        let deep = format!(r#"{{"type":"publish","topic":"a","data":{}{}}}"#, "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(heard(&deep), "ignored");
    }

    #[test]
    fn of_many_topics_one_more_than_may_be_is_kept() {
        let names: Vec<String> = (0..10_000).map(|name| name.to_string()).collect();
        let text = serde_json::json!({ "type": "subscribe", "topics": names }).to_string();
        let Heard::Subscribe(topics) = Heard::of(&text) else { panic!() };
        assert_eq!(topics.len(), SIGNAL_TOPICS_MAX + 1);
    }

    #[test]
    fn listeners_are_counted_topics_bounded_and_nothing_is_kept_of_who_has_left() {
        let mut listeners = Listeners::new(2);
        let [a, b, c]: [Arc<str>; 3] = ["a", "b", "c"].map(Arc::from);
        for topic in [&a, &a, &b] {
            listeners.add(topic).unwrap();
        }
        assert_eq!((listeners.of("a"), listeners.of("b"), listeners.of("c")), (2, 1, 0));
        assert_eq!(listeners.add(&c), Err(TooManyTopics(2)));
        assert_eq!(listeners.add(&b), Ok(()), "one that is there takes no room");
        for topic in ["a", "a", "b", "b", "b", "c"] {
            listeners.remove(topic);
        }
        assert!(listeners.is_empty());
    }

    #[test]
    fn a_socket_says_so_much_at_once_and_then_so_much_a_second() {
        let now = Clock::system().instant();
        let mut budget = Budget::new(4, 2, now);
        let mut at = |millis| (0..9).take_while(|_| budget.take(now + Duration::from_millis(millis))).count();
        assert_eq!([at(0), at(499), at(500), at(1500), at(60_000)], [4, 0, 1, 2, 4]);
    }

    proptest! {
        #[test]
        fn a_publication_goes_on_as_it_was_said(data in "\\PC{0,30}", topic in "\\PC{1,20}", clients: u16) {
            let said = serde_json::json!({ "type": "publish", "topic": topic, "data": { "x": [data, 1.5] } });
            let text = serde_json::to_string_pretty(&said).unwrap();
            let Heard::Publish(publication) = Heard::of(&text) else { panic!() };
            prop_assert_eq!(&publication.topic, &topic);
            let mut expected = said;
            expected["clients"] = clients.into();
            prop_assert_eq!(publication.to(clients.into()), expected.to_string());
        }
    }
}

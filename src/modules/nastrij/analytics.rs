//! What a household's moods look like over some days (contract 04 §5.2, row nastrij): numbers of what was written, no advice.

use std::collections::{HashMap, HashSet};

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};
use serde_json::{Map, Value, json};

use super::super::ci::words::{count, folded, tokens};
use crate::text::cut;

/// The most days that can be asked for.
pub const DAYS_MAX: u16 = 366;
/// Moods told apart; what more there are is in no distribution.
pub const MOODS_MAX: usize = 50;
/// Triggers in the answer.
pub const TRIGGERS_MAX: usize = 10;
/// Triggers of one entry that are counted.
pub const TRIGGERS_OF_ENTRY_MAX: usize = 50;
/// Characters of a mood or trigger in the answer.
const NAME_MAX_CHARS: usize = 50;
/// Days of each of the two weeks that the trend compares.
pub(super) const TREND_DAYS: i64 = 7;
/// Entries without which a week says nothing.
const TREND_ENTRIES_MIN: usize = 3;
/// A tenth of the scale of intensity, 0 to 10: what the mean has to move for a trend.
const TREND_STEP: f64 = 1.0;
/// What an entry without an intensity weighs: the middle of the scale.
const MIDDLE: f64 = 5.0;

/// Words of pleasant moods; patterns as in [`count`].
const PLEASANT: &[&str] = &[
    "happy",
    "happi*",
    "excited",
    "calm",
    "joy*",
    "glad",
    "good",
    "great",
    "grateful",
    "content",
    "peaceful",
    "proud",
    "loved",
    "relaxed",
    "hopeful",
    "inspired",
    "cheerful",
    "щаслив*",
    "щастя",
    "рада",
    "радий",
    "раді",
    "радіс*",
    "спокій",
    "спокійн*",
    "весел*",
    "натхнен*",
    "вдячн*",
    "задоволен*",
    "чудов*",
    "добре",
    "піднесен*",
    "захоплен*",
    "закохан*",
    "бадьор*",
    "надія",
    "гордіст*",
];

/// Words of unpleasant moods.
const UNPLEASANT: &[&str] = &[
    "sad",
    "sadness",
    "anxi*",
    "angry",
    "anger",
    "tired*",
    "stress*",
    "tense",
    "tension",
    "afraid",
    "fear*",
    "lonely",
    "upset",
    "depress*",
    "exhaust*",
    "fatigue",
    "worried",
    "nervous",
    "bad",
    "grief",
    "loss",
    "bored",
    "ashamed",
    "guilty",
    "irritat*",
    "frustrat*",
    "сум",
    "сумн*",
    "смуток",
    "тривог*",
    "тривож*",
    "злий",
    "зла",
    "злість",
    "злюся",
    "гнів*",
    "втом*",
    "стомлен*",
    "виснаж*",
    "стрес*",
    "напруж*",
    "напруг*",
    "страх*",
    "страшно",
    "самотн*",
    "пригнічен*",
    "розчарован*",
    "роздратов*",
    "нерв*",
    "погано",
    "горе",
    "втрат*",
    "образ*",
    "нудно",
    "апаті*",
];

/// One entry of the log.
#[derive(Debug, Clone, Copy)]
pub struct Mood<'t> {
    /// As it was written.
    pub state: &'t str,
    /// 0 to 10.
    pub intensity: Option<f64>,
    /// What led to it.
    pub triggers: &'t [String],
    /// When, on the household's wall.
    pub at: DateTime,
}

/// Where moods are going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// By more than a tenth of the scale.
    Improving,
    /// By more than a tenth of the scale.
    Declining,
    /// Neither, or too few entries.
    Stable,
}

impl Trend {
    /// On the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Improving => "improving",
            Self::Declining => "declining",
            Self::Stable => "stable",
        }
    }
}

/// `GET …/analytics?days=`: `average_intensity` (of the entries that have one, two digits, or null), `most_common_mood` (of equal
/// ones the one written last, or null), `mood_distribution` (mood to count, the most common first), `trend`; then `days`,
/// `entries`, `daily` (a row for every day: `date`, `entries`, `average_intensity`, `balance`, the signed mean, null without
/// entries) and `top_triggers` (`trigger`, `count`).
///
/// The days are the last `days` up to today, 1 to [`DAYS_MAX`]; a number beyond is brought there. Entries outside of them count for the
/// trend only, if they lie in its two weeks.
#[must_use]
pub fn analytics(entries: &[Mood<'_>], today: Date, days: u16) -> Value {
    let days = days.clamp(1, DAYS_MAX);
    let first = before(today, i64::from(days) - 1);
    let is_inside = |mood: &&Mood<'_>| (first..=today).contains(&mood.at.date());
    let inside: Vec<&Mood<'_>> = entries.iter().filter(is_inside).collect();
    let moods = moods(&inside);
    let distribution: Map<String, Value> = moods.iter().map(|(name, count)| (name.clone(), (*count).into())).collect();
    json!({
        "average_intensity": mean(inside.iter().filter_map(|mood| mood.intensity)),
        "most_common_mood": moods.first().map(|(name, _)| name),
        "mood_distribution": distribution,
        "trend": trend(entries, today).name(),
        "days": days,
        "entries": inside.len(),
        "daily": daily(&inside, first, today),
        "top_triggers": triggers(&inside),
    })
}

/// Compares the signed mean of the last seven days, today among them, with that of the seven before. An entry counts its
/// intensity, positive where the mood is pleasant, negative where it is unpleasant, nothing where it is neither.
#[must_use]
pub fn trend(entries: &[Mood<'_>], today: Date) -> Trend {
    let week = |from: i64| {
        let (first, last) = (before(today, from + TREND_DAYS - 1), before(today, from));
        let of_week = entries.iter().filter(|mood| (first..=last).contains(&mood.at.date()));
        let values: Vec<f64> = of_week.map(signed).collect();
        if values.len() < TREND_ENTRIES_MIN { None } else { average(values.into_iter()) }
    };
    match (week(0), week(TREND_DAYS)) {
        (Some(now), Some(then)) if now - then > TREND_STEP => Trend::Improving,
        (Some(now), Some(then)) if now - then < -TREND_STEP => Trend::Declining,
        _ => Trend::Stable,
    }
}

/// 1 for a pleasant mood, -1 for an unpleasant one, 0 for what is both or neither.
#[must_use]
pub fn sign(state: &str) -> i8 {
    let words = tokens(state);
    match count(PLEASANT, &words).cmp(&count(UNPLEASANT, &words)) {
        std::cmp::Ordering::Greater => 1,
        std::cmp::Ordering::Less => -1,
        std::cmp::Ordering::Equal => 0,
    }
}

fn signed(mood: &Mood<'_>) -> f64 {
    f64::from(sign(mood.state)) * mood.intensity.filter(|value| value.is_finite()).unwrap_or(MIDDLE).clamp(0.0, 10.0)
}

/// Moods with their counts, the most common first; of equal ones that which was written last.
fn moods(entries: &[&Mood<'_>]) -> Vec<(String, usize)> {
    let mut counts: HashMap<String, (usize, DateTime)> = HashMap::new();
    for mood in entries {
        let count = counts.entry(name(mood.state)).or_insert((0, mood.at));
        *count = (count.0 + 1, count.1.max(mood.at));
    }
    counts.remove("");
    let mut moods: Vec<(String, (usize, DateTime))> = counts.into_iter().collect();
    moods.sort_by(|(name, count), (other, than)| than.cmp(count).then_with(|| name.cmp(other)));
    moods.into_iter().take(MOODS_MAX).map(|(name, (count, _))| (name, count)).collect()
}

fn triggers(entries: &[&Mood<'_>]) -> Vec<Value> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for mood in entries {
        let own: HashSet<String> =
            mood.triggers.iter().take(TRIGGERS_OF_ENTRY_MAX).map(|trigger| name(trigger)).collect();
        for trigger in own {
            *counts.entry(trigger).or_default() += 1;
        }
    }
    counts.remove("");
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by(|(name, count), (other, than)| than.cmp(count).then_with(|| name.cmp(other)));
    let row = |(trigger, count)| json!({ "trigger": trigger, "count": count });
    counts.into_iter().take(TRIGGERS_MAX).map(row).collect()
}

fn daily(entries: &[&Mood<'_>], first: Date, last: Date) -> Vec<Value> {
    let mut by_day: HashMap<Date, Vec<&Mood<'_>>> = HashMap::new();
    for mood in entries {
        by_day.entry(mood.at.date()).or_default().push(mood);
    }
    let row = |date: Date| {
        let moods = by_day.get(&date).map_or(&[][..], Vec::as_slice);
        json!({
            "date": date.to_string(),
            "entries": moods.len(),
            "average_intensity": mean(moods.iter().filter_map(|mood| mood.intensity)),
            "balance": mean(moods.iter().map(|mood| signed(mood))),
        })
    };
    first.series(1.day()).take_while(|date| *date <= last).take(usize::from(DAYS_MAX)).map(row).collect()
}

/// A mood or trigger as it is counted and shown.
fn name(text: &str) -> String {
    cut(&folded(text), NAME_MAX_CHARS).into_owned()
}

fn before(day: Date, days: i64) -> Date {
    day.checked_sub(days.days()).unwrap_or(Date::MIN)
}

fn average(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values.filter(|value| value.is_finite()) {
        sum += value;
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}

/// The average to two digits.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    average(values).map(|mean| (mean * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn today() -> Date {
        date(2026, 11, 18)
    }

    fn mood(state: &str, intensity: f64, days_ago: i64) -> Mood<'_> {
        let at = before(today(), days_ago).at(12, 0, 0, 0);
        Mood { state, intensity: Some(intensity), triggers: &[], at }
    }

    #[test]
    fn a_mood_is_pleasant_or_unpleasant_in_both_languages() {
        for state in ["happy", "EXCITED", "calm", "Щаслива", "спокій", "дуже вдячний", "не сумно, а весело"]
        {
            assert_eq!(sign(state), 1, "{state}");
        }
        for state in ["sad", "anxious", "angry", "tired", "Втомлена", "тривога", "сумно", "не рада, зла"]
        {
            assert_eq!(sign(state), -1, "{state}");
        }
        for state in ["neutral", "", "зелений", "сумно й весело", "не сумно", "🙂"] {
            assert_eq!(sign(state), 0, "{state}");
        }
    }

    #[test]
    fn the_trend_compares_two_weeks() {
        type Week = [(&'static str, f64); 3];
        let cases: [(Week, Week, Trend); 9] = [
            ([("happy", 8.0); 3], [("sad", 8.0); 3], Trend::Improving),
            ([("sad", 8.0); 3], [("happy", 8.0); 3], Trend::Declining),
            ([("happy", 8.0); 3], [("happy", 8.0); 3], Trend::Stable),
            ([("happy", 6.0); 3], [("happy", 5.0); 3], Trend::Stable),
            ([("happy", 6.1); 3], [("happy", 5.0); 3], Trend::Improving),
            ([("sad", 6.1); 3], [("sad", 5.0); 3], Trend::Declining),
            ([("зелений", 10.0); 3], [("neutral", 1.0); 3], Trend::Stable),
            ([("neutral", 9.0); 3], [("сумно", 3.0); 3], Trend::Improving),
            ([("calm", 9.0), ("sad", 9.0), ("neutral", 9.0)], [("neutral", 1.0); 3], Trend::Stable),
        ];
        for (now, then, expected) in cases {
            let entries: Vec<Mood<'_>> = now
                .iter()
                .zip([0, 3, 6])
                .chain(then.iter().zip([7, 10, 13]))
                .map(|((state, intensity), days)| mood(state, *intensity, days))
                .collect();
            assert_eq!(trend(&entries, today()), expected, "{now:?} after {then:?}");
            for left_out in [0, 5] {
                let mut few = entries.clone();
                few.remove(left_out);
                assert_eq!(trend(&few, today()), Trend::Stable, "two entries say nothing");
            }
        }
    }

    #[test]
    fn days_outside_of_the_two_weeks_do_not_count() {
        let now = [0, 1, 2].map(|days| mood("happy", 9.0, days));
        let old = [14, 15, 16].map(|days| mood("sad", 9.0, days));
        let coming = [-1, -2, -3].map(|days| mood("sad", 9.0, days));
        assert_eq!(trend(&[now, old, coming].concat(), today()), Trend::Stable);
    }

    #[test]
    fn the_answer_has_the_keys_of_the_contract_and_more_behind_them() {
        let sleep = ["Сон".to_owned(), "сон ".to_owned(), "робота".to_owned()];
        let none = Mood { intensity: None, ..mood("втома", 0.0, 1) };
        let entries = [
            Mood { triggers: &sleep, ..mood("Tired", 6.0, 0) },
            Mood { triggers: &sleep[..1], ..mood("tired ", 7.0, 1) },
            none,
            mood("happy", 9.0, 2),
            mood("sad", 9.0, 3),
        ];
        assert_eq!(
            analytics(&entries, today(), 3),
            json!({
                "average_intensity": 7.33,
                "most_common_mood": "tired",
                "mood_distribution": { "tired": 2, "втома": 1, "happy": 1 },
                "trend": "stable",
                "days": 3,
                "entries": 4,
                "daily": [
                    { "date": "2026-11-16", "entries": 1, "average_intensity": 9.0, "balance": 9.0 },
                    { "date": "2026-11-17", "entries": 2, "average_intensity": 7.0, "balance": -6.0 },
                    { "date": "2026-11-18", "entries": 1, "average_intensity": 6.0, "balance": -6.0 },
                ],
                "top_triggers": [{ "trigger": "сон", "count": 2 }, { "trigger": "робота", "count": 1 }],
            })
        );
        let keys = analytics(&entries, today(), 3).as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys[..4], ["average_intensity", "most_common_mood", "mood_distribution", "trend"]);
    }

    #[test]
    fn an_empty_log_is_no_error() {
        let body = analytics(&[], today(), 0);
        assert_eq!(body["average_intensity"], Value::Null);
        assert_eq!(body["most_common_mood"], Value::Null);
        assert_eq!(body["mood_distribution"], json!({}));
        assert_eq!((&body["days"], &body["daily"][0]["balance"]), (&json!(1), &Value::Null));
    }

    #[test]
    fn of_equal_moods_the_latest_is_the_most_common() {
        assert_eq!(analytics(&[mood("sad", 1.0, 2), mood("calm", 1.0, 1)], today(), 9)["most_common_mood"], "calm");
    }

    #[test]
    fn everything_is_bounded() {
        let names: Vec<String> = (0..200).map(|number| format!("настрій {number}")).collect();
        let mut entries: Vec<Mood<'_>> = names.iter().map(|name| mood(name, 5.0, 0)).collect();
        entries.push(Mood { triggers: &names, ..mood(&names[0], f64::NAN, 1) });
        let body = analytics(&entries, today(), u16::MAX);
        assert_eq!(body["mood_distribution"].as_object().unwrap().len(), MOODS_MAX);
        assert_eq!(body["top_triggers"].as_array().unwrap().len(), TRIGGERS_MAX);
        assert_eq!(body["daily"].as_array().unwrap().len(), usize::from(DAYS_MAX));
        assert_eq!(body["average_intensity"], 5.0);
        assert_eq!(analytics(&entries, Date::MIN, 9)["entries"], 0);
    }
}

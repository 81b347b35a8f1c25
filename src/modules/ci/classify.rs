//! What a line of text is about: a state, an intent, tags, a time, and the records that a capture makes of it.
//!
//! Words decide, nothing is guessed by a model: the same text at the same time is the same answer. The rules:
//!
//! - State and intent are those with the most words in the text; of as many, the one that stands first in its table.
//!   Words count as in [`count`]: none behind "не" or "not". No word: neutral, and capture.
//! - The module is, the first that holds: an idea's (malya) where a word says so; the calendar where something is to be
//!   prepared or checked today or later; podija where a time or a later day is to come; kazkar for a memory; the gallery where there is a file or an
//!   address and no state; else the state's module.
//! - A time that is to come goes before one that is over; of several, the first in the text.
//! - Written are always a point of time in the calendar, a snapshot in the gallery where there is a file or an address, and
//!   the module's own record, each once.
//! - Addresses are not read as words: a state or a date in one says nothing.

use jiff::civil::DateTime;

use super::feeling_words::{IDEA, INTENTS, MEMORY, STATES};
use super::state::{Intent, State, Target, Write};
use super::when::{When, find};
use super::words::{MAX_CHARS, Token, count, folded, tokens};

/// Tags taken from one text.
pub const TAGS_MAX: usize = 20;
/// Characters of a tag; a longer one is none.
pub const TAG_MAX_CHARS: usize = 50;
/// Bytes of an address; a longer one is none.
pub const URL_MAX_BYTES: usize = 2000;
/// Names that end so are files.
const FILE_ENDINGS: &[&str] = &[
    ".jpg", ".jpeg", ".png", ".gif", ".webp", ".heic", ".avif", ".mp4", ".mov", ".webm", ".mp3", ".m4a", ".wav",
    ".ogg", ".pdf",
];

/// What a text is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// How the one who wrote it feels.
    pub state: State,
    /// What they want.
    pub intent: Intent,
    /// Where it belongs.
    pub module: Target,
    /// What stands behind `#`, lower-cased, each once, in the order of the text; at most [`TAGS_MAX`].
    pub tags: Vec<String>,
    /// The day or time that it is about.
    pub when: Option<When>,
    /// The first address in it, `http` or `https`.
    pub url: Option<String>,
    /// The records to make, the calendar's first.
    pub writes: Vec<Write>,
}

/// Classifies a text that was written when the household's clock showed `now`. `has_file` says whether a file came with it. No more
/// than the first [`MAX_CHARS`] characters are looked at.
#[must_use]
pub fn classify(text: &str, has_file: bool, now: DateTime) -> Classified {
    let text = text.char_indices().nth(MAX_CHARS).map_or(text, |(end, _)| &text[..end]);
    let (plain, url) = without_addresses(text);
    let words = tokens(&plain);
    let state = most(STATES, &words);
    let intent = most(INTENTS, &words).unwrap_or(Intent::Capture);
    let mut found = find(&plain, now);
    let when = match found.iter().position(|when| !when.is_past) {
        Some(coming) => Some(found.swap_remove(coming)),
        None => found.into_iter().next(),
    };
    let is_open = when.as_ref().is_some_and(|when| !when.is_past);
    // Of a day without a time, today is neither over nor to come.
    let is_coming = is_open && when.as_ref().is_some_and(|when| when.time.is_some() || when.date > now.date());
    let has_visual = has_file || url.is_some() || names_file(&plain);
    let module = if count(IDEA, &words) > 0 {
        Target::Malya
    } else if is_open && matches!(intent, Intent::Prepare | Intent::Check) {
        Target::Calendar
    } else if is_coming {
        Target::Podija
    } else if count(MEMORY, &words) > 0 {
        Target::Kazkar
    } else if has_visual && state.is_none() {
        Target::Gallery
    } else {
        state.unwrap_or(State::Neutral).target()
    };
    let mut writes = vec![Write::TimePoint];
    if has_visual {
        writes.push(Write::Snapshot);
    }
    if !writes.contains(&module.write()) {
        writes.push(module.write());
    }
    Classified { state: state.unwrap_or(State::Neutral), intent, module, tags: tags(&plain), when, url, writes }
}

/// The row with the most words in the text.
fn most<T: Copy>(table: &[(T, &[&str])], words: &[Token]) -> Option<T> {
    let mut best = (0, None);
    for (value, patterns) in table {
        let count = count(patterns, words);
        if count > best.0 {
            best = (count, Some(*value));
        }
    }
    best.1
}

/// The text with blanks in place of addresses, and the first address. Places stay as they are.
fn without_addresses(text: &str) -> (String, Option<String>) {
    let (mut plain, mut first, mut rest) = (String::with_capacity(text.len()), None, text);
    while let Some(at) = address(rest) {
        let tail = &rest[at..];
        let end = tail.find(|letter: char| letter.is_whitespace() || "<>\"«»".contains(letter)).unwrap_or(tail.len());
        // What ends the sentence is not part of the address.
        let url = tail[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '…']);
        plain.push_str(&rest[..at]);
        plain.extend(std::iter::repeat_n(' ', url.len()));
        if first.is_none() && url.len() <= URL_MAX_BYTES && url.len() > "https://".len() {
            first = Some(url.to_owned());
        }
        rest = &tail[url.len()..];
    }
    plain.push_str(rest);
    (plain, first)
}

/// Where the next address begins.
fn address(text: &str) -> Option<usize> {
    let begins = |at: &usize| {
        let bytes = &text.as_bytes()[*at..];
        ["http://", "https://"]
            .iter()
            .any(|scheme| bytes.get(..scheme.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(scheme.as_bytes())))
    };
    text.match_indices(['h', 'H']).map(|(at, _)| at).find(begins)
}

/// Whether a word of the text is the name of a file.
fn names_file(text: &str) -> bool {
    let is_file = |word: &str| {
        let word = word.trim_end_matches(['.', ',', ';', '!', '?', ')']).to_lowercase();
        FILE_ENDINGS.iter().any(|ending| word.strip_suffix(ending).is_some_and(|name| !name.is_empty()))
    };
    text.split_whitespace().any(is_file)
}

/// The words behind `#`. A tag begins after a blank or a bracket and has a letter: `C#` and `#1` are none.
fn tags(text: &str) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    let mut before = ' ';
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let begins = letter == '#' && (before.is_whitespace() || "([{,;".contains(before));
        before = letter;
        if !begins {
            continue;
        }
        let is_of_tag = |letter: &char| letter.is_alphanumeric() || "_-'’\u{301}\u{306}\u{308}".contains(*letter);
        let raw: String = letters.clone().take_while(is_of_tag).collect();
        let whole = raw.trim_end_matches(['-', '\'', '’']);
        // Folded word by word, so that an apostrophe or a stress is no other tag; what joins words stays.
        let tag: String = whole
            .split_inclusive(['-', '_'])
            .map(|part| {
                let joint = part.chars().next_back().filter(|end| matches!(end, '-' | '_'));
                let word = folded(part.trim_end_matches(['-', '_'])).replace(' ', "");
                word + &joint.map(String::from).unwrap_or_default()
            })
            .collect();
        let is_good = tag.chars().any(char::is_alphabetic) && tag.chars().count() <= TAG_MAX_CHARS;
        if is_good && !tags.contains(&tag) && tags.len() < TAGS_MAX {
            tags.push(tag);
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    /// A Wednesday, at noon.
    fn now() -> DateTime {
        date(2026, 11, 18).at(12, 0, 0, 0)
    }

    fn of(text: &str) -> Classified {
        classify(text, false, now())
    }

    #[test]
    fn sentences_as_people_write_them() {
        let cases = [
            // Ukrainian
            ("Дуже втомилася після роботи", "fatigue capture nastrij"),
            ("Немає сил навіть говорити", "fatigue capture nastrij"),
            ("Знову не виспався, малий плакав", "loss capture kazkar"),
            ("Знову не виспався", "fatigue capture nastrij"),
            ("Виснажена, хочу відпочити", "fatigue calm nastrij"),
            ("Посварилися з чоловіком через дрібниці", "tension capture nastrij"),
            ("Напружений день, усе дратує", "tension capture nastrij"),
            ("Чому я така зла?", "tension understand nastrij"),
            ("Стрес на роботі, треба видихнути", "tension prepare nastrij"),
            ("Хвилююся за маму", "anxiety capture nastrij"),
            ("Тривожно, не можу заспокоїтися", "anxiety calm nastrij"),
            ("Страшно, хочу спокою", "anxiety calm nastrij"),
            ("Боюся, чи закрила я двері", "anxiety check nastrij"),
            ("Нервуюсь і не розумію чому", "anxiety understand nastrij"),
            ("Я такий щасливий!", "joy capture nastrij"),
            ("ЯКА Ж Я РАДА", "joy capture nastrij"),
            ("Малюк уперше сміявся вголос, хочу зберегти цю мить", "joy preserve nastrij"),
            ("Весела прогулянка, чудовий вечір", "joy capture nastrij"),
            ("Вдячна подругам за підтримку", "joy capture nastrij"),
            ("Сьогодні помер дідусь", "loss capture kazkar"),
            ("Не стало нашої кішки", "loss capture kazkar"),
            ("Сумую за татом", "loss capture kazkar"),
            ("Важка втрата, згадую її голос", "loss preserve kazkar"),
            ("Похорон був тихий", "loss capture kazkar"),
            ("Чекаю на весну", "anticipation capture podija"),
            ("Скоро свято, не можу дочекатися", "anticipation capture podija"),
            ("Сподіваюся на добру новину", "anticipation capture podija"),
            ("Нова робота, усе змінилося", "change capture podija"),
            ("Переїзд до Львова", "change capture podija"),
            ("Вони одружилися", "change capture podija"),
            ("Завтра до лікаря о 9", "neutral capture podija"),
            ("Треба купити подарунок до 15.12", "neutral prepare calendar"),
            ("Нагадай у п'ятницю перевірити лічильник", "neutral prepare calendar"),
            ("Зустріч з класною керівничкою в понеділок о 17:00", "neutral connect podija"),
            ("Подзвонити бабусі в неділю", "neutral connect podija"),
            ("План на вихідні: зібрати речі", "neutral prepare calendar"),
            ("Вчора пішов перший сніг", "neutral capture podija"),
            ("Ідея: зробити альбом до річниці", "neutral capture malya"),
            ("А що якби пофарбувати кухню в жовтий?", "neutral capture malya"),
            ("Придумала ідею для подарунка на 15 грудня", "neutral capture malya"),
            ("Пам’ятаю, як ми збирали яблука", "neutral preserve kazkar"),
            ("Бабуся розповідала про війну", "neutral capture kazkar"),
            ("У дитинстві ми їздили до моря", "neutral capture kazkar"),
            ("Перше фото: IMG_0001.jpg", "neutral capture gallery"),
            ("https://example.org/photo/joy/2027-03-15", "neutral capture gallery"),
            ("Просто рядок без нічого", "neutral capture podija"),
            ("Скільки коштує квиток?", "neutral check podija"),
            ("Я не втомився і не сумний", "neutral capture podija"),
            ("Сьогодні треба занести книжки", "neutral prepare calendar"),
            ("Сьогодні такий щасливий день", "joy capture nastrij"),
            // English
            ("So tired after the night shift", "fatigue capture nastrij"),
            ("Completely burnt out, need to rest", "fatigue prepare nastrij"),
            ("We argued again, I'm angry", "tension capture nastrij"),
            ("Why is everyone so tense?", "tension understand nastrij"),
            ("Worried about the test results", "anxiety capture nastrij"),
            ("Nervous. Did I lock the door?", "anxiety check nastrij"),
            ("I'm scared and want some quiet", "anxiety calm nastrij"),
            ("What a wonderful, happy day", "joy capture nastrij"),
            ("Great fun with the kids", "joy capture nastrij"),
            ("Grandma passed away", "loss capture kazkar"),
            ("I miss you, dad", "loss capture kazkar"),
            ("The funeral was quiet", "loss calm kazkar"),
            ("Can't wait for summer", "anticipation capture podija"),
            ("Looking forward to the trip on December 20", "anticipation capture podija"),
            ("Started a new job, everything is changing", "change capture podija"),
            ("Moved to a smaller flat", "change capture podija"),
            ("Dentist tomorrow at 6pm", "neutral capture podija"),
            ("Remind me to buy milk tomorrow", "neutral prepare calendar"),
            ("Pack the bags on Friday", "neutral prepare calendar"),
            ("Call mom on Sunday", "neutral connect podija"),
            ("Idea: a treehouse", "neutral capture malya"),
            ("What if we paint the fence?", "neutral capture malya"),
            ("I remember the smell of her kitchen", "neutral preserve kazkar"),
            ("We used to swim in that lake", "neutral capture kazkar"),
            ("Not tired at all, not sad", "neutral capture podija"),
            ("see holiday.mp4", "neutral capture gallery"),
        ];
        assert!(cases.len() >= 60);
        let mut wrong = Vec::new();
        for (text, expected) in cases {
            let found = of(text);
            let is = format!("{} {} {}", found.state.name(), found.intent.name(), found.module.id());
            if is != expected {
                wrong.push(format!("{text}\n  is      {is}\n  and not {expected}"));
            }
            assert_eq!(found, of(text), "the same text is the same answer");
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    #[test]
    fn each_capture_writes_a_point_of_time_and_its_record_once() {
        let writes = |text: &str, file: bool| classify(text, file, now()).writes;
        use Write::{FutureLink, Idea, MemoryNode, Snapshot, StateMark, TimePoint};
        assert_eq!(writes("Дуже втомилася", false), [TimePoint, StateMark]);
        assert_eq!(writes("Дуже втомилася", true), [TimePoint, Snapshot, StateMark]);
        assert_eq!(writes("", true), [TimePoint, Snapshot]);
        assert_eq!(writes("", false), [TimePoint, FutureLink]);
        assert_eq!(writes("Треба завтра купити хліб", false), [TimePoint]);
        assert_eq!(writes("Ідея з https://example.org/a.", false), [TimePoint, Snapshot, Idea]);
        assert_eq!(writes("Пам'ятаю той день", false), [TimePoint, MemoryNode]);
    }

    #[test]
    fn addresses_are_addresses_and_no_words() {
        let found = of("Дивись HTTPS://example.org/joy/2027-03-15#tag, завтра обговоримо!");
        assert_eq!(found.url.as_deref(), Some("HTTPS://example.org/joy/2027-03-15#tag"));
        assert_eq!((found.state, found.tags.len()), (State::Neutral, 0));
        let when = found.when.unwrap();
        assert_eq!(when.date, date(2026, 11, 19));
        assert!(of("(https://example.org/a)").url.is_some_and(|url| url.ends_with("/a")));
        assert_eq!(of("javascript:alert(1) https:// ftp://x").url, None);
        assert_eq!(of(&format!("https://{}", "x".repeat(URL_MAX_BYTES))).url, None);
    }

    #[test]
    fn tags_are_words_of_any_letters() {
        assert_eq!(
            of("#Родина, #сім’я #СІМ'Я (#new_year2027) #перший-сніг- мова C# #1 #2027 a#b https://x.org/#z # #Київ")
                .tags,
            ["родина", "сім'я", "new_year2027", "перший-сніг", "київ"]
        );
        let many: String = (0..100).map(|number| format!("#т{number} ")).collect();
        assert_eq!(of(&many).tags.len(), TAGS_MAX);
        assert_eq!(of(&format!("#{}", "я".repeat(TAG_MAX_CHARS))).tags.len(), 1);
        assert_eq!(of(&format!("#{}", "я".repeat(TAG_MAX_CHARS + 1))).tags.len(), 0);
    }

    #[test]
    fn what_is_to_come_goes_before_what_is_over() {
        let when = of("Вчора купили квитки на п'ятницю").when.unwrap();
        assert_eq!(when.date, date(2026, 11, 17), "a sentence about the past is about the past");
        let when = of("Вчора купили квитки. Їдемо в п'ятницю").when.unwrap();
        assert_eq!(when.date, date(2026, 11, 20));
    }

    #[test]
    fn what_lies_beyond_the_bound_is_not_looked_at() {
        let within = format!("{} #тег втома завтра https://a.org", " ".repeat(MAX_CHARS - 40));
        let found = of(&within);
        assert_eq!((found.state, found.tags.len(), found.url.is_some()), (State::Fatigue, 1, true));
        let found = of(&format!("{} #тег втома завтра https://a.org a.png", " ".repeat(MAX_CHARS)));
        assert_eq!((found.state, found.tags.len(), found.url, found.when), (State::Neutral, 0, None, None));
        assert_eq!(found.writes.len(), 2);
    }

    proptest! {
        #[test]
        fn any_text_is_classified(text in ".{0,300}", file: bool) {
            let found = classify(&text, file, now());
            prop_assert!(found.writes.contains(&Write::TimePoint) && found.writes.len() <= 3);
            prop_assert_eq!(found.writes.contains(&Write::Snapshot), file || found.url.is_some() || names_file(&without_addresses(&text).0));
            prop_assert_eq!(without_addresses(&text).0.len(), text.len());
        }
    }
}

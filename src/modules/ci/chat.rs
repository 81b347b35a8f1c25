//! Answers out of the household's own records, without a model: what a question asks for, and how what was found is said, in the
//! language of the question. Nothing here advises (contract 04 §5.2).

use jiff::civil::{Date, DateTime};

use super::when::find;
use super::words::{count, tokens};

/// Letters of a word that are searched for, so that "бабусю" finds "бабуся".
const STEM: usize = 5;
/// Words of a question that are searched for.
pub(in crate::modules) const CHAT_WORDS_MAX: usize = 8;
/// Records named in one answer.
pub(in crate::modules) const CHAT_LINES_MAX: usize = 10;

/// Words that ask how many there are.
const HOW_MANY: &[&str] = &["скільки", "кількість", "порахуй", "how many", "count", "number of", "total"];

/// Words that only make a question.
const ASKING: &[&str] = &[
    "що",
    "хто",
    "кого",
    "коли",
    "де",
    "як",
    "який",
    "яка",
    "яке",
    "які",
    "чи",
    "чому",
    "про",
    "був",
    "була",
    "було",
    "були",
    "буде",
    "мене",
    "мені",
    "нас",
    "нам",
    "наш",
    "наша",
    "наше",
    "наші",
    "мій",
    "моя",
    "моє",
    "мої",
    "знайди",
    "знайти",
    "покажи",
    "показати",
    "розкажи",
    "скажи",
    "нагадай",
    "пам'ятаєш",
    "маємо",
    "маю",
    "мав",
    "мала",
    "для",
    "від",
    "над",
    "під",
    "при",
    "the",
    "and",
    "what",
    "who",
    "when",
    "where",
    "which",
    "how",
    "why",
    "was",
    "were",
    "are",
    "did",
    "does",
    "have",
    "has",
    "had",
    "about",
    "find",
    "show",
    "tell",
    "give",
    "search",
    "for",
    "our",
    "you",
    "your",
    "with",
    "there",
    "any",
    "all",
    "from",
    "remember",
    "know",
];

/// The modules that keep records, with words for each and how they are counted in both languages.
const MODULES: [(&str, &[&str], &str, &str); 6] = [
    ("kazkar", &["казкар*", "спогад*", "істор*", "легенд*", "stor*", "memor*", "legend*"], "історії", "stories"),
    ("podija", &["поді*", "event*"], "події", "events"),
    ("nastrij", &["настр*", "емоц*", "mood*", "emotion*"], "настрої", "moods"),
    ("malya", &["іде*", "маля", "idea*"], "ідеї", "ideas"),
    ("gallery", &["галере*", "фото*", "світлин*", "photo*", "picture*", "galler*"], "галерея", "items of the gallery"),
    ("calendar", &["календар*", "запис*", "calendar*", "entr*"], "записи календаря", "calendar entries"),
];

/// What a message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// What there is on a day.
    Day(Date),
    /// How many records there are: of these modules.
    Counts(Vec<&'static str>),
    /// What has these words, of which each is the beginning of one; none ask for nothing.
    Words(Vec<String>),
}

/// The language of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// It has Cyrillic letters, or none at all.
    Ukrainian,
    /// Its letters are Latin.
    English,
}

/// A record as an answer names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) module: &'static str,
    pub(super) title: String,
    pub(super) at: DateTime,
}

/// The language that most of the letters are of.
pub(super) fn language(message: &str) -> Language {
    let is_cyrillic = |letter: &char| ('\u{400}'..='\u{52f}').contains(letter);
    let cyrillic = message.chars().filter(is_cyrillic).count();
    let latin = message.chars().filter(char::is_ascii_alphabetic).count();
    if latin > cyrillic { Language::English } else { Language::Ukrainian }
}

/// What a message asks for when the household's clock shows `now`. A number that is asked for goes before a day.
pub(super) fn asked(message: &str, now: DateTime) -> Asked {
    let words = tokens(message);
    if count(HOW_MANY, &words) > 0 {
        let named: Vec<&str> =
            MODULES.iter().filter(|(_, names, ..)| count(names, &words) > 0).map(|(module, ..)| *module).collect();
        let all = || MODULES.map(|(module, ..)| module).to_vec();
        return Asked::Counts(if named.is_empty() { all() } else { named });
    }
    if let Some(when) = find(message, now).first() {
        return Asked::Day(when.date);
    }
    let says = |word: &&str| word.chars().count() > 2 && !ASKING.contains(word);
    let said = words.iter().map(|token| &*token.text).filter(says);
    Asked::Words(said.map(|word| word.chars().take(STEM).collect()).take(CHAT_WORDS_MAX).collect())
}

/// What there is on a day; `more` is how many are not named.
pub(super) fn agenda(language: Language, day: Date, lines: &[Line], more: usize) -> String {
    let day = day.strftime("%d.%m.%Y");
    if lines.is_empty() {
        return match language {
            Language::Ukrainian => format!("На {day} записів немає."),
            Language::English => format!("There is nothing on {day}."),
        };
    }
    let head = match language {
        Language::Ukrainian => format!("{day}:"),
        Language::English => format!("On {day}:"),
    };
    let of_day = |line: &Line| {
        // A day without a time begins at midnight.
        let time = if line.at.time() == jiff::civil::Time::midnight() {
            String::new()
        } else {
            format!("{} ", line.at.strftime("%H:%M"))
        };
        format!("{time}{} ({})", line.title, name(line.module))
    };
    told(language, head, lines.iter().map(of_day), more)
}

/// How many records there are.
pub(super) fn counts(language: Language, counts: &[(&'static str, i64)]) -> String {
    let of = |(module, count): &(&str, i64)| {
        let row = MODULES.iter().find(|(id, ..)| id == module);
        let word = row.map_or(*module, |(_, _, uk, en)| if language == Language::Ukrainian { uk } else { en });
        format!("{word} — {count}")
    };
    let said = counts.iter().map(of).collect::<Vec<_>>().join(", ");
    match language {
        Language::Ukrainian => format!("Усього: {said}."),
        Language::English => format!("In all: {said}."),
    }
}

/// What was found; `more` is how many are not named.
pub(super) fn found(language: Language, lines: &[Line], more: usize) -> String {
    if lines.is_empty() {
        return match language {
            Language::Ukrainian => "У записах родини про це нічого не знайшлося.",
            Language::English => "Nothing was found about that in the household's records.",
        }
        .to_owned();
    }
    let head = match language {
        Language::Ukrainian => "Знайшлося:",
        Language::English => "Found:",
    };
    let line = |line: &Line| format!("{} {} ({})", line.at.strftime("%d.%m.%Y"), line.title, name(line.module));
    told(language, head.to_owned(), lines.iter().map(line), more)
}

fn told(language: Language, head: String, lines: impl Iterator<Item = String>, more: usize) -> String {
    let rest = match (more, language) {
        (0, _) => None,
        (more, Language::Ukrainian) => Some(format!("… і ще {more}")),
        (more, Language::English) => Some(format!("… and {more} more")),
    };
    let lines = lines.map(|line| format!("• {line}"));
    [head].into_iter().chain(lines).chain(rest).collect::<Vec<_>>().join("\n")
}

/// A module as people call it, in either language: it is a name.
fn name(module: &str) -> &'static str {
    match module {
        "kazkar" => "Казкар",
        "podija" => "Подія",
        "nastrij" => "Настрій",
        "malya" => "Маля",
        "gallery" => "Галерея",
        _ => "Календар",
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn of(message: &str) -> Asked {
        asked(message, date(2026, 11, 18).at(12, 0, 0, 0))
    }

    #[test]
    fn a_question_is_about_a_day_a_number_or_words() {
        let words = |words: &[&str]| Asked::Words(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(of("Що у нас завтра?"), Asked::Day(date(2026, 11, 19)));
        assert_eq!(of("what is on 24.12.2026"), Asked::Day(date(2026, 12, 24)));
        assert_eq!(of("Скільки ідей і фото?"), Asked::Counts(vec!["malya", "gallery"]));
        let Asked::Counts(all) = of("How many do we have today?") else { panic!() };
        assert_eq!(all.len(), 6);
        assert_eq!(of("Розкажи про бабусю"), words(&["бабус"]));
        assert_eq!(of("What did grandma say about Kyiv?"), words(&["grand", "say", "kyiv"]));
        assert_eq!(of("???"), words(&[]));
        assert_eq!(of(&"слово ".repeat(50)), words(&["слово"; CHAT_WORDS_MAX]));
    }

    #[test]
    fn the_answer_is_in_the_language_of_the_question() {
        assert_eq!(language("Коли ми були в IKEA?"), Language::Ukrainian);
        assert_eq!(language("when was Іван here?"), Language::English);
        assert_eq!(language("2026"), Language::Ukrainian);
    }

    #[test]
    fn answers_name_what_there_is() {
        let day = date(2026, 11, 19);
        let line = |module, title: &str, hour| Line { module, title: title.to_owned(), at: day.at(hour, 0, 0, 0) };
        let lines = [line("calendar", "Торт", 0), line("podija", "Гості", 18)];
        assert_eq!(
            agenda(Language::Ukrainian, day, &lines, 2),
            "19.11.2026:\n• Торт (Календар)\n• 18:00 Гості (Подія)\n… і ще 2"
        );
        assert_eq!(agenda(Language::English, day, &[], 0), "There is nothing on 19.11.2026.");
        assert_eq!(found(Language::English, &lines[..1], 0), "Found:\n• 19.11.2026 Торт (Календар)");
        assert_eq!(found(Language::Ukrainian, &[], 0), "У записах родини про це нічого не знайшлося.");
        assert_eq!(counts(Language::English, &[("malya", 2), ("podija", 0)]), "In all: ideas — 2, events — 0.");
    }
}

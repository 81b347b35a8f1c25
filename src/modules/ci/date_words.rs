//! The words of dates and times, Ukrainian and English, folded as in [`super::words`].

use jiff::civil::Weekday;

/// A part of the day, as it is said beside a time or instead of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    /// Up to noon: "ранку", "am".
    Morning,
    /// From noon on: "дня", "вечора", "pm".
    Afternoon,
    /// Like the afternoon, but alone it means an evening.
    Evening,
    /// Late in the evening or before the morning.
    Night,
}

/// What can be counted between now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// Which of the days of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// It is not said.
    Any,
    /// That of this week.
    This,
    /// That of the next week.
    Next,
    /// The last one before today.
    Last,
}

/// The first member of a table that has this word.
pub(super) fn look_up<T: Copy>(table: &[(T, &[&str])], word: &str) -> Option<T> {
    table.iter().find(|(_, words)| words.contains(&word)).map(|(value, _)| *value)
}

/// Days from today.
pub(super) const NEAR_DAYS: &[(i64, &[&str])] = &[
    (0, &["сьогодні", "нині", "today"]),
    (1, &["завтра", "tomorrow"]),
    (2, &["післязавтра"]),
    (-1, &["вчора", "учора", "yesterday"]),
    (-2, &["позавчора"]),
];

pub(super) const WEEKDAYS: &[(Weekday, &[&str])] = &[
    (Weekday::Monday, &["понеділок", "понеділка", "понеділку", "monday"]),
    (Weekday::Tuesday, &["вівторок", "вівторка", "вівторку", "tuesday"]),
    (Weekday::Wednesday, &["середа", "середу", "середи", "wednesday"]),
    (Weekday::Thursday, &["четвер", "четверга", "thursday"]),
    (Weekday::Friday, &["п'ятниця", "п'ятницю", "п'ятниці", "friday"]),
    (Weekday::Saturday, &["субота", "суботу", "суботи", "saturday"]),
    (Weekday::Sunday, &["неділя", "неділю", "неділі", "sunday"]),
];

/// Short names of days of the week; they count after "в", "у" or "on" only.
pub(super) const SHORT_WEEKDAYS: &[(Weekday, &[&str])] = &[
    (Weekday::Monday, &["пн", "mon"]),
    (Weekday::Tuesday, &["вт", "tue"]),
    (Weekday::Wednesday, &["ср", "wed"]),
    (Weekday::Thursday, &["чт", "thu"]),
    (Weekday::Friday, &["пт", "fri"]),
    (Weekday::Saturday, &["сб", "sat"]),
    (Weekday::Sunday, &["нд", "sun"]),
];

pub(super) const WHICH: &[(Which, &[&str])] = &[
    (Which::This, &["цей", "ця", "цю", "цього", "цієї", "this"]),
    (Which::Next, &["наступний", "наступна", "наступну", "наступного", "наступної", "next"]),
    (Which::Last, &["минулий", "минула", "минулу", "минулого", "минулої", "last"]),
];

/// A month stands beside a day, so in Ukrainian in the genitive.
pub(super) const MONTHS: &[(i8, &[&str])] = &[
    (1, &["січня", "january", "jan"]),
    (2, &["лютого", "february", "feb"]),
    (3, &["березня", "march", "mar"]),
    (4, &["квітня", "april", "apr"]),
    (5, &["травня", "may"]),
    (6, &["червня", "june", "jun"]),
    (7, &["липня", "july", "jul"]),
    (8, &["серпня", "august", "aug"]),
    (9, &["вересня", "september", "sep", "sept"]),
    (10, &["жовтня", "october", "oct"]),
    (11, &["листопада", "november", "nov"]),
    (12, &["грудня", "december", "dec"]),
];

/// What stands behind the figures of a day: "15-го", "15th".
pub(super) const DAY_ENDINGS: &[&str] = &["го", "е", "є", "те", "ого", "th", "st", "nd", "rd"];

/// What says that a number is a year.
pub(super) const YEAR_WORDS: &[&str] = &["року", "рік", "р"];

pub(super) const UNITS: &[(Unit, &[&str])] = &[
    (Unit::Minute, &["хвилину", "хвилини", "хвилин", "хвилинку", "хв", "minute", "minutes", "min", "mins"]),
    (Unit::Hour, &["годину", "години", "годин", "годинку", "год", "hour", "hours"]),
    (Unit::Day, &["день", "дня", "дні", "днів", "добу", "доби", "day", "days"]),
    (Unit::Week, &["тиждень", "тижня", "тижні", "тижнів", "week", "weeks"]),
    (Unit::Month, &["місяць", "місяця", "місяці", "місяців", "month", "months"]),
    (Unit::Year, &["рік", "року", "роки", "років", "year", "years"]),
];

/// Numbers that are counted with, in halves: "пів" is 1, "дві" is 4.
pub(super) const HALVES: &[(i64, &[&str])] = &[
    (1, &["пів", "half"]),
    (2, &["один", "одну", "одна", "one", "a", "an"]),
    (3, &["півтора", "півтори"]),
    (4, &["два", "дві", "two", "пару", "couple"]),
    (6, &["три", "three"]),
    (8, &["чотири", "four"]),
    (10, &["п'ять", "five"]),
    (12, &["шість", "six"]),
    (14, &["сім", "seven"]),
    (16, &["вісім", "eight"]),
    (18, &["дев'ять", "nine"]),
    (20, &["десять", "ten"]),
    (22, &["одинадцять", "eleven"]),
    (24, &["дванадцять", "twelve"]),
    (28, &["чотирнадцять", "fourteen"]),
    (30, &["п'ятнадцять", "fifteen"]),
    (40, &["двадцять", "twenty"]),
    (60, &["тридцять", "thirty"]),
    (80, &["сорок", "forty"]),
    (100, &["п'ятдесят", "fifty"]),
];

/// Half an hour in one word.
pub(super) const HALF_HOUR: &[&str] = &["півгодини", "півгодинки"];

/// Stems of the ordinals from one on; what follows is [`ORDINAL_ENDINGS`].
pub(super) const ORDINALS: &[(i8, &str)] = &[
    (1, "перш"),
    (2, "друг"),
    (3, "трет"),
    (4, "четверт"),
    (5, "п'ят"),
    (6, "шост"),
    (7, "сьом"),
    (8, "восьм"),
    (9, "дев'ят"),
    (10, "десят"),
    (11, "одинадцят"),
    (12, "дванадцят"),
    (13, "тринадцят"),
    (14, "чотирнадцят"),
    (15, "п'ятнадцят"),
    (16, "шістнадцят"),
    (17, "сімнадцят"),
    (18, "вісімнадцят"),
    (19, "дев'ятнадцят"),
    (20, "двадцят"),
    (30, "тридцят"),
];

/// Case endings of an ordinal, feminine for hours and neuter for days.
pub(super) const ORDINAL_ENDINGS: &[&str] = &["а", "у", "ої", "ій", "я", "ю", "ьої", "е", "є", "ого", "ього"];

/// English ordinals, for days, and the tens that stand before them.
pub(super) const ENGLISH_ORDINALS: &[(i8, &[&str])] = &[
    (1, &["first"]),
    (2, &["second"]),
    (3, &["third"]),
    (4, &["fourth"]),
    (5, &["fifth"]),
    (6, &["sixth"]),
    (7, &["seventh"]),
    (8, &["eighth"]),
    (9, &["ninth"]),
    (10, &["tenth"]),
    (11, &["eleventh"]),
    (12, &["twelfth"]),
    (13, &["thirteenth"]),
    (14, &["fourteenth"]),
    (15, &["fifteenth"]),
    (16, &["sixteenth"]),
    (17, &["seventeenth"]),
    (18, &["eighteenth"]),
    (19, &["nineteenth"]),
    (20, &["twentieth"]),
    (30, &["thirtieth"]),
];

/// Tens before an ordinal below ten: "двадцять п'ятого", "twenty-fifth".
pub(super) const TENS: &[(i8, &[&str])] = &[(20, &["двадцять", "twenty"]), (30, &["тридцять", "thirty"])];

/// Hours in English.
pub(super) const ENGLISH_HOURS: &[(i8, &[&str])] = &[
    (1, &["one"]),
    (2, &["two"]),
    (3, &["three"]),
    (4, &["four"]),
    (5, &["five"]),
    (6, &["six"]),
    (7, &["seven"]),
    (8, &["eight"]),
    (9, &["nine"]),
    (10, &["ten"]),
    (11, &["eleven"]),
    (12, &["twelve"]),
];

/// What stands before an hour.
pub(super) const AT: &[&str] = &["о", "об", "at"];

/// What may stand between that and the hour.
pub(super) const ABOUT: &[&str] = &["близько", "приблизно", "about", "around"];

/// What stands behind an hour and adds nothing.
pub(super) const OCLOCK: &[&str] = &["година", "годині", "годину", "години", "годин", "o'clock"];

/// Parts of the day behind an hour.
pub(super) const HALF_OF_CLOCK: &[(Half, &[&str])] = &[
    (Half::Morning, &["ранку", "am"]),
    (Half::Afternoon, &["дня", "pm"]),
    (Half::Evening, &["вечора"]),
    (Half::Night, &["ночі"]),
];

/// Parts of the day in one Ukrainian word.
pub(super) const HALF_ALONE: &[(Half, &[&str])] = &[
    (Half::Morning, &["вранці", "уранці", "зранку"]),
    (Half::Afternoon, &["вдень", "удень"]),
    (Half::Evening, &["ввечері", "увечері"]),
    (Half::Night, &["вночі", "уночі"]),
];

/// Parts of the day in English; they count after a word of [`BEFORE_HALF`] only, for "good morning" is no time.
pub(super) const ENGLISH_HALF: &[(Half, &[&str])] = &[
    (Half::Morning, &["morning"]),
    (Half::Afternoon, &["afternoon"]),
    (Half::Evening, &["evening"]),
    (Half::Night, &["night"]),
];

pub(super) const BEFORE_HALF: &[&str] = &["the", "this", "at", "today", "tomorrow", "yesterday"];

pub(super) const NOON: &[&str] = &["опівдні", "ополудні", "noon", "midday"];

pub(super) const MIDNIGHT: &[&str] = &["опівночі", "midnight"];

/// What counts money, weight or a share: the number before it is no date.
pub(super) const MEASURES: &[&str] =
    &["грн", "гривень", "гривні", "uah", "usd", "eur", "євро", "доларів", "кг", "г", "км", "м", "см", "л", "kg", "km"];

/// Words of a sentence about the future.
pub(super) const FUTURE: &[&str] = &[
    "буду",
    "будеш",
    "буде",
    "будемо",
    "будете",
    "будуть",
    "треба",
    "потрібно",
    "слід",
    "маю",
    "маємо",
    "хочу",
    "хочемо",
    "планую",
    "плануємо",
    "заплановано",
    "запланована",
    "запланувати",
    "нагадай",
    "нагадати",
    "нагадування",
    "чекаю",
    "чекаємо",
    "їду",
    "їдемо",
    "йду",
    "приїде",
    "приїдуть",
    "поїду",
    "will",
    "we'll",
    "i'll",
    "she'll",
    "he'll",
    "they'll",
    "shall",
    "going",
    "gonna",
    "must",
    "should",
    "need",
    "needs",
    "remind",
    "plan",
    "planning",
];

/// Endings of what we are going to do: "поїдемо", "зустрінемося", "зробимо".
pub(super) const FUTURE_ENDINGS: &[&str] = &["емо", "ємо", "имо", "їмо", "емося", "ємося", "имося", "емось", "имось"];

/// Words that only look so.
pub(super) const NOT_FUTURE: &[&str] = &["окремо", "демо", "письмо"];

/// Words of a sentence about the past.
pub(super) const PAST: &[&str] = &[
    "був",
    "була",
    "було",
    "були",
    "пішов",
    "пішла",
    "пішли",
    "прийшов",
    "прийшла",
    "прийшли",
    "помер",
    "померла",
    "торік",
    "колись",
    "згадую",
    "пам'ятаю",
    "was",
    "were",
    "had",
    "went",
    "did",
    "saw",
    "met",
    "bought",
    "made",
    "got",
    "came",
    "took",
    "ate",
    "said",
    "told",
    "gave",
    "found",
    "left",
    "lost",
    "won",
    "born",
    "remember",
];

/// Stems of verbs of the past; what follows is [`PAST_ENDINGS`].
pub(super) const PAST_STEMS: &[&str] = &[
    "ходи",
    "їзди",
    "їха",
    "приїха",
    "поїха",
    "бачи",
    "зустрі",
    "купи",
    "народи",
    "дзвони",
    "подзвони",
    "роби",
    "зроби",
    "написа",
    "сказа",
    "святкува",
    "відсвяткува",
    "гуля",
    "погуля",
    "гра",
    "отрима",
    "закінчи",
    "поча",
    "відкри",
    "одружи",
    "взя",
    "зня",
    "посади",
    "поверну",
    "переїха",
    "загуби",
    "втрати",
    "злама",
    "спа",
    "прокину",
    "танцюва",
    "співа",
    "готува",
    "приготува",
    "спек",
    "чита",
    "прочита",
    "диви",
    "подиви",
    "сміяла",
    "сміяли",
    "плака",
    "хворі",
    "лікува",
    "подарува",
    "відвіда",
    "намалюва",
    "збира",
    "зібра",
    "трапи",
    "ста",
    "сфотографува",
];

pub(super) const PAST_ENDINGS: &[&str] =
    &["в", "ла", "ло", "ли", "вся", "лася", "лося", "лися", "вшись", "ся", "лась", "лись", "лось"];

//! What one field of a record may hold.

use serde_json::Value;

use super::super::zone::Zone;

/// A field of a kind of record, as data.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// As in JSON.
    pub name: &'static str,
    /// What it holds.
    pub form: Form,
    /// Whether a record cannot be without.
    pub required: bool,
    /// Another name by which clients know it; what comes under both is taken from its own.
    pub alias: Option<&'static str>,
    /// The parameter of lists by whose value records are found.
    pub filter: Option<&'static str>,
    /// Where it stands among what is searched.
    pub searched: Searched,
    /// Words that stand for others: what is sent, and what is kept.
    pub synonyms: &'static [(&'static str, &'static str)],
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// Text.
    Text,
    /// The address of something on the web, or of one of our own files.
    Address,
    /// A time on the household's wall.
    Moment,
    /// True or false; false where nothing is said.
    Flag,
    /// A whole number.
    Whole,
    /// A number within bounds, both included.
    Number(f64, f64),
    /// A list of texts.
    Texts,
    /// A list of texts that is empty where nothing is said, and never null.
    Words,
    /// A list of whole numbers: ids of records of the same kind.
    Wholes,
    /// An object, and what makes it canonical, or says in a sentence why it cannot be.
    Object(Shape),
}

impl Form {
    /// Whether statements look records up by it, and not lists alone: by ids of records, by addresses of files, and by whether there
    /// is an object.
    pub fn is_looked_up(self) -> bool {
        matches!(self, Self::Wholes | Self::Address | Self::Object(_))
    }
}

/// Makes an object canonical, in the household's zone; also reads what stands for one, such as a word.
pub type Shape = fn(&Value, &Zone) -> Result<Value, String>;

/// Where a field stands among what is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Searched {
    /// In the title, by which a record is called in lists of many modules.
    Title,
    /// In the text.
    Text,
    /// Nowhere.
    Not,
}

impl Field {
    /// A field of this name that may be missing or null and is not searched.
    #[must_use]
    pub const fn new(name: &'static str, form: Form) -> Self {
        Self { name, form, required: false, alias: None, filter: None, searched: Searched::Not, synonyms: &[] }
    }

    /// A text that is searched.
    #[must_use]
    pub const fn text(name: &'static str) -> Self {
        Self { searched: Searched::Text, ..Self::new(name, Form::Text) }
    }

    /// The same, and a record cannot be without.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// The same as the title of its record.
    #[must_use]
    pub const fn title(self) -> Self {
        Self { searched: Searched::Title, ..self }
    }

    /// The same, searched as text.
    #[must_use]
    pub const fn searched(self) -> Self {
        Self { searched: Searched::Text, ..self }
    }

    /// The same, and lists are filtered by it under this name.
    #[must_use]
    pub const fn filter(self, parameter: &'static str) -> Self {
        Self { filter: Some(parameter), ..self }
    }

    /// The same, known by another name as well.
    #[must_use]
    pub const fn alias(self, name: &'static str) -> Self {
        Self { alias: Some(name), ..self }
    }

    /// The same with words that stand for others.
    #[must_use]
    pub const fn synonyms(self, synonyms: &'static [(&'static str, &'static str)]) -> Self {
        Self { synonyms, ..self }
    }

    /// What a record has that says nothing of it.
    #[must_use]
    pub fn default(&self) -> Value {
        match self.form {
            Form::Flag => Value::Bool(false),
            Form::Words => Value::Array(Vec::new()),
            _ => Value::Null,
        }
    }
}

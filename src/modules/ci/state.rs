//! The vocabulary of ci (contract 04 §1.9): states, intents, the modules that a capture goes to, and what is written there.

/// How the one who writes feels, as far as the words show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Tired.
    Fatigue,
    /// Under pressure, or in a quarrel.
    Tension,
    /// Worried.
    Anxiety,
    /// Glad.
    Joy,
    /// Somebody or something is gone.
    Loss,
    /// Something is to come.
    Anticipation,
    /// Something is becoming another.
    Change,
    /// The words show none of these; a capture only, no page is about it.
    Neutral,
}

impl State {
    /// The seven that have a name in the contract, in its order.
    pub const NAMED: [Self; 7] =
        [Self::Fatigue, Self::Tension, Self::Anxiety, Self::Joy, Self::Loss, Self::Anticipation, Self::Change];

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fatigue => "fatigue",
            Self::Tension => "tension",
            Self::Anxiety => "anxiety",
            Self::Joy => "joy",
            Self::Loss => "loss",
            Self::Anticipation => "anticipation",
            Self::Change => "change",
            Self::Neutral => "neutral",
        }
    }

    /// One of the seven by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|state| state.name() == name)
    }

    /// Where what is felt so is kept. What shows no feeling is an event.
    #[must_use]
    pub fn target(self) -> Target {
        match self {
            Self::Fatigue | Self::Tension | Self::Anxiety | Self::Joy => Target::Nastrij,
            Self::Loss => Target::Kazkar,
            Self::Anticipation | Self::Change | Self::Neutral => Target::Podija,
        }
    }
}

/// What the one who writes wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Intent {
    /// To see why.
    Understand,
    /// To have it written down; also where nothing else is said.
    Capture,
    /// To rest.
    Calm,
    /// To be sure.
    Check,
    /// To keep a memory.
    Preserve,
    /// To be with somebody.
    Connect,
    /// To be ready.
    Prepare,
}

impl Intent {
    /// All, in the contract's order.
    pub const ALL: [Self; 7] =
        [Self::Understand, Self::Capture, Self::Calm, Self::Check, Self::Preserve, Self::Connect, Self::Prepare];

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Understand => "understand",
            Self::Capture => "capture",
            Self::Calm => "calm",
            Self::Check => "check",
            Self::Preserve => "preserve",
            Self::Connect => "connect",
            Self::Prepare => "prepare",
        }
    }

    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|intent| intent.name() == name)
    }
}

/// The module that a capture goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// Memories and stories.
    Kazkar,
    /// Events.
    Podija,
    /// Moods.
    Nastrij,
    /// Ideas.
    Malya,
    /// Pictures and files.
    Gallery,
    /// Plans.
    Calendar,
}

impl Target {
    /// The module's id.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Kazkar => "kazkar",
            Self::Podija => "podija",
            Self::Nastrij => "nastrij",
            Self::Malya => "malya",
            Self::Gallery => "gallery",
            Self::Calendar => "calendar",
        }
    }

    /// What a capture for it writes there.
    #[must_use]
    pub fn write(self) -> Write {
        match self {
            Self::Kazkar => Write::MemoryNode,
            Self::Podija => Write::FutureLink,
            Self::Nastrij => Write::StateMark,
            Self::Malya => Write::Idea,
            Self::Gallery => Write::Snapshot,
            Self::Calendar => Write::TimePoint,
        }
    }
}

/// One record that a capture makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Write {
    /// An entry of the calendar, at the time that was spoken of, else now.
    TimePoint,
    /// An item of the gallery: the file or the address.
    Snapshot,
    /// A mood.
    StateMark,
    /// A story.
    MemoryNode,
    /// An event.
    FutureLink,
    /// An idea.
    Idea,
}

impl Write {
    /// Its name in the writes policy; that of an idea is our own, since the original routes nothing there.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TimePoint => "calendar.time_point",
            Self::Snapshot => "gallery.experience_snapshot",
            Self::StateMark => "nastrij.state_mark",
            Self::MemoryNode => "kazkar.memory_node",
            Self::FutureLink => "podija.future_link",
            Self::Idea => "malya.idea",
        }
    }
}

//! Every setting of the server, once, as data.
//!
//! Parsing, the `.env` example, the configuration page and the printed
//! effective configuration are all derived from [`KNOBS`], so none of them can
//! drift from the others. To add a setting, add a row here and read it in
//! `Config::from_settings`.

/// The heading a knob is listed under, in the order of [`Section::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What kind of installation this is.
    General,
    /// The listening socket and the threads behind it.
    Server,
    /// The database and the writer in front of it.
    Storage,
    /// What is logged, and how.
    Logs,
    /// Who may reach the server and who is believed.
    Access,
    /// Limits on connections and on the requests they carry.
    Connections,
    /// Limits on how often somebody asks.
    Rates,
    /// Limits on drafts.
    Drafts,
    /// Limits on WebSockets.
    Sockets,
    /// What is recorded of who changed what.
    Audit,
    /// What only the operator sees.
    Operations,
}

impl Section {
    /// Every section, in the order they are shown.
    pub const ALL: [Self; 11] = [
        Self::General,
        Self::Server,
        Self::Storage,
        Self::Logs,
        Self::Access,
        Self::Connections,
        Self::Rates,
        Self::Drafts,
        Self::Sockets,
        Self::Audit,
        Self::Operations,
    ];

    /// The heading shown to an operator.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::General => "General",
            Self::Server => "Server",
            Self::Storage => "Storage",
            Self::Logs => "Logs",
            Self::Access => "Access",
            Self::Connections => "Connections",
            Self::Rates => "Rate limits",
            Self::Drafts => "Drafts",
            Self::Sockets => "Sockets",
            Self::Audit => "Audit",
            Self::Operations => "Operations",
        }
    }
}

/// What a knob's text must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Flag,
    /// A plain decimal number, both bounds included.
    Integer {
        /// The smallest value accepted.
        min: u64,
        /// The largest value accepted.
        max: u64,
        /// What is being counted, in the plural.
        unit: &'static str,
    },
    /// How many of all, from none (0) to every one (1); more counts as 1 and less than none as 0.
    Fraction,
    /// One word out of a list, in any case.
    Choice(&'static [&'static str]),
    /// An IP address and a port.
    Address,
    /// An IP address and a port, a Unix socket, or nothing.
    Endpoint,
    /// The address of a database.
    Database,
    /// A list of web origins, or `*`.
    Origins,
    /// A list of IP addresses and networks.
    Networks,
    /// Text on one line.
    Text,
}

/// What a bad value does when the configuration is not strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBad {
    /// The server does not start: guessing could put the data elsewhere, or
    /// let the wrong people in.
    Refuse,
    /// The default is used and a warning is given.
    UseDefault,
}

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knob {
    /// The name of the variable.
    pub name: &'static str,
    /// Older names still understood; the name wins over them.
    pub aliases: &'static [&'static str],
    /// Where it is listed.
    pub section: Section,
    /// What its text must look like.
    pub kind: Kind,
    /// The text used when it is not set.
    pub default: &'static str,
    /// The default with `ENV=production`, where it is another one.
    pub in_production: Option<&'static str>,
    /// Whether a strict configuration must set it explicitly.
    pub required: bool,
    /// What it does, for an operator.
    pub meaning: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// What a bad value does.
    pub on_bad: OnBad,
    /// Whether a running server takes another value when it is told to reload.
    pub reloads: bool,
}

impl Knob {
    /// The name, then the aliases, in the order they are looked up.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The names under which the path of a file may be given that holds the value: `NAME_FILE`, for secrets only.
    pub fn file_names(&self) -> impl Iterator<Item = String> + use<> {
        let names = self.secret.then(|| self.names());
        names.into_iter().flatten().map(|name| format!("{name}_FILE"))
    }

    /// Whether a strict configuration for production must turn it on.
    #[must_use]
    pub fn is_guard(&self) -> bool {
        GUARDS.iter().any(|(name, _)| *name == self.name)
    }

    /// The same knob with bad values always refused.
    const fn refusing(self) -> Self {
        Self { on_bad: OnBad::Refuse, ..self }
    }

    /// The same knob, taken by a reload.
    const fn reloading(self) -> Self {
        Self { reloads: true, ..self }
    }
}

/// What must be on in production (ruling 5), and what is missing while it is off.
pub const GUARDS: &[(&str, &str)] = &[
    ("RATE_LIMIT_ENABLED", "nobody is kept from asking without end"),
    ("AUDIT_ENABLED", "nothing records who changed what"),
    ("WS_LIMITS_ENABLED", "anyone may open sockets without end"),
];

/// The settings that name the key of signed tokens, of which one may be set.
pub const TOKEN_KEYS: [&str; 3] = ["JWT_SECRET", "JWT_PUBLIC_KEY_FILE", "JWT_JWKS_FILE"];

/// The common case: no alias, not secret, a bad value falls back.
const fn knob(section: Section, name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Knob {
    Knob {
        name,
        aliases: &[],
        section,
        kind,
        default,
        in_production: None,
        required: false,
        meaning,
        secret: false,
        on_bad: OnBad::UseDefault,
        reloads: false,
    }
}

/// The common case of [`Kind::Integer`].
const fn int(min: u64, max: u64, unit: &'static str) -> Kind {
    Kind::Integer { min, max, unit }
}

use Kind::{Address, Choice, Database, Endpoint, Flag, Fraction, Networks, Origins, Text};
use Section::{Access, Audit, Connections, Drafts, General, Logs, Operations, Rates, Server, Sockets, Storage};

/// Every setting, grouped by section.
#[rustfmt::skip] // One row per knob reads better than one line per field.
pub const KNOBS: &[Knob] = &[
    knob(General, "ENV", Choice(&["development", "production", "test"]), "development",
        "What kind of installation this is. Production logs JSON, stops believing the X-User-Id \
         header unless told otherwise, wants tokens to expire, and warns about settings that are only safe in development.",
    ).refusing(),
    knob(General, "CONFIG_STRICT", Flag, "false",
        "Refuse to start on any bad value, unknown name in .env or missing required setting, \
         instead of warning and carrying on.",
    ).refusing(),

    knob(Server, "LISTEN_ADDR", Address, "127.0.0.1:8000",
        "The IP address and port to listen on. Port 0 takes any free port. A listening socket that systemd hands over \
         counts instead.",
    ).refusing(),
    knob(Server, "SHARDS", int(0, 256, "shards"), "0",
        "How many threads serve connections. 0 means one per processor core.",
    ),
    knob(Server, "DRAIN_SECONDS", int(0, 600, "seconds"), "10",
        "How many seconds requests already under way are given to finish when the server stops.",
    ),

    knob(Storage, "DATABASE_URL", Database, "sqlite:data/inkring.db",
        "The SQLite file that holds everything, as sqlite:PATH. A relative path starts from the \
         directory the server is started in.",
    ).refusing(),
    knob(Storage, "WRITER_QUEUE_JOBS", int(1, 1_000_000, "jobs"), "4096",
        "How many changes may wait for the writer. When the queue is full, further changes are \
         answered 503 overloaded.",
    ),
    knob(Storage, "COMMIT_TIMEOUT_SECONDS", int(1, 600, "seconds"), "30",
        "How many seconds a request waits for its change to be committed before it is answered \
         503. The change may still land, so retry with the same idempotency key.",
    ),
    knob(Storage, "RESERVE_FILE_BYTES", int(0, 1_073_741_824, "bytes"), "8388608",
        "How much room is kept in a file beside the database, to be given back when the disk is full. 0 keeps none.",
    ),
    knob(Storage, "EVENTS_KEPT_PER_DRAFT", int(100, 10_000_000, "events"), "10000",
        "How many of a draft's newest events are kept for clients to catch up with; what is older is removed in \
         small steps. A client that asks further back is told that its answer is not complete.",
    ),
    knob(Storage, "HOUSEKEEPING_SECONDS", int(1, 86_400, "seconds"), "60",
        "How often the housekeeper looks for what can be removed.",
    ),

    knob(Logs, "LOG_LEVEL", Choice(&["off", "error", "warn", "info", "debug", "trace"]), "info",
        "The least severe messages that are logged.",
    ).reloading(),
    knob(Logs, "LOG_FORMAT", Choice(&["auto", "pretty", "json"]), "auto",
        "How log lines are written. auto means json in production and pretty elsewhere.",
    ),

    Knob {
        aliases: &["CORS_ORIGINS"],
        required: true,
        ..knob(Access, "ALLOWED_ORIGINS", Origins,
            "http://localhost:3000,http://localhost:5173,http://localhost:5500,\
             http://127.0.0.1:5500,http://localhost:5530,http://127.0.0.1:5530,\
             https://leok974.github.io",
            "The web origins whose pages may call this server from a browser (CORS). It applies \
             to every route; * allows any origin.",
        ).refusing().reloading()
    },
    knob(Access, "DRAFTS_PUBLIC_READ", Flag, "true",
        "Whether anyone who knows its id may read a draft and its events, and any user may watch it. false leaves \
         that to its creator and collaborators.",
    ).refusing(),
    Knob {
        in_production: Some("false"),
        ..knob(Access, "AUTH_TRUST_USER_HEADER", Flag, "true",
            "Whether the X-User-Id header is taken as who is asking. Turn it on in production \
             only behind a trusted proxy that sets the header itself.",
        ).refusing().reloading()
    },
    Knob {
        aliases: &["CLERK_SECRET_KEY"],
        secret: true,
        ..knob(Access, "JWT_SECRET", Text, "",
            "The key that signed tokens (JWT, HS256) are verified with. With one set, an Authorization: \
             Bearer header decides who is asking, and X-User-Id counts only without it. At least 32 bytes; \
             fewer are warned about, and refused in strict mode. Without this and the two settings that follow, \
             tokens are not looked at.",
        ).refusing().reloading()
    },
    knob(Access, "JWT_PUBLIC_KEY_FILE", Text, "",
        "Instead of JWT_SECRET: a file with the public key (PEM) of whoever signs the tokens. An RSA key of 2048 to 4096 \
         bits takes RS256, a P-256 key ES256, an Ed25519 key EdDSA, and each nothing else.",
    ).refusing().reloading(),
    knob(Access, "JWT_JWKS_FILE", Text, "",
        "Instead of JWT_SECRET: a file with several keys (a JWK set) of the kinds RSA, P-256, Ed25519 and oct, which takes \
         HS256. A token names its key by kid; without one it is taken only if there is a single key.",
    ).refusing().reloading(),
    knob(Access, "JWT_KEYS_RELOAD_SECONDS", int(1, 86_400, "seconds"), "10",
        "How often the file of JWT_PUBLIC_KEY_FILE or JWT_JWKS_FILE is looked at. One that has changed is taken at once; \
         one that is no good is logged, and the keys stay as they were.",
    ),
    knob(Access, "JWT_ISSUER", Text, "",
        "Whose tokens are taken: the iss that a token must have. None takes any.",
    ).refusing().reloading(),
    knob(Access, "JWT_AUDIENCE", Text, "",
        "For whom tokens must be made: the aud that a token must have, alone or among others. None takes any.",
    ).refusing().reloading(),
    knob(Access, "TRUSTED_PROXIES", Networks, "",
        "The addresses or networks of reverse proxies in front of this server. They are exempt \
         from the per-address connection limit, and their X-Forwarded-For and \
         X-Forwarded-Proto are believed.",
    ).refusing().reloading(),

    knob(Connections, "MAX_CONNECTIONS", int(0, 1_000_000, "connections"), "0",
        "How many connections may be open at once. 0 means the descriptor limit of the process \
         minus 128, at most 10000.",
    ),
    knob(Connections, "MAX_CONNECTIONS_PER_ADDRESS", int(1, 1_000_000, "connections"), "256",
        "How many connections one client address may have open at once. IPv6 addresses are \
         counted together by /64.",
    ),
    knob(Connections, "HEAD_MAX_BYTES", int(1024, 1_048_576, "bytes"), "16384",
        "The longest request head accepted, in bytes: the request line and all headers.",
    ),
    knob(Connections, "HEAD_MAX_HEADERS", int(8, 256, "headers"), "64",
        "The most headers accepted in one request.",
    ),
    knob(Connections, "TARGET_MAX_BYTES", int(256, 65_536, "bytes"), "8192",
        "The longest request target accepted, in bytes: the path and the query.",
    ),
    knob(Connections, "HEAD_TIMEOUT_SECONDS", int(1, 600, "seconds"), "10",
        "How many seconds a client has to send a whole request head.",
    ),
    knob(Connections, "BODY_MAX_BYTES", int(1024, 67_108_864, "bytes"), "65536",
        "The longest request body accepted, in bytes.",
    ),
    knob(Connections, "BODY_TIMEOUT_SECONDS", int(1, 3600, "seconds"), "30",
        "How many seconds a client has to send a whole request body.",
    ),
    knob(Connections, "KEEP_ALIVE_SECONDS", int(1, 3600, "seconds"), "75",
        "How many seconds an idle connection is kept open for the next request.",
    ),
    knob(Connections, "WRITE_STALL_SECONDS", int(1, 600, "seconds"), "30",
        "How many seconds a client may read nothing of a pending response before it is \
         disconnected.",
    ),

    knob(Rates, "RATE_LIMIT_ENABLED", Flag, "false",
        "Whether requests are limited, per client address and per user and route. Too many are answered \
         429 rate_limited. Probes and sockets are exempt.",
    ).refusing().reloading(),
    knob(Rates, "RATE_LIMIT_PER_MINUTE_DEFAULT", int(1, 1_000_000, "requests"), "120",
        "How many requests a minute one user (or one client address, where no user is known) may send to one route. \
         Changes to drafts have half of it. One client address may send ten times as many in all.",
    ).reloading(),
    knob(Rates, "RATE_LIMIT_BURST_DEFAULT", int(1, 1_000_000, "requests"), "30",
        "How many of these may come at once. Halved and taken ten times like the requests a minute.",
    ).reloading(),
    knob(Rates, "RATE_LIMIT_STANDARD_HEADERS", Flag, "false",
        "Whether answers also tell how much is left, in the headers RateLimit and RateLimit-Policy of the IETF's draft.",
    ).reloading(),
    knob(Rates, "RATE_LIMIT_KEYS", int(1000, 10_000_000, "users and addresses"), "100000",
        "How many users and addresses, each by route, are counted at once, at 16 bytes each. When there are more, those \
         who used their limit least are forgotten first, and start with a full one.",
    ).reloading(),

    knob(Drafts, "MAX_COLLABORATORS_PER_DRAFT", int(0, 100_000, "collaborators"), "0",
        "How many collaborators one draft may have; one more is answered 429 limit_exceeded. \
         0 means no limit.",
    ),
    knob(Drafts, "MAX_SEGMENTS_PER_DRAFT", int(0, 10_000_000, "segments"), "0",
        "How many segments a draft may have before a warning is logged; nothing is refused. \
         0 means no warning.",
    ),
    knob(Drafts, "DRAFT_CACHE_BYTES", int(0, 1_073_741_824, "bytes"), "4194304",
        "How many bytes of rendered drafts each shard keeps in memory. 0 keeps none.",
    ),

    knob(Sockets, "WS_LIMITS_ENABLED", Flag, "false",
        "Whether the limits of sockets that follow are on, up to WS_ALLOWED_ORIGINS.",
    ).refusing().reloading(),
    knob(Sockets, "WS_MAX_SOCKETS_PER_USER", int(1, 1_000_000, "sockets"), "3",
        "How many sockets one user may have open, when the limits are on.",
    ).reloading(),
    knob(Sockets, "WS_MAX_SOCKETS_PER_DRAFT", int(1, 1_000_000, "sockets"), "100",
        "How many sockets may watch one draft, when the limits are on.",
    ).reloading(),
    knob(Sockets, "WS_MAX_SOCKETS_GLOBAL", int(1, 1_000_000, "sockets"), "1000",
        "How many sockets may be open in all, when the limits are on.",
    ).reloading(),
    knob(Sockets, "WS_MAX_MESSAGE_BYTES", int(1, 1_048_576, "bytes"), "4096",
        "The longest message taken from a socket, when the limits are on; 1048576 when they are off.",
    ).reloading(),
    knob(Sockets, "WS_MAX_MESSAGES_PER_SECOND", int(1, 1_000_000, "messages"), "20",
        "How many messages and pings a socket may send within a second, when the limits are on.",
    ).reloading(),
    knob(Sockets, "WS_ALLOWED_ORIGINS", Origins, "*",
        "The web origins whose pages may open sockets, when the limits are on. * or nothing allows any, and clients \
         that send no Origin; with a list these are refused.",
    ).refusing().reloading(),
    knob(Sockets, "MAX_WS_CONNECTIONS_PER_DRAFT", int(0, 1_000_000, "sockets"), "0",
        "How many sockets may watch one draft whether or not the limits are on. 0 means no limit.",
    ).reloading(),
    knob(Sockets, "WS_PING_SECONDS", int(1, 3600, "seconds"), "25",
        "How often each socket is pinged; one that has not answered by the next ping is closed.",
    ).reloading(),
    knob(Sockets, "WS_OUTBOX_BYTES", int(1024, 67_108_864, "bytes"), "262144",
        "How many bytes a socket's client may leave unread before it is closed as a slow consumer (1013).",
    ).reloading(),
    knob(Sockets, "WS_STALL_SECONDS", int(1, 600, "seconds"), "10",
        "How many seconds a socket's client may read nothing of what waits before it is closed as a slow consumer.",
    ).reloading(),

    knob(Audit, "AUDIT_ENABLED", Flag, "false",
        "Whether each change is recorded in the audit log: who, what, when, from where. See AUDIT.md.",
    ).refusing(),
    knob(Audit, "AUDIT_SAMPLE_RATE", Fraction, "1.0",
        "Which part of the changes is recorded, each by its own throw of the dice: 1.0 for all of them.",
    ),
    knob(Audit, "AUDIT_RETENTION_DAYS", int(0, 36_500, "days"), "0",
        "After how many days rows of the audit log are removed, in small steps. 0 keeps them for ever.",
    ),

    knob(Operations, "OPS_ADDR", Endpoint, "127.0.0.1:9090",
        "Where the private plane listens: the dashboard, metrics and backups. unix:PATH makes it a Unix socket for this \
         user only; off leaves it out. An address that is not of this machine alone needs OPS_TOKEN.",
    ).refusing(),
    Knob {
        secret: true,
        ..knob(Operations, "OPS_TOKEN", Text, "",
            "What the private plane asks for, as Authorization: Bearer or as a password with any user name. At least 16 \
             bytes. Without one, whoever reaches it may use it.",
        ).refusing()
    },
    knob(Operations, "METRICS_PUBLIC", Flag, "false",
        "Whether /metrics is also served on the public address.",
    ).refusing(),
    knob(Operations, "BACKUP_DIR", Text, "",
        "The directory that backups are written to. Without one there are none but those asked for by hand.",
    ).refusing(),
    knob(Operations, "BACKUP_INTERVAL_HOURS", int(0, 8760, "hours"), "24",
        "How often a backup is made by itself when there is a BACKUP_DIR. 0 leaves it to inkring backup and SIGUSR1.",
    ),
    knob(Operations, "BACKUP_KEEP_DAYS", int(0, 36_500, "days"), "30",
        "After how many days a backup is removed; the newest one never is. 0 keeps them for ever.",
    ),
];

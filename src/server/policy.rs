//! What a configuration makes of the rules that requests are judged by.

use std::net::IpAddr;

use crate::clock::Clock;
use crate::config::{Config, Environment, Network, open_to_others};
use crate::drafts;
use crate::gate::{BadKeys, Demands, Form, KeyFile, Keys, Limiter, Limits};
use crate::hub::SeatLimits;
use crate::net;

/// The longest message taken from a socket, whatever the limits.
const SOCKET_MESSAGE_MAX_BYTES: usize = 1024 * 1024;

/// Why the keys of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file is not as it should be.
    #[error("{name}: {bad}")]
    Bad {
        /// The setting that names the file.
        name: &'static str,
        /// What is wrong with it.
        bad: BadKeys,
    },
    /// It is open to every user of the machine; only a strict configuration refuses that.
    #[error("{0}")]
    Exposed(String),
}

/// What is configured for sockets, with the limits that are off made as wide as they can be.
pub(super) fn socket_options(config: &Config) -> drafts::SocketOptions {
    let knobs = &config.sockets;
    let when_on = |limit| if knobs.enabled { limit } else { usize::MAX };
    let any_origin = !knobs.enabled || knobs.origins.is_empty() || knobs.origins.iter().any(|origin| origin == "*");
    drafts::SocketOptions {
        origins: (!any_origin).then(|| knobs.origins.clone()),
        seats: SeatLimits {
            global: when_on(knobs.max_global),
            per_topic: when_on(knobs.max_per_draft),
            per_user: when_on(knobs.max_per_user),
            topic_cap: if knobs.draft_cap == 0 { usize::MAX } else { knobs.draft_cap },
        },
        limits: net::SocketLimits {
            message_bytes: when_on(knobs.message_bytes).min(SOCKET_MESSAGE_MAX_BYTES),
            messages_per_second: when_on(knobs.messages_per_second),
            outbox_bytes: knobs.outbox_bytes,
            stall: knobs.stall,
            ping: knobs.ping,
        },
        public_read: config.drafts.public_read,
    }
}

/// What is asked of a token besides its signature.
#[must_use]
pub fn demands(config: &Config) -> Demands {
    Demands {
        issuer: config.jwt.issuer.clone(),
        audience: config.jwt.audience.clone(),
        expiry: config.env == Environment::Production,
    }
}

/// The keys of tokens as configured.
#[derive(Default)]
pub struct OpenedKeys {
    /// The keys, if there are any.
    pub keys: Option<Keys>,
    /// The file that they follow.
    pub file: Option<KeyFile>,
    /// What an operator should know.
    pub warning: Option<String>,
}

/// Reads the keys that tokens are verified with.
///
/// # Errors
/// When their file cannot be used.
pub fn open_keys(config: &Config) -> Result<OpenedKeys, KeysError> {
    let jwt = &config.jwt;
    if let Some(secret) = &jwt.secret {
        return Ok(OpenedKeys { keys: Some(Keys::secret(secret.bytes())), ..OpenedKeys::default() });
    }
    let (name, path, form) = match (&jwt.public_key_file, &jwt.jwks_file) {
        (Some(path), _) => ("JWT_PUBLIC_KEY_FILE", path, Form::Pem),
        (None, Some(path)) => ("JWT_JWKS_FILE", path, Form::Jwks),
        (None, None) => return Ok(OpenedKeys::default()),
    };
    let file = KeyFile::open(path, form).map_err(|bad| KeysError::Bad { name, bad })?;
    let keys = file.keys();
    // A secret is nobody else's to read; any key is nobody else's to replace.
    let warning = open_to_others(path).and_then(|mode| {
        let what = match (keys.hold_a_secret(), mode & 0o002) {
            (true, _) => "holds a secret and has",
            (false, 0) => return None,
            (false, _) => "says whose tokens count and has",
        };
        let path = path.display();
        Some(format!("{name}: {path} {what} mode {mode:04o}, which lets every user of this machine in: chmod o="))
    });
    match warning {
        Some(sentence) if config.strict => Err(KeysError::Exposed(sentence)),
        warning => Ok(OpenedKeys { keys: Some(keys), file: Some(file), warning }),
    }
}

/// How often who may ask, if that is limited. What was counted so far goes on to count.
pub(super) fn limiter(config: &Config, counted: Option<&Limiter>, clock: &Clock) -> Option<Limiter> {
    let rates = config.rates?;
    let limits = Limits {
        per_minute: rates.per_minute,
        burst: rates.burst,
        keys: rates.keys,
        standard_headers: rates.standard_headers,
    };
    let now = clock.instant();
    Some(counted.map_or_else(|| Limiter::new(limits, now), |counted| counted.with(limits, now)))
}

pub(super) fn trusted(proxies: Vec<Network>) -> impl Fn(IpAddr) -> bool + Send + Sync {
    move |address| proxies.iter().any(|network| network.contains(address))
}

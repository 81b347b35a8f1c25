//! What is configured of who is trusted to be whom.

use std::time::Duration;

use super::keys::{BadKeys, Form, KeyFile, Keys};
use super::token::Demands;
use crate::clock::DAY;
use crate::settings::{ACCESS, Knob, Settings, flag, int, open_to_others, secret, text};

pub(crate) static TRUST_HEADER: Knob = flag(&ACCESS, "AUTH_TRUST_USER_HEADER", "true")
    .for_production()
    .in_status("trust_user_header")
    .in_production("false")
    .refusing()
    .reloading()
    .meaning(
        "Accepts the X-User-Id header as the user's identity. With TRUSTED_PROXIES set, it is accepted only from these \
         proxies and from this machine. Without, if other machines can reach the server, it does not start with this on \
         unless it is set to true explicitly. In production, turn it on only behind a proxy that sets the header itself.",
    );

pub(crate) static SECRET: Knob =
    secret(&ACCESS, "JWT_SECRET").strong_from(32).first().also(&["CLERK_SECRET_KEY"]).refusing().reloading().meaning(
        "The key for verifying signed tokens (JWT, HS256). If it is set, an Authorization: Bearer header decides \
         the identity, and X-User-Id counts only in requests without one. Use at least 32 random bytes, such as the \
         output of openssl rand -hex 32; weaker keys cause a warning, and are fatal in strict mode. Without this \
         and the next two settings, tokens are ignored.",
    );

pub(crate) static PUBLIC_KEY_FILE: Knob =
    text(&ACCESS, "JWT_PUBLIC_KEY_FILE").for_production().refusing().reloading().meaning(
        "Instead of JWT_SECRET: a file with the public key (PEM) of the token issuer. An RSA key of 2048 to 4096 bits \
     accepts only RS256, a P-256 key only ES256, an Ed25519 key only EdDSA.",
    );

pub(crate) static JWKS_FILE: Knob = text(&ACCESS, "JWT_JWKS_FILE").for_production().refusing().reloading().meaning(
    "Instead of JWT_SECRET: a file with several keys (a JWK set) of type RSA, P-256, Ed25519 or oct (for HS256). A \
     token selects its key by kid; a token without kid is accepted only if there is exactly one key.",
);

pub(crate) static KEYS_RELOAD: Knob = Knob::new(&ACCESS, "JWT_KEYS_RELOAD_SECONDS", int(1, 86_400, "seconds"), "10")
    .only_with(&[&PUBLIC_KEY_FILE, &JWKS_FILE])
    .meaning(
        "How often the file of JWT_PUBLIC_KEY_FILE or JWT_JWKS_FILE is checked for changes. A changed file takes \
         effect at once; if it is invalid, the error is logged and the old keys stay in use.",
    );

pub(crate) static ISSUER: Knob = text(&ACCESS, "JWT_ISSUER")
    .refusing()
    .reloading()
    .only_with(&TOKEN_KEYS)
    .meaning("The required issuer of tokens (iss). If not set, any issuer is accepted.");

pub(crate) static AUDIENCE: Knob = text(&ACCESS, "JWT_AUDIENCE").refusing().reloading().only_with(&TOKEN_KEYS).meaning(
    "The required audience of tokens: aud must be this value or contain it. If not set, any audience is \
         accepted.",
);

pub(crate) static MAX_LIFE: Knob = Knob::new(&ACCESS, "JWT_MAX_LIFE_DAYS", int(0, 3660, "days"), "0")
    .refusing()
    .reloading()
    .only_with(&TOKEN_KEYS)
    .meaning(
        "Maximum lifetime of a token, from iat to exp; tokens without both are then rejected. It lets the server \
         remove a revocation once every token it covers has expired. 0 accepts any lifetime, and keeps revocations \
         forever.",
    );

pub(crate) const KNOBS: &[&Knob] =
    &[&TRUST_HEADER, &SECRET, &PUBLIC_KEY_FILE, &JWKS_FILE, &KEYS_RELOAD, &ISSUER, &AUDIENCE, &MAX_LIFE];

/// The longest life of a token that is taken, if there is one.
pub fn max_life(settings: &Settings) -> Option<Duration> {
    Some(settings.small(&MAX_LIFE)).filter(|days| *days > 0).map(|days| DAY * days)
}

/// The settings that name the key of signed tokens, of which one may be set.
pub(crate) static TOKEN_KEYS: [&Knob; 3] = [&SECRET, &PUBLIC_KEY_FILE, &JWKS_FILE];

/// Whether there is a key that tokens are verified with.
pub fn verifies_tokens(settings: &Settings) -> bool {
    TOKEN_KEYS.iter().any(|knob| settings.of(knob).origin.is_given())
}

impl Demands {
    /// As configured.
    pub fn of(settings: &Settings) -> Self {
        Self {
            issuer: settings.text(&ISSUER).map(str::to_owned),
            audience: settings.text(&AUDIENCE).map(str::to_owned),
            expiry: settings.production(),
            max_life: max_life(settings),
        }
    }
}

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

impl OpenedKeys {
    /// Reads the keys that tokens are verified with.
    ///
    /// # Errors
    /// When their file cannot be used.
    pub fn of(settings: &Settings) -> Result<Self, KeysError> {
        if let Some(secret) = settings.secret(&SECRET) {
            return Ok(Self { keys: Some(Keys::secret(secret.bytes())), ..Self::default() });
        }
        let (knob, path, form) = match (settings.path(&PUBLIC_KEY_FILE), settings.path(&JWKS_FILE)) {
            (Some(path), _) => (&PUBLIC_KEY_FILE, path, Form::Pem),
            (None, Some(path)) => (&JWKS_FILE, path, Form::Jwks),
            (None, None) => return Ok(Self::default()),
        };
        let name = knob.name;
        let file = KeyFile::open(&path, form).map_err(|bad| KeysError::Bad { name, bad })?;
        let keys = file.keys();
        // A secret is nobody else's to read; any key is nobody else's to replace.
        let warning = open_to_others(&path).and_then(|mode| {
            let what = match (keys.hold_a_secret(), mode & 0o002) {
                (true, _) => "holds a secret and has",
                (false, 0) => return None,
                (false, _) => "decides whose tokens are accepted and has",
            };
            let path = path.display();
            Some(format!("{name}: {path} {what} mode {mode:04o}, which lets every user of this machine in: chmod o="))
        });
        match warning {
            Some(sentence) if settings.strict() => Err(KeysError::Exposed(sentence)),
            warning => Ok(Self { keys: Some(keys), file: Some(file), warning }),
        }
    }
}

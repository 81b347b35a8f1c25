//! What is configured of how often somebody may ask.

use super::replay::EVENTS_PER_REQUEST;
use super::{ADDRESS_FACTOR, RateLimits};
use crate::settings::{BoundRow, Knob, RATES, Settings, flag, int};

pub(crate) static ENABLED: Knob = flag(&RATES, "RATE_LIMIT_ENABLED", "false")
    .in_production("true")
    .in_status("rate_limits")
    .refusing()
    .reloading()
    .guarding_against("nobody is kept from asking without end")
    .meaning(
        "Whether requests are limited, per client address and per user and route. Too many are answered 429 \
         rate_limited. Probes are exempt, and so are sockets that are let in; what they catch up with is counted.",
    );

pub(crate) static PER_MINUTE: Knob =
    Knob::new(&RATES, "RATE_LIMIT_PER_MINUTE_DEFAULT", int(1, 1_000_000, "requests"), "120")
        .reloading()
        .at_bound("429 `rate_limited`", "the_contracts_examples")
        .meaning(
            "How many requests a minute one user (or one client address, where no user is known) may send to one \
             route. Mutations have half of it (PROTOCOL.md says which they are). One client address may send ten \
             times as many in all.",
        );

pub(crate) static BURST: Knob = Knob::new(&RATES, "RATE_LIMIT_BURST_DEFAULT", int(1, 1_000_000, "requests"), "30")
    .reloading()
    .at_bound("429 `rate_limited`", "the_contracts_examples")
    .meaning("How many of these may come at once. Halved and taken ten times like the requests a minute.");

pub(crate) static STANDARD_HEADERS: Knob = flag(&RATES, "RATE_LIMIT_STANDARD_HEADERS", "false").reloading().meaning(
    "Whether answers also tell how much is left, in the headers RateLimit and RateLimit-Policy of the IETF's proposal.",
);

pub(crate) static BUCKETS: Knob = Knob::new(
    &RATES,
    "RATE_LIMIT_KEYS",
    int(1000, 10_000_000, "users and addresses"),
    "100000",
)
.reloading()
.at_bound("the fullest bucket is forgotten, and starts full", "full_buckets_make_room_first_then_the_one_idle_longest")
.meaning(
    "How many users and addresses, each by route, are counted at once, at 16 bytes each. When there are more, those \
     who used their limit least are forgotten first, and start with a full one.",
);

pub(crate) const KNOBS: &[&Knob] = &[&ENABLED, &PER_MINUTE, &BURST, &STANDARD_HEADERS, &BUCKETS];

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&RATES, "ADDRESS_FACTOR", ADDRESS_FACTOR as u64, "times")
        .of(
            "What one address may ask in all, as a multiple of the two above. IPv6 counts by /64.",
            "429 `rate_limited`",
        )
        .tested_by("addresses_have_ten_times_as_much_and_ipv6_counts_by_64"),
    BoundRow::new(&RATES, "EVENTS_PER_REQUEST", EVENTS_PER_REQUEST as u64, "events")
        .of(
            "What sockets of one user may catch up with, in events for each request of the default limit; ten times as \
             many for one address.",
            "refused with `rate_limited` and 1013",
        )
        .tested_by("a_replay_is_charged_by_its_events_to_its_user_and_address"),
];

impl RateLimits {
    /// As configured; none while they are off.
    pub fn of(settings: &Settings) -> Option<Self> {
        settings.flag(&ENABLED).then(|| Self {
            per_minute: settings.small(&PER_MINUTE),
            burst: settings.small(&BURST),
            keys: settings.count(&BUCKETS),
            standard_headers: settings.flag(&STANDARD_HEADERS),
        })
    }
}

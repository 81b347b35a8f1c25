//! What is configured of how often somebody may ask.

use super::replay::EVENTS_PER_REQUEST;
use super::{ADDRESS_FACTOR, RateLimits};
use crate::settings::{BoundRow, Knob, RATES, Settings, flag, int};

pub(crate) static ENABLED: Knob = flag(&RATES, "RATE_LIMIT_ENABLED", "false")
    .in_production("true")
    .in_status("rate_limits")
    .refusing()
    .reloading()
    .guarding_against("clients can send any number of requests")
    .meaning(
        "Limits the rate of requests, per client address and per user and route. Requests over the limit get 429 \
         rate_limited. Probes are exempt, and so are accepted sockets, but not the events that they catch up with.",
    );

pub(crate) static PER_MINUTE: Knob =
    Knob::new(&RATES, "RATE_LIMIT_PER_MINUTE_DEFAULT", int(1, 1_000_000, "requests"), "120")
        .reloading()
        .at_bound("429 `rate_limited`", "the_contracts_examples")
        .only_with(&[&ENABLED])
        .meaning(
            "Maximum number of requests per minute from one user to one route; clients without a user count by \
             address. Mutations (PROTOCOL.md lists them) have half this limit. One client address has ten times \
             this limit for all its users and routes.",
        );

pub(crate) static BURST: Knob = Knob::new(&RATES, "RATE_LIMIT_BURST_DEFAULT", int(1, 1_000_000, "requests"), "30")
    .reloading()
    .at_bound("429 `rate_limited`", "the_contracts_examples")
    .only_with(&[&ENABLED])
    .meaning(
        "How many of these requests may arrive at once. Halved and multiplied by ten like \
         RATE_LIMIT_PER_MINUTE_DEFAULT.",
    );

pub(crate) static STANDARD_HEADERS: Knob =
    flag(&RATES, "RATE_LIMIT_STANDARD_HEADERS", "false").reloading().only_with(&[&ENABLED]).meaning(
        "Adds the headers RateLimit and RateLimit-Policy (an IETF draft), with the remaining quota, to responses.",
    );

pub(crate) static BUCKETS: Knob = Knob::new(
    &RATES,
    "RATE_LIMIT_KEYS",
    int(1000, 10_000_000, "users and addresses"),
    "100000",
)
.reloading()
.at_bound(
    "the fullest bucket is dropped, and starts full again",
    "full_buckets_make_room_first_then_the_one_idle_longest",
)
.only_with(&[&ENABLED])
.meaning(
    "Maximum number of users and addresses, each by route, that are counted at once; each takes 16 bytes. Beyond \
     it, the ones that used least of their limit are dropped first, and start again with a full limit.",
);

pub(crate) const KNOBS: &[&Knob] = &[&ENABLED, &PER_MINUTE, &BURST, &STANDARD_HEADERS, &BUCKETS];

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&RATES, "ADDRESS_FACTOR", ADDRESS_FACTOR as u64, "times")
        .of("Total limit of one address, as a multiple of the two above. IPv6 counts by /64.", "429 `rate_limited`")
        .tested_by("addresses_have_ten_times_as_much_and_ipv6_counts_by_64"),
    BoundRow::new(&RATES, "EVENTS_PER_REQUEST", EVENTS_PER_REQUEST as u64, "events")
        .of(
            "How many events the sockets of one user may catch up with, for each request of the default limit. One \
             address has ten times as many.",
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

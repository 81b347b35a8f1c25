//! Rate limits: two tiers of token buckets (contract 01 §4 with R18, ruling 2).
//!
//! Both tiers keep their buckets ([`bucket`]) in one table of a fixed size ([`table`]):
//!
//! 1. by client address, before anything is looked at, so that unknown paths count and changing one's name does not help
//! 2. by identity (a verified user, else the client address), route template, and whether it reads or changes
//!
//! A request takes a token from both or from none: who is refused by the second gets the token of the first back, so that one
//! user who is over their limit does not use up what an office has. What a socket catches up with is counted by events, in
//! buckets of their own ([`replay`]).
//!
//! A key is kept as a 64-bit hash with a seed of this process. Should two of the 100 000 keys ever be the same (one chance
//! in four thousand million), two clients share a bucket until one of them is forgotten; and without the seed nobody can
//! choose whom to share with. Locks are held for the arithmetic of one bucket.

pub mod addresses;
mod bucket;
pub mod options;
mod replay;
mod table;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use log::kv::Value;

use self::bucket::{Rate, Verdict};
pub use self::replay::ReplayMeter;
use self::table::Table;
use crate::net::{RequestId, Response, network_of};
use crate::observe;
use crate::observe::throttle::LogThrottle;

/// How many times the default an address may ask under all its names: a household, or an office behind one address.
const ADDRESS_FACTOR: u32 = 10;
/// Nobody waits longer for a token: the slowest bucket gets one a minute.
const WAIT_MAX_SECONDS: usize = 60;

/// draft-ietf-httpapi-ratelimit-headers-10.
const QUOTA_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const QUOTA: HeaderName = HeaderName::from_static("ratelimit");

/// Which policy counts the requests of a route, beside that of their address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RatePolicy {
    /// The default.
    Default,
    /// Half of it, for changes that cost more than a look.
    Mutation,
    /// None here, and not against the address either: its feature has a rule of its own, and asks it first of all.
    Own,
}

/// What is configured.
#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    /// Requests per minute of the default policy.
    pub per_minute: u32,
    /// Requests at once of the default policy.
    pub burst: u32,
    /// Buckets in all.
    pub keys: usize,
    /// Whether answers also tell how much is left, in the headers that the IETF proposes.
    pub standard_headers: bool,
}

/// Identity, as far as limits go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Client<'k> {
    /// A user whose identity was established.
    User(&'k str),
    /// Anyone else.
    Address(IpAddr),
}

/// What a bucket belongs to.
enum Key<'k> {
    Address(IpAddr),
    Route { who: Client<'k>, template: &'static str, changes: bool },
    Replay(Client<'k>),
}

/// By hand: an address goes in at once, as one number, and not part by part.
impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Address(client) => {
                state.write_u8(0);
                state.write_u128(number(*client));
            }
            Self::Route { who, template, changes } => {
                state.write_u8(1 + u8::from(*changes));
                who.hash(state);
                template.hash(state);
            }
            Self::Replay(who) => {
                state.write_u8(3);
                who.hash(state);
            }
        }
    }
}

impl Hash for Client<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::User(user) => (false, user).hash(state),
            Self::Address(client) => (true, number(*client)).hash(state),
        }
    }
}

/// An address as a number of its own.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A policy: its rate, and the parts of answers that it decides.
struct Tier {
    name: &'static str,
    rate: Rate,
    announced: HeaderValue,
    /// The headers of a 429, for every number of seconds that there is to wait.
    refusals: Vec<Arc<str>>,
}

impl Tier {
    fn new(name: &'static str, rate: Rate) -> Self {
        let per_minute = rate.per_minute();
        // A name of ours and a number fit a header.
        let announced = HeaderValue::from_str(&format!("\"{name}\";q={per_minute};w=60"));
        let announced = announced.unwrap_or(HeaderValue::from_static(""));
        let refusals = (0..=WAIT_MAX_SECONDS).map(|wait| {
            format!(
                "retry-after: {wait}\r\n\
                 x-ratelimit-limit: {per_minute}\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: 60\r\n"
            )
        });
        Self { name, rate, announced, refusals: refusals.map(Arc::from).collect() }
    }
}

/// What was counted so far, under whatever limits.
struct Counted {
    /// How many keys the table was made for.
    keys: usize,
    table: Table,
    seed: RandomState,
    started: Instant,
    refusals: LogThrottle,
}

impl Counted {
    fn nanos(&self, now: Instant) -> u64 {
        // 584 years.
        u64::try_from(now.saturating_duration_since(self.started).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// All limits of a server; its shards share one.
pub struct Limiter {
    counted: Arc<Counted>,
    address: Tier,
    default: Tier,
    mutation: Tier,
    standard_headers: bool,
}

impl Limiter {
    /// With every bucket full. `now` is when its time begins.
    pub fn new(limits: RateLimits, now: Instant) -> Self {
        let table = Table::new(limits.keys);
        let (keys, seed, refusals) = (limits.keys, RandomState::new(), LogThrottle::new());
        Self::counting(Arc::new(Counted { keys, table, seed, started: now, refusals }), limits)
    }

    /// The same with other limits. What was counted stays: a bucket that took some time to fill takes no longer now, and
    /// one that was empty stays so until a token of the new rate is due. Only for another number of keys does it begin
    /// anew, with every bucket full.
    pub fn with(&self, limits: RateLimits, now: Instant) -> Self {
        if limits.keys == self.counted.keys {
            Self::counting(Arc::clone(&self.counted), limits)
        } else {
            Self::new(limits, now)
        }
    }

    fn counting(counted: Arc<Counted>, limits: RateLimits) -> Self {
        let rate = Rate::new(limits.per_minute, limits.burst);
        Self {
            counted,
            address: Tier::new("address", rate.times(ADDRESS_FACTOR)),
            default: Tier::new("default", rate),
            mutation: Tier::new("mutation", rate.halved()),
            standard_headers: limits.standard_headers,
        }
    }

    /// Counts a request against where it comes from.
    pub(super) fn by_address(&self, client: IpAddr, now: Instant) -> Standing<'_> {
        self.take(&self.address, &Key::Address(network_of(client)), now)
    }

    /// Counts a request to a route against its identity.
    pub(super) fn by_route(
        &self,
        who: Client<'_>,
        template: &'static str,
        method: &Method,
        rate: RatePolicy,
        now: Instant,
    ) -> Standing<'_> {
        let who = match who {
            Client::Address(client) => Client::Address(network_of(client)),
            user @ Client::User(_) => user,
        };
        let changes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method);
        let tier = match rate {
            // One of its own never gets as far as this.
            RatePolicy::Default | RatePolicy::Own => &self.default,
            RatePolicy::Mutation => &self.mutation,
        };
        self.take(tier, &Key::Route { who, template, changes }, now)
    }

    /// How many users and addresses have a bucket that is not full.
    pub fn keys(&self, now: Instant) -> usize {
        self.counted.table.keys(self.counted.nanos(now))
    }

    fn take<'l>(&'l self, tier: &'l Tier, key: &Key<'_>, now: Instant) -> Standing<'l> {
        let Counted { table, seed, .. } = &*self.counted;
        let key = seed.hash_one(key);
        let verdict = table.take(key, tier.rate, self.counted.nanos(now));
        Standing { limiter: self, tier, key, verdict }
    }
}

/// How a request stands with the limit that it was counted against.
pub(super) struct Standing<'l> {
    limiter: &'l Limiter,
    tier: &'l Tier,
    key: u64,
    verdict: Verdict,
}

impl Standing<'_> {
    /// Puts the token back that it took, if it did: the request was refused by another limit.
    pub(super) fn give_back(&self) {
        if self.verdict.allowed {
            self.limiter.counted.table.give_back(self.key, self.tier.rate, 1);
        }
    }

    /// What every answer to this request says, if it has to.
    pub(super) fn quota(&self) -> Option<Quota> {
        self.limiter.standard_headers.then(|| Quota {
            name: self.tier.name,
            policy: self.tier.announced.clone(),
            remaining: self.verdict.remaining,
            next_seconds: self.verdict.next_seconds(),
        })
    }

    /// 429 if there was no token. It is made here and not as an `ApiError`: who is refused thousands of times a second
    /// should cost as little as can be.
    pub(super) fn refusal(&self, request_id: &RequestId, route: &str, ip: Option<IpAddr>) -> Option<Response> {
        if self.verdict.allowed {
            return None;
        }
        if let Some(refused) = self.limiter.counted.refusals.hit() {
            let mut fields: Vec<_> = ip.iter().map(|ip| ("ip", Value::from_display(ip))).collect();
            fields.extend([
                ("request_id", request_id.as_str().into()),
                ("route", route.into()),
                ("limit", self.tier.name.into()),
                ("refused", refused.into()),
            ]);
            observe::event(log::Level::Warn, "request.limited", &fields);
        }
        let wait = usize::try_from(self.verdict.next_seconds()).unwrap_or(usize::MAX).min(WAIT_MAX_SECONDS);
        let mut response = Response::json(StatusCode::TOO_MANY_REQUESTS, body(request_id));
        response.header_lines = Some(Arc::clone(&self.tier.refusals[wait]));
        Some(response)
    }
}

/// Room for a request id of ours and its quotes; a client's may need more.
const REQUEST_ID_BYTES: usize = 40;

/// The envelope of every error, written beforehand up to the request id, and from there on.
fn body(request_id: &RequestId) -> Vec<u8> {
    const BEFORE: &[u8] =
        br#"{"error":{"code":"rate_limited","message":"Rate limit exceeded for this endpoint","request_id":"#;
    const AFTER: &[u8] = br#"},"detail":"Rate limit exceeded for this endpoint"}"#;
    let mut body = Vec::with_capacity(BEFORE.len() + AFTER.len() + REQUEST_ID_BYTES);
    body.extend_from_slice(BEFORE);
    request_id.write_json(&mut body);
    body.extend_from_slice(AFTER);
    body
}

/// How much is left, for `RateLimit` and `RateLimit-Policy`.
#[derive(Debug)]
pub(super) struct Quota {
    name: &'static str,
    policy: HeaderValue,
    remaining: u32,
    next_seconds: u64,
}

impl Quota {
    /// Adds the two headers: so many requests are left, and in so many seconds there will be one more.
    pub(super) fn apply(self, headers: &mut Vec<(HeaderName, HeaderValue)>) {
        let current = format!("\"{}\";r={};t={}", self.name, self.remaining, self.next_seconds);
        if let Ok(current) = HeaderValue::from_str(&current) {
            headers.extend([(QUOTA_POLICY, self.policy), (QUOTA, current)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::gate::code::Code;
    use crate::gate::error::ApiError;

    const THINGS: &str = "/v1/things";
    const THING: &str = "/v1/things/{thing_id}";

    fn limiter(per_minute: u32, burst: u32) -> (Limiter, Instant) {
        let now = Clock::manual(Timestamp(0)).instant();
        let limits = RateLimits { per_minute, burst, keys: 1000, standard_headers: true };
        (Limiter::new(limits, now), now)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// How many of these go through before the first refusal.
    fn until_refused(take: impl Fn() -> bool) -> usize {
        (0..1000).take_while(|_| take()).count()
    }

    #[test]
    fn user_route_and_class_have_each_a_bucket_of_their_own() {
        let (limiter, now) = limiter(6, 4);
        let counted = |who, template, method: Method, rate| {
            until_refused(|| limiter.by_route(who, template, &method, rate, now).verdict.allowed)
        };
        let count = |who, template, method| counted(who, template, method, RatePolicy::Default);
        let (alice, bob, nobody) = (Client::User("alice"), Client::User("bob"), Client::Address(ip("192.0.2.1")));
        assert_eq!(count(alice, THINGS, Method::GET), 4);
        assert_eq!(count(alice, THINGS, Method::HEAD), 0, "the same class");
        assert_eq!(counted(alice, THINGS, Method::POST, RatePolicy::Mutation), 2);
        for same in [Method::PUT, Method::PATCH, Method::DELETE] {
            assert_eq!(counted(alice, THINGS, same, RatePolicy::Mutation), 0);
        }
        assert_eq!(count(alice, THING, Method::GET), 4);
        assert_eq!(count(bob, THINGS, Method::GET), 4);
        assert_eq!(count(nobody, THINGS, Method::GET), 4);
        assert_eq!(count(Client::User("192.0.2.1"), THINGS, Method::GET), 4, "a name is no address");
        assert_eq!(count(alice, "/v1/other", Method::POST), 4, "a change is not always a mutation");
        assert_eq!(limiter.keys(now), 7);
        assert_eq!(limiter.keys(now + Duration::from_secs(60)), 0, "all are full again");
        // It comes back with time, and with nothing else.
        let later = now + Duration::from_secs(20);
        assert_eq!(
            until_refused(|| limiter
                .by_route(alice, THINGS, &Method::POST, RatePolicy::Mutation, later)
                .verdict
                .allowed),
            1
        );
    }

    #[test]
    fn addresses_have_ten_times_as_much_and_ipv6_counts_by_64() {
        let (limiter, now) = limiter(6, 4);
        let count = |address: &str| until_refused(|| limiter.by_address(ip(address), now).verdict.allowed);
        assert_eq!(count("192.0.2.1"), 40);
        assert_eq!(count("::ffff:192.0.2.1"), 0, "the same address, mapped");
        assert_eq!(count("192.0.2.2"), 40);
        assert_eq!(count("2001:db8:1:2::1"), 40);
        assert_eq!(count("2001:db8:1:2:ffff::1"), 0, "the same household");
        assert_eq!(count("2001:db8:1:3::1"), 40);
        let route = |address| {
            limiter
                .by_route(Client::Address(ip(address)), THING, &Method::GET, RatePolicy::Default, now)
                .verdict
                .allowed
        };
        assert_eq!(until_refused(|| route("2001:db8:1:2::1")), 4);
        assert!(!route("2001:db8:1:2::2"));
    }

    #[test]
    fn other_rates_keep_what_was_counted_and_another_table_does_not() {
        let (limiter, now) = limiter(6, 4);
        let limits = RateLimits { per_minute: 6, burst: 4, keys: 1000, standard_headers: false };
        let left = |limiter: &Limiter, at| {
            until_refused(|| {
                limiter.by_route(Client::User("a"), THING, &Method::GET, RatePolicy::Default, at).verdict.allowed
            })
        };
        assert_eq!(left(&limiter, now), 4);
        let faster = limiter.with(RateLimits { per_minute: 60, burst: 100, ..limits }, now);
        // It owes 40 seconds, which is worth 40 of the new tokens.
        assert_eq!(left(&faster, now), 60);
        let slower = faster.with(RateLimits { per_minute: 1, burst: 2, ..limits }, now);
        assert_eq!(left(&slower, now), 0);
        // It owes 100 seconds of the 120 that a full one is worth now, so 40 are missing to a token.
        assert_eq!(left(&slower, now + Duration::from_secs(39)), 0);
        assert_eq!(left(&slower, now + Duration::from_secs(40)), 1);
        assert!(slower.by_address(ip("192.0.2.1"), now).quota().is_none());
        // One that owes more than it can now is empty, and a client that was refused waits for one token, not for all.
        let tight = faster.with(RateLimits { per_minute: 60, burst: 1, ..limits }, now);
        assert_eq!((left(&tight, now), left(&tight, now + Duration::from_secs(1))), (0, 1));
        let other = slower.with(RateLimits { keys: 2000, ..limits }, now);
        assert_eq!(left(&other, now), 4);
    }

    #[test]
    fn a_refusal_has_the_one_shape_of_errors_and_the_contracts_headers() {
        let (limiter, now) = limiter(1, 1);
        let id = RequestId::from_header(Some(b"a\"b\\c"));
        let standing = || limiter.by_route(Client::User("a"), THING, &Method::GET, RatePolicy::Default, now);
        assert!(standing().refusal(&id, THING, None).is_none());
        let refused = standing();
        let response = refused.refusal(&id, THING, None).unwrap();
        assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(
            response.body.bytes(),
            ApiError::new(Code::RateLimited, "Rate limit exceeded for this endpoint").body(id.as_str(), None)
        );
        let lines = "retry-after: 60\r\nx-ratelimit-limit: 1\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: 60\r\n";
        assert_eq!(response.header_lines.as_deref(), Some(lines));
        let mut headers = response.headers;
        refused.quota().unwrap().apply(&mut headers);
        let lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        let expected = ["ratelimit-policy: \"default\";q=1;w=60", "ratelimit: \"default\";r=0;t=60"];
        assert_eq!(lines, expected);
    }
}

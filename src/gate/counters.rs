//! What is counted of requests.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use super::traffic::Traffic;
use crate::clock::Clock;
use crate::observe::metrics::{
    Buckets, Counter, Gauge, HTTP, Histogram, LIMITS, Labelled, MetricCache, Metrics, Overview, Row, SECONDS, Spread,
};

/// The path of requests that no route has.
pub(super) const UNMATCHED: &str = "unmatched";

pub(crate) static REQUESTS: Row = Row::counter(&HTTP, "inkring_http_requests_total")
    .at_the_top(Overview::Course(&["status"]))
    .of_the_original()
    .by(&["method", "path", "status"])
    .says(
        "Answered requests; path is the route, or unmatched if there is none",
        "What is requested, and with what result?",
    );

pub(crate) static DURATION: Row = Row::histogram(&HTTP, "inkring_http_request_duration_seconds", SECONDS)
    .at_the_top(Overview::Course(&[]))
    .by(&["path"])
    .says(
        "Time from the complete request to its response, including the wait for the commit",
        "How long do responses take?",
    );

pub(crate) static IN_FLIGHT: Row = Row::gauge(&HTTP, "inkring_http_in_flight").says(
    "Requests waiting for a commit, for other work or for the rest of their body",
    "How many requests are in flight?",
);

pub(crate) static REJECTED: Row = Row::counter(&HTTP, "inkring_http_rejected_total").by(&["status"]).says(
    "Malformed input, by status of the response; not included in inkring_http_requests_total",
    "Do clients send invalid HTTP?",
);

pub(crate) static BLOCKED: Row = Row::counter(&LIMITS, "inkring_ratelimit_block_total")
    .of_the_original()
    .by(&["scope"])
    .says("Requests refused with 429 rate_limited, by route", "Which routes hit the rate limits?");

pub(crate) static LIMITED_KEYS: Row = Row::gauge(&LIMITS, "inkring_ratelimit_keys")
    .says("Users and addresses whose bucket is not full now", "How many clients do the rate limits count?");

pub(crate) static AUTH_FAILURES: Row = Row::counter(&LIMITS, "inkring_auth_failures_total")
    .by(&["reason"])
    .says("Requests and sockets with missing or invalid credentials, by reason", "Do logins fail?");

pub(crate) const ROWS: &[&Row] =
    &[&REQUESTS, &DURATION, &IN_FLIGHT, &REJECTED, &BLOCKED, &LIMITED_KEYS, &AUTH_FAILURES];

/// Requests.
#[derive(Debug)]
pub struct Counters {
    requests: Labelled<Counter>,
    durations: Labelled<Histogram, Buckets>,
    in_flight: Gauge,
    rejected: Labelled<Counter>,
    blocked: Labelled<Counter>,
    auth_failures: Labelled<Counter>,
    traffic: Traffic,
}

impl Counters {
    /// With nothing counted, but for what `traffic` counts.
    pub fn new(metrics: &Metrics, traffic: Traffic) -> Self {
        Self {
            requests: metrics.counters(&REQUESTS),
            durations: metrics.histograms(&DURATION),
            in_flight: metrics.gauge(&IN_FLIGHT),
            rejected: metrics.counters(&REJECTED),
            blocked: metrics.counters(&BLOCKED),
            auth_failures: metrics.counters(&AUTH_FAILURES),
            traffic,
        }
    }

    /// The metrics of one route, by its template, for one thread.
    pub fn route(&self, template: &'static str) -> RouteMetrics {
        let (requests, answered) = (self.requests.clone(), MetricCache::default());
        let (durations, duration) = (self.durations.clone(), OnceCell::new());
        let (blocked, blocked_here) = (self.blocked.clone(), OnceCell::new());
        let (in_flight, traffic, times) = (self.in_flight.clone(), self.traffic.clone(), self.traffic.path(template));
        RouteMetrics {
            template,
            requests,
            answered,
            durations,
            duration,
            blocked,
            blocked_here,
            in_flight,
            traffic,
            times,
        }
    }

    /// Bytes were refused that are not a valid request.
    pub fn rejected(&self, status: StatusCode, now: Instant) {
        self.traffic.count(status, now);
        self.rejected.with(&[status.as_str()]).inc();
    }

    /// Somebody is not who they say, or says nothing.
    pub fn auth_failed(&self, reason: &'static str) {
        self.auth_failures.with(&[reason]).inc();
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new(&Metrics::default(), Traffic::new(Clock::system().instant()))
    }
}

/// A request that is not answered yet.
#[derive(Debug)]
pub struct InFlight(Rc<RouteMetrics>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

/// The metrics of one route on one thread.
#[derive(Debug)]
pub struct RouteMetrics {
    template: &'static str,
    requests: Labelled<Counter>,
    answered: MetricCache<(&'static str, StatusCode), Counter>,
    durations: Labelled<Histogram, Buckets>,
    /// The histogram of this route, from the first answer on: most routes are never asked, and 17 lines of zeros for each are
    /// much of a scrape.
    duration: OnceCell<Histogram>,
    blocked: Labelled<Counter>,
    /// The counter of this route, from the first time on: who is refused comes often.
    blocked_here: OnceCell<Counter>,
    in_flight: Gauge,
    traffic: Traffic,
    /// Shared by all threads.
    times: Arc<Spread>,
}

impl RouteMetrics {
    /// A request was taken and will be answered later; it counts as under way until this is dropped.
    #[must_use]
    pub fn take(self: &Rc<Self>) -> InFlight {
        self.in_flight.inc();
        InFlight(Rc::clone(self))
    }

    /// A request was answered now.
    pub fn answered(&self, method: &Method, status: StatusCode, took: Duration, now: Instant) {
        self.traffic.count(status, now);
        let method = method_label(method);
        let make = || self.requests.with(&[method, self.template, status.as_str()]);
        self.answered.with((method, status), make, |answered| _ = answered.inc());
        self.duration.get_or_init(|| self.durations.with(&[self.template])).observe(took.as_secs_f64());
    }

    /// The same request was no probe.
    pub fn served(&self, status: StatusCode, took: Duration) {
        self.traffic.count_class(status);
        self.times.count(took);
    }

    /// A request met a rate limit.
    pub fn blocked(&self) {
        self.blocked_here.get_or_init(|| self.blocked.with(&[self.template])).inc();
    }
}

/// A method as a label: clients may make up methods, so those that nobody knows are one.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_clients_make_up_are_one() {
        let metrics = Metrics::default();
        let now = Clock::system().instant();
        let route = Counters::new(&metrics, Traffic::new(now)).route(UNMATCHED);
        for number in 0..1000_u16 {
            let method = Method::from_bytes(format!("X{number}").as_bytes()).unwrap();
            route.answered(&method, StatusCode::NOT_FOUND, Duration::ZERO, now);
        }
        let text = metrics.encode();
        assert!(
            text.contains("\ninkring_http_requests_total{method=\"other\",path=\"unmatched\",status=\"404\"} 1000\n")
        );
        assert!(text.lines().count() < 50, "{text}");
    }

    #[test]
    fn a_request_is_in_flight_until_it_is_answered_or_given_up() {
        let counters = Counters::default();
        let route = Rc::new(counters.route("/x"));
        let (first, second) = (route.take(), route.take());
        assert_eq!(counters.in_flight.get(), 2);
        drop(first);
        drop(second);
        assert_eq!(counters.in_flight.get(), 0);
    }
}

//! What a request is told of the limits, in the contract's words (contract 04 §1.3).

use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, StatusCode};

use super::sliding::Standing;
use crate::net::Response;

const LIMIT_MINUTE: HeaderName = HeaderName::from_static("x-ratelimit-limit-minute");
const LIMIT_HOUR: HeaderName = HeaderName::from_static("x-ratelimit-limit-hour");
const REMAINING_MINUTE: HeaderName = HeaderName::from_static("x-ratelimit-remaining-minute");
const REMAINING_HOUR: HeaderName = HeaderName::from_static("x-ratelimit-remaining-hour");

/// How a request stands with both limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Requests a minute, and an hour.
    limits: [usize; 2],
    standing: Standing<2>,
}

impl Verdict {
    pub(super) fn new(limits: [usize; 2], standing: Standing<2>) -> Self {
        Self { limits, standing }
    }

    /// Whether it may go on. It was counted then, and not otherwise.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.standing.allowed
    }

    /// What every answer of these paths carries.
    #[must_use]
    pub fn headers(&self) -> [(HeaderName, HeaderValue); 4] {
        let ([minute, hour], [minute_left, hour_left]) = (self.limits, self.standing.remaining);
        [
            (LIMIT_MINUTE, minute.into()),
            (LIMIT_HOUR, hour.into()),
            (REMAINING_MINUTE, minute_left.into()),
            (REMAINING_HOUR, hour_left.into()),
        ]
    }

    /// The 429 of one that may not. Its body is the contract's to the letter, which has a string as `error`: so this is the one error
    /// without the house's envelope. It names the limit for which there is longer to wait.
    #[must_use]
    pub fn refusal(&self) -> Response {
        let ([per_minute, per_hour], [minute, hour]) = (self.limits, self.standing.wait_ms);
        let limit = if hour > minute { format!("{per_hour}/hour") } else { format!("{per_minute}/minute") };
        let body = format!(
            "{{\"error\":\"rate_limit_exceeded\",\"message\":\"Too many requests. Limit: {limit}\",\
             \"detail\":\"Please try again later\"}}"
        );
        // Rounded up: who comes back then does not come too early.
        let seconds = minute.max(hour).div_ceil(1000).max(1);
        let response = Response::json(StatusCode::TOO_MANY_REQUESTS, body.into_bytes());
        self.headers()
            .into_iter()
            .fold(response.with(RETRY_AFTER, seconds.into()), |response, (name, value)| response.with(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(headers: &[(HeaderName, HeaderValue)]) -> Vec<String> {
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn what_is_left_is_in_the_headers_of_every_answer() {
        let standing = Standing { allowed: true, remaining: [59, 999], wait_ms: [0, 0] };
        let expected = [
            "x-ratelimit-limit-minute: 60",
            "x-ratelimit-limit-hour: 1000",
            "x-ratelimit-remaining-minute: 59",
            "x-ratelimit-remaining-hour: 999",
        ];
        assert_eq!(lines(&Verdict::new([60, 1000], standing).headers()), expected);
    }

    #[test]
    fn a_refusal_is_the_contracts_and_says_when_to_come_back() {
        for (wait_ms, limit, seconds) in [
            ([59_001, 0], "60/minute", "60"),
            ([59_000, 0], "60/minute", "59"),
            ([1, 0], "60/minute", "1"),
            ([0, 3_599_999], "1000/hour", "3600"),
            ([60_000, 1000], "60/minute", "60"),
            ([1000, 60_000], "1000/hour", "60"),
        ] {
            let standing = Standing { allowed: false, remaining: [0, 7], wait_ms };
            let response = Verdict::new([60, 1000], standing).refusal();
            assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
            let body = format!(
                r#"{{"error":"rate_limit_exceeded","message":"Too many requests. Limit: {limit}","detail":"Please try again later"}}"#
            );
            assert_eq!(response.body.bytes(), body.as_bytes());
            let lines = lines(&response.headers);
            assert_eq!(lines[0], format!("retry-after: {seconds}"), "{wait_ms:?}");
            assert_eq!(lines[1..].len(), 4);
        }
    }
}

//! Dates as HTTP writes them (RFC 9110 §5.6.7), to the second.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::Offset;

/// How a date may be written: as it should be, and in the two ways of old, which are read all the same.
const SPELLINGS: [&str; 3] = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// The date of this many seconds since 1970.
pub fn http_date(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime(SPELLINGS[0]).to_string()
}

/// Seconds since 1970 of a date, if it is one.
pub fn parse_http_date(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let date: DateTime =
        SPELLINGS.iter().find_map(|spelling| strtime::parse(spelling, text).ok()?.to_datetime().ok())?;
    Some(Offset::UTC.to_timestamp(date).ok()?.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_in_one_way_and_read_in_three() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(i64::MAX), "Thu, 01 Jan 1970 00:00:00 GMT", "what is no date is the first");
        for known in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse_http_date(known.as_bytes()), Some(784_111_777), "{known}");
        }
        for strange in [
            "",
            "now",
            "784111777",
            "Sun, 06 Nov 1994",
            "Sun, 06 Nov 1994 08:49:37 +0100",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
            "Thu, 06 Nov 9999999 08:49:37 GMT",
        ] {
            assert_eq!(parse_http_date(strange.as_bytes()), None, "{strange}");
        }
        assert_eq!(parse_http_date(b"\xff"), None);
    }
}

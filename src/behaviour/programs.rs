//! Readers who are none: programs that say so in their `User-Agent`. A plain rule, which misses whoever hides; it is
//! about figures and not about defence.

use memchr::memmem;

/// What the agents of programs have somewhere, in small letters.
const MARKS: &[&str] = &[
    "bot",
    "crawl",
    "spider",
    "slurp",
    "headless",
    "phantomjs",
    "lighthouse",
    "prerender",
    "preview",
    "monitor",
    "uptime",
    "pingdom",
    "archiver",
    "scanner",
    "scrapy",
    "externalhit",
    "feedfetcher",
    "inspectiontool",
    "mediapartners",
    "googleother",
    "-user/",
    "curl/",
    "wget/",
    "python",
    "java/",
    "ruby",
    "perl",
    "libwww",
    "go-http-client",
    "http-client",
    "httpclient",
    "node-fetch",
    "axios/",
    "postman",
];

/// Telephones whose name has one of these in it.
const PEOPLE: &str = "cubot";

/// Whether a program says that it is one. Who says nothing is taken for a person.
pub(super) fn is_program(agent: &str) -> bool {
    let agent = agent.to_ascii_lowercase().replace(PEOPLE, "");
    MARKS.iter().any(|mark| memmem::find(agent.as_bytes(), mark.as_bytes()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_from_people() {
        for program in [
            "AhrefsBot/7.0",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; Bytespider)",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0",
            "facebookexternalhit/1.1",
            "curl/8.5.0",
            "python-requests/2.31",
            "Go-http-client/2.0",
        ] {
            assert!(is_program(program), "{program}");
        }
        for person in [
            "",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:131.0) Gecko/20100101 Firefox/131.0",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Safari/605.1.15",
            "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Mobile Safari/537.36",
            "Opera/9.80 (J2ME/MIDP; Opera Mini/9.80) Presto/2.5.25",
        ] {
            assert!(!is_program(person), "{person}");
        }
    }
}

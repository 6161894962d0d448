//! What an endpoint says about a refusal, in one line that holds no secret.

use http::{HeaderMap, HeaderValue};
use reqwest::{Response, Url};

use crate::secrets::Scrubber;

/// So much of an answer is shown, in bytes.
const LONGEST: usize = 1_000;

/// So much of an acknowledgement is read, in bytes; one that is longer costs its connection.
const LONGEST_ACKNOWLEDGEMENT: usize = 64 << 10;

/// What stands in place of a secret.
const MASK: &str = "***";

/// The shortest part of a URL that is looked for, in bytes: a shorter one stands in many answers by chance.
const SHORTEST_PART: usize = 8;

/// What no answer shows.
pub(super) struct Secrets(Scrubber);

impl Secrets {
    /// Those of a request: headers that are marked sensitive, and the URL beyond its origin.
    pub(super) fn of(headers: &HeaderMap, url: &Url) -> Self {
        let mut scrubber = Scrubber::default();
        for value in headers.values().filter(|value| value.is_sensitive()) {
            let value = value.to_str().unwrap_or_default();
            scrubber.add(value, MASK);
            // `Bearer TOKEN` may come back without its first word.
            scrubber.add(value.rsplit(' ').next().unwrap_or_default(), MASK);
        }
        let query = url.query().unwrap_or_default();
        let values = url.query_pairs().map(|(_, value)| value.into_owned());
        let parts = [url.path().to_owned(), query.to_owned()].into_iter().chain(values);
        parts.filter(|part| part.len() >= SHORTEST_PART).for_each(|part| scrubber.add(&part, MASK));
        Self(scrubber)
    }

    /// The beginning of an answer.
    pub(super) async fn reason(&self, mut response: Response) -> String {
        // A secret that begins in what is shown is read to its end.
        let most = LONGEST + self.0.longest();
        let (mut bytes, mut is_whole) = (Vec::new(), false);
        while bytes.len() < most {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk[..chunk.len().min(most - bytes.len())]),
                Ok(None) => {
                    is_whole = true;
                    break;
                }
                // What came so far is the reason, as far as it goes.
                Err(_) => break,
            }
        }
        self.line(bytes, is_whole)
    }

    fn line(&self, bytes: Vec<u8>, is_whole: bool) -> String {
        let mut bytes = self.0.bytes(&bytes).unwrap_or(bytes);
        if !is_whole {
            bytes.truncate(bytes.len() - self.0.begun_at_end(&bytes));
        }
        bytes.truncate(LONGEST);
        let text = String::from_utf8_lossy(&bytes);
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        line.trim().to_owned()
    }
}

/// Reads an acknowledgement to its end, so that the connection can be used again, and makes nothing of it.
pub(super) async fn drain(mut response: Response) -> String {
    let mut left = LONGEST_ACKNOWLEDGEMENT;
    while left > 0
        && let Ok(Some(chunk)) = response.chunk().await
    {
        left = left.saturating_sub(chunk.len());
    }
    String::new()
}

/// Marks a value that no answer is to show.
pub(super) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    const TOKEN: &str = "canary-0123456789abcdef";

    fn secrets() -> Secrets {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, sensitive(&format!("Bearer {TOKEN}")).unwrap())]);
        Secrets::of(&headers, &"https://x.example/services/T0/canary?key=canary-query&n=1".parse().unwrap())
    }

    #[test]
    fn a_secret_is_masked_before_anything_is_cut() {
        // Wherever it stands, the end of what is shown and the end of what is read included.
        for before in (0..LONGEST + 100).step_by(7) {
            let text = format!("{}{TOKEN} and more", "é".repeat(before / 2));
            let most = LONGEST + TOKEN.len();
            for (bytes, is_whole) in [(text.as_bytes(), true), (&text.as_bytes()[..most.min(text.len())], false)] {
                let line = secrets().line(bytes.to_vec(), is_whole);
                assert!(!line.contains("can"), "{before}: {line}");
                assert!(line.len() <= LONGEST + 2);
            }
        }
        // So many that less is shown than was read.
        let many = TOKEN.repeat(100);
        for read in LONGEST..LONGEST + 200 {
            let line = secrets().line(many.as_bytes()[..read].to_vec(), false);
            assert!(!line.contains("can"), "{read}: {line}");
        }
    }

    #[test]
    fn neither_a_header_nor_the_url_is_repeated() {
        let said =
            format!("POST /services/T0/canary?key=canary-query&n=1: no {TOKEN}, no Bearer {TOKEN},\n no canary-query");
        assert_eq!(secrets().line(said.into_bytes(), true), "POST ***?***: no ***, no ***,  no ***");
    }
}

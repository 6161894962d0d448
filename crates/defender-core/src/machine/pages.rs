//! An answer that comes in pages.

use percent_encoding::percent_decode_str;
use twox_hash::XxHash64;

use crate::failure::{PageFault, page_failure};
use crate::secret::Secret;

use super::reading::{Reading, Seen};
use super::{Ask, Machine, Purpose};

/// More pages than any answer has: 10,000.
const MAX_PAGES: usize = 10_000;

/// The shortest value in a link that is kept out of what is told, in bytes: a shorter one is no token.
const MIN_SECRET: usize = 8;

/// The pages that have been read, which together are one answer. Only the instance that reads it knows them: whoever reads on
/// from its checkpoint asks for the slice from its beginning, and the ring tells what was delivered.
///
/// Without `Debug`, since a link may hold a token.
pub(super) struct Pages {
    pub(super) ask: Ask,
    /// Where the next page is.
    pub(super) next: String,
    pub(super) seen: Seen,
    /// The hashes of all links so far.
    followed: Vec<u64>,
}

impl Pages {
    /// What a further page adds to: it is one more part of the answer that the first one began.
    pub(super) fn goes_on(&mut self, is_partial: bool) -> Seen {
        let mut seen = std::mem::take(&mut self.seen);
        seen.is_partial |= is_partial;
        seen
    }
}

impl Machine {
    /// Sees to it that the page which a complete one names comes next; false where it names none.
    pub(super) fn turn_page(&mut self, page: &mut Reading) -> bool {
        let updates = self.config.protocol.updates_in_place();
        let link = match page.ask.purpose {
            Purpose::Slice | Purpose::Check | Purpose::Single if !updates => page.next_link().map(str::to_owned),
            Purpose::Pass if self.may_turn(page) => page.next_link().map(str::to_owned).or_else(|| self.skip(page)),
            // The first page of a neighbour or of a probe proves all that they are to prove.
            _ => None,
        };
        let Some(link) = link else { return false };
        let by_skip = page.next_link().is_none();
        page.seen.pass.turn(page.seen.rows, by_skip);
        let mut followed = self.pages.take().map(|pages| pages.followed).unwrap_or_default();
        let fault = match self.config.api_endpoint.resolve(&link) {
            None => PageFault::Elsewhere,
            Some(next) if followed.len() < MAX_PAGES && !followed.contains(&hash(&next)) => {
                followed.push(hash(&next));
                self.pages = Some(Box::new(Pages {
                    ask: page.ask.clone(),
                    next,
                    seen: std::mem::take(&mut page.seen),
                    followed,
                }));
                return true;
            }
            Some(_) => PageFault::Endless,
        };
        let failure = page_failure(fault, &page.head, b"", &self.config);
        if fault == PageFault::Elsewhere {
            self.give_up_pages(failure);
        } else {
            self.slice_failed(&page.ask, failure);
        }
        true
    }
}

fn hash(link: &str) -> u64 {
    XxHash64::oneshot(0, link.as_bytes())
}

/// The link to a further page in what came in place of an answer, whatever else is wrong with that.
pub(super) fn link_in(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once("\"@odata.nextLink\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    rest.split('"').next().map(str::to_owned)
}

/// What of a link may be a token: the values of its query and the parts of its path, as they were written and as they are
/// meant. What the planned URL holds as well is none.
pub(super) fn secrets_of(link: &str, planned: &str) -> impl Iterator<Item = Secret> {
    let (place, query) = link.split_once('?').unwrap_or((link, ""));
    let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    let parts =
        place.split(['/', '@']).filter(|part| !planned.split(['/', '@']).any(|own| own.eq_ignore_ascii_case(part)));
    let found = values.chain(parts).filter(|value| value.len() >= MIN_SECRET);
    found.flat_map(|value| [value.into(), percent_decode_str(value).decode_utf8_lossy()].map(Secret::new))
}

//! An answer that streams in, without the token that its request carried.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use memchr::memmem::Finder;
use wasmtime_wasi_http::{Error, WasiBody};

/// What stands in place of each byte of a token, so that lengths stay what they were said to be.
const MASK: u8 = b'*';

/// A body in which a token is masked, wherever its pieces end. Held back is what may be the beginning of one. Trailers
/// are left out: they say nothing that a source needs.
pub(super) struct MaskedBody {
    inner: WasiBody,
    token: Finder<'static>,
    held: Bytes,
    ended: bool,
}

impl MaskedBody {
    /// `token` is not empty.
    pub(super) fn new(inner: WasiBody, token: &[u8]) -> Self {
        Self { inner, token: Finder::new(token).into_owned(), held: Bytes::new(), ended: false }
    }

    /// What may be handed on of this piece, now that what is held went before it.
    fn masked(&mut self, piece: Bytes) -> Bytes {
        let held = std::mem::take(&mut self.held);
        let mut piece = if held.is_empty() { piece } else { [held, piece].concat().into() };
        let mut end = 0;
        if self.token.find(&piece).is_some() {
            let mut bytes = BytesMut::from(piece);
            end = mask(&mut bytes, &self.token);
            piece = bytes.freeze();
        }
        let needle = self.token.needle();
        let longest = (piece.len() - end).min(needle.len().saturating_sub(1));
        let beginning = (1..=longest).rev().find(|length| piece.ends_with(&needle[..*length])).unwrap_or(0);
        self.held = piece.split_off(piece.len() - beginning);
        piece
    }
}

impl Body for MaskedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        while !this.ended {
            match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let piece = frame.into_data().map(|piece| this.masked(piece)).unwrap_or_default();
                    if !piece.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(piece))));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => this.ended = true,
                Poll::Pending => return Poll::Pending,
            }
        }
        // What is held at the end was the beginning of no token.
        let held = std::mem::take(&mut this.held);
        Poll::Ready((!held.is_empty()).then(|| Ok(Frame::data(held))))
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && (self.ended || self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        if self.held.is_empty() { self.inner.size_hint() } else { SizeHint::default() }
    }
}

/// Masks a token in the values of headers.
pub(super) fn mask_headers(headers: &mut HeaderMap, token: &[u8]) {
    let token = Finder::new(token);
    for value in headers.values_mut() {
        let mut bytes = value.as_bytes().to_vec();
        if mask(&mut bytes, &token) > 0 {
            // What a header may hold it may hold with stars in it.
            *value = HeaderValue::from_bytes(&bytes).unwrap_or(HeaderValue::from_static("*"));
        }
    }
}

/// Returns where the last one ended.
fn mask(bytes: &mut [u8], token: &Finder<'_>) -> usize {
    let mut end = 0;
    while let Some(at) = token.find(&bytes[end..]) {
        let start = end + at;
        end = start + token.needle().len();
        bytes[start..end].fill(MASK);
    }
    end
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body_util::BodyExt as _;

    use super::*;

    /// A body of these pieces.
    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn masked(text: &str, token: &str, size: usize) -> String {
        let pieces = text.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
        let body = MaskedBody::new(Pieces(pieces).boxed_unsync(), token.as_bytes());
        let collected = futures_util::FutureExt::now_or_never(body.collect()).unwrap().unwrap();
        String::from_utf8(collected.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_token_is_masked_wherever_the_pieces_end_and_nothing_else_changes() {
        for (text, expected) in [
            ("abcabcd abcabcd", "******* *******"),
            ("xabcabcabcdx", "xabc*******x"),
            ("abcabc", "abcabc"),
            ("aabcabcdabcabcdabc", "a**************abc"),
            ("", ""),
        ] {
            for size in 1..=text.len().max(1) {
                assert_eq!(masked(text, "abcabcd", size), expected, "{text} in pieces of {size}");
            }
        }
        assert_eq!(masked("a***b", "**", 1), "a***b");
    }

    #[test]
    fn headers_are_masked_as_well() {
        let mut headers = HeaderMap::new();
        headers.insert("x-echo", HeaderValue::from_static("Bearer canary, canary"));
        headers.insert("etag", HeaderValue::from_static("canar"));
        mask_headers(&mut headers, b"canary");
        assert_eq!(
            (&headers["x-echo"], &headers["etag"]),
            (&HeaderValue::from_static("Bearer ******, ******"), &HeaderValue::from_static("canar"))
        );
    }
}

//! The token endpoint of Microsoft Entra ID (formerly Azure AD): requests for client credentials out, tokens in.
//!
//! Sends nothing and retries nothing. Which error code means what is in [`crate::aadsts`].
//!
//! Sources: RFC 6749, sections 4.4 and 5; Microsoft Learn, "OAuth 2.0 client credentials flow" (v1 and v2).

mod answer;
mod cache;
mod claims;
mod refusal;
mod request;

pub use answer::{DEFAULT_LIFETIME, MAX_LIFETIME, read_token};
pub use cache::{REFRESH_MARGIN, Token, TokenCache};
pub(crate) use claims::Claims;
pub use refusal::REQUEST_LOOP_DELAY;
#[cfg(test)]
pub(crate) use request::form_encoded;
pub use request::token_request;

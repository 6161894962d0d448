//! Protocol and policy of the Microsoft Defender for Endpoint source.
//!
//! Sans-IO: nothing here opens a connection, reads a clock or draws a random number. [`Machine`] says what to do next
//! ([`Output`]) and is told what happened ([`Input`]); the time is an argument of every call.

pub mod aadsts;
pub mod answer;
pub mod api_codes;
mod base64;
pub mod checkpoint;
pub mod config;
pub mod contract;
mod csv;
pub mod failure;
pub mod http;
mod json;
mod machine;
pub mod plan;
mod progress;
pub mod protocol;
mod query;
pub mod ring;
pub mod row;
mod scan;
pub mod secret;
mod session;
mod specials;
#[cfg(test)]
mod test_config;
pub mod tick;
pub mod token;

pub use machine::{Input, Limits, MAX_EVENT_BYTES, Machine, Output};
pub use session::{Session, describe, probe};

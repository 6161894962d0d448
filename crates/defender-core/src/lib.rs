//! Protocol and policy of the Microsoft Defender for Endpoint source.
//!
//! Sans-IO: nothing here opens a connection, reads a clock or draws a random number. [`Machine`] says what to do next
//! ([`Output`]) and is told what happened ([`Input`]); the time is an argument of every call.

pub mod aadsts;
pub mod config;
pub mod contract;
pub mod failure;
pub mod http;
pub mod secret;
pub mod tick;
pub mod token;

#[cfg(test)]
mod test_config;

//! The host against a small component and a server on loopback.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod apis;
mod authority;
mod cli;
mod clock;
mod credentials;
mod defender;
mod delivery;
mod endpoint;
mod examples;
mod files;
mod fluent_sink;
mod forward;
mod http_sink;
mod issuer;
mod kept;
mod kills;
mod library;
mod live;
mod loading;
mod login;
mod managed_identity;
mod memory;
mod misbehaviour;
mod network;
mod odata;
mod operation;
mod outcomes;
mod pipes;
mod platform;
mod process;
mod proxy;
mod quotas;
mod refresh;
mod secrets;
mod server;
mod service;
mod setup;
mod sink_tls;
mod state;
mod tenants;
mod tls;
mod wire;

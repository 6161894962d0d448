//! The whole machine: bytes decide what the operator configured, what the service answers, what time it is, what the
//! host allows, and when it kills the instance.

mod api;
mod asked;
mod host;
mod laws;
mod objects;
mod service;
mod setup;

use crate::Reached;
use crate::bytes::Bytes;

use host::Host;

/// How often the host acts at the most.
const ACTS: usize = 48;

/// Whatever comes, the laws of `laws` hold; and once the service is well again, reading comes to its end.
pub fn machine(data: &[u8]) -> Reached {
    let mut bytes = Bytes::new(data);
    let mut host = Host::new(&mut bytes);
    for _ in 0..ACTS {
        if bytes.is_empty() {
            break;
        }
        host.act(&mut bytes);
    }
    host.calm_down();
    host.reached
}

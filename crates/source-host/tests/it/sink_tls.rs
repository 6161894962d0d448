//! Sinks over TLS: whom they believe, and what they say of whom they do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::forward::Forward;
use crate::process::wait_for;
use crate::server::Server;
use crate::setup::Setup;
use crate::tls::{TlsServer, fixture};

/// A source with this sink, in a host that believes the root of `tests/tls`, or the system's alone.
fn setup(server: &Server, sink: &str, with_root: bool) -> Setup {
    let setup = Setup::new(server, "");
    let root = if with_root { format!("ca_file = '{}'", fixture("ca.pem").display()) } else { String::new() };
    setup.prepend(&format!("[host]\n{root}\n[[sink]]\n{sink}"));
    setup
}

const EXPIRED: &str = "its certificate has expired: it was good until 2021-01-01";
const STRANGER: &str = "its certificate is signed by nobody whom this machine believes";
const OTHER_NAME: &str = "its certificate is not made out to localhost";

#[tokio::test(flavor = "multi_thread")]
async fn an_http_endpoint_is_believed_with_a_known_root_its_own_name_and_in_time() {
    let server = Server::start();
    server.grow_to(2);
    let taken = Arc::new(AtomicUsize::new(0));
    let start = async |certificate| {
        let taken = Arc::clone(&taken);
        TlsServer::start(&["h2", "http/1.1"], certificate, move |request| {
            assert_eq!(request.headers()["content-type"], "application/x-ndjson");
            taken.fetch_add(1, Ordering::Relaxed);
            http::Response::new("thanks".into())
        })
        .await
    };
    let (good, expired) = (start("server.pem").await, start("expired.pem").await);
    let sink = |url: &str| format!("type = \"http\"\nurl = \"{url}\"");
    for (url, with_root, said) in [
        (expired.url("/"), true, [EXPIRED, "hint: renew the server's certificate"]),
        (good.url("/"), false, [STRANGER, "hint: if the certificate is signed by a root of your own"]),
        (format!("https://localhost:{}/", good.port), true, [OTHER_NAME, "hint: write the name"]),
    ] {
        // At once: nobody makes a certificate while a run with an end waits.
        let setup = setup(&server, &sink(&url), with_root);
        setup.once(&[]).failed(1, &[&said[..], &["does not take events"]].concat());
        assert_eq!(setup.checkpoint(), None);
    }
    assert_eq!(taken.load(Ordering::Relaxed), 0);
    let setup = setup(&server, &sink(&good.url("/in")), true);
    setup.once(&[]).succeeded();
    assert_eq!((taken.load(Ordering::Relaxed), setup.checkpoint().as_deref()), (1, Some("2")));
}

#[test]
fn a_forward_server_is_believed_with_a_known_root_its_own_name_and_in_time() {
    let server = Server::start();
    server.grow_to(2);
    let (good, expired) = (Forward::start_tls("server.pem"), Forward::start_tls("expired.pem"));
    let sink = |address: &str| format!("type = \"fluent\"\naddress = \"{address}\"\ntls = true");
    for (address, with_root, said) in [
        (expired.address.to_string(), true, [EXPIRED, "hint: renew the server's certificate"]),
        (good.address.to_string(), false, [STRANGER, "hint: if the certificate is signed by a root of your own"]),
        (format!("localhost:{}", good.address.port()), true, [OTHER_NAME, "hint: write the name"]),
    ] {
        let setup = setup(&server, &sink(&address), with_root);
        setup.once(&[]).failed(1, &said);
        assert_eq!(setup.checkpoint(), None);
    }
    assert!(good.taken().is_empty() && expired.taken().is_empty());
    let setup = setup(&server, &sink(&good.address.to_string()), true);
    setup.once(&[]).succeeded();
    assert_eq!((good.taken()[0].entries.len(), setup.checkpoint().as_deref()), (2, Some("2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_an_end_waits_until_the_certificate_is_renewed() {
    let server = Server::start();
    server.grow_to(2);
    let expired = TlsServer::start(&["http/1.1"], "expired.pem", |_| http::Response::default()).await;
    let setup = setup(&server, &format!("type = \"http\"\nurl = \"{}\"", expired.url("/")), true);
    let log = std::fs::File::create(setup.path("log")).unwrap();
    let mut child = setup.command(&["run", "--config", "host.toml"]).stderr(log).spawn().unwrap();
    // Said with what to do, and tried again.
    wait_for(|| setup.read("log").matches(EXPIRED).count() >= 2);
    assert!(setup.read("log").contains("renew the server's certificate"), "{}", setup.read("log"));
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

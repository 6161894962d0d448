//! A proxy between the host and the network.

use std::sync::{Arc, Mutex};

use http_body_util::BodyExt as _;
use source_host::{HttpError, LiveTransport, Proxy, Timeouts, Tls};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::live::fetch;
use crate::server::Server;
use crate::setup::Setup;
use crate::tls::{TlsServer, fixture};

/// Opens tunnels to loopback, whatever name is asked for.
struct Tunnels {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    /// `refusal` is the status line in place of a tunnel.
    async fn start(refusal: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tunnel(stream, Arc::clone(&seen), refusal));
            }
        });
        Self { port, heads }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn tunnel(stream: TcpStream, heads: Arc<Mutex<Vec<String>>>, refusal: Option<&str>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await? > 0 {}
    let port = head.split([' ', ':']).nth(2).unwrap_or_default().parse().unwrap_or_default();
    heads.lock().unwrap().push(head);
    if let Some(refusal) = refusal {
        return stream.write_all(format!("HTTP/1.1 {refusal}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
    }
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    copy_bidirectional(&mut stream, &mut server).await.map(drop)
}

fn through(proxy: &Proxy) -> LiveTransport {
    LiveTransport::new(&Tls::new(Some(&fixture("ca.pem"))).unwrap(), proxy)
}

async fn server() -> TlsServer {
    TlsServer::start(&["h2", "http/1.1"], "server.pem", |request| {
        assert!(!request.headers().contains_key("proxy-authorization"));
        http::Response::new("hello".into())
    })
    .await
}

#[tokio::test]
async fn other_machines_are_reached_through_a_tunnel_and_this_one_directly() {
    let (server, tunnels) = (server().await, Tunnels::start(None).await);
    let proxy = Proxy::new(&tunnels.url(), &[]).unwrap().with_credentials("me", "canary");
    let transport = through(&proxy);
    for url in [format!("https://api.example.com:{}/", server.port), server.url("/")] {
        let answer = fetch(&transport, &url, Timeouts::default()).await.unwrap();
        assert_eq!(answer.version(), http::Version::HTTP_2);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    }
    let heads = tunnels.heads();
    let [head] = &heads[..] else { panic!("{heads:?}") };
    assert!(head.starts_with(&format!("CONNECT api.example.com:{} HTTP/1.1\r\n", server.port)), "{head}");
    // `printf me:canary | base64`
    assert!(head.contains("proxy-authorization: Basic bWU6Y2FuYXJ5\r\n"), "{head}");
}

#[tokio::test]
async fn what_no_proxy_names_is_reached_directly() {
    let tunnels = Tunnels::start(None).await;
    let transport = through(&Proxy::new(&tunnels.url(), &["invalid".to_owned()]).unwrap());
    let error = fetch(&transport, "https://no-such-host.invalid/", Timeouts::default()).await.unwrap_err();
    assert!(matches!(error, HttpError::DnsError { .. }), "{error:?}");
    assert!(tunnels.heads().is_empty());
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_not_there_is_an_error() {
    for refusal in ["407 Proxy Authentication Required", "403 Forbidden"] {
        let transport = through(&Proxy::new(&Tunnels::start(Some(refusal)).await.url(), &[]).unwrap());
        let error = fetch(&transport, "https://api.example.com/", Timeouts::default()).await.unwrap_err();
        assert!(matches!(error, HttpError::DestinationUnavailable), "{error:?}");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let transport = through(&Proxy::new(&format!("http://{closed}"), &[]).unwrap());
    let error = fetch(&transport, "https://api.example.com/", Timeouts::default()).await.unwrap_err();
    assert!(matches!(error, HttpError::ConnectionRefused), "{error:?}");
}

#[tokio::test]
async fn no_source_speaks_with_the_proxy_itself() {
    let tunnels = Tunnels::start(None).await;
    let transport = through(&Proxy::new(&format!("http://localhost:{}", tunnels.port), &[]).unwrap());
    let url = format!("http://localhost:{}/", tunnels.port);
    let error = fetch(&transport, &url, Timeouts::default()).await.unwrap_err();
    assert!(matches!(error, HttpError::DestinationIpProhibited), "{error:?}");
    assert!(tunnels.heads().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_wants_credentials_is_told_with_what_to_do_and_without_those_it_refused() {
    let tunnels = Tunnels::start(Some("407 Proxy Authentication Required")).await;
    let server = Server::start();
    let setup = Setup::new(&server, "");
    let origin = server.origin();
    setup.write("host.toml", &setup.read("host.toml").replace(&origin, "https://api.example.com"));
    setup.write("credentials", "me:canary-of-the-proxy\n");
    setup.prepend(&format!("[host]\nproxy = \"{}\"\nproxy_credentials = {{ file = \"credentials\" }}", tunnels.url()));
    let ended = setup.run(&["check", "--config", "host.toml"]);
    let told = ended.failed(1, &["proxy authorization required", "`proxy_credentials` under [host]"]);
    assert!(!(told.stderr + &told.stdout).contains("canary-of-the-proxy"));
    setup.write("credentials", "canary-of-the-proxy\n");
    let told = setup.run(&["check", "--config", "host.toml"]).failed(2, &["write user:password there"]);
    assert!(!told.stderr.contains("canary-of-the-proxy"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_is_named_where_it_is_not_reached_or_refuses_or_what_lies_behind_it_fails_and_nowhere_else() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refusing = Tunnels::start(Some("403 Forbidden")).await;
    let opening = Tunnels::start(None).await;
    for (proxy, more, hint) in [
        (format!("http://{closed}"), "", "hint=\"the proxy itself is not reached: correct `proxy` under [host]"),
        ("http://no-such-proxy.invalid:3128".to_owned(), "", "hint=\"the proxy itself is not reached: "),
        (refusing.url(), "", "hint=\"the proxy refused: "),
        (opening.url(), "", "request failed: "),
        (opening.url(), "no_proxy = [\".invalid\"]", ""),
    ] {
        let server = Server::start();
        let setup = Setup::new(&server, "");
        // Behind the tunnel nobody listens there.
        setup.write("host.toml", &setup.read("host.toml").replace(&server.origin(), "https://api.invalid:1"));
        setup.prepend(&format!("[host]\nproxy = \"{proxy}\"\n{more}"));
        let told = setup.run(&["check", "--config", "host.toml"]).failed(1, &["request failed: ", hint]).stderr;
        let named = format!("proxy=\"{proxy}\"");
        assert_eq!(told.contains(&named), !hint.is_empty(), "`{named}`?\n{told}");
    }
}

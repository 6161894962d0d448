//! A server over TLS, in HTTP/1.1 or HTTP/2, that counts its connections.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Whatever it is asked, in its own runtime's tasks.
pub(crate) struct TlsServer {
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
}

type Answer = http::Response<Full<Bytes>>;

impl TlsServer {
    /// Offers these protocols (`h2`, `http/1.1`) with this certificate of `tests/tls`.
    pub(crate) async fn start(
        protocols: &[&str],
        certificate: &str,
        answer: impl Fn(&http::Request<Incoming>) -> Answer + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::start_slow(protocols, certificate, || Duration::ZERO, answer).await
    }

    /// The same, and each answer takes as long as `takes` says then.
    pub(crate) async fn start_slow(
        protocols: &[&str],
        certificate: &str,
        takes: impl Fn() -> Duration + Clone + Send + Sync + 'static,
        answer: impl Fn(&http::Request<Incoming>) -> Answer + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(server_config(protocols, certificate));
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(acceptor.clone(), stream, takes.clone(), answer.clone()));
            }
        });
        Self { port, connections }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn serve(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    takes: impl Fn() -> Duration + Send + Sync + 'static,
    answer: impl Fn(&http::Request<Incoming>) -> Answer + Send + Sync + 'static,
) {
    // A client that does not believe us goes away here.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(|request| {
        let (answer, takes) = (answer(&request), takes());
        async move {
            tokio::time::sleep(takes).await;
            Ok::<_, Infallible>(answer)
        }
    });
    let stream = TokioIo::new(stream);
    let _client_went_away = if http2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await
    };
}

/// A server that offers these protocols with this certificate of `tests/tls`.
pub(crate) fn server_config(protocols: &[&str], certificate: &str) -> Arc<rustls::ServerConfig> {
    let certificates = CertificateDer::pem_file_iter(fixture(certificate)).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// A file of `tests/tls`: a root (`ca.pem`), and what it signed for 127.0.0.1 and api.example.com, good from 2020 to
/// 2119 (`server.pem`) and until 2020 only (`expired.pem`), with one key.
pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

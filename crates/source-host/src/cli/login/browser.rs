//! The authorization code with PKCE: a browser of this machine comes back with it to a port of this machine.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY};
use http::{Method, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use source_host::SecretValue;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::super::print;
use super::super::report::Report;
use super::authority::{Answer, Authority};
use super::refusal::Refusal;

/// Connections at a time. A browser has a few, and asks for an icon as well.
const CONNECTIONS: usize = 16;
/// After a connection that could not be taken.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a client may take to ask.
const ASKING: Duration = Duration::from_secs(10);
/// How long a connection may last: its answer waits for that of the token endpoint.
const LONGEST: Duration = Duration::from_secs(300);

/// What a browser came back with, and where the page goes that it shows.
struct CameBack {
    query: BTreeMap<String, String>,
    page: oneshot::Sender<(StatusCode, &'static str)>,
}

pub(super) async fn log_in(authority: &Authority, port: u16) -> Result<SecretValue, Report> {
    let [verifier, state] = [random()?, random()?];
    let challenge = BASE64URL.encode(digest(&SHA256, verifier.as_bytes()));
    let (mut came_back, port) = listen(port).await?;
    // Of a redirect to `localhost` the port is not compared, see Microsoft Learn, "Redirect URI best practices".
    let redirect = format!("http://localhost:{port}");
    let url = authority.url(
        "authorize",
        &[
            ("client_id", &authority.client_id),
            ("response_type", "code"),
            ("response_mode", "query"),
            ("redirect_uri", &redirect),
            (authority.target.0, &authority.target.1),
            ("state", &state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ],
    );
    print(&format!(
        "Open this address in a browser of this machine, and log in as a user who may read the API. The app registration \
         needs the redirect URI http://localhost under 'Authentication'.\n\n  {url}\n"
    ))?;
    while let Some(CameBack { query, page }) = came_back.recv().await {
        let value = |name: &str| query.get(name).map_or("", String::as_str);
        // Whoever does not know it was not sent here by this login.
        if value("state") != state {
            tracing::warn!("somebody came back who was not sent by this login, and was turned away");
            let _gone = page.send((StatusCode::BAD_REQUEST, "This is not the login that was begun."));
            continue;
        }
        if !value("error").is_empty() {
            let _gone = page.send((StatusCode::OK, "The login failed. The terminal says why."));
            let asked = url.split('?').next().unwrap_or_default();
            let refusal = Refusal::brought_back(asked, value("error"), value("error_description"));
            return Err(authority.explain("the login was not completed", &refusal).await);
        }
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", value("code")),
            ("redirect_uri", &redirect),
            ("code_verifier", &verifier),
        ];
        let answer = authority.redeem(&grant).await?;
        let shown = match answer {
            Answer::Tokens(_) => "You are logged in, and can close this page.",
            _ => "The login failed. The terminal says why.",
        };
        let _gone = page.send((StatusCode::OK, shown));
        return match answer {
            Answer::Tokens(refresh_token) => Ok(refresh_token),
            Answer::Refused(refusal) => Err(authority.explain("the code was not taken", &refusal).await),
            Answer::Silence(why) => Err(Report::failed("the code was not taken")
                .because(why)
                .hint("check the network, and `endpoints.token`; then begin again")),
        };
    }
    Err(Report::failed("nobody can come back to this machine any more").hint("begin again"))
}

/// 256 bits that nobody guesses, in the letters that a verifier has. Source: RFC 7636, section 4.1.
fn random() -> Result<String, Report> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Report::failed("the system gives no random numbers"))?;
    Ok(BASE64URL.encode(bytes))
}

/// Listens on this machine alone, by both of its addresses where there are two, and says on which port.
async fn listen(port: u16) -> Result<(mpsc::Receiver<CameBack>, u16), Report> {
    let cannot = |error| {
        Report::failed(format!("cannot listen on port {port} of this machine"))
            .because(error)
            .hint("give a free one with --port, or log in with --device-code")
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(cannot)?;
    let port = listener.local_addr().map_err(cannot)?.port();
    let (sender, receiver) = mpsc::channel(1);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    tokio::spawn(serve(listener, sender.clone(), Arc::clone(&room)));
    // A machine may have no IPv6, and `localhost` is the other one then.
    if let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        tokio::spawn(serve(listener, sender, room));
    }
    Ok((receiver, port))
}

async fn serve(listener: TcpListener, sender: mpsc::Sender<CameBack>, room: Arc<Semaphore>) {
    loop {
        let Ok(room) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // What keeps it from that lasts, such as too many open files.
            sleep(PAUSE).await;
            continue;
        };
        let sender = sender.clone();
        tokio::spawn(async move {
            let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
                let sender = sender.clone();
                async move { Ok::<_, Infallible>(answer(request.method(), request.uri(), &sender).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(ASKING)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away, or writes what is no HTTP, is nobody's to report.
            let _ended = timeout(LONGEST, connection).await;
            drop(room);
        });
    }
}

async fn answer(method: &Method, url: &http::Uri, sender: &mpsc::Sender<CameBack>) -> Response<String> {
    let Some(query) = url.query().filter(|_| method == Method::GET && url.path() == "/") else {
        return html(StatusCode::NOT_FOUND, "There is nothing here.");
    };
    let (page, shown) = oneshot::channel();
    let came_back = CameBack { query: pairs(query), page };
    let told = async {
        sender.send(came_back).await.ok()?;
        shown.await.ok()
    };
    let (status, text) = told.await.unwrap_or((StatusCode::GONE, "The login is over."));
    html(status, text)
}

fn pairs(query: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// A page that holds nothing of the request.
fn html(status: StatusCode, text: &'static str) -> Response<String> {
    let page = format!("<!doctype html><meta charset=utf-8><title>source-host</title><p>{text}</p>\n");
    let mut response = Response::new(page);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    // The address of this page holds the code.
    headers.insert(REFERRER_POLICY, http::HeaderValue::from_static("no-referrer"));
    response
}

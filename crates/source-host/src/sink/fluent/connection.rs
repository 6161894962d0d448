//! One connection to a forward server.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use ring::digest::{SHA512, digest};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::FluentSettings;
use super::item::{Item, read};
use crate::live::certificate_problem;
use crate::secrets::SecretValue;
use crate::sink::retry::Trouble;

/// What this end calls itself. A server refuses a client of its own name.
const HOSTNAME: &str = "source-host";

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// A connection that was agreed upon.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

/// Why something was not acknowledged.
#[derive(Debug)]
pub(super) enum Problem {
    /// It may be another time.
    Passing(Trouble),
    /// It is up to a person; with what to do.
    Lasting(String, &'static str),
}

impl Problem {
    pub(super) fn passing(why: impl Into<String>) -> Self {
        Self::Passing(Trouble::passing(why))
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match certificate_problem(&error) {
            Some((problem, hint)) => Self::Passing(Trouble::lasting(problem, hint)),
            None => Self::passing(error.to_string()),
        }
    }
}

const NEEDS_KEY: &str =
    "name the key that both ends share: shared_key = { env = \"NAME\" } or { file = \"PATH\" } in the [[sink]]";
const WRONG_KEY: &str = "compare `shared_key` of the [[sink]] with that of the server; a user name, which `user_auth` asks for, is not supported";

impl Connection {
    /// Connects, and proves to each other that both ends know the key, where there is one.
    pub(super) async fn open(
        settings: &FluentSettings,
        tls: Option<&TlsConnector>,
        key: Option<&SecretValue>,
    ) -> Result<Self, Problem> {
        let FluentSettings { host, port, timeout: limit, .. } = settings;
        let stream = within(*limit, "connecting", async {
            let tcp = TcpStream::connect((host.as_str(), *port)).await?;
            tcp.set_nodelay(true)?;
            let Some(tls) = tls else { return Ok(Box::new(tcp) as Box<dyn Stream>) };
            let name = ServerName::try_from(host.clone())
                .map_err(|_| Problem::Lasting(format!("{host} is no name of a server"), "correct `address`"))?;
            Ok(Box::new(tls.connect(name, tcp).await?) as Box<dyn Stream>)
        });
        let mut connection = Self { stream: stream.await?, buffer: Vec::new() };
        if let Some(key) = key {
            within(*limit, "asking for the shared key", connection.shake_hands(key.expose())).await?;
        }
        Ok(connection)
    }

    async fn shake_hands(&mut self, key: &str) -> Result<(), Problem> {
        let no_helo = || Problem::passing("it does not ask for a shared key".to_owned());
        let helo = read(&mut self.stream, &mut self.buffer).await?;
        let [options, ..] = helo.after("HELO").ok_or_else(no_helo)? else { return Err(no_helo()) };
        let nonce = options.member("nonce").bytes();
        let salt = salt()?;
        let proof = sha512(&[salt.as_bytes(), HOSTNAME.as_bytes(), nonce, key.as_bytes()]);
        // A server that greets with a salt for passwords may want none; we have no user to name.
        let auth = options.member("auth").bytes();
        let password = if auth.is_empty() { String::new() } else { sha512(&[auth]) };
        let ping = ("PING", HOSTNAME, &salt, proof, "", password);
        let ping = rmp_serde::to_vec(&ping).map_err(|error| Problem::passing(error.to_string()))?;
        self.stream.write_all(&ping).await?;
        self.stream.flush().await?;
        let pong = read(&mut self.stream, &mut self.buffer).await?;
        match pong.after("PONG") {
            Some([Item::Bool(true), _, name, proof, ..])
                if sha512(&[salt.as_bytes(), name.bytes(), nonce, key.as_bytes()]).as_bytes() == proof.bytes() =>
            {
                Ok(())
            }
            Some([Item::Bool(true), ..]) => {
                Err(Problem::Lasting("it does not know the shared key itself".to_owned(), WRONG_KEY))
            }
            Some([_, reason, ..]) => Err(Problem::Lasting(format!("it refuses us: {}", reason.text()), WRONG_KEY)),
            _ => Err(Problem::passing("it answers what is no forward protocol".to_owned())),
        }
    }

    /// Sends a message and waits until its chunk is acknowledged.
    pub(super) async fn send(&mut self, message: &[u8], chunk: &str, limit: Duration) -> Result<(), Problem> {
        within(limit, "its acknowledgement", async {
            self.stream.write_all(message).await?;
            self.stream.flush().await?;
            let answer = read(&mut self.stream, &mut self.buffer).await?;
            if answer.after("HELO").is_some() {
                return Err(Problem::Lasting("it asks for a shared key".to_owned(), NEEDS_KEY));
            }
            if answer.member("ack").bytes() == chunk.as_bytes() {
                return Ok(());
            }
            Err(Problem::passing("it acknowledges something else".to_owned()))
        })
        .await
    }
}

async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    timeout(limit, work).await.map_err(|_| Problem::passing(format!("{what} took longer than {limit:?}")))?
}

/// A text of random letters.
fn salt() -> Result<String, Problem> {
    let random: [u8; 16] = ring::rand::generate(&ring::rand::SystemRandom::new())
        .map_err(|_| Problem::passing("the system has no random numbers".to_owned()))?
        .expose();
    Ok(hex(&random))
}

fn sha512(parts: &[&[u8]]) -> String {
    hex(digest(&SHA512, &parts.concat()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

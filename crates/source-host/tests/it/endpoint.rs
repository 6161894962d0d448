//! An endpoint that takes events over HTTP, or has its reasons not to.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::wire::{Request, accept};

/// What was posted.
pub(crate) type Posted = Request;

impl Posted {
    /// The events in a body of lines or of one array.
    pub(crate) fn events(&self) -> Vec<Value> {
        let mut body = Vec::new();
        if self.headers.get("content-encoding").is_some_and(|coding| coding == "gzip") {
            flate2::read::GzDecoder::new(&self.body[..]).read_to_end(&mut body).unwrap();
        } else {
            body.clone_from(&self.body);
        }
        let values: Vec<Value> =
            serde_json::Deserializer::from_slice(&body).into_iter().collect::<Result<_, _>>().unwrap();
        values
            .into_iter()
            .flat_map(|value| if let Value::Array(events) = value { events } else { vec![value] })
            .collect()
    }

    /// The numbers of the items in it.
    pub(crate) fn items(&self) -> Vec<u64> {
        self.events().iter().map(|event| event["body"]["id"].as_u64().unwrap()).collect()
    }
}

/// How a request is answered.
pub(crate) enum Reply {
    Status(u16),
    /// With more header lines, and a body.
    With(u16, &'static str, &'static str),
    /// Nothing, for as long as the client waits.
    Silence,
}

type Decide = dyn Fn(&Posted, usize) -> Reply + Send + Sync;

/// Takes events. What it answers with 2xx it has taken.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    taken: Arc<Mutex<Vec<Posted>>>,
    asked: Arc<Mutex<usize>>,
}

impl Endpoint {
    /// Answers as `decide` says, which is told how many requests there were before.
    pub(crate) fn start(decide: impl Fn(&Posted, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), decide)
    }

    pub(crate) fn on(listener: TcpListener, decide: impl Fn(&Posted, usize) -> Reply + Send + Sync + 'static) -> Self {
        let endpoint = Self { address: listener.local_addr().unwrap(), taken: Arc::default(), asked: Arc::default() };
        let accepting = endpoint.clone();
        accept(listener, move |stream| accepting.serve(stream, &decide));
        endpoint
    }

    /// A `[[sink]]` table that leads here.
    pub(crate) fn table(&self, members: &str) -> String {
        format!("[[sink]]\ntype = \"http\"\nurl = \"http://{}/in?token=hidden\"\n{members}\n", self.address)
    }

    pub(crate) fn taken(&self) -> Vec<Posted> {
        self.taken.lock().unwrap().clone()
    }

    /// The numbers of the items that were taken, in order.
    pub(crate) fn items(&self) -> Vec<u64> {
        self.taken().iter().flat_map(Posted::items).collect()
    }

    /// How many requests there were.
    pub(crate) fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    fn serve(&self, mut stream: TcpStream, decide: &Decide) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(posted) = Request::read(&mut reader) {
            let before = {
                let mut asked = self.asked.lock().unwrap();
                *asked += 1;
                *asked - 1
            };
            let (status, headers, body) = match decide(&posted, before) {
                Reply::Status(status) => (status, "", ""),
                Reply::With(status, headers, body) => (status, headers, body),
                Reply::Silence => return drop(reader.read(&mut [0])),
            };
            if (200..300).contains(&status) {
                self.taken.lock().unwrap().push(posted);
            }
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} Status\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

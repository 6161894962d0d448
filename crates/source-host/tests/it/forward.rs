//! A server of the Fluent forward protocol.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use ring::digest::{SHA512, digest};
use serde_json::Value;

use crate::tls;
use crate::wire::accept;

/// How a message is answered.
#[derive(Clone, Copy)]
pub(crate) enum Ack {
    Right,
    Wrong,
    /// The connection is closed without one.
    Closed,
    /// Nothing, for as long as the client waits.
    Silence,
}

/// What came in one message that was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) tag: String,
    pub(crate) name: String,
    /// Seconds, nanoseconds and the record.
    pub(crate) entries: Vec<(u32, u32, Value)>,
}

/// Takes events, from whoever has the key, if there is one.
#[derive(Clone)]
pub(crate) struct Forward {
    pub(crate) address: SocketAddr,
    key: Arc<Mutex<Option<&'static str>>>,
    taken: Arc<Mutex<Vec<Chunk>>>,
    names: Arc<Mutex<Vec<String>>>,
}

/// The two salts of a greeting, of which one is no text.
const NONCE: &[u8] = b"\xfe\x00nonce";

impl Forward {
    /// Answers as `decide` says, which is told how many messages there were before.
    pub(crate) fn start(key: Option<&'static str>, decide: impl Fn(usize) -> Ack + Send + Sync + 'static) -> Self {
        let (server, listener) = Self::bind(key);
        let accepting = server.clone();
        accept(listener, move |stream| accepting.serve(stream, &decide));
        server
    }

    /// Takes everything, over TLS with this certificate of `tests/tls`.
    pub(crate) fn start_tls(certificate: &str) -> Self {
        let (server, listener) = Self::bind(None);
        let (accepting, config) = (server.clone(), tls::server_config(&[], certificate));
        accept(listener, move |stream| {
            let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            accepting.serve(rustls::StreamOwned::new(tls, stream), &|_| Ack::Right)
        });
        server
    }

    fn bind(key: Option<&'static str>) -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let key = Arc::new(Mutex::new(key));
        (Self { address, key, taken: Arc::default(), names: Arc::default() }, listener)
    }

    /// From now on this key is the right one, for connections that are made anew.
    pub(crate) fn rotate(&self, key: &'static str) {
        *self.key.lock().unwrap() = Some(key);
    }

    /// A `[[sink]]` table that leads here.
    pub(crate) fn table(&self, members: &str) -> String {
        format!("[[sink]]\ntype = \"fluent\"\naddress = \"{}\"\n{members}\n", self.address)
    }

    pub(crate) fn taken(&self) -> Vec<Chunk> {
        self.taken.lock().unwrap().clone()
    }

    /// The names of all chunks that came, those that were not acknowledged as well.
    pub(crate) fn names(&self) -> Vec<String> {
        self.names.lock().unwrap().clone()
    }

    fn serve(&self, stream: impl Read + Write, decide: &dyn Fn(usize) -> Ack) -> Option<()> {
        let mut stream = BufReader::new(stream);
        let key = *self.key.lock().unwrap();
        if let Some(key) = key {
            shake_hands(&mut stream, key)?;
        }
        while let Some(chunk) = read(&mut stream) {
            let before = {
                let mut names = self.names.lock().unwrap();
                names.push(chunk.name.clone());
                names.len() - 1
            };
            let acknowledged = match decide(before) {
                Ack::Right => chunk.name.clone(),
                Ack::Wrong => "another".to_owned(),
                Ack::Closed => return None,
                Ack::Silence => return stream.read(&mut [0]).ok().map(drop),
            };
            if acknowledged == chunk.name {
                self.taken.lock().unwrap().push(chunk);
            }
            let mut answer = Vec::new();
            rmp::encode::write_map_len(&mut answer, 1).unwrap();
            rmp::encode::write_str(&mut answer, "ack").unwrap();
            rmp::encode::write_str(&mut answer, &acknowledged).unwrap();
            send(&mut stream, &answer)?;
        }
        Some(())
    }
}

fn send(stream: &mut BufReader<impl Write>, bytes: &[u8]) -> Option<()> {
    stream.get_mut().write_all(bytes).and_then(|()| stream.get_mut().flush()).ok()
}

fn shake_hands(stream: &mut BufReader<impl Read + Write>, key: &str) -> Option<()> {
    use rmp::encode::{write_array_len, write_bin, write_bool, write_map_len, write_str};
    let mut helo = Vec::new();
    write_array_len(&mut helo, 2).unwrap();
    write_str(&mut helo, "HELO").unwrap();
    write_map_len(&mut helo, 3).unwrap();
    write_str(&mut helo, "nonce").unwrap();
    write_bin(&mut helo, NONCE).unwrap();
    write_str(&mut helo, "auth").unwrap();
    write_str(&mut helo, "").unwrap();
    write_str(&mut helo, "keepalive").unwrap();
    write_bool(&mut helo, true).unwrap();
    send(stream, &helo)?;
    let [word, name, salt, proof, user, password]: [String; 6] = rmp_serde::from_read(&mut *stream).ok()?;
    assert_eq!((word.as_str(), user.as_str(), password.as_str()), ("PING", "", ""));
    let is_right = proof == sha512(&[salt.as_bytes(), name.as_bytes(), NONCE, key.as_bytes()]);
    let own = sha512(&[salt.as_bytes(), b"server", NONCE, key.as_bytes()]);
    let reason = if is_right { "" } else { "shared_key mismatch" };
    let pong = rmp_serde::to_vec(&("PONG", is_right, reason, "server", if is_right { own } else { String::new() }));
    send(stream, &pong.unwrap())?;
    is_right.then_some(())
}

fn sha512(parts: &[&[u8]]) -> String {
    digest(&SHA512, &parts.concat()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(reader: &mut impl Read) -> Option<Chunk> {
    assert_eq!(rmp::decode::read_array_len(reader).ok()?, 3);
    let tag = text(reader);
    let mut packed = vec![0; rmp::decode::read_bin_len(reader).ok()? as usize];
    reader.read_exact(&mut packed).ok()?;
    assert_eq!(rmp::decode::read_map_len(reader).ok()?, 2);
    assert_eq!(text(reader), "size");
    let size: usize = rmp::decode::read_int(reader).ok()?;
    assert_eq!(text(reader), "chunk");
    let name = text(reader);
    let (mut packed, mut entries) = (&packed[..], Vec::new());
    while !packed.is_empty() {
        assert_eq!(rmp::decode::read_array_len(&mut packed).unwrap(), 2);
        let time = rmp::decode::read_ext_meta(&mut packed).unwrap();
        assert_eq!((time.typeid, time.size), (0, 8));
        let mut number = || {
            let mut bytes = [0; 4];
            packed.read_exact(&mut bytes).unwrap();
            u32::from_be_bytes(bytes)
        };
        let (seconds, nanoseconds) = (number(), number());
        entries.push((seconds, nanoseconds, rmp_serde::from_read(&mut packed).unwrap()));
    }
    assert_eq!(entries.len(), size);
    Some(Chunk { tag, name, entries })
}

fn text(reader: &mut impl Read) -> String {
    let mut bytes = vec![0; rmp::decode::read_str_len(reader).unwrap() as usize];
    reader.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

//! What a forward server says, in MessagePack.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Answers of the protocol are short.
const LONGEST: usize = 64 << 10;

/// Anything in MessagePack. Texts and bytes are the same here: servers write a nonce as either.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Bool(bool),
    Bytes(Vec<u8>),
    List(Vec<Item>),
    Map(BTreeMap<Vec<u8>, Item>),
    Other,
}

impl Item {
    pub(super) fn bytes(&self) -> &[u8] {
        if let Self::Bytes(bytes) = self { bytes } else { &[] }
    }

    pub(super) fn text(&self) -> String {
        let text = String::from_utf8_lossy(self.bytes()).into_owned();
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    /// A member of a map.
    pub(super) fn member(&self, name: &str) -> &Item {
        let found = if let Self::Map(members) = self { members.get(name.as_bytes()) } else { None };
        found.unwrap_or(&Self::Other)
    }

    /// What follows upon a word like `HELO` in a list.
    pub(super) fn after(&self, word: &str) -> Option<&[Item]> {
        let Self::List(items) = self else { return None };
        let (first, rest) = items.split_first()?;
        (first.bytes() == word.as_bytes()).then_some(rest)
    }
}

/// Reads one whole item. `buffer` keeps what came after it.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<Item> {
    loop {
        let mut reader = io::Cursor::new(&buffer[..]);
        match Item::deserialize(&mut rmp_serde::Deserializer::new(&mut reader)) {
            Ok(item) => {
                let read = usize::try_from(reader.position()).unwrap_or(buffer.len());
                buffer.drain(..read);
                return Ok(item);
            }
            Err(error) if !is_incomplete(&error) || buffer.len() > LONGEST => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "it answers what is no forward protocol"));
            }
            Err(_incomplete) => {}
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection"));
        }
    }
}

fn is_incomplete(error: &rmp_serde::decode::Error) -> bool {
    use rmp_serde::decode::Error;
    match error {
        Error::InvalidMarkerRead(error) | Error::InvalidDataRead(error) => error.kind() == io::ErrorKind::UnexpectedEof,
        _ => false,
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessagePack")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Item, E> {
        Ok(Item::Bool(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Item, E> {
        Ok(Item::Bytes(value.as_bytes().to_vec()))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Item, E> {
        Ok(Item::Bytes(value.to_vec()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Item, E> {
        Ok(Item::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Item, E> {
        Ok(Item::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Item, E> {
        Ok(Item::Other)
    }

    fn visit_unit<E>(self) -> Result<Item, E> {
        Ok(Item::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Item, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Item::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Item, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, value)) = members.next_entry::<Item, Item>()? {
            map.insert(name.bytes().to_vec(), value);
        }
        Ok(Item::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(mut bytes: &[u8]) -> Vec<io::Result<Item>> {
        let (mut buffer, mut items) = (Vec::new(), Vec::new());
        loop {
            items.push(read(&mut bytes, &mut buffer).await);
            if items.last().is_some_and(Result::is_err) {
                return items;
            }
        }
    }

    #[tokio::test]
    async fn items_are_read_one_by_one_whatever_their_types() {
        // ["HELO", {"nonce": bin, "keepalive": true}], then {"ack": "abc"}
        let bytes = b"\x92\xa4HELO\x82\xa5nonce\xc4\x02\xff\x00\xa9keepalive\xc3\x81\xa3ack\xa3abc";
        let items = all(bytes).await;
        let helo = items[0].as_ref().unwrap();
        let options = &helo.after("HELO").unwrap()[0];
        assert_eq!((options.member("nonce").bytes(), options.member("keepalive")), (&[255, 0][..], &Item::Bool(true)));
        assert_eq!((helo.after("PONG"), options.member("auth")), (None, &Item::Other));
        assert_eq!(items[1].as_ref().unwrap().member("ack").text(), "abc");
        assert_eq!(items[2].as_ref().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn what_is_no_message_pack_or_never_ends_is_an_error() {
        assert!(all(b"\xc1").await[0].is_err());
        // A text of 100,000 bytes that do not come.
        assert!(all(b"\xdb\x00\x01\x86\xa0HTTP/1.1").await[0].is_err());
    }
}

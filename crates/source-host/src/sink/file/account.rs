//! How far a file is accounted for, as it stands in the state.

use std::fs::File;
use std::hash::Hasher as _;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

/// What `Display` makes and `parse` reads: `number=1 length=52 begun=1764220000 ends=9f… inode=77 writer=3c… path=/var/…`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Account {
    /// What the file is called once it is given up.
    pub(super) number: u64,
    /// Bytes that are accounted for.
    pub(super) length: u64,
    /// When it got its first line, in seconds since 1970.
    pub(super) begun: u64,
    /// A hash of the last of these bytes, by which the file is known again wherever it went.
    pub(super) ends: u64,
    /// By which a file of which nothing is accounted for is known: every file begins with nothing.
    pub(super) inode: u64,
    /// Who wrote these bytes.
    pub(super) writer: String,
    pub(super) path: String,
}

impl Account {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut member = |name: &str| {
            let value = rest.strip_prefix(name)?;
            // The path is the last one, and may hold blanks.
            let (value, after) = if name == "path=" { (value, "") } else { value.split_once(' ')? };
            rest = after;
            Some(value)
        };
        Some(Self {
            number: member("number=")?.parse().ok()?,
            length: member("length=")?.parse().ok()?,
            begun: member("begun=")?.parse().ok()?,
            ends: u64::from_str_radix(member("ends=")?, 16).ok()?,
            inode: member("inode=")?.parse().ok()?,
            writer: member("writer=")?.to_owned(),
            path: member("path=")?.to_owned(),
        })
    }

    /// Whether this is the file, whatever came after.
    pub(super) fn is_of(&self, file: &File) -> io::Result<bool> {
        let metadata = file.metadata()?;
        if self.length == 0 {
            return Ok(metadata.ino() == self.inode);
        }
        Ok(metadata.len() >= self.length && ends(file, self.length)? == self.ends)
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { number, length, begun, ends, inode, writer, path } = self;
        write!(
            f,
            "number={number} length={length} begun={begun} ends={ends:016x} inode={inode} writer={writer} path={path}"
        )
    }
}

/// A hash of the bytes before `length`.
pub(super) fn ends(file: &File, length: u64) -> io::Result<u64> {
    const BYTES: u64 = 4 << 10;
    let from = length.saturating_sub(BYTES);
    let mut bytes = vec![0; usize::try_from(length - from).unwrap_or(0)];
    file.read_exact_at(&mut bytes, from)?;
    let mut hasher = twox_hash::XxHash64::with_seed(0);
    hasher.write(&bytes);
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_as_it_was_written() {
        let (writer, path) = ("ab".to_owned(), "/var/a b=c".to_owned());
        let account = Account { number: 3, length: 52, begun: 7, ends: 255, inode: 9, writer, path };
        let text = "number=3 length=52 begun=7 ends=00000000000000ff inode=9 writer=ab path=/var/a b=c";
        assert_eq!(account.to_string(), text);
        assert_eq!(Account::parse(&account.to_string()), Some(account));
        for text in [
            "",
            "number=1",
            "number=x length=1 begun=1 ends=1 inode=1 writer=a path=a",
            "length=1 number=1 begun=1 ends=1 inode=1 path=a",
        ] {
            assert_eq!(Account::parse(text), None, "{text}");
        }
    }
}

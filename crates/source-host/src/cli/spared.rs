//! Two secrets at once, so that one can be replaced while the other is used.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use ring::digest::{SHA256, digest};
use source_host::{Denial, SecretSource, SecretValue};

use super::config::SecretFrom;
use super::secrets::read;

/// A secret, and the one that is sent where the service refuses it. The first is used again as soon as it was replaced.
#[derive(Clone)]
pub(crate) struct Spared {
    member: String,
    first: SecretFrom,
    spare: SecretFrom,
    /// The name of the source, for the log.
    source: String,
    /// The digest of the first one, where it was refused.
    refused: Arc<Mutex<Option<[u8; 32]>>>,
}

#[async_trait]
impl SecretSource for Spared {
    async fn value(&self, _: &http::Uri) -> Result<SecretValue, Denial> {
        let this = self.clone();
        // The disk may take its time.
        let read = tokio::task::spawn_blocking(move || this.now()).await;
        read.unwrap_or_else(|error| {
            Err(Denial { reason: format!("the secret `{}` cannot be read: {error}", self.member), hint: None })
        })
        .map(SecretValue::new)
    }

    async fn refused(&self, sent: &SecretValue) -> bool {
        let (this, sent) = (self.clone(), sent.clone());
        tokio::task::spawn_blocking(move || this.change_over(&sent)).await.unwrap_or_default()
    }
}

impl Spared {
    pub(crate) fn new(member: &str, first: &SecretFrom, spare: &SecretFrom, source: &str) -> Self {
        let (first, spare) = (first.clone(), spare.clone());
        Self { member: member.to_owned(), first, spare, source: source.to_owned(), refused: Arc::default() }
    }

    /// Whether both are there.
    pub(crate) fn check(&self) -> Result<(), Denial> {
        read(&self.member, &self.first).and_then(|_| read(&self.member, &self.spare)).map(drop)
    }

    fn now(&self) -> Result<String, Denial> {
        let first = read(&self.member, &self.first)?;
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if *refused == Some(fingerprint(&first)) {
            return read(&self.member, &self.spare);
        }
        if refused.take().is_some() {
            tracing::info!(source = self.source, "the first `{}` was replaced, and is used again", self.member);
        }
        Ok(first)
    }

    /// Whether the other one is to be sent in place of what was refused.
    fn change_over(&self, sent: &SecretValue) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let (was_spare, sent) = (refused.is_some(), fingerprint(sent.expose()));
        let (source, member) = (&self.source, &self.member);
        if was_spare {
            tracing::warn!(source, "both values of `{member}` were refused: replace them");
            // Begins anew with the first.
            *refused = None;
            return false;
        }
        let is_another = read(member, &self.spare).is_ok_and(|spare| fingerprint(&spare) != sent);
        if is_another {
            tracing::warn!(
                source,
                hint = "put a new one in the place of the first: it is used again then",
                "the first `{member}` was refused as wrong or expired, and the spare one is used"
            );
            *refused = Some(sent);
        }
        is_another
    }
}

/// What is kept of a secret to tell whether another one is in its place.
pub(super) fn fingerprint(secret: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_spare_one_is_used_until_the_first_was_replaced_and_both_are_tried_again_where_neither_is_good() {
        let folder = tempfile::tempdir().unwrap();
        let [first, spare] = ["first", "spare"].map(|name| folder.path().join(name));
        let write = |path: &std::path::Path, text: &str| std::fs::write(path, text).unwrap();
        write(&first, "one\n");
        write(&spare, "two\n");
        let [first_from, spare_from] = [&first, &spare].map(|path| SecretFrom::File(path.clone()));
        let spared = Spared::new("client_secret", &first_from, &spare_from, "contoso");
        let url: http::Uri = "https://login.example/token".parse().unwrap();
        let value = async || spared.value(&url).await.unwrap().expose().to_owned();
        let refused = async |text: &str| spared.refused(&SecretValue::new(text)).await;
        assert_eq!(value().await, "one");
        assert!(refused("one").await);
        assert_eq!((value().await, value().await), ("two".to_owned(), "two".to_owned()));
        write(&first, "three");
        assert_eq!(value().await, "three");
        assert!(refused("three").await);
        assert!(!refused("two").await, "there is no third one");
        assert_eq!(value().await, "three");
        // Two that are the same are one.
        write(&spare, "three");
        assert!(!refused("three").await);
        std::fs::remove_file(&first).unwrap();
        assert!(spared.value(&url).await.unwrap_err().reason.contains("`client_secret`"));
    }
}

//! A secret that the service replaces with each use, a refresh token, in a file that this program writes.
//!
//! Source: RFC 6749, section 6; Microsoft Learn, "Refresh tokens in the Microsoft identity platform".

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use source_host::{Denial, SecretSource, SecretValue, replace_file};

use super::secrets::{short_text, trimmed};

/// Where it is kept. It is read anew for each request, since a login may have replaced it.
#[derive(Clone)]
pub(crate) struct Rotating {
    member: String,
    path: PathBuf,
    /// The name of the source, for whoever has to log in.
    source: String,
    pending: Arc<Mutex<Option<Pending>>>,
}

/// A value that was issued and could not be stored yet, and the one that it replaces.
struct Pending {
    sent: SecretValue,
    issued: SecretValue,
}

#[async_trait]
impl SecretSource for Rotating {
    async fn value(&self, _: &http::Uri) -> Result<SecretValue, Denial> {
        self.on_disk(|this| {
            let mut pending = this.pending.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Pending { sent, issued }) = &*pending {
                this.exchange(sent, issued)?;
                *pending = None;
            }
            this.read().map(SecretValue::new)
        })
        .await
    }

    async fn rotated(&self, sent: &SecretValue, issued: SecretValue) -> Result<(), Denial> {
        let sent = sent.clone();
        self.on_disk(move |this| {
            let mut pending = this.pending.lock().unwrap_or_else(PoisonError::into_inner);
            let stored = this.exchange(&sent, &issued);
            if stored.is_err() {
                *pending = Some(Pending { sent, issued });
            }
            stored
        })
        .await
    }
}

impl Rotating {
    /// The secret of a member of the named source in this file.
    pub(crate) fn new(member: &str, path: &Path, source: &str) -> Self {
        let (member, source) = (member.to_owned(), source.to_owned());
        Self { member, path: path.to_owned(), source, pending: Arc::default() }
    }

    /// The value now.
    pub(crate) fn read(&self) -> Result<String, Denial> {
        self.current()?.ok_or_else(|| {
            self.denial(
                &format!("there is none in {} yet", self.path.display()),
                &format!("log in: `source-host login --config FILE --source {}`", self.source),
            )
        })
    }

    /// The value now, if there is one.
    fn current(&self) -> Result<Option<String>, Denial> {
        match short_text(&self.path) {
            Ok(text) => Ok(Some(trimmed(&text).to_owned()).filter(|value| !value.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.denial(
                &format!("{} cannot be read: {error}", self.path.display()),
                "the file holds the token alone, as text, readable and writable for this user",
            )),
        }
    }

    /// Stores what a login brought, in place of whatever is there, and returns when it will be there after a crash.
    pub(crate) fn store(&self, value: &SecretValue) -> Result<(), Denial> {
        let _held = self.lock()?;
        self.write(value)
    }

    /// Puts the issued value in place of the one that was sent. Where another is there by now, a login or another process
    /// was faster, and its value is the newer one.
    fn exchange(&self, sent: &SecretValue, issued: &SecretValue) -> Result<(), Denial> {
        let _held = self.lock()?;
        if self.current()?.is_none_or(|current| current == sent.expose()) {
            return self.write(issued);
        }
        tracing::info!(
            source = self.source,
            "`{}` was replaced in {} meanwhile, and that one stays",
            self.member,
            self.path.display()
        );
        Ok(())
    }

    fn write(&self, value: &SecretValue) -> Result<(), Denial> {
        replace_file(&self.path, format!("{}\n", value.expose()).as_bytes()).map_err(|error| self.not_stored(&error))
    }

    /// Keeps other processes from replacing it, until this is dropped.
    fn lock(&self) -> Result<File, Denial> {
        let mut path = self.path.clone().into_os_string();
        path.push(".lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        file.and_then(|file| file.lock().map(|()| file)).map_err(|error| self.not_stored(&error))
    }

    fn not_stored(&self, error: &io::Error) -> Denial {
        self.denial(
            &format!("what replaces it cannot be stored in {}: {error}", self.path.display()),
            "let this user write to the folder, and make room on that disk: a refresh token is replaced with each use",
        )
    }

    /// The disk may take its time.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Denial> + Send + 'static,
    ) -> Result<T, Denial> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&this)).await;
        done.map_err(|error| self.denial(&format!("the disk was not asked: {error}"), "report it"))?
    }

    fn denial(&self, why: &str, hint: &str) -> Denial {
        Denial { reason: format!("the secret `{}`: {why}", self.member), hint: Some(hint.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn url() -> http::Uri {
        "https://login.example/token".parse().unwrap()
    }

    fn secret(text: &str) -> SecretValue {
        SecretValue::new(text)
    }

    #[tokio::test]
    async fn what_was_issued_takes_the_place_of_what_was_sent_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "first\r\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let rotating = Rotating::new("refresh_token", &path, "contoso");
        assert_eq!(rotating.value(&url()).await, Ok(secret("first")));
        rotating.rotated(&secret("first"), secret("second")).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(rotating.value(&url()).await, Ok(secret("second")));
    }

    #[tokio::test]
    async fn a_login_that_came_between_request_and_answer_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let rotating = Rotating::new("refresh_token", &folder.path().join("token"), "contoso");
        rotating.store(&secret("first")).unwrap();
        rotating.store(&secret("of-a-login")).unwrap();
        rotating.rotated(&secret("first"), secret("second")).await.unwrap();
        assert_eq!(rotating.value(&url()).await, Ok(secret("of-a-login")));
    }

    #[tokio::test]
    async fn what_could_not_be_stored_is_stored_before_anything_else_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let rotating = Rotating::new("refresh_token", &path, "contoso");
        rotating.store(&secret("canary-1")).unwrap();
        // A folder in the place of the new file, which no user may write over.
        let blocking = folder.path().join("token.new");
        std::fs::create_dir(&blocking).unwrap();
        let denial = rotating.rotated(&secret("canary-1"), secret("canary-2")).await.unwrap_err();
        assert!(denial.reason.contains("cannot be stored in") && !denial.reason.contains("canary"), "{denial}");
        assert_eq!(rotating.value(&url()).await, Err(denial));
        std::fs::remove_dir(&blocking).unwrap();
        assert_eq!(rotating.value(&url()).await, Ok(secret("canary-2")));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "canary-2\n");
    }

    #[tokio::test]
    async fn whoever_has_not_logged_in_is_told_how() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let rotating = Rotating::new("refresh_token", &path, "contoso");
        for text in [None, Some("\n")] {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let denial = rotating.value(&url()).await.unwrap_err();
            assert!(denial.hint.unwrap().contains("source-host login --config FILE --source contoso"));
        }
    }
}

//! How the source signs in: one of the members that hold a credential, or a refresh token beside one of the application.

use super::members::OF_REFUSED_FLOWS;
use super::problems::{Complaint, Problems};
use super::reader::Reader;
use crate::json::Node;
use crate::secret::Secret;

/// The credential of a source. Each part is literal, or a placeholder that the host fills in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credential {
    kind: CredentialKind,
    secret: Secret,
    /// What proves the application beside a refresh token; a public client has nothing.
    application: Option<(CredentialKind, Secret)>,
}

/// Which member holds the credential.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CredentialKind {
    /// `client_secret`.
    ClientSecret,
    /// `certificate`: the placeholder of an assertion that the host signs for each token request.
    Certificate,
    /// `federated_token`: the token of another issuer, sent as the assertion.
    FederatedToken,
    /// `client_assertion`: a signed JWT.
    ClientAssertion,
    /// `refresh_token`: of a user who logged in, replaced by the service with each use.
    RefreshToken,
    /// `access_token`: sent as it is, and renewed by nobody but the host.
    AccessToken,
}

impl CredentialKind {
    /// Every one, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::ClientSecret,
        Self::Certificate,
        Self::FederatedToken,
        Self::ClientAssertion,
        Self::RefreshToken,
        Self::AccessToken,
    ];

    /// The JSON Pointer of its member.
    pub const fn pointer(self) -> &'static str {
        match self {
            Self::ClientSecret => "/client_secret",
            Self::Certificate => "/certificate",
            Self::FederatedToken => "/federated_token",
            Self::ClientAssertion => "/client_assertion",
            Self::RefreshToken => "/refresh_token",
            Self::AccessToken => "/access_token",
        }
    }

    /// Its member.
    pub fn name(self) -> &'static str {
        self.pointer().trim_start_matches('/')
    }

    /// The field of the token request that carries it; none for the access token, which is not asked for.
    pub const fn form_field(self) -> Option<&'static str> {
        match self {
            Self::ClientSecret => Some("client_secret"),
            Self::Certificate | Self::FederatedToken | Self::ClientAssertion => Some("client_assertion"),
            Self::RefreshToken => Some("refresh_token"),
            Self::AccessToken => None,
        }
    }

    /// Whether it proves the application, so that it may stand beside a refresh token.
    pub const fn is_of_application(self) -> bool {
        !matches!(self, Self::RefreshToken | Self::AccessToken)
    }

    /// What to do where it is refused and nothing says why: sentences.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::ClientSecret => "Check `client_id` and `client_secret`, and when the secret expires.",
            Self::Certificate => {
                "Check `client_id`, and under 'Certificates & secrets' of the app registration that the certificate is there \
                 and has not expired."
            }
            Self::FederatedToken => {
                "Check `client_id`, that the token has not expired, and that its issuer, subject and audience are those \
                 under 'Federated credentials' of the app registration."
            }
            Self::ClientAssertion => {
                "Check `client_id`, and make a new assertion: it lives for minutes, names this token endpoint, and is signed \
                 with a key that the app registration knows."
            }
            Self::RefreshToken => {
                "Log in again (`source-host login`). An application that is no public client needs a credential of its own \
                 beside `refresh_token`."
            }
            Self::AccessToken => "Get a token for this audience and put it where `access_token` comes from.",
        }
    }

    fn check(self, text: &str) -> Result<(), Complaint> {
        let (is_good, predicate, hint) = match self {
            Self::ClientSecret => (
                text.trim() == text,
                "begins or ends with a blank",
                "Take the blank out: it may have come along with a copied value.",
            ),
            Self::Certificate => (is_placeholder(text), NO_PLACEHOLDER, SIGN),
            Self::FederatedToken => (
                is_placeholder(text) || is_jwt(text),
                "is neither a signed token (JWT) nor a placeholder of the host",
                "Let the host read the file that holds it: under `secrets`, federated_token = { file = \"PATH\" }.",
            ),
            Self::ClientAssertion => (
                is_placeholder(text) || is_jwt(text),
                "is neither a signed token (JWT) nor a placeholder of the host",
                "Write the three parts of the JWT with the dots between them, and nothing else.",
            ),
            Self::RefreshToken => (
                text.bytes().all(|byte| byte.is_ascii_graphic()),
                "holds characters that no refresh token has",
                "Write the refresh token alone; or let the host keep it: under `secrets`, refresh_token = { keep = \"PATH\" }.",
            ),
            Self::AccessToken => (
                text.bytes().all(|byte| byte.is_ascii_graphic()),
                "holds characters that no header may carry",
                "Write the token alone, without `Bearer` before it.",
            ),
        };
        if is_good { Ok(()) } else { Err(Complaint::new(predicate, hint)) }
    }
}

const ONE: &str = "Give one credential: `client_secret`, `certificate`, `federated_token`, `client_assertion`, \
    `refresh_token` or `access_token`.";
const NO_PLACEHOLDER: &str = "is not a placeholder of the host";
const SIGN: &str = "The host signs, and its key does not belong here: with source-host, write certificate = { pem = \"PATH\" } or \
    { pkcs12 = \"PATH\" } under [source.secrets].";

impl Credential {
    /// A credential of a kind, which is not checked.
    #[cfg(test)]
    pub(crate) fn new(kind: CredentialKind, secret: &str) -> Self {
        Self { kind, secret: Secret::new(secret), application: None }
    }

    /// The same beside one of the application.
    #[cfg(test)]
    pub(crate) fn beside(self, kind: CredentialKind, secret: &str) -> Self {
        Self { application: Some((kind, Secret::new(secret))), ..self }
    }

    /// Stands in where a problem was added.
    pub(super) fn none() -> Self {
        Self { kind: CredentialKind::ClientSecret, secret: Secret::new(""), application: None }
    }

    /// Which one it is.
    pub fn kind(&self) -> CredentialKind {
        self.kind
    }

    /// Its value, or the placeholder for it.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What proves the application: the credential itself, or what stands beside a refresh token.
    pub fn application(&self) -> Option<(CredentialKind, &Secret)> {
        match &self.application {
            Some((kind, secret)) => Some((*kind, secret)),
            None => self.kind.is_of_application().then_some((self.kind, &self.secret)),
        }
    }

    /// The refresh token of a user.
    pub fn refresh_token(&self) -> Option<&Secret> {
        (self.kind == CredentialKind::RefreshToken).then_some(&self.secret)
    }

    /// Everything in it that must not be shown.
    pub fn secrets(&self) -> Vec<&Secret> {
        [Some(&self.secret), self.application.as_ref().map(|(_, secret)| secret)].into_iter().flatten().collect()
    }

    /// The access token that is used without asking for one.
    pub fn access_token(&self) -> Option<&Secret> {
        (self.kind == CredentialKind::AccessToken).then_some(&self.secret)
    }

    /// The credential among the members, or what is wrong.
    pub(super) fn read(root: &Reader<'_>, problems: &mut Problems) -> Option<Self> {
        let given: Vec<_> = CredentialKind::ALL.into_iter().filter(|kind| root.has(kind.name())).collect();
        // Whoever writes what belongs to a refused flow is told that one alone.
        if given.is_empty() && !OF_REFUSED_FLOWS.iter().any(|(name, _)| root.has(name)) {
            problems.add(CredentialKind::ClientSecret.pointer(), "is missing, and so is every other credential", ONE);
        }
        let is_pair = matches!(given[..], [first, CredentialKind::RefreshToken] if first.is_of_application());
        if given.len() > 1 && !is_pair {
            let names = given.iter().map(|kind| kind.name()).collect::<Vec<_>>().join("` and `");
            for kind in &given {
                problems.add(
                    kind.pointer(),
                    "is not the only credential",
                    format!(
                        "Keep one of `{names}`: a source signs in with one credential. Only beside `refresh_token` may there \
                         be one of the application."
                    ),
                );
            }
        }
        let mut read = Vec::new();
        for kind in given {
            // The line breaks of a PEM would be complained about as slips of copying.
            if kind == CredentialKind::Certificate && root.node(kind.name()).is_some_and(is_more_than_a_line) {
                problems.complain(kind.pointer(), Complaint::new(NO_PLACEHOLDER, SIGN));
                continue;
            }
            let text = root.text(kind.name(), problems);
            let checked = text.filter(|text| problems.keep(kind.pointer(), kind.check(text)).is_some());
            read.extend(checked.map(|text| (kind, Secret::new(text))));
        }
        let (kind, secret) = read.pop()?;
        Some(Self { kind, secret, application: read.pop() })
    }
}

/// A PEM, or the table of a host's configuration.
fn is_more_than_a_line(node: &Node) -> bool {
    match node {
        Node::Text(text) => text.contains('\n'),
        Node::Object(_) => true,
        _ => false,
    }
}

/// Whether a host may have written it in place of a secret: see `secret-use` in `wit/source.wit`.
pub(crate) fn is_placeholder(text: &str) -> bool {
    text.bytes().all(is_of_base64url)
}

/// Whether it has the three parts of a signed token. Source: RFC 7515, section 3.1.
fn is_jwt(text: &str) -> bool {
    let mut parts = text.split('.');
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(is_of_base64url);
    parts.by_ref().take(3).filter(|part| is_part(part)).count() == 3 && parts.next().is_none()
}

fn is_of_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
}

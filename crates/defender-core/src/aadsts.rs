//! The error codes of Microsoft Entra ID: what each means and who does something about it.
//!
//! `docs/errors.md` has a section for every code. Sources: Microsoft Learn, "Microsoft Entra authentication and
//! authorization error codes" and, for assertions (700021, 700023), "Troubleshoot service principal authentication"; messages
//! of the service (700024, 700030, 700211 to 700213, 700222, 7000229).

/// One code of the catalogue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The digits behind `AADSTS`.
    pub code: u32,
    /// Who acts.
    pub kind: Kind,
    /// What is so: a clause without a full stop.
    pub meaning: &'static str,
    /// What to do about it: whole sentences.
    pub hint: &'static str,
}

/// Who acts on an error of the token endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The operator replaces a credential.
    Credential,
    /// The same, and the hint is about a client secret: with another credential, that one's remedy is said instead.
    ClientSecret,
    /// The operator corrects the member of the configuration at this JSON Pointer.
    Config(&'static str),
    /// Somebody who administers the tenant permits it.
    Permission,
    /// Time.
    Transient,
    /// A long time.
    Loop,
    /// Nobody: the request was understood and is refused for good.
    Request,
}

/// What the catalogue says about a code.
pub fn lookup(code: u32) -> Option<&'static Entry> {
    CATALOGUE.binary_search_by_key(&code, |entry| entry.code).ok().and_then(|at| CATALOGUE.get(at))
}

const AUDIENCE: Kind = Kind::Config("/endpoints/audience");
const CLIENT: Kind = Kind::Config("/client_id");
const CLOUD: Kind = Kind::Config("/cloud");
const TENANT: Kind = Kind::Config("/tenant_id");

const CHECK_AUDIENCE: &str = "If `endpoints.audience` is set, check it, or leave it out to use the one of `cloud`; then have \
    an administrator check that the API is there in this tenant.";
const CHECK_CLIENT: &str =
    "Copy the 'Application (client) ID' from the app registration into `client_id`, and check `tenant_id`.";
const CHECK_CLOUD: &str = "Set `cloud` to the one that the tenant lives in.";
const CHECK_TENANT: &str = "Copy the 'Directory (tenant) ID' from the app registration's overview into `tenant_id`.";
const CHECK_FEDERATED: &str = "Compare issuer, subject and audience under 'Federated credentials' of the app \
    registration; a new one takes some minutes.";
const CONSENT: &str = "Have an administrator grant consent under 'API permissions' of the app registration.";
const LOG_IN_AGAIN: &str = "Log in again: with source-host, `source-host login` stores the new refresh token.";
const NEW_SECRET: &str =
    "Create a client secret under 'Certificates & secrets' of the app registration and store its value.";
const NO_SECRET: &str = "Check that `client_secret` is not empty and reaches the source whole.";
const REPORT: &str = "Check `token_version` and `endpoints.token`; if they are right, report this as a bug.";
const SIGN_IN_LOGS: &str =
    "Have an administrator look up the sign-in in the tenant's sign-in logs and exempt the application.";
/// What to do where time does it.
pub(crate) const WAIT: &str = "It passes by itself.";

const fn entry(code: u32, kind: Kind, meaning: &'static str, hint: &'static str) -> Entry {
    Entry { code, kind, meaning, hint }
}

/// Every code that has a section in `docs/errors.md`, in ascending order.
pub const CATALOGUE: &[Entry] = &[
    entry(50001, AUDIENCE, "the audience is not the URI of any resource", CHECK_AUDIENCE),
    entry(50012, Kind::ClientSecret, "the credential is not valid", NEW_SECRET),
    entry(
        50013,
        Kind::Credential,
        "the assertion is not valid",
        "Make a new assertion, or check that the host's clock is right and that the file holds a token that has not expired.",
    ),
    entry(
        50020,
        Kind::Credential,
        "the user belongs to another directory",
        "Log in as a user of this tenant, or have an administrator invite this one as a guest.",
    ),
    entry(
        50027,
        Kind::Credential,
        "the assertion is no valid JWT: its form, a claim, its issuer, audience or time is wrong",
        "Check that the host fills in the placeholder, and that what it sends is one whole JWT that has not expired.",
    ),
    entry(50033, Kind::Transient, "the service has a passing error", WAIT),
    entry(
        50034,
        Kind::Credential,
        "the user account is not in this tenant",
        "Log in as a user of this tenant, or correct `tenant_id`.",
    ),
    entry(
        50049,
        Kind::Config("/endpoints/token"),
        "the token endpoint's host is not a known authority",
        "Correct `endpoints.token`, or leave it out to use the one of `cloud`.",
    ),
    entry(
        50057,
        Kind::Credential,
        "the account of the user is disabled",
        "Have an administrator enable the account, or log in as another user.",
    ),
    entry(50076, Kind::Credential, "the user has to pass multi-factor authentication", LOG_IN_AGAIN),
    entry(50079, Kind::Credential, "the user has to enrol for multi-factor authentication", LOG_IN_AGAIN),
    entry(
        50105,
        Kind::Permission,
        "the user is not assigned to the application",
        "Have an administrator assign the user under 'Enterprise applications', 'Users and groups'.",
    ),
    entry(50173, Kind::Credential, "the refresh token was revoked", LOG_IN_AGAIN),
    entry(
        50194,
        TENANT,
        "the application belongs to one tenant and was asked for at an endpoint for all tenants",
        CHECK_TENANT,
    ),
    entry(
        50196,
        Kind::Loop,
        "the service counts the same request too often and takes it for a loop",
        "Wait; then look for other programs that ask for tokens with this `client_id`.",
    ),
    entry(53000, Kind::Permission, "a conditional access policy wants a compliant device", SIGN_IN_LOGS),
    entry(
        53001,
        Kind::Permission,
        "a conditional access policy wants a device that has joined the domain",
        SIGN_IN_LOGS,
    ),
    entry(53003, Kind::Permission, "a conditional access policy blocks the token", SIGN_IN_LOGS),
    entry(65001, Kind::Permission, "nobody has consented to what the application asks for", CONSENT),
    entry(65004, Kind::Permission, "the user declined what the application asks for", "Log in again, and accept it."),
    entry(70000, Kind::Credential, "the refresh token is not valid", LOG_IN_AGAIN),
    entry(70001, CLIENT, "the application is not in this tenant", CHECK_CLIENT),
    entry(70002, Kind::ClientSecret, "the credential is not valid", NEW_SECRET),
    entry(70008, Kind::Credential, "the refresh token has expired", LOG_IN_AGAIN),
    entry(70011, AUDIENCE, "the scope is not valid", CHECK_AUDIENCE),
    entry(70016, Kind::Transient, "nobody has finished the login yet", "Finish the login in the browser."),
    entry(70018, Kind::Credential, "the verification code is not valid", "Begin the login again."),
    entry(70019, Kind::Credential, "the device code has expired", "Begin the login again."),
    entry(
        70021,
        Kind::Credential,
        "no federated credential of the application matches the issuer and subject of the assertion",
        CHECK_FEDERATED,
    ),
    entry(70043, Kind::Credential, "a policy on how often to sign in has ended the refresh token", LOG_IN_AGAIN),
    entry(
        90002,
        TENANT,
        "there is no such tenant in this cloud",
        "Correct `tenant_id`, or `cloud` if it lives elsewhere.",
    ),
    entry(90006, Kind::Transient, "the service has a passing error", WAIT),
    entry(90012, Kind::Transient, "the service took too long", WAIT),
    entry(90014, Kind::Request, "a field of the request is missing", REPORT),
    entry(90024, Kind::Transient, "the service has a passing error", WAIT),
    entry(90033, Kind::Transient, "the service has a passing error", WAIT),
    entry(90038, CLOUD, "the tenant lives in another cloud", CHECK_CLOUD),
    entry(90055, Kind::Transient, "the tenant sends too many requests", WAIT),
    entry(90094, Kind::Permission, "only an administrator may consent to what the application asks for", CONSENT),
    entry(500011, AUDIENCE, "the tenant has no service principal for the audience", CHECK_AUDIENCE),
    entry(
        650052,
        Kind::Permission,
        "the organization has not enabled the service that the token is for",
        "Have an administrator check the licences for Defender, and that `endpoints.audience` is the API of this tenant.",
    ),
    entry(
        650057,
        Kind::Permission,
        "the app registration does not list the audience among its permissions",
        "Add a permission of the API under 'API permissions' of the app registration, and have an administrator consent.",
    ),
    entry(700016, CLIENT, "the application is not in this tenant", CHECK_CLIENT),
    entry(
        700021,
        CLIENT,
        "the assertion names another application than `client_id`",
        "Make the assertion with this `client_id` as `iss` and `sub`, or correct `client_id`.",
    ),
    entry(
        700023,
        Kind::Credential,
        "the audience of the assertion is not this tenant's token endpoint",
        "Make the assertion with the URL of the token endpoint as `aud`; check `tenant_id`, `cloud` and `endpoints.token`.",
    ),
    entry(
        700024,
        Kind::Credential,
        "the assertion is not valid yet, or not any more",
        "Set the clock of the host; a ready-made assertion or a federated token has to be replaced before it expires.",
    ),
    entry(
        700025,
        Kind::Credential,
        "the application is a public client, which has no credential",
        "Beside a refresh token take the credential of the application out; else set 'Allow public client flows' to 'No' \
         under 'Authentication' of the app registration, or check `client_id`.",
    ),
    entry(
        700027,
        Kind::Credential,
        "the signature of the assertion is not valid, or the app registration does not know its certificate",
        "Upload the certificate that signs the assertion to the app registration, and check its expiry.",
    ),
    entry(
        700030,
        Kind::Credential,
        "the subject of the certificate is not authorized, or its issuer is of another cloud",
        "Upload this certificate to the app registration, or use one with a subject name that is listed there; check `cloud`.",
    ),
    entry(700082, Kind::Credential, "the refresh token was not used for 90 days and has expired", LOG_IN_AGAIN),
    entry(
        700084,
        Kind::Credential,
        "the refresh token was issued to a single-page application, and has ended with its fixed life",
        "Register the redirect URI under 'Mobile and desktop applications' instead, and log in again.",
    ),
    entry(
        700211,
        Kind::Credential,
        "no federated credential of the application has the issuer of the assertion",
        CHECK_FEDERATED,
    ),
    entry(
        700212,
        Kind::Credential,
        "no federated credential of the application has the audience of the assertion",
        CHECK_FEDERATED,
    ),
    entry(
        700213,
        Kind::Credential,
        "no federated credential of the application has the subject of the assertion",
        CHECK_FEDERATED,
    ),
    entry(
        700222,
        Kind::Credential,
        "a token of Microsoft Entra ID itself is no federated credential",
        "Give the token of an issuer outside Microsoft Entra ID, or let the host fetch one by a managed identity.",
    ),
    entry(900023, TENANT, "the tenant is neither a GUID nor a domain name", CHECK_TENANT),
    entry(900144, Kind::Request, "a field of the request is missing", REPORT),
    entry(900382, CLOUD, "this cloud may not issue tokens for an application of another", CHECK_CLOUD),
    entry(900432, CLOUD, "this cloud may not issue tokens for an application of another", CHECK_CLOUD),
    entry(
        901002,
        Kind::Config("/token_version"),
        "the endpoint does not know `resource`",
        "Set `token_version` to `v2`, or `endpoints.token` to a v1 endpoint.",
    ),
    entry(
        1002012,
        AUDIENCE,
        "the scope does not end in `/.default`",
        "Set `endpoints.audience` to the bare URI of the resource; `/.default` is added to it.",
    ),
    entry(
        7000112,
        Kind::Permission,
        "the application is disabled",
        "Have an administrator enable it under 'Enterprise applications', 'Properties'.",
    ),
    entry(
        7000215,
        Kind::ClientSecret,
        "the client secret is wrong",
        "Store the secret's value, not its ID; a secret made a moment ago may take a minute to be known.",
    ),
    entry(7000216, Kind::ClientSecret, "the request holds no credential", NO_SECRET),
    entry(7000218, Kind::ClientSecret, "the request holds no credential", NO_SECRET),
    entry(7000222, Kind::ClientSecret, "the client secret has expired", NEW_SECRET),
    entry(
        7000229,
        Kind::Permission,
        "the application has no service principal in this tenant",
        "Have an administrator of the tenant consent to the application, which makes one; check `client_id` and `tenant_id`.",
    ),
    entry(9001023, TENANT, "client credentials are not served at an endpoint for all tenants", CHECK_TENANT),
    entry(9002313, Kind::Request, "the request is malformed", REPORT),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_in_ascending_order_so_that_every_code_is_found() {
        assert!(CATALOGUE.windows(2).all(|pair| pair[0].code < pair[1].code));
        for entry in CATALOGUE {
            assert_eq!(lookup(entry.code), Some(entry));
        }
        assert_eq!(lookup(0), None);
        assert_eq!(lookup(7_000_217), None);
        assert_eq!(lookup(u32::MAX), None);
    }

    #[test]
    fn a_meaning_is_a_clause_and_a_hint_is_sentences() {
        for entry in CATALOGUE {
            assert!(!entry.meaning.ends_with('.') && !entry.meaning.is_empty(), "{entry:?}");
            assert!(entry.hint.ends_with('.'), "{entry:?}");
            assert!(!entry.hint.contains("  "), "{entry:?}");
        }
    }
}

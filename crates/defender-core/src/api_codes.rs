//! The error codes of Microsoft's APIs, `error.code` of a refusal: what each means and what to do.
//!
//! Which failure it is follows from the status; a code says more about its cause. `docs/errors.md` has a row for every code.
//! Sources: Microsoft Learn, "Common REST API error codes" of Defender for Endpoint, "Microsoft Graph error responses and
//! resource types", and "Resolve Microsoft Graph authorization errors".

/// One code of the catalogue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ApiCode {
    /// As it is written; the case of its letters differs between the APIs.
    pub code: &'static str,
    /// What is so: a clause without a full stop.
    pub meaning: &'static str,
    /// What to do beyond what the status asks for: a sentence, or nothing.
    pub hint: &'static str,
}

/// What the catalogue says about a code.
pub fn lookup(code: &str) -> Option<&'static ApiCode> {
    CATALOGUE.iter().find(|entry| entry.code.eq_ignore_ascii_case(code))
}

const fn entry(code: &'static str, meaning: &'static str, hint: &'static str) -> ApiCode {
    ApiCode { code, meaning, hint }
}

const UNREADABLE: &str = "the service cannot read a part of the request";

/// Every code that has a row in `docs/errors.md`, in its order.
pub const CATALOGUE: &[ApiCode] = &[
    entry("accessDenied", "the application or the user lacks a permission or a role", ""),
    entry("activityLimitReached", "the application or the user is throttled", ""),
    entry("Authorization_RequestDenied", "the application or the user lacks a permission", ""),
    entry("BadRequest", UNREADABLE, ""),
    entry(
        "ClientVersionNotSupported",
        "the service wants a newer client",
        "Use a newer version of this source, or report it.",
    ),
    entry(
        "DisabledFeature",
        "the tenant has a feature turned off that the API needs",
        "Have an administrator turn it on in the Defender portal, under 'Settings'.",
    ),
    entry(
        "DisallowedOperation",
        "the tenant does not allow the operation",
        "Have an administrator look up which licences and settings of Defender the tenant has.",
    ),
    entry("Forbidden", "the application or the user lacks a permission or a role", ""),
    entry("generalException", "the service failed, and does not say why", ""),
    entry("InternalServerError", "the service failed, and does not say why", ""),
    entry("InvalidAuthenticationToken", "the token is missing, malformed, expired or for another audience", ""),
    entry("InvalidDomainName", UNREADABLE, ""),
    entry("InvalidHashValue", UNREADABLE, ""),
    entry("InvalidInput", UNREADABLE, ""),
    entry("InvalidIpAddress", UNREADABLE, ""),
    entry("invalidRequest", UNREADABLE, ""),
    entry("InvalidRequestBody", UNREADABLE, ""),
    entry("InvalidUrl", UNREADABLE, ""),
    entry("itemNotFound", "there is nothing at the path", ""),
    entry("MaximumBatchSizeExceeded", "more is asked for at once than the service hands out", "Set a smaller `limit`."),
    entry("MissingRequiredParameter", "the service misses a parameter of the request", ""),
    entry("NotFound", "there is nothing at the path", ""),
    entry("notSupported", "the service does not support the request", ""),
    entry("ODataError", "the service cannot read the query: a filter, an order or a number", ""),
    entry("OsPlatformNotSupported", "the request is not there for the operating system of a device", "Report it."),
    entry("quotaLimitReached", "a quota of the application or the tenant is used up", ""),
    entry("ResourceNotFound", "there is nothing at the path", ""),
    entry("serviceNotAvailable", "the service is down or busy for a while", ""),
    entry("TooManyRequests", "too many requests came, or took too much time to compute", ""),
    entry("unauthenticated", "the caller is not signed in", ""),
    entry("Unauthorized", "the token is not valid, or the request is malformed", ""),
    entry("UnknownError", "the service refuses, and does not say why: with 403 a role or a licence is missing", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_in_whatever_case_and_stands_in_order() {
        for entry in CATALOGUE {
            assert_eq!(lookup(&entry.code.to_uppercase()), Some(entry));
            assert!(!entry.meaning.is_empty() && !entry.meaning.ends_with('.'), "{entry:?}");
            assert!(entry.hint.is_empty() || entry.hint.ends_with('.'), "{entry:?}");
        }
        assert!(CATALOGUE.is_sorted_by_key(|entry| entry.code.to_lowercase()));
        assert_eq!(lookup("Forbidde"), None);
    }
}

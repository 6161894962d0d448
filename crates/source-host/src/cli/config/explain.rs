//! What is wrong with a configuration file, as sentences with file and line.

use std::path::Path;

use super::check::Problem;
use crate::cli::report::Report;
use crate::json::kind_of;

/// What the TOML reader or serde says, in words for a person.
pub(super) fn sentence(message: &str) -> String {
    unknown_member(message)
        .or_else(|| missing_member(message))
        .or_else(|| wrong_type(message))
        .unwrap_or_else(|| message.trim_end_matches('\n').replace('\n', "; "))
}

/// Everything that was found.
pub(super) fn problems(path: &Path, text: &str, problems: Vec<Problem>) -> Report {
    let mut lines = problems
        .into_iter()
        .map(|problem| format!("{}: {}", place(path, text, problem.at.map(|at| at.start)), problem.message));
    let first = lines.next().unwrap_or_default();
    lines.fold(Report::wrong(first), Report::because).hint("the README shows a whole configuration")
}

fn place(path: &Path, text: &str, offset: Option<usize>) -> String {
    match offset.and_then(|offset| text.get(..offset)) {
        Some(before) => format!("{}:{}", path.display(), before.matches('\n').count() + 1),
        None => path.display().to_string(),
    }
}

/// serde lists all the names that it knows; the nearest one is what a person wants to hear.
fn unknown_member(message: &str) -> Option<String> {
    let mut quoted = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let found = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    Some(unknown(&format!("no `{found}` here"), found, &known))
}

/// That there is no such thing, and which one may have been meant.
pub(super) fn unknown(what: &str, found: &str, known: &[&str]) -> String {
    let Some(nearest) = known.iter().min_by_key(|name| likeness(found, name)) else {
        return format!("there is {what}, and none of another name");
    };
    let list = known.join(", ");
    if likeness(found, nearest) <= found.len().div_ceil(2) {
        format!("there is {what}; did you mean `{nearest}`? Known are {list}")
    } else {
        format!("there is {what}; known are {list}")
    }
}

fn missing_member(message: &str) -> Option<String> {
    Some(format!("{} is missing here", message.strip_prefix("missing field ")?))
}

/// What stands there is not repeated: it may be a secret that was written where its source belongs.
fn wrong_type(message: &str) -> Option<String> {
    let rest = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|begins| message.strip_prefix(begins))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    // A list may stand for a table, where it is as long.
    let (found, expected) = match expected.split_once(" with ") {
        Some((table, length)) if length.ends_with(" elements") || length.ends_with(" element") => ("sequence", table),
        _ => (found, expected),
    };
    let found = match kind_of(found) {
        Ok(kind) => kind,
        Err("map") => "a table",
        Err("sequence") => "a list",
        Err(_) => "something else",
    };
    let expected = match expected {
        "u32" if found == "a whole number" => {
            return Some(format!("this number is too large: at most {} fits", u32::MAX));
        }
        "a string" | "path string" => "a text in quotes belongs",
        "a sequence" => "a list in square brackets belongs, and [[source]] and [[sink]] have two pairs of them",
        "struct RawSecret" => {
            "a table belongs that says where the secret comes from: { env = \"NAME\" } or { file = \"PATH\" }"
        }
        "struct RawIdentity" => {
            "a table belongs: {} for the identity that the system assigned, { client_id = \"GUID\" } for one of a user"
        }
        "a map" => "a table belongs",
        table if table.starts_with("struct ") => "a table belongs",
        "a boolean" => "true or false belongs, without quotes",
        "u32" | "u64" | "usize" => "a whole number belongs, without quotes",
        other => return Some(format!("{found} stands where {other} belongs")),
    };
    Some(format!("{found} stands where {expected}"))
}

/// How far a name is from another; a name that was cut short is near.
fn likeness(unknown: &str, name: &str) -> usize {
    if name.starts_with(unknown) { 1 } else { strsim::levenshtein(unknown, name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::config::Config;

    fn load(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/host"))
            .map_err(|found| problems(Path::new("host.toml"), text, found).to_string())
    }

    #[test]
    fn every_wrong_line_is_named_with_what_to_write() {
        for (text, expected) in [
            (
                "[[source]]\nname = \"a\"\ncomfig = {}\n",
                "host.toml:3: there is no `comfig` here; did you mean `config`?",
            ),
            ("[[sources]]\nname = \"a\"\n", "host.toml:1: there is no `sources` here; did you mean `source`?"),
            ("[host]\nmemory = 3\n", "host.toml:2: there is no `memory` here; did you mean `memory_bytes`?"),
            ("[[source]]\n", "host.toml:1: `name` is missing here"),
            ("", "host.toml: there is no source in it"),
            ("[[source]]\nname = \"../a\"", "host.toml:2: `../a` is no name for a source"),
            (
                "[[source]]\nname = \"a\"\n[[source]]\nname = \"A\"",
                "host.toml:4: there are two sources of the name `A`",
            ),
            (
                "[[source]]\nname = \"a\"\nallow = [\"http://example.com\"]",
                "host.toml:3: `http://example.com` is unencrypted",
            ),
            ("[host]\nmax_duration = \"5m\"\n[[source]]\nname = \"a\"", "host.toml:2: `5m` is no duration"),
            ("[host]\nmax_events = 0\n[[source]]\nname = \"a\"", "host.toml:2: 0 is too little: at least 1"),
            (
                "[host]\nmax_answer_bytes = 65535\n[[source]]\nname = \"a\"",
                "host.toml:2: 65535 is too little: at least 65536",
            ),
            ("[[source]]\nname = \"a\"\n[source.secrets]\ns = {}", "host.toml:4: say where `s` comes from"),
            (
                "[[source]]\nname = \"a\"\nsecrets = { c = { pem = \"p\", pkcs12 = \"q\" } }",
                "host.toml:3: `c` has `pem` beside `pkcs12`, whose file holds both parts; remove `pem`, or `pkcs12`",
            ),
            (
                "[[source]]\nname = \"a\"\nsecrets = { c = { pkcs12 = \"p\", key = \"q\" } }",
                "host.toml:3: `c` has `key` beside `pkcs12`, whose file holds both parts; remove `key`, or `pkcs12`",
            ),
            (
                "[[source]]\nname = \"a\"\nsecrets = { c = { env = \"S\", password = { env = \"P\" } } }",
                "host.toml:3: `c` has a `password`, but neither `pkcs12` nor `pem` that it opens; remove `password`",
            ),
            (
                "[[source]]\nname = \"a\"\nsecrets = { c = { pkcs12 = \"p\", password = { pem = \"P\" } } }",
                "host.toml:3: say where the `password` of `c` comes from: { env = \"NAME\" } or { file = \"PATH\" }",
            ),
            (
                "[[source]]\nname = \"a\"\nsecrets = { c = { pkcs12 = \"p\", password = { env = \"P\", expose = true } } }",
                "host.toml:3: the `password` of `c` has `expose`, and the component gets none; remove `expose` there",
            ),
            (
                "[[source]]\nname = \"a\"\nsecrets = { c = { env = \"S\", spare = { env = \"T\", expose = false } } }",
                "host.toml:3: the `spare` of `c` has `expose`, and the component gets none; remove `expose` there",
            ),
            (
                "[[source]]\nname = \"a\"\nsecrets = { t = { managed_identity = true } }",
                "host.toml:3: true or false stands where a table belongs: {} for the identity that the system assigned, { client_id",
            ),
            ("host = [1]", "host.toml:1: a list stands where a table belongs"),
            (
                "[[source]]\nname = \"a\"\nsecrets = { c = { pkcs12 = \"p\", env = \"P\" } }",
                "host.toml:3: say where `c` comes from: { env",
            ),
            (
                "[[source]]\nname = \"a\"\nsecrets = { c = { pkcs12 = \"p\", expose = true } }",
                "host.toml:3: the host signs for `c`, and has nothing to expose; remove `expose`",
            ),
            (
                "[host]\nproxy = \"http://p:1\"\nproxy_credentials = { pkcs12 = \"p\" }",
                "host.toml:3: say where user:password comes from",
            ),
            (
                "[host]\nproxy = \"http://p:1\"\nproxy_credentials = { env = \"P\", password = { env = \"Q\" } }",
                "host.toml:3: say where user:password comes from",
            ),
            ("[[source]]\nname = \"a\"\nconfig = {s = 1}\n[source.secrets]\ns = {env = \"S\"}", "stands in both"),
            ("[[source]\n", "host.toml:1: "),
            ("[[source]]\nname = 3", "host.toml:2: a whole number stands where a text in quotes belongs"),
            (
                "[source]\nname = \"a\"",
                "host.toml:1: a table stands where a list in square brackets belongs, and [[source]] and",
            ),
            (
                "[host]\nproxy = \"proxy:3128\"",
                "host.toml:2: `proxy` under [host] is no proxy: an http:// or https:// URL of host and port is needed; write it \
                 such as http://proxy.example.com:3128",
            ),
            ("[host]\nproxy_credentials = { env = \"P\" }", "host.toml:2: `proxy_credentials` are for the proxy"),
            ("host = 5", "host.toml:1: a whole number stands where a table belongs"),
            ("[host]\nmax_events = -1", "host.toml:2: a negative number stands where a whole number belongs"),
            ("[host]\nmax_requests = 99999999999", "host.toml:2: this number is too large: at most 4294967295 fits\n"),
            ("[[source]]\nname = \"a\"\n[source.secrets]\ns = { env = \"\" }", "host.toml:4: say where `s` comes from"),
            (
                "[[source]]\nname = \"a\"\n[source.secrets]\ns = { file = \"\" }",
                "host.toml:4: say where `s` comes from",
            ),
            (
                "[[source]]\nname = \"a\"\n[source.config]\nlimit = nan",
                "host.toml:2: `limit` in the config of this source is no number: JSON has none",
            ),
            ("[[source]]\nname = \"a\"\nconfig = { a = { b = [1, -inf] } }", "host.toml:2: `a.b` in the config of"),
            ("[host]\nmax_bytes = \"5\"", "host.toml:2: a text stands where a whole number belongs"),
            ("[[sink]]\ntype = \"fiel\"\n", "host.toml:2: there is no sink of type `fiel`; did you mean `file`?"),
            ("[[sink]]\nname = \"a\"\n", "host.toml:1: `type` is missing here"),
            ("[[sink]]\ntype = \"file\"\n", "host.toml:2: a sink of type `file` needs a `path`"),
            ("[[sink]]\ntype = \"stdout\"\nbear = true", "host.toml:3: there is no `bear` here; did you mean `bare`?"),
            (
                "[[sink]]\ntype = \"stdout\"\nkeep = 1",
                "host.toml:3: a sink of type `stdout` has no `keep`; it has bare",
            ),
            ("[[sink]]\ntype = \"file\"\npath = \"a\"\nkeep = 1", "host.toml:4: `keep` says how many old files"),
            ("[[sink]]\ntype = \"file\"\npath = \"a.csv\"", "host.toml:3: a sink of type `file` writes one JSON"),
            ("[[sink]]\ntype = \"file\"\npath = \"a\"\nrotate_bytes = 9", "host.toml:4: 9 is too little"),
            ("[[sink]]\ntype = \"file\"\npath = \"a\"\nrotate_every = \"1d\"", "host.toml:4: `1d` is no duration"),
            (
                "[[sink]]\ntype = \"stdout\"\n[[sink]]\ntype = \"stdout\"",
                "host.toml:4: there are two sinks of the name",
            ),
            ("[[sink]]\ntype = \"stdout\"\nname = \"a b\"", "host.toml:3: `a b` is no name for a sink"),
            (
                "[[source]]\nname = \"a\"\nsinks = [\"b\"]",
                "host.toml:3: there is no sink `b`, and none of another name",
            ),
            ("[[source]]\nname = \"a\"\nsinks = []", "host.toml:3: a source without a sink"),
            (
                "[[sink]]\ntype = \"stdout\"\n[[source]]\nname = \"a\"\nsinks = [\"stout\"]",
                "host.toml:5: there is no sink `stout`; did you mean `stdout`?",
            ),
            (
                "[[source]]\nname = \"a\"\n[[source]]\nname = \"b\"\n[[sink]]\ntype = \"file\"\npath = \"e.ndjson\"",
                "host.toml:7: 2 sources would write to /etc/host/e.ndjson, and a restart could not tell whose lines to cut off: \
                 write {source} into its name, such as e-{source}.ndjson",
            ),
            (
                "[[sink]]\ntype = \"file\"\npath = \"e\"\n[[sink]]\ntype = \"file\"\nname = \"b\"\npath = \"e\"",
                "host.toml:7: /etc/host/e is the file of the sink `file` as well",
            ),
            ("[[sink]]\ntype = \"http\"", "host.toml:2: a sink of type `http` needs a `url`"),
            ("[[sink]]\ntype = \"http\"\nurl = \"x\"", "host.toml:3: this is no URL: write it as https://"),
            ("[[sink]]\ntype = \"http\"\nurl = \"https://a:b@c\"", "host.toml:3: user name and password do not belong"),
            (
                "[[sink]]\ntype = \"http\"\nurl = \"https://a\"\nformat = \"njson\"",
                "host.toml:4: there is no format `njson`; did you mean `ndjson`?",
            ),
            (
                "[[sink]]\ntype = \"http\"\nurl = \"https://a\"\nheaders = { \"a b\" = \"c\" }",
                "host.toml:4: `a b` is no name of a header",
            ),
            (
                "[[sink]]\ntype = \"http\"\nurl = \"https://a\"\nheaders = { Host = \"c\" }",
                "host.toml:4: the header `Host` is written by the host itself",
            ),
            (
                "[[sink]]\ntype = \"http\"\nurl = \"https://a\"\non_refusal = \"dead_letter\"",
                "host.toml:4: say where they go",
            ),
            (
                "[[sink]]\ntype = \"http\"\nurl = \"https://a\"\non_refusal = \"stop\"\ndead_letter = \"d\"",
                "host.toml:5: on_refusal = \"stop\" leaves no dead letters",
            ),
            (
                "[[sink]]\ntype = \"http\"\nurl = \"https://a\"\ngzip = \"yes\"",
                "host.toml:4: a text stands where true or false",
            ),
            ("[[sink]]\ntype = \"fluent\"", "host.toml:2: a sink of type `fluent` needs an `address`"),
            ("[[sink]]\ntype = \"fluent\"\naddress = \"a:b\"", "host.toml:3: `a:b` is no address"),
            ("[[sink]]\ntype = \"fluent\"\naddress = \"a\"\ntag = \"\"", "host.toml:4: an empty tag"),
            ("[[sink]]\ntype = \"fluent\"\naddress = \"a\"\nshared_key = {}", "host.toml:4: say where `shared_key`"),
            ("[[quota]]\nname = \"a\"", "host.toml:1: `per_minute` is missing here"),
            (
                "[[quota]]\nname = \"a\"\nper_minute = 1",
                "host.toml:3: per_minute = 1 is too little: a poll needs at least 2",
            ),
            (
                "[[quota]]\nname = \"contoso\"\nper_minute = 9\n[[source]]\nname = \"a\"\nquota = \"contso\"",
                "host.toml:6: there is no quota `contso`; did you mean `contoso`?",
            ),
            ("[[source]]\nname = \"a\"\nquota = \"b\"", "host.toml:3: there is no quota `b`, and none of another name"),
            ("[host]\nconcurrency = 0", "host.toml:2: 0 is too little"),
            ("[host]\nin_flight = 0", "host.toml:2: 0 is too little"),
            ("[host]\nin_flight = 65", "host.toml:2: 65 is too much"),
            ("[host]\nstate = [1]", "host.toml:2: a list stands where a text in quotes belongs"),
        ] {
            let message = load(text).unwrap_err();
            assert!(message.contains(expected), "{text}\n{message}");
        }
    }

    #[test]
    fn a_secret_that_is_written_where_its_source_belongs_is_not_shown() {
        for secrets in ["{ client_secret = \"canary\" }", "\"canary\"", "{ client_secret = { env = [\"canary\"] } }"] {
            let message = load(&format!("[[source]]\nname = \"a\"\nsecrets = {secrets}")).unwrap_err();
            assert!(message.contains("host.toml:3: ") && !message.contains("canary"), "{message}");
        }
        for secrets in
            ["{ client_secret = [\"canary\"] }", "{ c = { pkcs12 = \"p\", password = [\"canary\", \"canary\"] } }"]
        {
            let message = load(&format!("[[source]]\nname = \"a\"\nsecrets = {secrets}")).unwrap_err();
            let words = "host.toml:3: a list stands where a table belongs that says where the secret comes from: { env";
            assert!(message.contains(words) && !message.contains("canary"), "{message}");
        }
        for headers in ["{ a = { env = [\"canary\"] } }", "{ a = [\"canary\"] }", "{ a = \"canary\\u0001\" }"] {
            let message = load(&format!("[[sink]]\ntype = \"http\"\nheaders = {headers}")).unwrap_err();
            assert!(message.contains("host.toml:3: ") && !message.contains("canary"), "{message}");
        }
        let password = "secrets = { c = { pkcs12 = \"p\", password = \"canary\" } }";
        let message = load(&format!("[[source]]\nname = \"a\"\n{password}")).unwrap_err();
        let words = "host.toml:3: a text stands where a table belongs that says where the secret comes from: { env";
        assert!(message.contains(words) && !message.contains("canary"), "{message}");
        let message = load("[host]\nproxy = \"http://user:canary@proxy:3128\"").unwrap_err();
        assert!(message.contains("holds a user name or a password") && !message.contains("canary"), "{message}");
        let message = load("[[source]]\nname = \"a\"\nsecrets = { client_secret = \"canary\" }").unwrap_err();
        assert!(
            message.contains("a text stands where a table belongs that says where the secret comes from: { env"),
            "{message}"
        );
    }

    #[test]
    fn all_problems_of_a_readable_file_are_told_at_once() {
        let message = load("[host]\nmax_events = 0\ncpu_time = \"1\"\n[[source]]\nname = \"\"").unwrap_err();
        assert_eq!(message.matches("host.toml:").count(), 3, "{message}");
        let certificate = "c = { pem = \"a\", key = \"b\", pkcs12 = \"c\", password = {} }, d = {}";
        let message = load(&format!("[[source]]\nname = \"a\"\nsecrets = {{ {certificate} }}")).unwrap_err();
        for words in
            ["remove `pem` and `key`, or `pkcs12`", "say where the `password` of `c`", "say where `d` comes from"]
        {
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn all_that_does_not_fit_is_told_at_once() {
        let message = load(concat!(
            "[host]\nmax_events = \"5\"\nmemory = 3\n",
            "[[source]]\nname = 5\n",
            "[[source]]\ncomfig = {}\nallow = [3, \"https://a\"]\n[source.secrets]\nb = { env = 1, fiel = \"c\" }\n",
            "[[sink]]\nname = \"a\"\n",
        ))
        .unwrap_err();
        let lines = message.lines().map(|line| line.split_once("host.toml:").map_or("", |(_, rest)| rest));
        let lines: Vec<&str> = lines.map(|rest| rest.split([':']).next().unwrap_or_default()).collect();
        assert_eq!(lines, ["2", "3", "5", "6", "7", "8", "10", "10", "11", ""], "{message}");
        let message = load("[host]\nstate = \nlisten = {\n").unwrap_err();
        assert!(message.contains("host.toml:2: ") && message.contains("host.toml:3: "), "{message}");
    }

    #[test]
    fn a_whole_configuration_is_read_with_paths_beside_it() {
        let config = load(concat!(
            "[host]\nstate = \"var\"\nmax_events = 10\ncall_timeout = \"PT2M\"\n",
            "[[source]]\nname = \"contoso\"\ncomponent = \"/lib/x.wasm\"\nallow = [\"http://127.0.0.1:1\"]\n",
            "secrets = { client_secret = { env = \"S\" }, other = { file = \"f\" } }\n",
            "[source.config]\napi = \"siem\"\n",
        ))
        .unwrap();
        assert_eq!(config.host.state.as_deref(), Some(Path::new("/etc/host/var")));
        assert_eq!((config.host.budget.max_events, config.host.limits.call.as_secs()), (10, 120));
        assert_eq!(config.sources[0].component.as_deref(), Some(Path::new("/lib/x.wasm")));
        assert_eq!(config.sources[0].secrets.len(), 2);
    }
}

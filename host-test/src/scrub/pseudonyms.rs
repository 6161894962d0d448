//! Pseudonyms for tenants, hosts, users and addresses: the same value gets the same one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use scenario::{Answer, Interaction, Pattern, RecordedBody, is_placeholder};
use serde_json::Value;

use super::json::{self, Kind};
use super::known::{Known, is_guid};

/// Members that name users, in lower case and without `-` and `_`.
const USERS: [&str; 10] = [
    "accountname",
    "displayname",
    "familyname",
    "givenname",
    "logonusers",
    "preferredusername",
    "uniquename",
    "upn",
    "username",
    "userprincipalname",
];
/// Members that name hosts.
const HOSTS: [&str; 9] = [
    "computerdnsname",
    "computername",
    "devicednsname",
    "devicename",
    "dnsname",
    "fqdn",
    "hostname",
    "machinename",
    "workstation",
];
/// Members that name domains.
const DOMAINS: [&str; 4] = ["accountdomain", "domainname", "machinedomain", "userdomain"];
/// Accounts that every system has.
const EVERYBODYS: [&str; 7] =
    ["administrator", "anonymous logon", "local service", "network service", "nt authority", "root", "system"];
/// A shorter name is found by chance.
const SHORTEST: usize = 3;

/// Finds what gets a pseudonym.
pub(super) fn collect<'i>(config: &Value, interactions: impl Iterator<Item = &'i Interaction>, known: &mut Known) {
    let interactions: Vec<&Interaction> = interactions.collect();
    let asked = interactions.iter().map(|interaction| interaction.request.origin.to_lowercase()).collect();
    let mut collector = Collector { known, asked };
    collector.document(&config.to_string());
    for interaction in interactions {
        collector.interaction(interaction);
    }
}

struct Collector<'k> {
    known: &'k mut Known,
    /// The origins that requests go to, which the source works out by itself.
    asked: Vec<String>,
}

impl Collector<'_> {
    fn interaction(&mut self, interaction: &Interaction) {
        let request = &interaction.request;
        self.text("", &request.path);
        for (name, value) in request.query.iter().chain(&request.headers).chain(request.body.form()) {
            if let Pattern::Exact(value) | Pattern::Glob(value) = value {
                self.text(name, value);
            }
        }
        match &request.body {
            RecordedBody::Json(document) => self.document(&document.value.to_string()),
            RecordedBody::Text(Pattern::Exact(text)) => self.text("", text),
            _ => {}
        }
        let Answer::Response(answer) = &interaction.answer else { return };
        for (name, value) in &answer.headers {
            self.text(name, value);
        }
        if let Ok(body) = std::str::from_utf8(&answer.body) {
            if json::is_json(body) { self.document(body) } else { self.text("", body) }
        }
    }

    fn document(&mut self, document: &str) {
        for piece in json::pieces(document).iter().filter(|piece| piece.kind == Kind::Text) {
            self.text(&piece.name, &piece.text);
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        if name.eq_ignore_ascii_case("authorization") {
            return;
        }
        let name: String = name.chars().filter(|c| !"-_".contains(*c)).flat_map(char::to_lowercase).collect();
        if HOSTS.contains(&name.as_str()) {
            self.host(text);
        } else if DOMAINS.contains(&name.as_str()) {
            self.domain(text);
        } else if USERS.contains(&name.as_str()) && !text.contains('@') {
            for account in text.split([';', ',']) {
                match account.trim().split_once('\\') {
                    Some((domain, user)) => {
                        self.domain(domain);
                        self.user(user);
                    }
                    None => self.user(account.trim()),
                }
            }
        }
        let is_of_word = |letter: char| letter.is_ascii_alphanumeric() || "-_.:@+%".contains(letter);
        for word in text.split(|letter| !is_of_word(letter)) {
            self.word(word.trim_matches(['.', ':']));
        }
    }

    /// GUIDs and addresses are known by their looks.
    fn word(&mut self, word: &str) {
        if is_guid(word) {
            // Those of Microsoft's own applications, and of nobody.
            if !word.starts_with("0000000") {
                self.known.pseudonym(word, Known::next_guid);
            }
        } else if let Ok(address) = word.parse::<IpAddr>() {
            self.address(word, address);
        } else if let Some((user, domain)) = word.split_once('@')
            && !user.is_empty()
            && domain.contains('.')
        {
            self.known.pseudonym(word, |known| format!("user-{}@example.com", known.number("mail")));
        }
    }

    fn address(&mut self, text: &str, address: IpAddr) {
        // Looks like one, and says nothing of anybody.
        if address.is_loopback() || address.is_unspecified() || is_reserved(address) {
            return;
        }
        self.known.pseudonym(text, |known| match address {
            IpAddr::V4(_) => {
                // 198.18.0.0/15 is for tests (RFC 2544).
                let number = u32::try_from(known.number("v4") % (1 << 17)).unwrap_or_default();
                Ipv4Addr::from(0xC612_0000 | number).to_string()
            }
            // 2001:db8::/32 is for documents (RFC 3849).
            IpAddr::V6(_) => Ipv6Addr::from((0x2001_0db8_u128 << 96) | known.number("v6") as u128).to_string(),
        });
    }

    fn host(&mut self, name: &str) {
        if !self.is_worth_it(name) {
            return;
        }
        let (short, domain) = name.split_once('.').unwrap_or((name, ""));
        let short = if short.len() < SHORTEST {
            format!("host-{}", self.known.number("host"))
        } else {
            self.known.pseudonym(short, |known| format!("host-{}", known.number("host")))
        };
        if !domain.is_empty() {
            let domain = self.domain(domain);
            self.known.pseudonym(name, |_| format!("{short}.{domain}"));
        }
    }

    fn domain(&mut self, name: &str) -> String {
        if !self.is_worth_it(name) {
            return name.to_owned();
        }
        let suffix = if name.contains('.') { ".example" } else { "" };
        self.known.pseudonym(name, |known| format!("domain-{}{suffix}", known.number("domain")))
    }

    fn user(&mut self, name: &str) {
        if self.is_worth_it(name) {
            self.known.pseudonym(name, |known| format!("user-{}", known.number("user")));
        }
    }

    fn is_worth_it(&self, name: &str) -> bool {
        let lower = name.to_lowercase();
        name.len() >= SHORTEST
            && !is_placeholder(name)
            && !EVERYBODYS.contains(&lower.as_str())
            && name.parse::<IpAddr>().is_err()
            && !self.asked.iter().any(|origin| origin.contains(&lower))
    }
}

/// Whether it is what stands for an address here.
fn is_reserved(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == 198 && address.octets()[1] & 0xFE == 18,
        IpAddr::V6(address) => address.segments()[..2] == [0x2001, 0x0db8],
    }
}

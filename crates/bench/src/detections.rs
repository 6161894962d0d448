//! Detections of our own making, in the form of the SIEM API: 50 members, about 2 KB each.

use std::fmt::Write as _;
use std::ops::Range;

use defender_core::tick::{Tick, Ticks};

/// An answer and where its records lie.
pub(crate) struct Detections {
    body: Vec<u8>,
    rows: Vec<(Tick, Range<usize>)>,
}

impl Detections {
    /// So many detections with distinct `FullId`s, whose `LastProcessedTimeUtc` are spread at random over `span` ticks
    /// from `since` on and stand in no order. The same arguments make the same bytes.
    pub(crate) fn generate(count: u32, since: Tick, span: Ticks) -> Self {
        let mut random = Random(u64::from(count) + 1);
        let mut text = String::with_capacity(count as usize * 2_400 + 2);
        let mut rows = Vec::with_capacity(count as usize);
        text.push('[');
        for number in 0..count {
            if number > 0 {
                text.push(',');
            }
            let processed = since.plus(random.below(span.unsigned_abs()).cast_signed());
            let begin = text.len();
            push(&mut text, number, processed, &mut random);
            rows.push((processed, begin..text.len()));
        }
        text.push(']');
        Self { body: text.into_bytes(), rows }
    }

    /// The whole answer.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The answer for a range of time, both ends included.
    pub(crate) fn between(&self, since: Tick, until: Tick) -> Vec<u8> {
        let mut body = vec![b'['];
        for (_, row) in self.rows.iter().filter(|(at, _)| since <= *at && *at <= until) {
            if body.len() > 1 {
                body.push(b',');
            }
            body.extend_from_slice(&self.body[row.clone()]);
        }
        body.push(b']');
        body
    }

    /// Whether everything lies in a range of time, both ends included.
    pub(crate) fn all_between(&self, since: Tick, until: Tick) -> bool {
        self.rows.iter().all(|(at, _)| since <= *at && *at <= until)
    }
}

const TITLES: [&str; 6] = [
    "Suspicious use of a scheduled task",
    "A process was injected with possibly malicious code",
    "'Wacatac' malware was detected",
    "Credential material was read from memory",
    "Unusual sequence of failed sign-ins",
    "A script interpreter contacted a rare address",
];

const DESCRIPTIONS: [&str; 3] = [
    "A process on this device did something that is seldom seen in this organization. Attackers do the like to stay on a \
     device after a restart.\\r\\nLook at the process tree, at the account and at what the device did in the same minute.",
    "Code was written into another process and run there. Programs that protect or instrument others do this too, so the \
     signer of the image matters.\\nCompare the hash with those of the other devices of the group \\\"servers\\\".",
    "The antivirus stopped a file before it ran. Nothing more is needed where the remedy succeeded; where it did not, \
     isolate the device and look for the file elsewhere. Gefunden für Jürgen, von Zoë gemeldet.",
];

const SEVERITIES: [&str; 4] = ["Informational", "Low", "Medium", "High"];
const CATEGORIES: [&str; 4] = ["Malware", "SuspiciousActivity", "LateralMovement", "CredentialAccess"];
const GROUPS: [&str; 3] = ["Servers of the north", "Laptops", "Kiosks"];

fn push(out: &mut String, number: u32, processed: Tick, random: &mut Random) {
    let pick = |list: &[&'static str], random: &mut Random| list[random.below(list.len() as u64) as usize];
    let occurred = processed.minus(random.below(3_000_000_000).cast_signed());
    let alert = format!("da{}_{}", 638_000_000_000_000_000 + random.below(1 << 50), random.below(1 << 31));
    let ioc: String = (0..4).map(|_| format!("{:011x}", random.next() >> 20)).collect();
    let hex = |words: usize, random: &mut Random| {
        (0..words).fold(String::new(), |mut text, _| {
            let _ = write!(text, "{:08x}", random.next() >> 32);
            text
        })
    };
    let (sha1, sha256, md5, device) = (hex(5, random), hex(8, random), hex(4, random), hex(5, random));
    let machine = format!("ws-{:05}", random.below(40_000));
    let user = format!("user{:04}", random.below(5_000));
    let file = format!("tool{:03}.exe", random.below(1_000));
    let (severity, category) = (pick(&SEVERITIES, random), pick(&CATEGORIES, random));
    let (title, description, group) = (pick(&TITLES, random), pick(&DESCRIPTIONS, random), pick(&GROUPS, random));
    let octets = random.next().to_le_bytes();
    let [a, b, c, d, e, ..] = octets;
    let report = random.below(1 << 31);
    let part = number % 3;
    let _ = write!(
        out,
        r#"{{"AlertTime":"{occurred}","ComputerDnsName":"{machine}.corp.example","AlertTitle":"{title}","Category":"{category}","Severity":"{severity}","AlertId":"{alert}","Actor":"","LinkToWDATP":"https://portal.example/alert/{alert}","IocName":"","IocValue":"","CreatorIocName":"","CreatorIocValue":"","Sha1":"{sha1}","FileName":"{file}","FilePath":"C:\\Users\\{user}\\AppData\\Local\\Temp\\{part}","IpAddress":"198.51.{a}.{b}","Url":"","IoaDefinitionId":"{ioa}","UserName":"{user}","AlertPart":{part},"FullId":"{alert}:{ioc}{number:08x}=","LastProcessedTimeUtc":"{processed}","ThreatCategory":"Trojan","ThreatFamily":"Wacatac","ThreatName":"Trojan:Win32/Wacatac.{c:X}!ml","RemediationAction":"quarantine","RemediationIsSuccess":{success},"Source":"EDR","Md5":"{md5}","Sha256":"{sha256}","WasExecutingWhileDetected":null,"UserDomain":"CORP","LogOnUsers":"corp\\{user}; corp\\svc-{d}","MachineDomain":"corp.example","MachineName":"{machine}","InternalIPv4List":"10.{c}.{d}.{e};127.0.0.1","InternalIPv6List":"fe80::{a:x}{b:02x}:{c:x}{d:02x};::1","FileHash":"{sha1}","DeviceID":"{device}","MachineGroup":"{group}","Description":"{description}","DeviceCreatedMachineTags":"site-{d}, tier-{part}","CloudCreatedMachineTags":"","CommandLine":"\"C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe\" -NoProfile -File \"C:\\ProgramData\\{file}.ps1\" -Id {report}","IncidentLinkToWDATP":"https://portal.example/incidents/byalert?alertId={alert}&source=SIEM","ReportID":{report},"LinkToMTP":"https://xdr.example/alert/{alert}","IncidentLinkToMTP":"https://xdr.example/incidents/byalert?alertId={alert}&source=SIEM","ExternalId":"{external}","IocUniqueId":"{ioc}{number:08x}="}}"#,
        ioa = hex(4, random),
        success = random.below(2) == 0,
        external = hex(5, random),
    );
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use defender_core::tick::TICKS_PER_SECOND;
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_detection_has_50_members_a_stamp_in_the_range_and_an_identity_of_its_own() {
        let since = Tick::parse("2026-01-01T10:00:00Z").unwrap();
        let hour = 3600 * TICKS_PER_SECOND;
        let detections = Detections::generate(500, since, hour);
        let rows: Vec<Value> = serde_json::from_slice(detections.body()).unwrap();
        let mut identities = BTreeSet::new();
        for row in &rows {
            assert_eq!(row.as_object().unwrap().len(), 50);
            let stamp = Tick::parse(row["LastProcessedTimeUtc"].as_str().unwrap()).unwrap();
            assert!(since <= stamp && stamp < since.plus(hour));
            identities.insert(row["FullId"].as_str().unwrap());
        }
        assert_eq!(identities.len(), 500);
        let average = detections.body().len() / 500;
        assert!((2_000..2_600).contains(&average), "{average}");
        let half: Vec<Value> = serde_json::from_slice(&detections.between(since, since.plus(hour / 2))).unwrap();
        assert!((150..350).contains(&half.len()), "{}", half.len());
        assert!(detections.all_between(since, since.plus(hour)));
        assert!(!detections.all_between(since.plus(hour / 2), since.plus(hour)));
    }
}

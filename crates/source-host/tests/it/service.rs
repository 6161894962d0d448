//! The service that the Defender component reads: a token, and detections by the time that they were processed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use http_body_util::{BodyExt as _, Full};
use source_host::{
    Clock, Component, Grants, HttpError, Limits, Secrets, Source, SourceParts, Timeouts, Transport, WasiBody,
};

/// Where it is asked for. Nothing listens there: it is a transport.
const ORIGIN: &str = "http://127.0.0.1:1";

/// One detection.
#[derive(Clone, Debug)]
pub(crate) struct Detection {
    /// From when on it is there, since 1970.
    pub(crate) visible: Duration,
    /// Its `AlertId`, which is the subject of its event.
    pub(crate) id: String,
    stamp: String,
    body: String,
}

impl Detection {
    /// One that was processed then, in time since 1970, and is there at once.
    pub(crate) fn processed(at: Duration, number: u64) -> Self {
        let (stamp, id) = (stamp(at), format!("da{number}"));
        let body = format!(
            r#"{{"AlertTime":"{stamp}","AlertId":"{id}","FullId":"{id}:one","LastProcessedTimeUtc":"{stamp}","Severity":"Low","Description":"{}"}}"#,
            "x".repeat(200)
        );
        Self { visible: at, id, stamp, body }
    }
}

fn stamp(at: Duration) -> String {
    let time = DateTime::from_timestamp(i64::try_from(at.as_secs()).unwrap(), 0).unwrap();
    format!("{}.{:07}Z", time.format("%Y-%m-%dT%H:%M:%S"), at.subsec_nanos() / 100)
}

/// The detections of the range that a request asks for, both ends included. They are in the order of their stamps.
pub(crate) fn answer(detections: &[Detection], uri: &http::Uri, until: Duration) -> String {
    let bound = |name: &str| {
        let value = uri.query()?.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        let value = value.replace("%3A", ":");
        let (whole, fraction) =
            value.trim_end_matches('Z').split_once('.').unwrap_or((value.trim_end_matches('Z'), ""));
        Some(format!("{whole}.{fraction:0<7}Z"))
    };
    let (since, before) = bound("sinceTimeUtc").zip(bound("untilTimeUtc")).unwrap();
    let first = detections.partition_point(|detection| detection.stamp < since);
    let last = detections.partition_point(|detection| detection.stamp <= before).max(first);
    let rows = detections[first..last].iter().filter(|detection| detection.visible <= until);
    let rows: Vec<&str> = rows.map(|detection| detection.body.as_str()).collect();
    format!("[{}]", rows.join(","))
}

/// A token endpoint's answer.
pub(crate) fn token(token: &str) -> String {
    format!(r#"{{"token_type":"Bearer","expires_in":"3599","access_token":"{token}"}}"#)
}

/// The service in memory, on a clock of its own.
pub(crate) struct Service {
    clock: Arc<dyn Clock>,
    token_answer: String,
    detections: Vec<Detection>,
    /// What was sent to each of its paths, with what it was authorized by.
    requests: Mutex<Vec<Sent>>,
}

/// A request, as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
}

impl Service {
    pub(crate) fn new(clock: Arc<dyn Clock>, token: &str, detections: Vec<Detection>) -> Arc<Self> {
        Self::answering(clock, self::token(token), detections)
    }

    /// One whose token endpoint answers so.
    pub(crate) fn answering(clock: Arc<dyn Clock>, token_answer: String, detections: Vec<Detection>) -> Arc<Self> {
        Arc::new(Self { clock, token_answer, detections, requests: Mutex::default() })
    }

    pub(crate) fn requests(&self) -> Vec<Sent> {
        self.requests.lock().unwrap().clone()
    }
}

#[async_trait]
impl Transport for Service {
    async fn send(&self, request: http::Request<WasiBody>, _: Timeouts) -> Result<http::Response<WasiBody>, HttpError> {
        let (head, body) = request.into_parts();
        let body = String::from_utf8(body.collect().await?.to_bytes().to_vec()).unwrap();
        let authorization = head.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        self.requests.lock().unwrap().push(Sent { authorization, body });
        let now = self.clock.wall();
        let text = match head.uri.path() {
            "/token" => self.token_answer.clone(),
            _ => answer(&self.detections, &head.uri, now),
        };
        let date = DateTime::from_timestamp(i64::try_from(now.as_secs()).unwrap(), 0).unwrap();
        let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
        let response = http::Response::builder()
            .header("content-type", "application/json")
            .header("date", date.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
        Ok(response.body(body).unwrap())
    }
}

/// The member of the configuration that holds a client secret.
pub(crate) fn client_secret(secret: &str) -> String {
    format!(r#""client_secret":"{secret}""#)
}

/// A source of the Defender component that reads from a service, with the machine's clock or another one.
pub(crate) async fn source(
    component: &Component,
    service: &Arc<Service>,
    clock: Arc<dyn Clock>,
    secrets: Secrets,
    credential: &str,
    more: &str,
) -> (Source, source_host::AccessPlan) {
    let config = format!(
        r#"{{"tenant_id":"11111111-1111-4111-8111-111111111111","client_id":"22222222-2222-4222-8222-222222222222",
        {credential},"api":"siem","region":"eu",
        "endpoints":{{"token":"{ORIGIN}/token","api":"{ORIGIN}"}}{more}}}"#
    );
    let limits = Limits::default();
    let grants = Grants::none().and([ORIGIN.parse().unwrap()]);
    let (plan, policy) = Source::review(component, &config, &grants, &limits).await.unwrap();
    let vault = secrets.planned(&plan, &policy).unwrap();
    let transport = Arc::<Service>::clone(service);
    let source = Source::new(component, SourceParts { config, policy, transport, clock, limits });
    (source.with_secrets(vault), plan)
}

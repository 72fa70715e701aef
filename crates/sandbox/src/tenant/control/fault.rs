//! Faults as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::faults::{Effect, Fault, Waiting};
use crate::hosts::{PROVIDER_HOSTS, Site};
use crate::seed::GenericSeed;

/// `{"host": "api.github.com", "path": "/user", "answer": {"status": 429, "headers": {"retry-after": "3"}}}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    host: Option<String>,
    #[serde(default)]
    path: String,
    method: Option<String>,
    #[serde(default)]
    after: u64,
    /// Once if absent.
    times: Option<u64>,
    #[serde(default)]
    always: bool,
    delay: Option<String>,
    #[serde(default)]
    processed: bool,
    answer: Option<Answer>,
    amend: Option<Map<String, Value>>,
    kind: Option<Kind>,
    cut_body: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Cut,
    Hang,
    Garbage,
    Empty,
}

/// Reads a fault, or says what is wrong with it. `domain` is the tenant's.
pub(crate) fn read(body: &Bytes, domain: &str, generic: &[GenericSeed]) -> Result<Fault, String> {
    let script: Script = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    script.check(domain, generic)?;
    let mut fault = script.host.as_ref().map_or_else(Fault::anywhere, Fault::on).path(&script.path);
    fault = fault.after(script.after).times(script.times.unwrap_or(1));
    if let Some(method) = &script.method {
        fault = fault.method(Method::try_from(method.as_str()).map_err(|error| error.to_string())?);
    }
    if let Some(delay) = &script.delay {
        fault = fault.delay(duration(delay)?);
    }
    if script.always {
        fault = fault.always();
    }
    if script.processed {
        fault = fault.processed();
    }
    Ok(with_effect(fault, script))
}

fn duration(text: &str) -> Result<Duration, String> {
    let like = |error| format!("`delay` must be a duration like \"3s\": {error}");
    humantime::parse_duration(text).map_err(like)
}

impl Script {
    fn check(&self, domain: &str, generic: &[GenericSeed]) -> Result<(), String> {
        self.check_host(domain, generic)?;
        let effects = [
            ("answer", self.answer.is_some()),
            ("amend", self.amend.is_some()),
            ("kind", self.kind.is_some()),
            ("cut_body", self.cut_body.is_some()),
        ];
        let named: Vec<_> = effects.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect();
        match named.len() {
            0 if self.delay.is_none() => {
                return Err(
                    "nothing would happen: add `answer`, `amend`, `kind`, `cut_body` or `delay`".to_owned()
                );
            }
            0 | 1 => {}
            _ => return Err(format!("{} contradict each other; keep one of them", named.join(" and "))),
        }
        match self.times {
            Some(0) => return Err("`times` must be 1 or more".to_owned()),
            Some(_) if self.always => return Err("times and always contradict each other".to_owned()),
            _ => {}
        }
        self.answer.as_ref().map_or(Ok(()), Answer::check)
    }

    fn check_host(&self, domain: &str, generic: &[GenericSeed]) -> Result<(), String> {
        let Some(host) = self.host.as_ref().map(|host| host.to_ascii_lowercase()) else { return Ok(()) };
        if host == domain || Site::of(&host, generic) != Site::Tenant {
            return Ok(());
        }
        let own = generic.iter().flat_map(|one| [one.api_host.as_str(), one.auth_host.as_str()]);
        let hosts: Vec<&str> = PROVIDER_HOSTS.iter().copied().chain(own).collect();
        Err(format!("nobody plays the host {host:?}; there are {domain} (the tenant), {}", hosts.join(", ")))
    }
}

impl Answer {
    fn check(&self) -> Result<(), String> {
        if !(100..=599).contains(&self.status) {
            return Err(format!("`answer.status` must be from 100 to 599, not {}", self.status));
        }
        for (name, value) in &self.headers {
            if HeaderName::try_from(name).is_err() || HeaderValue::from_str(value).is_err() {
                return Err(format!("`answer.headers` has one that HTTP forbids: {name:?}"));
            }
        }
        Ok(())
    }
}

fn with_effect(fault: Fault, script: Script) -> Fault {
    if let Some(answer) = script.answer {
        let start = fault.answer(answer.status).body(answer.body);
        return answer.headers.iter().fold(start, |fault, (name, value)| fault.header(name, value));
    }
    if let Some(patch) = script.amend {
        return fault.amend(patch);
    }
    if let Some(after) = script.cut_body {
        return fault.cut_body(after);
    }
    match script.kind {
        None => fault,
        Some(Kind::Cut) => fault.cut(),
        Some(Kind::Hang) => fault.hang(),
        Some(Kind::Garbage) => fault.garbage(),
        Some(Kind::Empty) => fault.empty(),
    }
}

/// A fault that waits, in the words that it was scripted with, and what came of it so far.
pub(crate) fn shown(waiting: &Waiting) -> Value {
    let (host, path, method) = waiting.fault.target();
    let act = waiting.fault.act();
    json!({
        "host": host,
        "path": path,
        "method": method.map(Method::as_str),
        "after": waiting.fault.skips(),
        "times": waiting.fault.limit(),
        "delay": humantime::format_duration(act.delay).to_string(),
        "processed": act.processed,
        "effect": effect(&act.effect),
        "matched": waiting.seen,
        "happened": waiting.done,
    })
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Pass => "the real answer".to_owned(),
        Effect::Answer(status, ..) => format!("answer {}", StatusCode::as_u16(status)),
        Effect::Amend(patch) => format!("amend {}", fields(patch)),
        Effect::Cut => "cut".to_owned(),
        Effect::CutBody(bytes) => format!("cut_body {bytes}"),
        Effect::Hang => "hang".to_owned(),
    }
}

/// The names of the fields that a patch changes: their values may be secrets.
fn fields(patch: &Value) -> String {
    let names: Vec<&str> = patch.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    names.join(", ")
}

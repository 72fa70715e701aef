//! Faults as JSON.

use std::collections::HashMap;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;

use crate::sandbox::faults::Fault;

/// `{"host": "api.github.com", "path": "/user", "after": 1, "answer": {"status": 429, "headers": {"retry-after": "3"}}}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    host: Option<String>,
    #[serde(default)]
    path: String,
    method: Option<String>,
    #[serde(default)]
    after: u64,
    #[serde(default = "once")]
    times: u64,
    #[serde(default)]
    always: bool,
    delay: Option<String>,
    #[serde(default)]
    processed: bool,
    answer: Option<Answer>,
    /// `cut`, `hang`, `garbage` or `empty`.
    kind: Option<String>,
    cut_body: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    status: u16,
    #[serde(default)]
    headers: HashMap<String, String>,
    #[serde(default)]
    body: String,
}

/// Reads a fault, or says what is wrong with it.
pub(crate) fn read(body: &Bytes) -> Result<Fault, String> {
    let script: Script = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let mut fault = script.host.as_ref().map_or_else(Fault::anywhere, Fault::on).path(&script.path);
    fault = fault.after(script.after).times(script.times);
    if let Some(method) = &script.method {
        fault = fault.method(Method::try_from(method.as_str()).map_err(|error| error.to_string())?);
    }
    if let Some(delay) = &script.delay {
        fault = fault.delay(humantime::parse_duration(delay).map_err(|error| error.to_string())?);
    }
    if script.always {
        fault = fault.always();
    }
    if script.processed {
        fault = fault.processed();
    }
    with_effect(fault, script)
}

fn with_effect(fault: Fault, script: Script) -> Result<Fault, String> {
    if let Some(answer) = script.answer {
        let start = fault.answer(answer.status).body(answer.body);
        return Ok(answer.headers.iter().fold(start, |fault, (name, value)| fault.header(name, value)));
    }
    if let Some(after) = script.cut_body {
        return Ok(fault.cut_body(after));
    }
    match script.kind.as_deref() {
        None => Ok(fault),
        Some("cut") => Ok(fault.cut()),
        Some("hang") => Ok(fault.hang()),
        Some("garbage") => Ok(fault.garbage()),
        Some("empty") => Ok(fault.empty()),
        Some(other) => Err(format!("kind {other:?} is none of cut, hang, garbage, empty")),
    }
}

fn once() -> u64 {
    1
}

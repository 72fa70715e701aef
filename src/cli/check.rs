//! `check`: everything that keeps a configuration from working, reported at once.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;

use super::{Failure, output::say};
use crate::{
    audit::{self, Destination, Level, Settings},
    auth0::{self, Auth0, Auth0Error, NEEDED_SCOPES},
    config::Config,
    store::Store,
    telemetry::Metrics,
    transport::Transport,
};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of the metadata document in bytes; it has about 3 KiB.
const METADATA_LIMIT: usize = 64 * 1024;

/// Severity of a finding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grade {
    Well,
    Warning,
    Wrong,
    /// An error that the configuration can fix.
    Misconfigured,
    Unreachable,
}

struct Finding {
    grade: Grade,
    text: String,
}

fn finding(grade: Grade, text: impl Into<String>) -> Finding {
    Finding { grade, text: text.into() }
}

pub(super) async fn run(config: &Config) -> Result<(), Failure> {
    let transport = Transport::trusting(&config.upstream_authorities);
    let transport = transport.map_err(|error| Failure::Other(error.to_string()))?;
    let mut findings = vec![finding(Grade::Well, "the configuration is well-formed")];
    findings.extend(config.warnings.iter().map(|warning| finding(Grade::Warning, warning.to_string())));
    let (store, metadata, grant) = tokio::join!(
        check_store(config),
        check_metadata(config, &transport),
        check_grant(config, &transport)
    );
    let (metadata, cause) = metadata;
    findings.push(store);
    findings.push(check_audit(&config.audit));
    findings.push(metadata);
    // That the tenant is unreachable is reported only once.
    let is_told = |finding: &Finding| cause.as_ref().is_some_and(|cause| finding.text.contains(cause));
    findings.extend(grant.into_iter().filter(|finding| !is_told(finding)));
    for Finding { grade, text } in &findings {
        let mark = match grade {
            Grade::Well => "ok      ",
            Grade::Warning => "warning ",
            Grade::Wrong | Grade::Misconfigured | Grade::Unreachable => "ERROR   ",
        };
        say(format_args!("{mark}{text}"))?;
    }
    verdict(&findings)?;
    say("ready to serve")
}

fn verdict(findings: &[Finding]) -> Result<(), Failure> {
    let has = |grade| findings.iter().any(|finding| finding.grade == grade);
    let summary = "not ready to serve; see the errors above".to_owned();
    if has(Grade::Wrong) {
        return Err(Failure::Other(summary));
    }
    if has(Grade::Misconfigured) {
        return Err(Failure::Usage(summary));
    }
    if has(Grade::Unreachable) { Err(Failure::Unreachable(summary)) } else { Ok(()) }
}

async fn check_store(config: &Config) -> Finding {
    match Store::open(&config.store.url, config.store.keys.clone(), &config.auth0.audience).await {
        Ok(store) if store.is_durable() => {
            finding(Grade::Well, "the token store answers, and its encryption keys are the right ones")
        }
        Ok(_) => finding(Grade::Well, "the token store is in memory: it forgets everything with the process"),
        Err(error) => match Failure::of_store(&error) {
            Failure::Usage(text) => finding(Grade::Misconfigured, text),
            Failure::Unreachable(text) => finding(Grade::Unreachable, text),
            _ => finding(Grade::Wrong, error.to_string()),
        },
    }
}

fn check_audit(settings: &Settings) -> Finding {
    let path = match (&settings.destination, settings.level) {
        (_, Level::Off) => return finding(Grade::Warning, "no call is recorded: `audit.level` is `off`"),
        (Destination::Stdout, _) => return finding(Grade::Well, "calls are recorded on stdout"),
        (Destination::File(path), _) => path.display(),
    };
    match audit::try_out(&settings.destination) {
        Ok(()) => finding(Grade::Well, format!("calls are recorded in {path}")),
        Err(error) => {
            let text = format!("the audit log cannot be opened (`audit.file`, {path}): {error}");
            finding(Grade::Misconfigured, text)
        }
    }
}

/// The tenant's metadata, which tells whether the domain is the one that issues tokens.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
}

/// Checks the tenant's metadata; also returns the bare cause if the tenant is unreachable.
async fn check_metadata(config: &Config, transport: &Transport) -> (Finding, Option<String>) {
    let uri = format!("{}.well-known/openid-configuration", config.auth0.base_url);
    let Ok(request) = Request::get(&uri).body(Bytes::new()) else {
        return (finding(Grade::Wrong, "`auth0.base_url` makes no valid URL"), None);
    };
    match transport.send(request, METADATA_LIMIT, Instant::now() + TIMEOUT).await {
        Ok(answer) => (judge_metadata(config, &uri, &answer), None),
        Err(error) => {
            let cause = error.to_string();
            let text = format!("{cause}; check {} and the network", address_key(config));
            (finding(Grade::Unreachable, text), Some(cause))
        }
    }
}

/// Returns the key that says where the tenant is reached.
fn address_key(config: &Config) -> &'static str {
    let is_default = config.auth0.base_url.as_str() == own_url(config);
    if is_default { "`auth0.domain`" } else { "`auth0.base_url`" }
}

fn own_url(config: &Config) -> String {
    format!("https://{}/", config.auth0.domain)
}

fn judge_metadata(config: &Config, uri: &str, answer: &Response<Bytes>) -> Finding {
    let status = answer.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return finding(Grade::Unreachable, format!("the tenant answered {status} at {uri}; try again"));
    }
    let Ok(metadata) = serde_json::from_slice::<Metadata>(answer.body()) else {
        let text = format!("{uri} answered {status} without an issuer: this is not an Auth0 tenant");
        return finding(Grade::Wrong, text);
    };
    let expected = own_url(config);
    if metadata.issuer == expected {
        return finding(Grade::Well, format!("the tenant answers as {expected}"));
    }
    let text = format!("the tenant calls itself {}, not {expected}; check `auth0.domain`", metadata.issuer);
    finding(Grade::Warning, text)
}

async fn check_grant(config: &Config, transport: &Transport) -> Vec<Finding> {
    // A token shared by replicas would tell what was granted when it was issued, not what is granted now.
    let store = Arc::new(Store::memory());
    let auth0 = Auth0::new(&config.auth0, transport, &store, &Arc::new(Metrics::default()));
    let granted = match auth0::granted_scopes(&auth0).await {
        Ok(granted) => granted,
        Err(error @ (Auth0Error::Unavailable { .. } | Auth0Error::RateLimited { .. })) => {
            return vec![finding(Grade::Unreachable, error.to_string())];
        }
        Err(error) => return vec![finding(Grade::Wrong, error.to_string())],
    };
    let mut findings =
        vec![finding(Grade::Well, format!("the Management token has {}", NEEDED_SCOPES.join(" and ")))];
    let spare: Vec<_> =
        granted.iter().filter(|scope| !NEEDED_SCOPES.contains(&scope.as_str())).cloned().collect();
    if !spare.is_empty() {
        let them = if spare.len() == 1 { "it" } else { "them" };
        let text = format!(
            "the client grant also has {}, which this service never needs; take {them} away, so that a leaked \
             secret opens less",
            spare.join(" and ")
        );
        findings.push(finding(Grade::Warning, text));
    }
    findings
}

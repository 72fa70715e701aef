//! One call on record, and the order of its fields.

use std::{
    borrow::Cow,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{line::Line, mask, pseudonym::UserIdKey};
use crate::{
    caller::{CallerId, Proof},
    identity::{IdentityKey, Selector, UserId},
    token::Fingerprint,
};

/// The version of the format. It grows when a field changes its meaning or goes; new fields may come at any time.
const VERSION: u64 = 1;

/// Bytes of a text that is kept, unless it has a limit of its own: that of user ids.
const LONGEST: usize = UserId::LONGEST;

/// What came of a call.
#[derive(Debug)]
pub struct Outcome {
    /// The gRPC status code, as gRPC's documents write it. `CANCELLED` where the caller left.
    pub code: &'static str,
    /// The reason of the error, as in its ErrorInfo; whether the policy is the reason is told by it.
    pub reason: Option<String>,
    /// More about the error, without anything that a caller wrote.
    pub detail: Option<String>,
    /// Names the call, as the caller knows it.
    pub request_id: Option<String>,
    /// From the first byte to the answer.
    pub took: Duration,
}

/// The reason of calls that the policy denies.
const DENIED: &str = "CALLER_NOT_ALLOWED";

/// What is known of a call.
#[derive(Debug)]
pub(super) struct Record {
    /// When the call began.
    pub(super) time: SystemTime,
    pub(super) rpc: &'static str,
    pub(super) trace_id: Option<String>,
    pub(super) peer: Option<SocketAddr>,
    /// The first name in the certificate of the connection.
    pub(super) peer_name: Option<String>,
    /// `None` until it is proven.
    pub(super) caller: Option<CallerId>,
    pub(super) proof: Proof,
    pub(super) user: Option<UserId>,
    pub(super) asked: Selector,
    pub(super) refresh_token: Option<&'static str>,
    pub(super) is_allowed: bool,
    pub(super) found: Option<Found>,
    /// Of the last token that was used.
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) request: Option<Sent>,
    /// How often it was sent.
    pub(super) sent: u32,
    pub(super) status: Option<u16>,
    pub(super) outcome: Option<Outcome>,
}

/// The identity that was chosen.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) provider: String,
    pub(super) key: Arc<IdentityKey>,
}

/// What was sent to a provider, or should be.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) method: Option<String>,
    /// Empty for the provider's main host.
    pub(super) host: String,
    /// Without the query.
    pub(super) path: String,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            time: SystemTime::now(),
            rpc: "",
            trace_id: None,
            peer: None,
            peer_name: None,
            caller: None,
            proof: Proof::None,
            user: None,
            asked: Selector::default(),
            refresh_token: None,
            is_allowed: false,
            found: None,
            fingerprint: None,
            request: None,
            sent: 0,
            status: None,
            outcome: None,
        }
    }
}

impl Record {
    /// Writes the record's fields; what is not known has none. With a `key`, ids of users are made unreadable.
    pub(super) fn write(&self, line: &mut Line<'_>, key: Option<&UserIdKey>) {
        line.number("audit", VERSION);
        line.text("time", &humantime::format_rfc3339_micros(self.time).to_string());
        line.text("rpc", self.rpc);
        self.write_outcome(line);
        self.write_caller(line, key);
        self.write_question(line, key);
        self.write_use(line, key);
    }

    fn write_outcome(&self, line: &mut Line<'_>) {
        let Some(outcome) = &self.outcome else { return };
        line.text("code", outcome.code);
        line.some("reason", outcome.reason.as_deref());
        line.some("detail", outcome.detail.as_deref());
        let decision = match outcome.reason.as_deref() {
            Some(DENIED) => "deny",
            _ if self.is_allowed => "allow",
            _ => "none",
        };
        line.text("decision", decision);
        line.number("took_us", outcome.took.as_micros().try_into().unwrap_or(u64::MAX));
        line.some("request_id", outcome.request_id.as_deref().map(kept).as_deref());
        line.some("trace_id", self.trace_id.as_deref());
    }

    fn write_caller(&self, line: &mut Line<'_>, key: Option<&UserIdKey>) {
        if let Some(peer) = self.peer {
            line.text("peer", &peer.to_string());
        }
        line.some("peer_name", self.peer_name.as_deref().map(kept).as_deref());
        match &self.caller {
            None => line.text("caller_kind", "unknown"),
            Some(CallerId::Anonymous) => line.text("caller_kind", "anonymous"),
            Some(CallerId::Service(id)) => {
                line.text("caller_kind", "service");
                line.text("caller", &kept(id));
            }
            Some(CallerId::EndUser(id)) => {
                line.text("caller_kind", "end_user");
                line.text("caller", &person(key, id.as_str()));
            }
        }
        let proof = match &self.proof {
            Proof::None => None,
            Proof::Certificate => Some("certificate"),
            Proof::Forwarded => Some("forwarded"),
            Proof::Token { .. } => Some("jwt"),
        };
        line.some("caller_proof", proof);
        if let Proof::Token { issuer } = &self.proof {
            line.text("caller_issuer", issuer);
        }
    }

    fn write_question(&self, line: &mut Line<'_>, key: Option<&UserIdKey>) {
        line.some("user", self.user.as_ref().map(|user| person(key, user.as_str())).as_deref());
        let Selector { provider, connection, account_id } = &self.asked;
        line.some("asked_provider", filled(provider).map(kept).as_deref());
        line.some("asked_connection", filled(connection).map(kept).as_deref());
        line.some("asked_account_id", filled(account_id).map(|id| person(key, id)).as_deref());
        line.some("refresh_token", self.refresh_token);
    }

    fn write_use(&self, line: &mut Line<'_>, key: Option<&UserIdKey>) {
        if let Some(Found { provider, key: found }) = &self.found {
            line.text("provider", &kept(provider));
            line.text("connection", &kept(&found.connection));
            line.text("account_id", &person(key, &found.account_id));
        }
        if let Some(fingerprint) = self.fingerprint {
            line.text("fingerprint", &fingerprint.to_string());
        }
        let Some(Sent { method, host, path }) = &self.request else { return };
        line.some("method", method.as_deref());
        line.some("host", filled(host).map(kept).as_deref());
        line.some("path", filled(path).map(mask::secrets).as_deref());
        line.number("sent", self.sent.into());
        if let Some(status) = self.status {
            line.number("status", status.into());
        }
    }
}

fn filled(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// What somebody else wrote, as it is kept.
fn kept(text: &str) -> Cow<'_, str> {
    match cut(text, LONGEST) {
        Cow::Borrowed(text) => mask::secrets(text),
        Cow::Owned(text) => Cow::Owned(mask::secrets(&text).into_owned()),
    }
}

/// Somebody's id.
fn person<'a>(key: Option<&UserIdKey>, id: &'a str) -> Cow<'a, str> {
    key.map_or_else(|| kept(id), |key| Cow::Owned(key.pseudonym(id)))
}

/// At most `limit` bytes of `text`; with an ellipsis where that is not all of it.
pub(super) fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}…", &text[..text.floor_char_boundary(limit)]))
}

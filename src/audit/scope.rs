//! The record of a call in progress, to which the code that works on the call adds what it learns.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use memchr::memmem;
use percent_encoding::percent_decode_str;
use tokio::sync::mpsc::OwnedPermit;

use super::{
    Level, Recorder, Unrecorded,
    record::{Found, Outcome, Record, Sent, cut},
};
use crate::{
    caller::{Caller, Peer, Proof, San},
    identity::{Identity, Selector, UserId},
    token::AccessToken,
};

/// A call as the writer receives it.
pub(super) type Shared = Arc<Mutex<Call>>;

/// A call in progress.
pub(super) struct Call {
    pub(super) record: Record,
    recorder: Arc<Recorder>,
    /// The place reserved in the queue.
    place: Option<OwnedPermit<Shared>>,
}

/// Longest path that is recorded whole, in bytes: that of requests that are sent.
const LONGEST_PATH: usize = 8 * 1024;

/// How often a path is decoded in the search for a token. A path that is encoded more often is taken to hide
/// one.
const MOST_ENCODINGS: usize = 8;

/// A call that will become a record. The default records nothing.
#[derive(Default)]
pub struct AuditGuard(Option<Shared>);

/// Notes about one call. Cheap to clone; the default keeps nothing.
///
/// Each method notes what is known from then on. Notes made after the call has ended are lost.
#[derive(Clone, Default)]
pub struct AuditScope(Option<Shared>);

impl fmt::Debug for AuditScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditScope").finish_non_exhaustive()
    }
}

impl AuditGuard {
    pub(super) fn new(recorder: Arc<Recorder>) -> Self {
        let call = Call { record: Record::default(), recorder, place: None };
        Self(Some(Arc::new(Mutex::new(call))))
    }

    /// Returns where to note what is learned about the call.
    pub fn scope(&self) -> AuditScope {
        AuditScope(self.0.clone())
    }

    /// Returns whether the call is recorded if it ends with OK (`is_ok`) or with an error.
    pub fn is_kept(&self, is_ok: bool) -> bool {
        self.0.as_ref().is_some_and(|call| !is_ok || lock(call).recorder.level == Level::All)
    }

    /// Hands the record to the writer. Ask [`Self::is_kept`] first. A call that has not reserved a place (see
    /// [`AuditScope::reserve`]) is dropped if the queue is full, and counted.
    pub fn end(self, outcome: Outcome) {
        let Some(shared) = self.0 else { return };
        let mut call = lock(&shared);
        call.record.outcome = Some(outcome);
        let place = match call.place.take() {
            Some(place) => Some(place),
            None => call.recorder.queue.clone().try_reserve_owned().ok(),
        };
        let Some(place) = place else { return call.recorder.metrics.audit_call_left_out() };
        drop(call);
        place.send(shared);
    }
}

fn lock(call: &Mutex<Call>) -> MutexGuard<'_, Call> {
    call.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AuditScope {
    fn note(&self, note: impl FnOnce(&mut Record)) {
        if let Some(call) = &self.0 {
            note(&mut lock(call).record);
        }
    }

    /// Reserves a place in the log, without which the call must not be worked on. Waits at most one second.
    ///
    /// # Errors
    /// When there is no place: what cannot be recorded is not done.
    pub async fn reserve(&self) -> Result<(), Unrecorded> {
        let Some(call) = &self.0 else { return Ok(()) };
        let recorder = match &*lock(call) {
            Call { place: Some(_), .. } => return Ok(()),
            Call { recorder, .. } => Arc::clone(recorder),
        };
        let place = recorder.place().await?;
        lock(call).place = Some(place);
        Ok(())
    }

    /// Notes the call's RPC, the trace that it is part of, and the peer of its connection.
    pub fn begins(&self, rpc: &'static str, trace_id: impl FnOnce() -> Option<String>, peer: Option<&Peer>) {
        self.note(|record| {
            record.rpc = rpc;
            record.trace_id = trace_id();
            record.peer = peer.map(|peer| peer.address);
            record.peer_name = peer.and_then(|peer| peer.sans.first()).map(|san| match san {
                San::Uri(name) | San::Dns(name) => name.clone(),
            });
        });
    }

    /// Notes the caller.
    pub fn caller(&self, caller: &Caller, proof: Proof) {
        self.note(|record| {
            record.caller = Some(caller.id());
            record.proof = proof;
        });
    }

    /// Notes the user that the call is about, and the selector of the identity.
    pub fn asks(&self, user: &UserId, selector: &Selector) {
        self.note(|record| {
            record.user = Some(user.clone());
            record.asked = selector.clone();
        });
    }

    /// Notes the connection that a link is requested for.
    pub fn asks_for_connection(&self, connection: &str) {
        self.note(|record| connection.clone_into(&mut record.asked.connection));
    }

    /// Notes that the refresh token is requested.
    pub fn asks_for_refresh_token(&self) {
        self.note(|record| record.refresh_token = Some("asked"));
    }

    /// Notes that the answer contains a refresh token.
    pub fn lends_refresh_token(&self) {
        self.note(|record| record.refresh_token = Some("lent"));
    }

    /// Notes the request to a provider, sent or to be sent. `host` is empty for the provider's main host; the
    /// query of `path` is not kept.
    pub fn request(&self, method: Option<&str>, host: &str, path: &str) {
        self.note(|record| {
            let path = path.split(['?', '#']).next().unwrap_or_default();
            record.request = Some(Sent {
                method: method.map(str::to_owned),
                host: cut(host, 253).into_owned(),
                path: cut(path, LONGEST_PATH).into_owned(),
            });
        });
    }

    /// Notes that the policy has allowed the call so far.
    pub fn allowed(&self) {
        self.note(|record| record.is_allowed = true);
    }

    /// Notes the identity that was selected.
    pub fn found(&self, identity: &Identity) {
        self.note(|record| {
            let (provider, key) = (identity.provider.clone(), Arc::clone(&identity.key));
            record.found = Some(Found { provider, key });
        });
    }

    /// Notes the token that is used.
    pub fn uses(&self, token: &AccessToken) {
        self.note(|record| {
            record.fingerprint = Some(token.fingerprint());
            conceal(record, token);
        });
    }

    /// Notes that a request is now sent with this token.
    pub fn sends(&self, token: &AccessToken) {
        self.uses(token);
        self.note(|record| record.sent += 1);
    }

    /// Notes the provider's answer to the last request that was sent.
    pub fn answered(&self, status: u16) {
        self.note(|record| record.status = Some(status));
    }
}

/// Masks `token` in the recorded path, where callers may put a token that they were lent.
fn conceal(record: &mut Record, token: &AccessToken) {
    let Some(Sent { path, .. }) = &mut record.request else { return };
    let token = token.expose();
    if token.is_empty() {
        return;
    }
    if memmem::find(path.as_bytes(), token.as_bytes()).is_some() {
        *path = path.replace(token, "***");
    }
    if holds_encoded(path, token) {
        "/***".clone_into(path);
    }
}

/// Returns whether the decoded `path` contains `token`, or might for all that can be told.
fn holds_encoded(path: &str, token: &str) -> bool {
    let mut text = Cow::Borrowed(path);
    for _ in 0..MOST_ENCODINGS {
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == *text {
            return false;
        }
        if memmem::find(decoded.as_bytes(), token.as_bytes()).is_some() {
            return true;
        }
        text = Cow::Owned(decoded);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concealed(path: &str, token: &str) -> String {
        let sent = |path: &str| Sent {
            method: Some("GET".to_owned()),
            host: "api.github.com".to_owned(),
            path: path.to_owned(),
        };
        let mut record = Record { request: Some(sent(path)), ..Record::default() };
        conceal(&mut record, &AccessToken::new(token));
        record.request.expect("there is a request").path
    }

    #[test]
    fn the_token_at_hand_is_concealed_in_a_path_however_it_is_written() {
        for (path, token, expected) in [
            ("/user", "tok~1/2", "/user"),
            ("/a/tok-1/b/tok-1", "tok-1", "/a/***/b/***"),
            ("/a/%74ok-1", "tok-1", "/***"),
            ("/a/%2574ok%252d1", "tok-1", "/***"),
            ("/a/1%2F%2F0g", "1//0g", "/***"),
            ("/a%zz/100%25", "tok-1", "/a%zz/100%25"),
            ("/a", "", "/a"),
            (&*format!("/a%{}20", "25".repeat(7)), "tok-1", "/***"),
            (&*format!("/a%{}20", "25".repeat(6)), "tok-1", &*format!("/a%{}20", "25".repeat(6))),
        ] {
            assert_eq!(concealed(path, token), expected, "{path}");
        }
    }

    #[test]
    fn what_keeps_nothing_takes_every_note() {
        let entry = AuditGuard::default();
        entry.scope().request(Some("GET"), "api.github.com", "/user");
        assert!(!entry.is_kept(false) && !entry.is_kept(true));
    }
}

//! A call's record while the call lasts: who works on the call notes what it finds out.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use memchr::memmem;
use percent_encoding::percent_decode_str;
use tokio::sync::mpsc::OwnedPermit;

use super::{
    Level,
    record::{Found, Outcome, Record, Sent, Who, cut},
};
use crate::{
    identity::{Identity, Selector, UserId},
    peer::{Peer, San},
    policy::{Caller, Proof},
    token::AccessToken,
};

/// What the writer gets.
pub(super) type Shared = Arc<Mutex<Record>>;

/// The longest path that is kept whole, in bytes: as long as those that are sent.
const LONGEST_PATH: usize = 8 * 1024;

/// A place in the log for one call. The default keeps nothing.
#[derive(Debug, Default)]
pub struct Entry(Option<Place>);

#[derive(Debug)]
struct Place {
    record: Shared,
    place: OwnedPermit<Shared>,
    level: Level,
}

/// What is noted of one call. Cheap to clone; the default keeps nothing.
///
/// Each method says what is known from now on. What is noted after the end of the call is lost.
#[derive(Clone, Debug, Default)]
pub struct Trail(Option<Shared>);

impl Entry {
    pub(super) fn new(place: OwnedPermit<Shared>, level: Level) -> Self {
        Self(Some(Place { record: Arc::default(), place, level }))
    }

    /// Where to note what is found out about the call.
    pub fn trail(&self) -> Trail {
        Trail(self.0.as_ref().map(|place| Arc::clone(&place.record)))
    }

    /// Whether this becomes a record, if the call ends with OK or without.
    pub fn is_kept(&self, is_ok: bool) -> bool {
        self.0.as_ref().is_some_and(|place| !is_ok || place.level == Level::All)
    }

    /// Hands the record to the writer. To be asked first: [`Self::is_kept`].
    pub fn end(self, outcome: Outcome) {
        let Some(Place { record, place, .. }) = self.0 else { return };
        lock(&record).outcome = Some(outcome);
        place.send(record);
    }
}

fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Trail {
    fn note(&self, note: impl FnOnce(&mut Record)) {
        if let Some(record) = &self.0 {
            note(&mut lock(record));
        }
    }

    /// The call: its RPC, the trace that it is part of, and the other end of its connection.
    pub fn begins(&self, rpc: &'static str, trace_id: Option<String>, peer: Option<&Peer>) {
        self.note(|record| {
            record.rpc = rpc;
            record.trace_id = trace_id;
            record.peer = peer.map(|peer| peer.address);
            record.peer_name = peer.and_then(|peer| peer.sans.first()).map(|san| match san {
                San::Uri(name) | San::Dns(name) => name.clone(),
            });
        });
    }

    /// Who calls.
    pub fn caller(&self, caller: &Caller, proof: Proof) {
        self.note(|record| {
            record.caller = Some(match caller {
                Caller::Anonymous => Who::Anonymous,
                Caller::Service { id } => Who::Service(id.clone()),
                Caller::EndUser { subject, .. } => Who::EndUser(subject.clone()),
            });
            record.proof = proof;
        });
    }

    /// For whom the call is, and with which of their identities.
    pub fn asks(&self, user: &UserId, selector: &Selector) {
        self.note(|record| {
            record.user = Some(user.clone());
            record.asked = selector.clone();
        });
    }

    /// The connection that a link is to be for.
    pub fn asks_for_connection(&self, connection: &str) {
        self.note(|record| connection.clone_into(&mut record.asked.connection));
    }

    /// That the refresh token is asked for.
    pub fn asks_for_refresh_token(&self) {
        self.note(|record| record.refresh_token = Some("asked"));
    }

    /// That the answer has a refresh token.
    pub fn lends_refresh_token(&self) {
        self.note(|record| record.refresh_token = Some("lent"));
    }

    /// What is to be sent to a provider, or is sent: `host` is empty for the provider's main host; the query of `path` is not
    /// kept.
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

    /// That the policy allows it, so far.
    pub fn allowed(&self) {
        self.note(|record| record.is_allowed = true);
    }

    /// The identity that is meant.
    pub fn found(&self, identity: &Identity) {
        self.note(|record| {
            let (provider, key) = (identity.provider.clone(), Arc::clone(&identity.key));
            record.found = Some(Found { provider, key });
        });
    }

    /// The token that is used.
    pub fn uses(&self, token: &AccessToken) {
        self.note(|record| {
            record.fingerprint = Some(token.fingerprint());
            conceal(record, token);
        });
    }

    /// That a request is sent with this token, now.
    pub fn sends(&self, token: &AccessToken) {
        self.uses(token);
        self.note(|record| record.sent += 1);
    }

    /// The provider's answer to the last request that was sent.
    pub fn answered(&self, status: u16) {
        self.note(|record| record.status = Some(status));
    }
}

/// Callers may put a token that they were lent into a path.
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

/// Whether `token` stands in `path` once that is decoded, however often it was encoded.
fn holds_encoded(path: &str, token: &str) -> bool {
    let mut text = Cow::Borrowed(path);
    while text.contains('%') {
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == *text {
            return false;
        }
        if memmem::find(decoded.as_bytes(), token.as_bytes()).is_some() {
            return true;
        }
        text = Cow::Owned(decoded);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concealed(path: &str, token: &str) -> String {
        let trail = Trail(Some(Arc::default()));
        trail.request(Some("GET"), "api.github.com", path);
        trail.uses(&AccessToken::new(token));
        let record = lock(trail.0.as_ref().expect("it keeps")).request.take();
        record.expect("there is a request").path
    }

    #[test]
    fn the_token_at_hand_is_concealed_in_a_path_however_it_is_written() {
        for (path, token, expected) in [
            ("/user", "tok~1/2", "/user"),
            ("/a/tok-1/b/tok-1", "tok-1", "/a/***/b/***"),
            ("/a/tok-1?access_token=tok-1#tok-1", "tok-1", "/a/***"),
            ("/a/%74ok-1", "tok-1", "/***"),
            ("/a/%2574ok%252d1", "tok-1", "/***"),
            ("/a/1%2F%2F0g", "1//0g", "/***"),
            ("/a%zz/100%25", "tok-1", "/a%zz/100%25"),
            ("/a", "", "/a"),
        ] {
            assert_eq!(concealed(path, token), expected, "{path}");
        }
    }

    #[test]
    fn what_keeps_nothing_takes_every_note() {
        let entry = Entry::default();
        entry.trail().request(Some("GET"), "api.github.com", "/user");
        assert!(!entry.is_kept(false) && !entry.is_kept(true));
    }
}

//! What arrived, in the order of arrival.

mod redact;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

pub(crate) use redact::redacted;

use super::state::lock;

/// The journal holds this many entries; then the oldest go.
pub const JOURNAL_ENTRIES: usize = 10_000;

/// The journal keeps this many bytes of bodies; then the oldest bodies go.
pub const JOURNAL_BODY_BYTES: usize = 256 * 1024 * 1024;

/// A request that arrived.
///
/// It shows what really arrived, secrets included, so that tests can check them; it has no `Debug` for that
/// reason. The journal over HTTP names secrets by their fingerprints.
#[derive(Clone)]
pub struct Entry {
    /// Counts from 1 and never repeats.
    pub number: u64,
    /// When the request had been read, on the sandbox's clock.
    pub time: SystemTime,
    /// The provider's host, or the tenant's domain.
    pub host: String,
    /// The method.
    pub method: Method,
    /// The raw path, percent-encoding and all.
    pub path: String,
    /// The raw query without the question mark.
    pub query: Option<String>,
    /// All headers as sent.
    pub headers: HeaderMap,
    /// The whole body; empty once newer bodies pushed it out.
    pub body: Bytes,
    /// What was answered; `None` while the answer is due, and where the connection was cut.
    pub status: Option<StatusCode>,
}

impl Entry {
    /// A header's value, where there is one and it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn is(&self, method: &Method, path: &str) -> bool {
        self.method == *method && self.path == path
    }
}

/// The requests that arrived, the oldest first.
#[derive(Default)]
pub struct Journal {
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    entries: VecDeque<Entry>,
    written: u64,
    body_bytes: usize,
    /// Entries before this one have lost their bodies.
    stripped: u64,
}

impl Journal {
    /// All entries.
    pub fn entries(&self) -> Vec<Entry> {
        lock(&self.pages).entries.iter().cloned().collect()
    }

    /// The number of the newest entry there ever was; 0 before the first.
    pub(crate) fn last(&self) -> u64 {
        lock(&self.pages).written
    }

    /// How many entries are of that kind.
    pub fn count(&self, wanted: impl Fn(&Entry) -> bool) -> usize {
        lock(&self.pages).entries.iter().filter(|entry| wanted(entry)).count()
    }

    /// The entries of one host.
    pub fn to(&self, host: &str) -> Vec<Entry> {
        lock(&self.pages).entries.iter().filter(|entry| entry.host == host).cloned().collect()
    }

    /// How many times the tenant was asked for a token.
    pub fn token_requests(&self) -> usize {
        self.count(|entry| entry.is(&Method::POST, "/oauth/token"))
    }

    /// How many times a profile was read from the tenant.
    pub fn profile_reads(&self) -> usize {
        self.count(|entry| entry.method == Method::GET && entry.path.starts_with("/api/v2/users/"))
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let mut pages = lock(&self.pages);
        pages.entries.clear();
        pages.body_bytes = 0;
    }

    /// Writes down a request and gives its number.
    pub(crate) fn record(&self, mut entry: Entry) -> u64 {
        let mut pages = lock(&self.pages);
        pages.written += 1;
        entry.number = pages.written;
        pages.body_bytes += entry.body.len();
        pages.entries.push_back(entry);
        pages.trim();
        pages.written
    }

    /// Writes down what was answered.
    pub(crate) fn answered(&self, number: u64, status: StatusCode) {
        let mut pages = lock(&self.pages);
        let first = pages.entries.front().map_or(u64::MAX, |entry| entry.number);
        let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| pages.entries.get_mut(index)) {
            entry.status = Some(status);
        }
    }
}

impl Pages {
    fn trim(&mut self) {
        if self.entries.len() > JOURNAL_ENTRIES
            && let Some(oldest) = self.entries.pop_front()
        {
            self.body_bytes -= oldest.body.len();
        }
        if self.body_bytes > JOURNAL_BODY_BYTES {
            self.strip();
        }
    }

    fn strip(&mut self) {
        let stripped = self.stripped;
        for entry in self.entries.iter_mut().filter(|entry| entry.number > stripped) {
            if self.body_bytes <= JOURNAL_BODY_BYTES {
                return;
            }
            self.body_bytes -= entry.body.len();
            entry.body = Bytes::new();
            self.stripped = entry.number;
        }
    }
}

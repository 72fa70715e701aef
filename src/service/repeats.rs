//! A rate limit for log lines about failed calls, so that nobody can fill a disk with them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tonic::Code;

use crate::rpc::Rpc;

/// Maximum lines of one kind within [`PERIOD`]. Further ones are only counted; the next line of the kind
/// reports how many, and the metrics count them too.
const LINES: u32 = 20;

/// The period that the limit applies to.
const PERIOD: Duration = Duration::from_secs(10);

/// Recently logged lines by kind: the RPC and its status code, neither of which a caller can invent.
#[derive(Default)]
pub(super) struct Repeats(Mutex<HashMap<(Option<Rpc>, Code), Window>>);

#[derive(Default)]
struct Window {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Repeats {
    /// Returns `None` if a line of this kind must be left out, otherwise how many were left out before it.
    pub(super) fn admit(&self, rpc: Option<Rpc>, code: Code) -> Option<u64> {
        let now = Instant::now();
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry((rpc, code)).or_default();
        if window.began.is_none_or(|began| now.duration_since(began) >= PERIOD) {
            (window.began, window.lines) = (Some(now), 0);
        }
        if window.lines == LINES {
            window.left_out += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_kind_is_counted_and_hides_no_other() {
        let (repeats, rpc) = (Repeats::default(), Some(Rpc::CallProvider));
        let admitted = |code| (0..1000).filter_map(|_| repeats.admit(rpc, code)).collect::<Vec<_>>();
        assert_eq!(admitted(Code::Unavailable), [0; LINES as usize]);
        assert_eq!(repeats.admit(rpc, Code::Internal), Some(0));
        assert_eq!(repeats.admit(None, Code::Unauthenticated), Some(0));
        tokio::time::advance(PERIOD).await;
        assert_eq!(repeats.admit(rpc, Code::Unavailable), Some(1000 - u64::from(LINES)));
        assert_eq!(repeats.admit(rpc, Code::Unavailable), Some(0), "they are told once");
    }
}

//! Log lines about failed calls, so few of a kind that nobody fills a disk with them.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tonic::Code;

use super::observe::METHODS;

/// Lines of one kind within [`PERIOD`]. What comes on top is counted, by the metrics too, and the next line of the kind says
/// how many there were.
const LINES: u32 = 20;

/// How long those are all.
const PERIOD: Duration = Duration::from_secs(10);

/// gRPC's status codes are 0 to 16.
const CODES: usize = 17;

/// The lines of late. A kind is an RPC and the code of its status: what a caller makes up is no part of it.
pub(super) struct Repeats(Vec<Mutex<Window>>);

#[derive(Default)]
struct Window {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Repeats {
    pub(super) fn new() -> Self {
        Self((0..METHODS.len() * CODES).map(|_| Mutex::default()).collect())
    }

    /// Whether another line of this kind is written; with it, how many before it were left out.
    pub(super) fn admit(&self, method: usize, code: Code) -> Option<u64> {
        let now = Instant::now();
        let mut window =
            self.0[method * CODES + code as usize].lock().unwrap_or_else(PoisonError::into_inner);
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
        let repeats = Repeats::new();
        let admitted = |code| (0..1000).filter_map(|_| repeats.admit(0, code)).collect::<Vec<_>>();
        assert_eq!(admitted(Code::Unavailable), [0; LINES as usize]);
        assert_eq!(repeats.admit(0, Code::Internal), Some(0));
        assert_eq!(repeats.admit(METHODS.len() - 1, Code::Unauthenticated), Some(0));
        tokio::time::advance(PERIOD).await;
        assert_eq!(repeats.admit(0, Code::Unavailable), Some(1000 - u64::from(LINES)));
        assert_eq!(repeats.admit(0, Code::Unavailable), Some(0), "they are told once");
    }
}

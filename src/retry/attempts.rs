//! How often and when a request is sent again.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tower::retry::budget::{Budget, TpsBudget};

/// Maximum number of attempts: a third rarely succeeds where two failed, and each one burdens a service that
/// is in trouble.
const MOST: u32 = 3;

/// The longest first pause; later ones double.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two attempts: whether to wait longer is for the caller to decide.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Bounds the share of retries in the traffic to one destination, so that retries cannot turn trouble into an
/// overload: a fifth of the requests of the last ten seconds, and at least one a second.
#[derive(Clone)]
pub struct RetryBudget(Arc<TpsBudget>);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Arc::new(TpsBudget::new(Duration::from_secs(10), 1, 0.2)))
    }
}

impl RetryBudget {
    /// Begins a request that must be finished by `deadline`.
    pub fn begin(&self, deadline: Instant) -> Attempts<'_> {
        self.0.deposit();
        Attempts { budget: &self.0, deadline, made: 1 }
    }
}

/// The attempts of one request.
pub struct Attempts<'a> {
    budget: &'a TpsBudget,
    deadline: Instant,
    made: u32,
}

impl Attempts<'_> {
    /// Waits before the next attempt: for as long as the other side asks, or else with exponential back-off
    /// and full jitter. Returns `false` at once if there must be no further attempt.
    pub async fn again(&mut self, retry_after: Option<Duration>) -> bool {
        let pause = retry_after.unwrap_or_else(|| backoff(self.made));
        let too_late = Instant::now() + pause >= self.deadline;
        if self.made >= MOST || pause > LONGEST_PAUSE || too_late || !self.budget.withdraw() {
            return false;
        }
        tokio::time::sleep(pause).await;
        self.made += 1;
        true
    }
}

fn backoff(made: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << (made - 1).min(5)).mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_a_minute() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test(start_paused = true)]
    async fn three_attempts_and_no_more() {
        let budget = RetryBudget::default();
        let mut attempts = budget.begin(in_a_minute());
        assert!(attempts.again(None).await && attempts.again(None).await);
        assert!(!attempts.again(None).await);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wish_of_the_other_side_is_kept_to_where_it_is_bearable() {
        let budget = RetryBudget::default();
        let start = Instant::now();
        assert!(budget.begin(in_a_minute()).again(Some(Duration::from_secs(3))).await);
        assert_eq!(start.elapsed(), Duration::from_secs(3));
        assert!(!budget.begin(in_a_minute()).again(Some(Duration::from_secs(6))).await);
        assert_eq!(start.elapsed(), Duration::from_secs(3), "refused without waiting");
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_crosses_the_deadline() {
        let budget = RetryBudget::default();
        let deadline = Instant::now() + Duration::from_secs(2);
        assert!(!budget.begin(deadline).again(Some(Duration::from_secs(2))).await);
    }

    #[tokio::test]
    async fn repetitions_stop_when_the_budget_is_spent() {
        let budget = RetryBudget::default();
        let mut granted = 0;
        for _ in 0..100 {
            granted += u32::from(budget.begin(in_a_minute()).again(Some(Duration::ZERO)).await);
        }
        assert!((1..50).contains(&granted), "{granted} of 100 failing requests were repeated");
    }
}

//! The two kinds of rate limit that the played systems use: a bucket that refills, and a window that ends.

use std::time::{Duration, SystemTime};

use super::clock::unix;

/// What the rate-limit headers of an answer say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// Whether this request may be served.
    pub(crate) allowed: bool,
    /// The size of the bucket, or the quota of the window.
    pub(crate) limit: u64,
    /// How many requests are left now.
    pub(crate) remaining: u64,
    /// When the next requests are to be had, in unix seconds.
    pub(crate) reset: u64,
}

/// A token bucket: `burst` at once, then `rate` each second.
pub(crate) struct Bucket {
    rate: f64,
    burst: u32,
    tokens: f64,
    filled: SystemTime,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(rate: f64, burst: u32, now: SystemTime) -> Self {
        Self { rate, burst, tokens: f64::from(burst), filled: now }
    }

    /// Takes one request out, if there is one.
    pub(crate) fn take(&mut self, now: SystemTime) -> Standing {
        let passed = now.duration_since(self.filled).unwrap_or_default().as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(f64::from(self.burst));
        self.filled = now;
        let allowed = self.tokens >= 1.0;
        if allowed {
            self.tokens -= 1.0;
        }
        self.standing(allowed, now)
    }

    fn standing(&self, allowed: bool, now: SystemTime) -> Standing {
        let missing = (1.0 - self.tokens.fract()).max(0.0);
        let wait = Duration::try_from_secs_f64(missing / self.rate).unwrap_or(Duration::from_secs(3600));
        Standing {
            allowed,
            limit: u64::from(self.burst),
            remaining: whole(self.tokens),
            // Rounded up: a client that waits until then finds a request.
            reset: unix(now + wait + Duration::from_millis(999)),
        }
    }
}

/// The whole requests in a bucket; a bucket never holds fewer than none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and a burst, which is a u32"
)]
fn whole(tokens: f64) -> u64 {
    tokens.max(0.0) as u64
}

/// A quota for a span of time, as GitHub and Facebook count.
pub(crate) struct Window {
    limit: u64,
    span: Duration,
    used: u64,
    ends: SystemTime,
}

impl Window {
    /// A window that starts with the first request.
    pub(crate) fn new(limit: u64, span: Duration, now: SystemTime) -> Self {
        Self { limit, span, used: 0, ends: now + span }
    }

    /// Counts one request.
    pub(crate) fn take(&mut self, now: SystemTime) -> Standing {
        if now >= self.ends {
            self.used = 0;
            self.ends = now + self.span;
        }
        let allowed = self.used < self.limit;
        if allowed {
            self.used += 1;
        }
        Standing { allowed, limit: self.limit, remaining: self.limit - self.used, reset: unix(self.ends) }
    }
}

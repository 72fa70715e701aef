//! The caller's deadline, and what ends a call that misses it.
//!
//! tonic's own timeout answers CANCELLED, and so does a panic in a handler; this module handles both instead.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use http::{HeaderMap, HeaderName};
use tokio::time::{Sleep, sleep_until};

use crate::{broker::Error, deadline::Deadline, field::InvalidField};

/// How much earlier than the caller's deadline to answer, so that the answer arrives in time; at most a fifth
/// of the time.
const HEAD_START: Duration = Duration::from_millis(100);

/// The longest deadline; longer ones are cut to it, so that no call is held for ever.
const LONGEST: Duration = Duration::from_secs(600);

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The time that `grpc-timeout` allows, less the head start; `default` without the header.
pub(super) fn allowed(headers: &HeaderMap, default: Duration) -> Result<Duration, InvalidField> {
    let Some(value) = headers.get(GRPC_TIMEOUT) else { return Ok(default) };
    let wanted = value.to_str().ok().and_then(parse);
    let wanted = wanted.ok_or_else(|| {
        InvalidField::new("grpc-timeout", "is malformed: at most 8 digits and a unit of H, M, S, m, u or n")
    })?;
    let wanted = wanted.min(LONGEST);
    Ok(wanted - HEAD_START.min(wanted / 5))
}

/// Parses `TimeoutValue TimeoutUnit` of <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

/// Runs `work` until the deadline. A panic becomes an error, and affects no other call.
///
/// The timer is created when the work first has to wait: an answer from the cache needs none.
pub(super) async fn enforce<T>(
    deadline: &Deadline,
    mut work: Pin<Box<dyn Future<Output = T> + Send>>,
) -> Result<T, Error> {
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Err(_) => return Poll::Ready(Err(Error::Internal)),
            Ok(Poll::Ready(answer)) => return Poll::Ready(Ok(answer)),
            Ok(Poll::Pending) => {}
        }
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline.next())));
        while timer.as_mut().poll(context).is_ready() {
            if timer.deadline() >= deadline.next() {
                return Poll::Ready(Err(Error::DeadlineExceeded(deadline.stage())));
            }
            // The message arrived in time: from now on, the call's own deadline applies.
            timer.as_mut().reset(deadline.next());
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;
    use crate::{caller::Caller, deadline::Stage, identity::UserId};

    fn timeout(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", value.parse().expect("a valid header value"));
        allowed(&headers, Duration::from_secs(30)).ok()
    }

    #[test]
    fn the_answer_leaves_before_the_callers_clock_runs_out() {
        for (value, expected) in [
            ("1S", Some(Duration::from_millis(900))),
            ("100m", Some(Duration::from_millis(80))),
            ("1000u", Some(Duration::from_micros(800))),
            ("99999999H", Some(LONGEST - HEAD_START)),
            ("0S", Some(Duration::ZERO)),
            ("123456789S", None),
            ("1", None),
            ("S", None),
            ("-1S", None),
            ("1.5S", None),
            ("1s", None),
            ("+1S", None),
        ] {
            assert_eq!(timeout(value), expected, "{value}");
        }
        assert_eq!(allowed(&HeaderMap::new(), Duration::from_secs(30)).ok(), Some(Duration::from_secs(30)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_too_long_says_what_it_waited_for() {
        let deadline = Deadline::from_now(Duration::from_secs(1));
        deadline.enter(Stage::Auth0);
        let outcome = enforce(&deadline, Box::pin(std::future::pending::<()>())).await;
        assert!(matches!(outcome, Err(Error::DeadlineExceeded(Stage::Auth0))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_does_not_arrive_ends_the_call_before_its_deadline() {
        let (allowed, start) = (Duration::from_secs(60), Instant::now());
        let outcome = enforce(&Deadline::from_now(allowed), Box::pin(std::future::pending::<()>())).await;
        assert!(matches!(outcome, Err(Error::DeadlineExceeded(Stage::Queue))));
        assert_eq!(start.elapsed(), Duration::from_secs(10));

        let (arrived, start) = (Deadline::from_now(allowed), Instant::now());
        arrived.enter(Stage::Provider);
        let outcome = enforce(&arrived, Box::pin(std::future::pending::<()>())).await;
        assert!(matches!(outcome, Err(Error::DeadlineExceeded(Stage::Provider))));
        assert_eq!(start.elapsed(), allowed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_arrives_late_leaves_the_call_its_deadline() {
        let (deadline, start) = (Deadline::from_now(Duration::from_secs(60)), Instant::now());
        let arriving = deadline.clone();
        let work = async move {
            tokio::time::sleep(Duration::from_secs(9)).await;
            arriving.enter(Stage::Auth0);
            std::future::pending::<()>().await;
        };
        let outcome = enforce(&deadline, Box::pin(work)).await;
        assert!(matches!(outcome, Err(Error::DeadlineExceeded(Stage::Auth0))));
        assert_eq!(start.elapsed(), Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_users_deadline_is_cut_whatever_they_ask_for() {
        let user = Caller::EndUser {
            subject: UserId::parse("auth0|1".to_owned(), "sub").expect("a valid id"),
            access_token: Arc::new("token".into()),
        };
        for (caller, expected) in [(user, 60), (Caller::Anonymous, 600)] {
            let (deadline, start) = (Deadline::from_now(Duration::from_secs(600)), Instant::now());
            deadline.cut_for(&caller);
            deadline.enter(Stage::Provider);
            let outcome = enforce(&deadline, Box::pin(std::future::pending::<()>())).await;
            assert!(matches!(outcome, Err(Error::DeadlineExceeded(Stage::Provider))));
            assert_eq!(start.elapsed().as_secs(), expected, "{caller:?}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error() {
        let work = Box::pin(async { panic!("on purpose") });
        assert!(matches!(
            enforce::<()>(&Deadline::from_now(Duration::from_secs(1)), work).await,
            Err(Error::Internal)
        ));
    }
}

//! Turns in the queue to Auth0, on paused time.

use tokio::task::JoinSet;

use super::*;
use crate::{caller::Caller, shares::Holders};

fn limiter(per_second: u32) -> Limiter {
    Limiter::new(per_second, Arc::new(Metrics::default()))
}

fn answer(status: u16, headers: &[(&str, &str)]) -> Response<Bytes> {
    let builder = Response::builder().status(status);
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    builder.body(Bytes::new()).expect("a valid answer")
}

fn in_an_hour() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_would_come_too_late_is_refused_at_once() {
    let limiter = limiter(10);
    limiter.close(Duration::from_secs(30));
    let start = Instant::now();
    let outcome = turn(&limiter, Urgency::Urgent, start + Duration::from_secs(20)).await;
    assert!(matches!(outcome, Err(Auth0Error::RateLimited { retry_after }) if retry_after.as_secs() == 30));
    assert!(start.elapsed().is_zero());
}

const USER: &str = "auth0|1";

async fn turn(limiter: &Limiter, urgency: Urgency, deadline: Instant) -> Result<(), Auth0Error> {
    turn_of(limiter, Holder::ANYBODY, USER, urgency, deadline).await
}

async fn turn_of(
    limiter: &Limiter,
    holder: Holder,
    user: &str,
    urgency: Urgency,
    deadline: Instant,
) -> Result<(), Auth0Error> {
    let user = UserId::parse(user.to_owned(), "user_id").expect("a valid id");
    limiter.turn(&user, Asks { holder, urgency }, deadline).await
}

fn holders() -> impl Fn(&str) -> Holder {
    let all = Holders::default();
    move |id| all.of(&Caller::Service { id: id.to_owned() })
}

/// Returns how long `requests` turns take.
async fn spaced(limiter: &Limiter, requests: usize) -> Duration {
    let start = Instant::now();
    for _ in 0..requests {
        turn(limiter, Urgency::Cold, in_an_hour()).await.expect("the queue has room");
    }
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_and_the_rest_is_spaced() {
    let limiter = limiter(10);
    assert_eq!(spaced(&limiter, 10).await, Duration::ZERO);
    let rest = spaced(&limiter, 10).await;
    assert!(rest >= Duration::from_millis(990) && rest <= Duration::from_millis(1100), "{rest:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_closed_stays_closed_for_as_long_as_auth0_asks() {
    let limiter = limiter(10);
    limiter.close(Duration::from_secs(3));
    limiter.close(Duration::from_secs(1));
    assert_eq!(spaced(&limiter, 1).await, Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn an_empty_window_waits_for_its_reset_and_never_longer_than_a_window_lasts() {
    let reset_in = |seconds: u64| {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        answer(200, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &(unix + seconds).to_string())])
    };
    for (seconds, waits) in [(5, 4..=5), (99_999_999, 60..=60)] {
        let limiter = limiter(10);
        limiter.observe(&reset_in(seconds));
        assert!(waits.contains(&spaced(&limiter, 1).await.as_secs()), "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_nonsensical_number_of_requests_left_stops_nothing_for_long() {
    for remaining in ["-9223372036854775808", "-1", "0"] {
        let limiter = limiter(10);
        limiter.observe(&answer(200, &[("x-ratelimit-remaining", remaining)]));
        assert!(spaced(&limiter, 1).await <= Duration::from_millis(101), "{remaining}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_other_tools_used_up_is_not_ours_to_use() {
    let limiter = limiter(10);
    limiter.observe(&answer(200, &[("x-ratelimit-remaining", "2")]));
    assert_eq!(spaced(&limiter, 2).await, Duration::ZERO);
    assert!(!spaced(&limiter, 1).await.is_zero());
}

#[tokio::test(start_paused = true)]
async fn a_closed_limit_counts_for_whoever_comes_after_an_idle_time() {
    let limiter = limiter(10);
    spaced(&limiter, 1).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    limiter.close(Duration::from_secs(3));
    assert_eq!(spaced(&limiter, 1).await, Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn the_urgent_go_first() {
    let limiter = limiter(1);
    spaced(&limiter, 1).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiters = JoinSet::new();
    for (number, urgency) in [(1, Urgency::Cold), (2, Urgency::Cold), (3, Urgency::Urgent)] {
        let (limiter, order) = (limiter.clone(), Arc::clone(&order));
        waiters.spawn(async move {
            turn(&limiter, urgency, in_an_hour()).await.expect("the queue has room");
            order.lock().expect("no test thread panicked").push(number);
        });
    }
    waiters.join_all().await;
    assert_eq!(*order.lock().expect("no test thread panicked"), [3, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_queue_uses_nothing_up() {
    let limiter = limiter(1);
    spaced(&limiter, 1).await;
    for _ in 0..5 {
        let hurried =
            tokio::time::timeout(Duration::from_millis(10), turn(&limiter, Urgency::Cold, in_an_hour()))
                .await;
        assert!(hurried.is_err());
    }
    assert!(spaced(&limiter, 1).await <= Duration::from_millis(1001));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_says_when_to_come_back() {
    let limiter = limiter(10);
    limiter.close(Duration::from_secs(30));
    let mut waiting = JoinSet::new();
    while limiter.shared.places.free() > 0 {
        let waiter = limiter.clone();
        waiting.spawn(async move { turn(&waiter, Urgency::Cold, in_an_hour()).await });
        tokio::task::yield_now().await;
    }
    match turn(&limiter, Urgency::Cold, in_an_hour()).await {
        Err(Auth0Error::RateLimited { retry_after }) => assert!(retry_after > Duration::from_secs(120)),
        other => panic!("{other:?}"),
    }
}

/// Queues so many cold reads of a holder, and waits until they are queued.
async fn queue(limiter: &Limiter, holder: Holder, urgency: Urgency, count: usize) -> JoinSet<()> {
    let mut waiting = JoinSet::new();
    for number in 0..count {
        let limiter = limiter.clone();
        waiting.spawn(async move {
            let user = format!("auth0|{number}");
            let _ = turn_of(&limiter, holder, &user, urgency, in_an_hour()).await;
        });
    }
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
    waiting
}

#[tokio::test(start_paused = true)]
async fn a_caller_with_hundreds_of_reads_keeps_no_other_waiting() {
    let (limiter, holder) = (limiter(10), holders());
    limiter.close(Duration::from_secs(1));
    let _greedy = queue(&limiter, holder("greedy"), Urgency::Cold, 600).await;
    let start = Instant::now();
    let soon = start + Duration::from_secs(2);
    turn_of(&limiter, holder("other"), "auth0|x", Urgency::Cold, soon).await.expect("a turn in time");
    assert!(start.elapsed() <= Duration::from_millis(1300), "{:?}", start.elapsed());
    let late = turn_of(&limiter, holder("greedy"), "auth0|y", Urgency::Cold, soon).await;
    assert!(matches!(late, Err(Auth0Error::RateLimited { retry_after }) if retry_after.as_secs() > 50));
}

#[tokio::test(start_paused = true)]
async fn a_caller_has_its_share_of_the_queue_and_others_find_room() {
    let (limiter, holder) = (limiter(10), holders());
    limiter.close(Duration::from_secs(1));
    let _greedy = queue(&limiter, holder("greedy"), Urgency::Cold, 2 * QUEUE).await;
    let queued = limiter.shared.state().cold.len();
    assert_eq!(queued, QUEUE * 3 / 4);
    let others = queue(&limiter, holder("other"), Urgency::Cold, 10).await;
    assert_eq!((limiter.shared.state().cold.len(), others.len()), (queued + 10, 10));
}

#[tokio::test(start_paused = true)]
async fn an_urgent_read_is_judged_by_urgent_ones_alone() {
    let (limiter, holder) = (limiter(10), holders());
    limiter.close(Duration::from_secs(1));
    let _cold = queue(&limiter, holder("greedy"), Urgency::Cold, 600).await;
    let start = Instant::now();
    let soon = start + Duration::from_secs(2);
    turn_of(&limiter, holder("greedy"), USER, Urgency::Urgent, soon).await.expect("a turn in time");
    assert!(start.elapsed() <= Duration::from_millis(1200), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn urgent_reads_leave_a_turn_in_five_to_cold_ones() {
    let (limiter, holder) = (limiter(10), holders());
    limiter.close(Duration::from_secs(1));
    let _urgent = queue(&limiter, holder("greedy"), Urgency::Urgent, 200).await;
    let start = Instant::now();
    turn_of(&limiter, holder("other"), USER, Urgency::Cold, in_an_hour()).await.expect("a turn");
    assert!(start.elapsed() <= Duration::from_millis(1600), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_the_same_user_does_not_wait_behind_all_that_another_has_queued() {
    let (limiter, holder) = (limiter(10), holders());
    limiter.close(Duration::from_secs(1));
    let mut greedy = queue(&limiter, holder("greedy"), Urgency::Cold, 300).await;
    let last = UserId::parse("auth0|299".to_owned(), "user_id").expect("a valid id");
    limiter.join(&last, Asks { holder: holder("other"), urgency: Urgency::Cold });
    let start = Instant::now();
    while limiter.shared.state().reads.contains_key(&last) {
        greedy.join_next().await;
    }
    assert!(start.elapsed() <= Duration::from_millis(1500), "{:?}", start.elapsed());
    // Its turn came once: the other places use nothing up.
    greedy.join_all().await;
    let took = start.elapsed();
    assert!(took > Duration::from_secs(29) && took < Duration::from_millis(31_500), "{took:?}");
}

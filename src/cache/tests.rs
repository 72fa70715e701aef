//! The cache on tokio's paused clock.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

type Numbers = Cache<&'static str, u32, &'static str>;

const SECOND: Duration = Duration::from_secs(1);

const GROWING: Backoff<&str> =
    Backoff { first: SECOND, most: Duration::from_secs(60), least: |_| Duration::ZERO };

fn numbers(rest: Backoff<&'static str>) -> Numbers {
    Cache::new(100, Duration::from_secs(600), rest)
}

/// A source whose loads take a second and return how many there have been.
#[derive(Clone, Default)]
struct Source(Arc<AtomicU32>);

impl Source {
    async fn load(self) -> Result<u32, &'static str> {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(SECOND).await;
        Ok(number)
    }

    fn loads(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

async fn read(cache: &Numbers, source: &Source) -> Result<u32, &'static str> {
    cache.get(&"key", |_| Lookup::Hit, |_, _| source.clone().load()).await.map(|loaded| loaded.value)
}

/// Accepts only a load that begins after this call.
async fn read_anew(cache: &Numbers, source: &Source) -> Result<u32, &'static str> {
    let now = Instant::now();
    let judge = |kept: &Loaded<u32>| if kept.began < now { Lookup::MissSince(now) } else { Lookup::Hit };
    cache.get(&"key", judge, |_, _| source.clone().load()).await.map(|loaded| loaded.value)
}

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_share_one_load() {
    let (cache, source) = (Arc::new(numbers(Backoff::NONE)), Source::default());
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (cache, source) = (Arc::clone(&cache), source.clone());
        callers.spawn(async move { read(&cache, &source).await });
    }
    assert_eq!(callers.join_all().await, vec![Ok(1); 100]);
    assert_eq!(source.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_put_outlives_a_load_that_began_before_and_nothing_newer() {
    let (cache, source) = (Arc::new(numbers(Backoff::NONE)), Source::default());
    let load = tokio::spawn({
        let (cache, source) = (Arc::clone(&cache), source.clone());
        async move { read(&cache, &source).await }
    });
    let early = Instant::now();
    tokio::time::sleep(SECOND / 2).await;
    cache.put(&"key", Loaded { value: 70, began: Instant::now() });
    assert_eq!(load.await.expect("no panic"), Ok(1), "whoever waited for it gets it");
    assert_eq!(read(&cache, &source).await, Ok(70));
    cache.put(&"key", Loaded { value: 71, began: early });
    assert_eq!(read(&cache, &source).await, Ok(70), "older than what is kept");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_does_not_cancel_the_load() {
    let (cache, source) = (numbers(Backoff::NONE), Source::default());
    let hurried = tokio::time::timeout(SECOND / 10, read(&cache, &source)).await;
    assert!(hurried.is_err());
    assert_eq!(read(&cache, &source).await, Ok(1));
    assert_eq!(source.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_began_too_early_serves_no_newer_wish_and_overwrites_nothing() {
    let (cache, source) = (Arc::new(numbers(Backoff::NONE)), Source::default());
    assert_eq!(read(&cache, &source).await, Ok(1));
    let early = tokio::spawn({
        let (cache, source) = (Arc::clone(&cache), source.clone());
        async move { read_anew(&cache, &source).await }
    });
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(read_anew(&cache, &source).await, Ok(3));
    assert_eq!(early.await.expect("the reader ends"), Ok(2));
    assert_eq!(cache.peek(&"key").map(|kept| kept.value), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_value_is_replaced_ahead_of_its_end_while_it_still_serves() {
    let (cache, source) = (numbers(Backoff::NONE), Source::default());
    assert_eq!(read(&cache, &source).await, Ok(1));
    for _ in 0..10 {
        let ahead = cache.get(&"key", |_| Lookup::HitAndRefresh, |_, _| source.clone().load()).await;
        assert_eq!(ahead.map(|loaded| loaded.value), Ok(1));
    }
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(read(&cache, &source).await, Ok(2));
    assert_eq!(source.loads(), 2, "one reload however many asked");
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_the_key_rests_and_then_recovers() {
    let (cache, loads) = (numbers(GROWING), Source::default());
    let ask = async || {
        let source = loads.clone();
        let load = || async move {
            let number = source.load().await?;
            if number > 2 { Ok(number) } else { Err("down") }
        };
        cache.get(&"key", |_| Lookup::Hit, |_, _| load()).await.map(|loaded| loaded.value)
    };
    assert_eq!((ask().await, ask().await), (Err("down"), Err("down")));
    assert_eq!(loads.loads(), 1, "the second answer came out of the rest");
    tokio::time::sleep(SECOND).await;
    assert_eq!(ask().await, Err("down"));
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(ask().await, Ok(3));
}

#[test]
fn a_rest_grows_to_its_most_and_is_jittered() {
    for (failures, nominal) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (4_000_000, 60)] {
        let rest = GROWING.after(failures, &"down");
        assert!(rest >= nominal * SECOND / 2 && rest <= nominal * SECOND, "{failures}: {rest:?}");
    }
    assert_eq!(Backoff::NONE.after(3, &"down"), Duration::ZERO);
}

#[test]
fn a_rest_is_as_long_as_the_other_side_asks() {
    let patient = Backoff { first: SECOND, most: 60 * SECOND, least: |seconds: &u32| *seconds * SECOND };
    assert_eq!(patient.after(1, &30), 30 * SECOND);
    assert!(patient.after(7, &1) >= 30 * SECOND, "its own rest is the longer one");
}

#[tokio::test]
async fn keys_that_bring_only_errors_take_no_place() {
    let cache: Cache<u32, u32, &str> = Cache::new(10, Duration::from_secs(600), Backoff::NONE);
    let load = |outcome: Result<u32, &'static str>| move |_: Option<&u32>, _: Lookup| async move { outcome };
    cache.get(&0, |_| Lookup::Hit, load(Ok(7))).await.expect("a load that succeeds");
    for key in 1..1000 {
        assert!(cache.get(&key, |_| Lookup::Hit, load(Err("down"))).await.is_err());
        cache.sweep();
    }
    assert_eq!(cache.peek(&0).map(|kept| kept.value), Some(7));
}

#[tokio::test]
#[should_panic(expected = "does not panic")]
async fn a_panic_in_a_load_reaches_the_waiters_instead_of_hanging_them() {
    let cache = numbers(Backoff::NONE);
    let _ = cache.get(&"key", |_| Lookup::Hit, |_, _| async { panic!("on purpose") }).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_recovers_from_a_panicked_load() {
    let (cache, source) = (Arc::new(numbers(Backoff::NONE)), Source::default());
    let panicked = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move { cache.get(&"key", |_| Lookup::Hit, |_, _| async { panic!("on purpose") }).await }
    });
    assert!(panicked.await.is_err());
    assert_eq!(read(&cache, &source).await, Ok(1));
}

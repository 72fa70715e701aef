//! The token store: one body of tests for all backends, and what only durable ones promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

/// Each test once for each database.
macro_rules! on_every_database {
    ($($name:ident,)*) => {
        on_every_database!(@ sqlite $($name)*);
        on_every_database!(@ postgres $($name)*);
    };
    (@ $backend:ident $($name:ident)*) => {
        mod $backend {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name(super::World::$backend().await).await;
                }
            )*
        }
    };
}

mod durable;
mod everywhere;
mod former;
mod postgres;
mod sqlite;
mod world;

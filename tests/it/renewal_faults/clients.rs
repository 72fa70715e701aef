//! Applications that a provider refuses, and providers that cannot be reached.

use std::{
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use idp_token_service::{
    secret::Secret,
    service::pb::TokenSource,
    telemetry::logging::{self, Format},
};
use idp_token_testkit::assert_error;
use serde_json::json;
use tempfile::TempDir;
use tonic::Code;

use super::{
    bench::{Bench, LONG},
    gate::Gate,
    kinds::{self, Kind},
};

/// Longer than the first rest.
const REST: Duration = Duration::from_secs(6);

/// A bench whose provider of this kind finds the client secret in a file that holds another one.
async fn misled(kind: &Kind) -> (Bench, File) {
    let file = File::new();
    let mut right = None;
    let bench = Bench::configured(|config| {
        let name = if kind.strategy == "oauth2" { kind.connection } else { kind.strategy };
        let settings = &mut config.providers.get_mut(name).unwrap().settings;
        let secret = Arc::new(Secret::from_file(&file.path).unwrap());
        right = settings.client_secret.replace(secret);
    });
    let bench = bench.await;
    let right = secrecy::ExposeSecret::expose_secret(&*right.unwrap().get()).to_owned();
    (bench, File { right, ..file })
}

struct File {
    path: PathBuf,
    right: String,
    _folder: TempDir,
}

impl File {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = Self { path: folder.path().join("secret"), right: String::new(), _folder: folder };
        file.write("old");
        file
    }

    fn write(&self, secret: &str) {
        std::fs::write(&self.path, secret).unwrap();
    }
}

/// What is logged in this thread, where all of a test runs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        tracing::subscriber::set_default(logging::subscriber("info", Format::Text, move || log.clone()))
    }

    /// The errors since the last time.
    fn errors(&self) -> Vec<String> {
        let text = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let text = String::from_utf8(text).unwrap();
        text.lines().filter(|line| line.contains("ERROR")).map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_client_secret_that_was_replaced_in_its_file_is_read_again_and_the_caller_notices_nothing() {
    for kind in kinds::ALL {
        let (mut bench, file) = misled(kind).await;
        let user = bench.user(kind);
        file.write(&file.right);
        let log = Log::default();
        let guard = log.begin();
        let lent =
            bench.lend(&user, LONG).await.unwrap_or_else(|status| panic!("{}: {status:?}", kind.strategy));
        drop(guard);
        assert_eq!(lent.source(), TokenSource::Renewed);
        assert_eq!(bench.requests(kind).len(), 2, "{}", kind.strategy);
        assert_eq!(log.errors(), Vec::<String>::new());
        assert_eq!(bench.record(&user).await.failure, None);
        let reuse = bench.world.sandbox.reuse();
        assert_eq!(reuse.requests, 0, "{}: a refused request has used nothing", kind.strategy);
    }
}

#[tokio::test]
async fn a_client_that_stays_refused_is_one_error_in_the_log_and_no_users_loss() {
    for kind in kinds::ALL {
        let (mut bench, file) = misled(kind).await;
        let user = bench.user(kind);
        let log = Log::default();
        let guard = log.begin();
        for (secret, requests) in [("old", 1), ("other", 2)] {
            file.write(secret);
            bench.world.sandbox.journal().clear();
            for _ in 0..3 {
                assert_error(bench.lend(&user, LONG).await, Code::Unavailable, "RENEWAL_FAILED");
            }
            assert_eq!(bench.requests(kind).len(), requests, "{}", kind.strategy);
            let errors = log.errors();
            assert_eq!(errors.len(), 1, "{}: {errors:#?}", kind.strategy);
            assert!(errors[0].contains("check client_id") && !errors[0].contains(secret), "{errors:?}");
            bench.world.pass(REST * 2).await;
        }
        drop(guard);
        assert!(!bench.record(&user).await.failure.unwrap().permanent);
        file.write(&file.right);
        let lent =
            bench.lend(&user, LONG).await.unwrap_or_else(|status| panic!("{}: {status:?}", kind.strategy));
        assert_eq!(lent.source(), TokenSource::Renewed);
    }
}

#[tokio::test]
async fn every_refusal_of_the_application_is_named_in_an_error_of_the_log() {
    let mut bench = Bench::start().await;
    let standard = [
        "invalid_client",
        "unauthorized_client",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "invalid_resource",
        "unsupported_grant_type",
    ];
    let numbers = [90_002, 500_011, 700_016, 7_000_215, 7_000_222];
    let standard = standard.map(|code| (&kinds::GENERIC, code.to_owned(), json!({ "error": code })));
    let of_entra = numbers.map(|number| {
        let body = json!({ "error": "something_new", "error_codes": [number] });
        (&kinds::WORK, format!("AADSTS{number}"), body)
    });
    for (kind, code, body) in standard.into_iter().chain(of_entra) {
        let user = bench.user(kind);
        bench.script(kind, |fault| fault.answer(400).json(&body));
        let log = Log::default();
        let guard = log.begin();
        assert_error(bench.lend(&user, LONG).await, Code::Unavailable, "RENEWAL_FAILED");
        drop(guard);
        let errors = log.errors();
        assert_eq!(errors.len(), 1, "{code}: {errors:#?}");
        assert!(errors[0].contains("check client_id") && errors[0].contains(&code), "{errors:?}");
        let failure = bench.record(&user).await.failure.unwrap();
        assert_eq!((failure.reason, failure.permanent), (code, false));
    }
}

#[tokio::test]
async fn a_token_endpoint_that_cannot_be_reached_costs_nothing_but_a_rest() {
    let gate = Gate::closed();
    let base: url::Url = format!("http://{}", gate.address).parse().unwrap();
    let mut bench = Bench::configured(|config| {
        for provider in config.providers.values_mut() {
            for kind in kinds::ALL {
                provider.host_overrides.insert(kind.host.to_owned(), base.clone());
            }
        }
    })
    .await;
    let users = kinds::ALL.map(|kind| bench.user(kind));
    for user in &users {
        assert_error(bench.lend(user, LONG).await, Code::Unavailable, "RENEWAL_FAILED");
        let failure = bench.record(user).await.failure.unwrap();
        assert_eq!((failure.reason.as_str(), failure.permanent), ("unreachable", false));
    }
    gate.open(bench.world.sandbox.address());
    bench.world.pass(REST).await;
    for user in &users {
        let lent = bench.lend(user, LONG).await.unwrap_or_else(|status| panic!("{}: {status:?}", user.id));
        assert_eq!((lent.source(), bench.requests(user.kind).len()), (TokenSource::Renewed, 1));
    }
}

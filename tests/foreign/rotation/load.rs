//! Calls without end, by clients in Rust and in Node.js, on connections that last and on new ones for each
//! call.

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use idp_token_service::service::pb::{
    ListIdentitiesRequest, idp_token_service_client::IdpTokenServiceClient,
};
use idp_token_testkit::{
    PATIENCE,
    authority::{Authority, Certified},
    people::DONALD,
    tls::{self, Pki},
    within,
};
use rustls::ClientConfig;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    task::JoinSet,
    time::timeout,
};
use tonic::transport::Channel;

use crate::tools::{client, node};

/// So many clients of each kind in Rust; there is one of each in Node.js.
const CLIENTS: usize = 2;

/// See the module's documentation.
pub(super) struct Load {
    lasting: Callers,
    fresh: Callers,
    _node: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

/// Tasks that call until they are told to stop: how many calls went well, and what went wrong.
#[derive(Default)]
struct Callers {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Outcome>,
}

/// What came of calls.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) well: u64,
    pub(super) failures: Vec<String>,
}

impl Load {
    /// By clients that prove themselves with `own` and trust servers of `authorities`. Waits until each kind
    /// has called.
    pub(super) async fn start(
        address: SocketAddr,
        pki: &Pki,
        authorities: &[&Authority],
        own: &Certified,
    ) -> Self {
        let trusted: String = authorities.iter().map(|authority| authority.pem.as_str()).collect();
        let files = [("servers.pem", &trusted), ("own.key", &own.key), ("own.pem", &own.certificate)];
        let mut node = node();
        node.arg(client("node/load.js")).arg(format!("localhost:{}", address.port()));
        node.args(files.map(|(name, text)| pki.write(name, text)));
        let mut node = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (node.stdin.take().unwrap(), node.stdout.take().unwrap());
        let config = tls::client(authorities, Some(own));
        let (mut lasting, mut fresh) = (Callers::default(), Callers::default());
        for _ in 0..CLIENTS {
            let channel = tls::channel(address, config.clone());
            lasting.call(move || channel.clone());
            let config: ClientConfig = config.clone();
            fresh.call(move || tls::channel(address, config.clone()));
        }
        let lines = BufReader::new(output).lines();
        let mut load = Self { lasting, fresh, _node: node, input, lines };
        assert_eq!(load.line().await, "calling");
        load
    }

    async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("Node.js answers in time");
        line.unwrap().expect("Node.js runs")
    }

    /// Ends the clients that open new connections.
    pub(super) async fn stop_opening(&mut self) -> Outcome {
        self.input.write_all(b"\n").await.unwrap();
        assert_eq!(self.line().await, "no new connections");
        self.fresh.end().await
    }

    /// Ends it all; of Node.js this has the calls of both kinds.
    pub(super) async fn end(mut self) -> Outcome {
        if !self.fresh.tasks.is_empty() {
            let fresh = self.stop_opening().await;
            return self.end_of_lasting().await.and(fresh);
        }
        self.end_of_lasting().await
    }

    async fn end_of_lasting(mut self) -> Outcome {
        drop(self.input);
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("Node.js ends in time");
        let came: Value = serde_json::from_str(&line.unwrap().unwrap()).unwrap();
        let count = |kind: &str| came[kind].as_u64().unwrap();
        assert!(count("lasting") > 0 && count("fresh") > 0, "{came}");
        let failures = came["failures"].as_array().unwrap().iter().map(Value::to_string).collect();
        let node = Outcome { well: count("lasting") + count("fresh"), failures };
        self.lasting.end().await.and(node)
    }
}

impl Callers {
    fn call(&mut self, channel: impl Fn() -> Channel + Send + 'static) {
        let stop = Arc::clone(&self.stop);
        self.tasks.spawn(async move {
            let mut outcome = Outcome::default();
            while !stop.load(Ordering::Relaxed) {
                let request = ListIdentitiesRequest { user_id: DONALD.to_owned(), ..Default::default() };
                match IdpTokenServiceClient::new(channel()).list_identities(within(PATIENCE, request)).await {
                    Ok(_) => outcome.well += 1,
                    Err(status) => outcome.failures.push(status.to_string()),
                }
            }
            outcome
        });
    }

    async fn end(&mut self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Outcome::default();
        while let Some(outcome) = self.tasks.join_next().await {
            all = all.and(outcome.unwrap());
        }
        all
    }
}

impl Outcome {
    pub(super) fn and(mut self, other: Self) -> Self {
        self.well += other.well;
        self.failures.extend(other.failures);
        self
    }

    /// Asserts that there were calls, and that none failed.
    #[track_caller]
    pub(super) fn was_flawless(&self) {
        assert!(
            self.failures.is_empty(),
            "{} failed and {} went well: {:?}",
            self.failures.len(),
            self.well,
            self.failures
        );
        assert!(self.well > 0, "nobody called");
    }
}

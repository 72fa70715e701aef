//! A way to a server on which things go wrong.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// What becomes of what is said on the way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    Flows,
    /// Each answer takes so much longer.
    Lags(Duration),
    /// Connections break, and new ones break at once.
    Breaks,
    /// Nothing arrives, and nobody is told. Connections that said something meanwhile are dead for ever, as
    /// behind a firewall that has lost its state.
    Hangs,
}

/// Passes on what is said to a server.
pub struct Way {
    pub port: u16,
    traffic: watch::Sender<Traffic>,
}

impl Way {
    /// A way to the port `to` on which traffic flows.
    pub async fn to(to: u16) -> Self {
        let listener = TcpListener::bind(super::ANYWHERE).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (traffic, seen) = watch::channel(Traffic::Flows);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(connect(client, to, seen.clone()));
            }
        });
        Self { port, traffic }
    }

    /// The same place by this way, of a URL that has `port` in it.
    pub fn url(&self, url: &str, port: u16) -> String {
        url.replace(&format!(":{port}/"), &format!(":{}/", self.port))
    }

    pub fn is(&self, traffic: Traffic) {
        self.traffic.send_replace(traffic);
    }
}

async fn connect(client: TcpStream, to: u16, mut traffic: watch::Receiver<Traffic>) {
    if *traffic.borrow() == Traffic::Breaks {
        return;
    }
    let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (asked, answered) = (traffic.clone(), traffic.clone());
    tokio::select! {
        () = pass_on(from_client, to_server, || asked_now(&asked)) => {}
        () = pass_on(from_server, to_client, || *answered.borrow()) => {}
        _ = traffic.wait_for(|traffic| *traffic == Traffic::Breaks) => {}
    }
}

/// Only answers lag.
fn asked_now(traffic: &watch::Receiver<Traffic>) -> Traffic {
    match *traffic.borrow() {
        Traffic::Lags(_) => Traffic::Flows,
        traffic => traffic,
    }
}

async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, traffic: impl Fn() -> Traffic) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        match traffic() {
            Traffic::Flows | Traffic::Breaks => {}
            Traffic::Lags(by) => tokio::time::sleep(by).await,
            Traffic::Hangs => std::future::pending().await,
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

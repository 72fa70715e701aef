//! A replica's own way to the store.

use idp_token_testkit::postgres::Server;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Passes on what is said to a database, unless it is closed: then connections break, and new ones break at
/// once.
pub(crate) struct Way {
    /// The database by this way.
    pub(crate) url: String,
    open: watch::Sender<bool>,
}

impl Way {
    /// An open way to the database at `url`, which is on `server`.
    pub(crate) async fn to(server: &Server, url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let [here, there] =
            [listener.local_addr().unwrap().port(), server.port()].map(|port| format!(":{port}/"));
        let (open, is_open) = watch::channel(true);
        let port = server.port();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(pass_on(client, port, is_open.clone()));
            }
        });
        Self { url: url.replace(&there, &here), open }
    }

    pub(crate) fn close(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }
}

async fn pass_on(mut client: TcpStream, port: u16, mut is_open: watch::Receiver<bool>) {
    if !*is_open.borrow() {
        return;
    }
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = is_open.wait_for(|open| !open) => {}
    }
}

//! An address that refuses connections until it is opened.

use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};

/// A port that is taken and not listened on.
pub(super) struct Gate {
    socket: TcpSocket,
    pub(super) address: SocketAddr,
}

impl Gate {
    pub(super) fn closed() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(idp_token_testkit::ANYWHERE).unwrap();
        let address = socket.local_addr().unwrap();
        Self { socket, address }
    }

    /// From now on it leads to `target`.
    pub(super) fn open(self, target: SocketAddr) {
        let listener = self.socket.listen(16).unwrap();
        tokio::spawn(async move {
            while let Ok((mut inner, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut outer = TcpStream::connect(target).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
                });
            }
        });
    }
}

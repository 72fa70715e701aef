//! HTTP/2 by hand, for what no client would send.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GO_AWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Of PING and SETTINGS.
pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A setting: RFC 9113, section 6.5.2.
pub const INITIAL_WINDOW_SIZE: u8 = 4;

/// RFC 9113, section 7.
pub const ENHANCE_YOUR_CALM: u8 = 11;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let stream = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &stream, payload].concat()
}

/// One setting of a SETTINGS frame.
pub fn setting(name: u8, value: u32) -> Vec<u8> {
    [&[0, name][..], &value.to_be_bytes()].concat()
}

/// A header, without a table (RFC 7541).
pub fn long_header(name: &str, value: &str) -> Vec<u8> {
    [vec![0x00], text(name), text(value)].concat()
}

/// A string of less than 16 KiB, its length in one byte or three: RFC 7541, sections 5.1 and 5.2.
fn text(text: &str) -> Vec<u8> {
    let length = match u8::try_from(text.len()) {
        Ok(length @ 0..127) => vec![length],
        _ => {
            let rest = text.len() - 127;
            vec![127, u8::try_from(rest % 128).unwrap() | 128, u8::try_from(rest / 128).unwrap()]
        }
    };
    [length, text.as_bytes().to_vec()].concat()
}

/// A frame that has come.
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// The next frame; `None` at the end of the connection.
pub async fn read(stream: &mut TcpStream) -> Option<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, flags, rest @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    stream.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind, flags, stream: u32::from_be_bytes(rest), payload })
}

/// The headers of a gRPC call, without a table (RFC 7541).
pub fn headers(path: &str) -> Vec<u8> {
    headers_of(path, "application/grpc")
}

/// The same for a body of another content type.
pub fn headers_of(path: &str, content_type: &str) -> Vec<u8> {
    // `:method: POST`, `:scheme: http`, then `:path`, `:authority`, `content-type`, `te`.
    let rows: [&[u8]; 7] = [
        &[0x83, 0x86, 0x04],
        &text(path),
        &[&[0x01], &*text("localhost")].concat(),
        &[&[0x0f, 0x10], &*text(content_type)].concat(),
        &[0x00],
        &text("te"),
        &text("trailers"),
    ];
    rows.concat()
}

/// A connection that has said hello.
pub async fn greet(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let greeting = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(SETTINGS, 0, 0, &[])].concat();
    stream.write_all(&greeting).await.unwrap();
    stream
}

/// Sends `frames`, and reads to the end: the error code of the GOAWAY, if one came.
pub async fn dismissed(mut stream: TcpStream, frames: &[u8]) -> Option<u8> {
    let (mut reader, mut writer) = stream.split();
    // The server may stop listening in the middle.
    let sending = async {
        let _ = writer.write_all(frames).await;
    };
    let mut heard = Vec::new();
    let reading = async { while reader.read_buf(&mut heard).await.is_ok_and(|length| length > 0) {} };
    tokio::join!(sending, reading);
    let mut rest = &heard[..];
    while let Some((head, _)) = rest.split_first_chunk::<9>() {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = rest.get(9..9 + length)?;
        if head[3] == GO_AWAY && payload[7] != 0 {
            return Some(payload[7]);
        }
        rest = &rest[9 + length..];
    }
    None
}

//! Gathers an answer's body, decoded, within its limit and the memory for calls.

use std::io::Read;

use bytes::Bytes;
use http::{Response, StatusCode};

use super::{
    TransportError, classify,
    coding::{self, Coding, Decoder},
};
use crate::{
    memory::{CallMemory, counted},
    shares::Share,
};

/// How much is decoded before room is asked for, in bytes.
const PIECE: usize = 16 * 1024;

/// Where a body is gathered.
#[derive(Clone, Copy)]
pub(super) struct Room<'a> {
    memory: Option<&'a CallMemory>,
    /// In bytes.
    limit: usize,
}

/// A body as far as it is gathered.
struct Gathered<'a> {
    bytes: Vec<u8>,
    expected: usize,
    /// As much as `bytes` can take.
    share: Option<Share>,
    room: Room<'a>,
}

/// The body is larger than its limit.
struct TooLarge;

impl<'a> Room<'a> {
    pub(super) fn uncounted(limit: usize) -> Self {
        Self { memory: None, limit }
    }

    pub(super) fn of(memory: &'a CallMemory, limit: usize) -> Self {
        Self { memory: Some(memory), limit }
    }

    /// Begins a body that should have `expected` bytes at most.
    fn begin(self, expected: usize) -> Gathered<'a> {
        let share = self.memory.map(|memory| memory.owe(0));
        Gathered { bytes: Vec::new(), expected, share, room: self }
    }
}

impl Gathered<'_> {
    async fn push(&mut self, piece: &[u8]) -> Result<(), TooLarge> {
        let length = self.bytes.len() + piece.len();
        if length > self.room.limit {
            return Err(TooLarge);
        }
        if length > self.bytes.capacity() {
            let wanted = length.max((2 * self.bytes.capacity()).min(self.expected));
            self.reserve(wanted).await;
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Makes room for `total` bytes.
    async fn reserve(&mut self, total: usize) {
        if let (Some(memory), Some(share)) = (self.room.memory, &mut self.share) {
            memory.grow(share, total - self.bytes.capacity()).await;
        }
        self.bytes.reserve_exact(total - self.bytes.len());
    }

    fn into_bytes(self) -> Bytes {
        match self.share {
            Some(share) => counted(self.bytes, share),
            None => Bytes::from(self.bytes),
        }
    }
}

/// Gathers the body of `answer` from `host`, and undoes its codings.
pub(super) async fn whole(
    mut answer: reqwest::Response,
    room: Room<'_>,
    host: &str,
) -> Result<Response<Bytes>, TransportError> {
    let status = answer.status();
    let too_large =
        |_: TooLarge| TransportError::TooLarge { host: host.to_owned(), status, limit: room.limit };
    let announced = answer.content_length().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if announced.is_some_and(|length| length > room.limit) {
        return Err(too_large(TooLarge));
    }
    let mut body = room.begin(announced.unwrap_or(room.limit));
    while let Some(chunk) = answer.chunk().await.map_err(|error| classify(host, error))? {
        body.push(&chunk).await.map_err(too_large)?;
    }
    // A part of a coded body cannot be decoded, and an answer to HEAD has none.
    if status != StatusCode::PARTIAL_CONTENT && !body.bytes.is_empty() {
        for coding in coding::take(answer.headers_mut()) {
            body = decoded(coding, &body, host, too_large).await?;
        }
    }
    let mut whole = Response::new(body.into_bytes());
    *whole.status_mut() = status;
    *whole.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(whole)
}

/// What `coded` is without its coding, whose bytes count beside it until it is dropped.
async fn decoded<'a>(
    coding: Coding,
    coded: &Gathered<'a>,
    host: &str,
    too_large: impl Fn(TooLarge) -> TransportError,
) -> Result<Gathered<'a>, TransportError> {
    let mut plain = coded.room.begin(coded.room.limit);
    let mut decoder = Decoder::new(coding, &coded.bytes);
    let mut piece = vec![0; PIECE];
    loop {
        let read = decoder.read(&mut piece).map_err(|error| TransportError::Malformed {
            host: host.to_owned(),
            cause: format!("its content coding is broken: {error}"),
        })?;
        if read == 0 {
            return Ok(plain);
        }
        plain.push(&piece[..read]).await.map_err(&too_large)?;
    }
}

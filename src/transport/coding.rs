//! Content codings (RFC 9110, section 8.4.1) that are undone: gzip, which is asked for, and deflate, which
//! some servers send unasked.
//!
//! Decoded here, since the HTTP client's own decoder stops after the first member of a gzip body and drops
//! the rest without a word (tower-http 0.6.8 to 0.6.11), and leaves doubled and upper-case codings as they
//! are.

use std::io::{self, Read};

use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};
use http::{HeaderMap, HeaderValue, header};

/// What is asked for.
pub(super) const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip");

/// Codings one inside the other. Two happen by mistake, where a server packs what a file already is; more are
/// somebody's attempt.
const NESTED: usize = 3;

/// A coding that is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950; also RFC 1951, which some servers send under this name.
    Deflate,
}

impl Coding {
    fn named(name: &str) -> Option<Self> {
        match name {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }
}

/// Takes the codings out of `headers` that are to be undone, the outermost first. What an unknown coding
/// covers stays as it is.
pub(super) fn take(headers: &mut HeaderMap) -> Vec<Coding> {
    let names = names(headers);
    let known: Vec<_> = names.iter().rev().map_while(|name| Coding::named(name)).collect();
    if known.is_empty() || known.len() > NESTED {
        return Vec::new();
    }
    // The length was that of the coded body.
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::CONTENT_ENCODING);
    let left = names[..names.len() - known.len()].join(", ");
    if let Ok(left) = HeaderValue::try_from(left).as_ref()
        && !left.is_empty()
    {
        headers.insert(header::CONTENT_ENCODING, left.clone());
    }
    known
}

fn names(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let names = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let names = names.map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase());
    names.filter(|name| !name.is_empty() && name != "identity").collect()
}

/// Reads what `coded` is without its coding.
pub(super) enum Decoder<'a> {
    Gzip(GzDecoder<&'a [u8]>),
    Zlib(ZlibDecoder<&'a [u8]>),
    Deflate(DeflateDecoder<&'a [u8]>),
}

impl<'a> Decoder<'a> {
    pub(super) fn new(coding: Coding, coded: &'a [u8]) -> Self {
        match coding {
            Coding::Gzip => Self::Gzip(GzDecoder::new(coded)),
            Coding::Deflate if is_zlib(coded) => Self::Zlib(ZlibDecoder::new(coded)),
            Coding::Deflate => Self::Deflate(DeflateDecoder::new(coded)),
        }
    }

    /// What is left of the input once a stream has ended.
    fn left(&mut self) -> &mut &'a [u8] {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
        }
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Self::Gzip(decoder) => decoder.read(buffer)?,
                Self::Zlib(decoder) => decoder.read(buffer)?,
                Self::Deflate(decoder) => decoder.read(buffer)?,
            };
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let left = *self.left();
            // Zeros fill the last block of a tape, and of some files; gzip(1) passes over them too.
            if left.iter().all(|byte| *byte == 0) {
                return Ok(0);
            }
            match self {
                // RFC 1952, section 2.2: members follow each other without anything in between.
                Self::Gzip(decoder) => *decoder = GzDecoder::new(left),
                _ => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "bytes follow the end of the stream",
                    ));
                }
            }
        }
    }
}

/// Whether this begins with a zlib header (RFC 1950, section 2.2) rather than with a bare deflate stream.
fn is_zlib(coded: &[u8]) -> bool {
    let [method, flags, ..] = *coded else { return false };
    method & 0x0f == 8 && u16::from_be_bytes([method, flags]) % 31 == 0
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    }

    fn zlib(plain: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    }

    fn deflate(plain: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    }

    /// A member in two flushed blocks.
    fn flushed(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        for part in plain.chunks(plain.len().div_ceil(2)) {
            encoder.write_all(part).expect("memory takes all");
            encoder.flush().expect("memory takes all");
        }
        encoder.finish().expect("memory takes all")
    }

    fn read(coding: Coding, coded: &[u8]) -> Option<Vec<u8>> {
        let mut plain = Vec::new();
        Decoder::new(coding, coded).read_to_end(&mut plain).ok().map(|_| plain)
    }

    #[test]
    fn a_body_is_read_whole_or_not_at_all() {
        let (gz, long) = (gzip, vec![b'x'; 100_000]);
        for (coded, expected) in [
            (gz(b"a"), Some(b"a".to_vec())),
            ([gz(b"a"), gz(b"b")].concat(), Some(b"ab".to_vec())),
            ([gz(&long), gz(b"b")].concat(), Some([&long[..], b"b"].concat())),
            ([gz(b""), gz(b"b")].concat(), Some(b"b".to_vec())),
            ([gz(b""), gz(b""), gz(b"")].concat(), Some(Vec::new())),
            (flushed(b"abcd"), Some(b"abcd".to_vec())),
            ([gz(b"a"), vec![0; 512]].concat(), Some(b"a".to_vec())),
            ([gz(b"a"), b"junk".to_vec()].concat(), None),
            ([gz(b"a"), gz(b"b")[..12].to_vec()].concat(), None),
            (gz(&long)[..50].to_vec(), None),
            (gz(b"a")[..gz(b"a").len() - 1].to_vec(), None),
            (b"junk".to_vec(), None),
        ] {
            assert_eq!(read(Coding::Gzip, &coded), expected, "{coded:?}");
        }
        for (coded, expected) in [
            (zlib(b"a"), Some(b"a".to_vec())),
            (deflate(b"a"), Some(b"a".to_vec())),
            (zlib(&long), Some(long.clone())),
            (deflate(&long), Some(long.clone())),
            ([zlib(b"a"), b"junk".to_vec()].concat(), None),
            (zlib(&long)[..20].to_vec(), None),
            (b"\xff\xff\xff".to_vec(), None),
        ] {
            assert_eq!(read(Coding::Deflate, &coded), expected, "{coded:?}");
        }
    }

    #[test]
    fn codings_are_known_in_any_spelling_and_undone_from_the_outside() {
        use Coding::{Deflate, Gzip};
        for (values, undone, left) in [
            (&[][..], vec![], None),
            (&["gzip"], vec![Gzip], None),
            (&["GZip"], vec![Gzip], None),
            (&["x-gzip"], vec![Gzip], None),
            (&[" identity , gzip,"], vec![Gzip], None),
            (&["deflate, gzip"], vec![Gzip, Deflate], None),
            (&["deflate", "gzip"], vec![Gzip, Deflate], None),
            (&["gzip, gzip"], vec![Gzip, Gzip], None),
            (&["br, gzip"], vec![Gzip], Some("br")),
            (&["gzip, br"], vec![], Some("gzip, br")),
            (&["zstd"], vec![], Some("zstd")),
            (&["gzip, gzip, gzip, gzip"], vec![], Some("gzip, gzip, gzip, gzip")),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("content-encoding", HeaderValue::from_static(value));
            }
            headers.insert("content-length", HeaderValue::from_static("5"));
            assert_eq!(take(&mut headers), undone, "{values:?}");
            let header = headers.get("content-encoding").map(|left| left.to_str().expect("text"));
            assert_eq!(header, left, "{values:?}");
            assert_eq!(headers.contains_key("content-length"), undone.is_empty(), "{values:?}");
        }
    }
}

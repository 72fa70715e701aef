//! gzip with bounded decompression.

use std::io::{self, Read, Write};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};

/// Decompresses up to `limit` bytes; `None` if there are more.
///
/// # Errors
/// When the content is not gzip.
pub(super) fn unpack(packed: &[u8], limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    MultiGzDecoder::new(packed).take(most.saturating_add(1)).read_to_end(&mut content)?;
    Ok((content.len() <= limit).then_some(content))
}

/// Compresses `content`, fast rather than small.
pub(super) fn pack(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(content).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked_up_to_the_limit() {
        let packed = pack(&[7; 1000]);
        assert!(packed.len() < 100);
        assert_eq!(unpack(&packed, 1000).expect("gzip"), Some(vec![7; 1000]));
        assert_eq!(unpack(&packed, 999).expect("gzip"), None);
        for broken in [&packed[..20], b"no gzip", b""] {
            unpack(broken, 1000).expect_err("no gzip, or cut short");
        }
    }
}

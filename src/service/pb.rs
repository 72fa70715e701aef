//! The contract, generated from `proto/`.
#![expect(
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated from proto/, which has the documentation"
)]

tonic::include_proto!("idptoken.v1");

/// The contract's descriptors with their options, for reflection and for JSON.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

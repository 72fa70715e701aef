//! The contract's messages as JSON, by the rules of ProtoJSON
//! (<https://protobuf.dev/programming-guides/json/>).
//!
//! It is stricter where two programs could read one text differently, or a mistake would go unnoticed:
//! unknown and duplicate keys are errors.

use std::collections::HashMap;

use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, MethodDescriptor, prost::Message,
};

mod unique;

use crate::service::pb;

/// The contract's service.
const SERVICE: &str = "idptoken.v1.IdpTokenService";

/// Maximum length of an error's text, in bytes: a key may be as long as the message.
const LONGEST_QUOTE: usize = 80;

/// The contract as descriptors.
pub(super) struct Schema {
    /// The RPCs by path.
    methods: HashMap<String, MethodDescriptor>,
    /// google.rpc.ErrorInfo and its siblings.
    details: DescriptorPool,
}

impl Schema {
    pub(super) fn new() -> Self {
        let pool = |files| DescriptorPool::decode(files).expect("the build makes valid descriptor sets");
        let service = pool(pb::FILE_DESCRIPTOR_SET).get_service_by_name(SERVICE);
        let methods = service.expect("the contract has its service").methods().collect::<Vec<_>>();
        let path = |method: &MethodDescriptor| format!("/{SERVICE}/{}", method.name());
        let methods = methods.into_iter().map(|method| (path(&method), method)).collect();
        Self { methods, details: pool(tonic_types::pb::FILE_DESCRIPTOR_SET) }
    }

    /// The RPC at `path`.
    pub(super) fn method(&self, path: &str) -> Option<&MethodDescriptor> {
        self.methods.get(path)
    }

    /// Returns whether the contract's RPCs have paths of this form, known or not.
    pub(super) fn is_of_service(path: &str) -> bool {
        path.strip_prefix('/')
            .and_then(|path| path.strip_prefix(SERVICE))
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// An error detail of this type as JSON; `None` if the type is unknown.
    pub(super) fn detail(&self, kind: &str, message: &[u8]) -> Option<serde_json::Value> {
        let message = DynamicMessage::decode(self.details.get_message_by_name(kind)?, message).ok()?;
        serde_json::to_value(message).ok()
    }
}

/// Parses `json` as a message of this type, and returns it in protobuf's encoding.
///
/// # Errors
/// What is wrong, in words that quote no value.
pub(super) fn read(kind: MessageDescriptor, json: &[u8]) -> Result<Vec<u8>, String> {
    let name = kind.name().to_owned();
    let read = || {
        unique::check(json)?;
        let mut json = serde_json::Deserializer::from_slice(json);
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        let message = DynamicMessage::deserialize_with_options(kind, &mut json, &options)?;
        json.end().map(|()| message.encode_to_vec())
    };
    read().map_err(|error: serde_json::Error| format!("is no JSON of a {name}: {}", tame(&error.to_string())))
}

/// Converts a message to JSON without fields at their default; `None` if it cannot be decoded.
pub(super) fn write(kind: MessageDescriptor, message: &[u8]) -> Option<Vec<u8>> {
    let message = DynamicMessage::decode(kind, message).ok()?;
    serde_json::to_vec(&message).ok()
}

/// Removes values from an error's text: one may be a secret, or as long as the message.
fn tame(words: &str) -> String {
    let kind = ["invalid type: ", "invalid value: ", "invalid length: "]
        .iter()
        .find(|kind| words.starts_with(**kind));
    let (kind, rest) = match (kind, words.rfind(", expected ")) {
        (Some(kind), Some(at)) => (*kind, &words[at + 2..]),
        _ => ("", words),
    };
    if kind.len() + rest.len() <= 2 * LONGEST_QUOTE {
        return format!("{kind}{rest}");
    }
    let end = |at: usize| (at..=rest.len()).find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
    let (head, tail) = (&rest[..end(LONGEST_QUOTE)], &rest[end(rest.len() - LONGEST_QUOTE)..]);
    format!("{kind}{head}...{tail}")
}

#[cfg(test)]
mod tests;

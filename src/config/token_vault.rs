//! Auth0 Token Vault: the connections whose tokens it has, and the key that opens it.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    raw::{Origin, Read},
    secrets::FILE,
    section::Section,
    value::{self, Setting},
};
use crate::{identity::is_connection_name, secret::Secret};

/// The connections whose tokens are in Token Vault, `[auth0.token_vault]`.
#[derive(Clone, Debug)]
pub struct TokenVault {
    /// The names of the connections. At least one.
    pub connections: BTreeSet<String>,
    /// The RSA private key in PEM form that signs for users. The application's Privileged Worker has its
    /// public half.
    pub private_key: Arc<Secret>,
}

/// The name of the key that lists connections.
const CONNECTIONS: &str = "connections";
/// The name of the key that names the private key's file.
const PRIVATE_KEY: &str = "private_key_file";

/// Accepted values of the list, for the documentation.
const LIST: &str =
    "an array of connections, such as `[\"google-oauth2\"]`; in the variable, commas between them";

impl TokenVault {
    /// Reads the table; `None` if it is absent or empty, and after a reported mistake.
    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        section.register(CONNECTIONS, "none", LIST);
        section.register(PRIVATE_KEY, "none", FILE);
        let connections = connections(section);
        let private_key = section.one_of(&[PRIVATE_KEY]);
        let (connections, private_key) = (connections.ok()?, private_key.ok()?);
        match (connections, private_key) {
            (Some(connections), Some((_, raw))) => {
                Some(Self { connections, private_key: section.private_key_file(&raw)? })
            }
            (Some(_), None) => {
                missing(section, PRIVATE_KEY, "the RSA private key that the vault is opened with")
            }
            (None, Some(_)) => missing(section, CONNECTIONS, "the connections whose tokens are in the vault"),
            (None, None) => None,
        }
    }
}

/// Reports that one of the two keys is missing: neither is of use alone.
fn missing(section: &mut Section<'_, '_>, name: &str, what: &str) -> Option<TokenVault> {
    let path = section.path.child(name);
    section.problem(format!("`{}` is missing: name {what}, or set `{}`", path.written, path.variable()));
    None
}

fn connections(section: &mut Section<'_, '_>) -> Read<BTreeSet<String>> {
    if let Some(raw) = section.environment_value(CONNECTIONS)? {
        section.table.remove(CONNECTIONS);
        let names: Result<_, _> = raw.text.split(',').map(|name| Connection::parse(name.trim())).collect();
        return names.map(set).map_err(|what| section.wrong(&raw.origin, &what));
    }
    let Some(value) = section.table.get(CONNECTIONS) else { return Ok(None) };
    let (kind, location) = (value::kind(value.get_ref()), section.reader.document.location(value.span()));
    let origin = Origin::file(section.path.child(CONNECTIONS).written, location);
    if !section.is_array(CONNECTIONS) {
        section.table.remove(CONNECTIONS);
        let what = format!("must be an array, such as `[\"google-oauth2\"]`, not {kind}");
        return Err(section.wrong(&origin, &what));
    }
    let names = section.list(CONNECTIONS, |connection| connection)?;
    if names.is_empty() {
        // Nobody writes an empty list on purpose: without the vault, both keys are left out.
        return Err(section.wrong(&origin, "is empty: list a connection, or remove `[auth0.token_vault]`"));
    }
    Ok(set(names))
}

fn set(names: Vec<Connection>) -> Option<BTreeSet<String>> {
    Some(names.into_iter().map(|Connection(name)| name).collect())
}

/// The name of a connection.
struct Connection(String);

impl Setting for Connection {
    const EXPECTED: &'static str = "the name of a connection, such as `google-oauth2`";

    fn parse(text: &str) -> Result<Self, String> {
        if is_connection_name(text) { Ok(Self(text.to_owned())) } else { Err(value::must_be::<Self>()) }
    }
}

//! Secrets in the configuration, or in files of their own.

use std::{io, path::Path, sync::Arc};

use secrecy::ExposeSecret;

use super::{
    private_key,
    raw::{Raw, Read, Reported},
    section::Section,
    value::Shape,
};
use crate::{provider, secret::Secret};

/// Accepted values of `client_secret`, for the documentation.
pub(super) const SECRET: &str = "a secret; better `client_secret_file`";
/// Accepted values of a `_file` key, for the documentation.
pub(super) const FILE: &str = "the path of a file";

impl<'a> Section<'_, 'a> {
    /// Reads the one of `names` that is set. If the environment sets any of them, all of them in the file are
    /// ignored; two in the same place are contradictory.
    pub(super) fn one_of(&mut self, names: &[&'static str]) -> Read<(&'static str, Raw<'a>)> {
        let set = self.all_of(names, Self::environment_value);
        if set.as_ref().is_ok_and(Vec::is_empty) {
            let set = self.all_of(names, |section, name| section.file_value(name, Shape::Text, "a text"))?;
            return self.only(set);
        }
        names.iter().for_each(|name| drop(self.table.remove(*name)));
        self.only(set?)
    }

    fn all_of(
        &mut self,
        names: &[&'static str],
        read: impl Fn(&mut Self, &str) -> Read<Raw<'a>>,
    ) -> Result<Vec<(&'static str, Raw<'a>)>, Reported> {
        let values: Vec<_> = names.iter().map(|name| (*name, read(self, name))).collect();
        values
            .into_iter()
            .filter_map(|(name, value)| Some(value.transpose()?.map(|raw| (name, raw))))
            .collect()
    }

    fn only(&mut self, mut set: Vec<(&'static str, Raw<'a>)>) -> Read<(&'static str, Raw<'a>)> {
        if set.len() < 2 {
            return Ok(set.pop());
        }
        let (_, last) = set.pop().expect("there are two");
        let others: Vec<_> = set.iter().map(|(_, raw)| format!("`{}`", raw.origin.name)).collect();
        Err(self.wrong(&last.origin, &format!("contradicts {}; keep one of them", others.join(" and "))))
    }

    /// Returns the secret that is written in `raw` itself, without trailing white space.
    pub(super) fn secret_in(&mut self, raw: &Raw<'a>) -> Option<Arc<Secret>> {
        self.reader.holds_secret |= !raw.origin.variable;
        let text = raw.text.trim_end();
        if text.is_empty() {
            self.wrong(&raw.origin, "is empty");
            return None;
        }
        Some(Arc::new(Secret::fixed(text)))
    }

    /// Reads the secret in the file that `raw` names; warns if others may read the file.
    pub(super) fn secret_file(&mut self, raw: &Raw<'a>) -> Option<Arc<Secret>> {
        self.warn_if_open(raw);
        Secret::from_file(Path::new(raw.text.as_ref()))
            .map(Arc::new)
            .map_err(|error| self.wrong(&raw.origin, &unreadable(&error)))
            .ok()
    }

    /// Reads a file that must hold an RSA private key; [`private_key`] says what else may be in it.
    pub(super) fn private_key_file(&mut self, raw: &Raw<'a>) -> Option<Arc<Secret>> {
        self.key_file(raw, private_key::fault)
    }

    /// Reads the private key of a provider's application; the file may, or must, also hold the key's
    /// certificate.
    pub(super) fn providers_private_key_file(
        &mut self,
        raw: &Raw<'a>,
        wants_certificate: bool,
    ) -> Option<Arc<Secret>> {
        self.key_file(raw, |pem| {
            let lacks = || wants_certificate && !provider::has_certificate(pem);
            let fault = private_key::fault(provider::private_key(pem));
            fault.or_else(|| lacks().then(|| CERTIFICATE_MISSING.to_owned()))
        })
    }

    fn key_file(&mut self, raw: &Raw<'a>, fault: impl FnOnce(&str) -> Option<String>) -> Option<Arc<Secret>> {
        let key = self.secret_file(raw)?;
        match fault(key.get().expose_secret()) {
            None => Some(key),
            Some(fault) => {
                self.wrong(&raw.origin, &format!("names {fault}"));
                None
            }
        }
    }

    /// Warns if others may read the file that `raw` names.
    pub(super) fn warn_if_open(&mut self, raw: &Raw<'_>) {
        let Some(mode) = open_to_others(Path::new(raw.text.as_ref())) else { return };
        let name = &raw.origin.name;
        self.warn(format!(
            "`{name}` names a file that its group or others may read (mode {mode:04o}): `chmod 600` it, or mount it \
             with `defaultMode: 0400` on Kubernetes"
        ));
    }
}

const CERTIFICATE_MISSING: &str = "a file without a certificate: Microsoft wants to know which key signed, so append \
    the certificate that was uploaded for the application, in PEM form";

/// Describes the error without the path: the secret itself may have been written there.
fn unreadable(error: &io::Error) -> String {
    let remedy = "write the path of a file that holds the secret alone";
    // The text of `Secret::from_file` for an empty file.
    if error.to_string() == "the file is empty" {
        return format!("names an empty file; {remedy}");
    }
    format!("names a file that cannot be read: {error}; {remedy}")
}

/// Returns the mode of `file` if it gives the group or others any access.
pub(super) fn open_to_others(file: &Path) -> Option<u32> {
    let mode = mode(file)?;
    (mode & 0o077 != 0).then_some(mode & 0o7777)
}

#[cfg(unix)]
fn mode(file: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(std::fs::metadata(file).ok()?.permissions().mode())
}

#[cfg(not(unix))]
fn mode(_: &Path) -> Option<u32> {
    None
}

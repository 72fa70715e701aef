//! Settings of the audit log, `[audit]`.

use std::{path::PathBuf, sync::Arc};

use secrecy::ExposeSecret;

use super::{
    secrets::FILE,
    section::Section,
    value::{Setting, must_be},
};
use crate::audit::{Destination, Format, Level, Settings, UserIdKey};

/// Accepted values of `user_id_key`, for the documentation.
const KEY: &str = "base64 of 32 bytes or more; better `user_id_key_file`";

/// Reads the table; `None` after a reported mistake.
pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Settings> {
    let destination = section.or("file", "-");
    let format = section.or("format", "json");
    let level = section.or("level", "all");
    let user_id_key = user_id_key(section)?;
    Some(Settings { destination, format, level, user_id_key })
}

/// Reads the key. The outer `None` means a reported mistake, the inner one that no key is set.
fn user_id_key(section: &mut Section<'_, '_>) -> Option<Option<Arc<UserIdKey>>> {
    section.register("user_id_key", "none", KEY);
    section.register("user_id_key_file", "none", FILE);
    let Some((name, raw)) = section.one_of(&["user_id_key", "user_id_key_file"]).ok()? else {
        return Some(None);
    };
    let is_file = name == "user_id_key_file";
    let secret = if is_file { section.secret_file(&raw)? } else { section.secret_in(&raw)? };
    let key = UserIdKey::parse(secret.get().expose_secret());
    let before = if is_file { "names a file whose content " } else { "" };
    let key = key.map_err(|malformed| section.wrong(&raw.origin, &format!("{before}{malformed}")));
    key.ok().map(|key| Some(Arc::new(key)))
}

impl Setting for Destination {
    const EXPECTED: &'static str = "the path of a file, or `-` for stdout";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" => Err(must_be::<Self>()),
            "-" => Ok(Self::Stdout),
            path => Ok(Self::File(PathBuf::from(path))),
        }
    }
}

impl Setting for Format {
    const EXPECTED: &'static str = "`json` or `logfmt`";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "logfmt" => Ok(Self::Logfmt),
            _ => Err(must_be::<Self>()),
        }
    }
}

impl Setting for Level {
    const EXPECTED: &'static str = "`all`, `refusals` or `off`";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "refusals" => Ok(Self::Refusals),
            "off" => Ok(Self::Off),
            _ => Err(must_be::<Self>()),
        }
    }
}

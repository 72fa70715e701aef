//! The login application that connect links use.

use toml::{Spanned, de::DeValue};
use url::Url;

use super::{
    auth0::ClientId,
    network,
    raw::{Origin, Read, Reported},
    section::Section,
    value::{self, Setting, must_be},
};

/// Maximum number of redirect URIs. A link uses one; a longer list was pasted by mistake.
const MOST_REDIRECT_URIS: usize = 20;

/// Maximum bytes: with everything else the link must fit into the headers of an error, of which clients
/// accept 8 KiB.
const LONGEST_REDIRECT_URI: usize = 1024;

/// The application to which users log in through a connect link, `[connect]`. It has no secret here: a link
/// needs none.
#[derive(Clone, Debug)]
pub struct Connect {
    /// The application's client id.
    pub client_id: String,
    /// Where Auth0 may send the user afterwards: 1 to 20 URIs, verbatim, since Auth0 compares them exactly.
    /// Links in errors use the first.
    pub redirect_uris: Vec<String>,
}

impl Connect {
    /// Reads the table; `None` if there is no such application, or after a reported mistake.
    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let client_id = section.optional::<ClientId>("client_id", "none");
        let redirect_uris = redirect_uris(section);
        let lacking = match (client_id.ok()?, redirect_uris.ok()?) {
            (None, None) => return None,
            (Some(ClientId(client_id)), Some(redirect_uris)) => {
                return Some(Self { client_id, redirect_uris });
            }
            (Some(_), None) => "redirect_uris",
            (None, Some(_)) => "client_id",
        };
        section.problem(format!(
            "`connect.{lacking}` is missing: a connect link takes both `client_id` and `redirect_uris`"
        ));
        None
    }
}

/// The name of the key.
const KEY: &str = "redirect_uris";

/// Reads the array in the file, or the variable, which separates the URLs by commas as Auth0's dashboard
/// does.
fn redirect_uris(section: &mut Section<'_, '_>) -> Read<Vec<String>> {
    section.register(KEY, "none", RedirectUri::EXPECTED);
    let (origin, parsed) = match section.environment_value(KEY)? {
        Some(raw) => {
            section.table.remove(KEY);
            let parsed = raw.text.split(',').map(|text| RedirectUri::parse(text.trim())).collect();
            (raw.origin, parsed)
        }
        None => {
            let Some(value) = section.table.remove(KEY) else { return Ok(None) };
            let location = section.reader.document.location(value.span());
            (Origin::file(section.path.child(KEY).written, location), items(value.into_inner()))
        }
    };
    let uris = judge(section, &origin, parsed)?;
    Ok(Some(uris.into_iter().map(|RedirectUri(uri)| uri).collect()))
}

type Parsed = Vec<Result<RedirectUri, String>>;

fn items(value: DeValue<'_>) -> Parsed {
    let DeValue::Array(items) = value else {
        return vec![Err("must be an array, such as `[\"https://app.acme.example/connected\"]`".to_owned())];
    };
    items.into_iter().map(Spanned::into_inner).map(item).collect()
}

fn item(value: DeValue<'_>) -> Result<RedirectUri, String> {
    let kind = value::kind(&value);
    let text = value::text_of(value, RedirectUri::SHAPE);
    text.map_or_else(
        || Err(format!("must hold strings in quotes, not {kind}")),
        |text| RedirectUri::parse(&text),
    )
}

fn judge(
    section: &mut Section<'_, '_>,
    origin: &Origin,
    parsed: Parsed,
) -> Result<Vec<RedirectUri>, Reported> {
    if !(1..=MOST_REDIRECT_URIS).contains(&parsed.len()) {
        return Err(section.wrong(origin, &format!("must hold 1 to {MOST_REDIRECT_URIS} URLs")));
    }
    let parsed: Result<Vec<_>, String> = parsed.into_iter().collect();
    parsed.map_err(|what| section.wrong(origin, &what))
}

/// An absolute URL that a browser can be sent to.
struct RedirectUri(String);

impl Setting for RedirectUri {
    const EXPECTED: &'static str =
        "`https://` URLs, exactly as the application's Allowed Callback URLs have them";

    fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST_REDIRECT_URI || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let what =
                "must hold URLs of at most 1024 bytes, without white space and percent-encoded where needed";
            return Err(what.to_owned());
        }
        let url = Url::parse(text).map_err(|_| must_be::<Self>())?;
        if url.fragment().is_some() {
            return Err("must hold URLs without a fragment (`#...`), which OAuth does not allow".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must hold URLs without credentials".to_owned());
        }
        if network::has_safe_scheme(&url) {
            return Ok(Self(text.to_owned()));
        }
        Err(if url.scheme() == "http" { network::NO_PLAIN_HTTP.to_owned() } else { must_be::<Self>() })
    }
}

//! What must come of each cell: plain tables, written by hand from the rules in `actors.rs`. Nothing here
//! asks the policy.

use tonic::Code;

pub(super) const PROVIDERS: [&str; 3] = ["google-oauth2", "github", "facebook"];

/// RPCs, and the requests of CallProvider.
pub(super) const ACTIONS: &[&str] = &[
    "list",
    "get",
    "get all",
    "inspect",
    "link",
    "stream",
    "revoke",
    "GET /oauth2/v3/userinfo",
    "GET /calendar/v3/users/me/calendarList",
    "POST /calendar/v3/users/me/calendarList",
    "GET www.googleapis.com/oauth2/v3/userinfo",
    "GET /user",
    "GET /user?page=2",
    "GET /user/",
    "HEAD /user",
    "GET /repos/ada/engine",
    "DELETE /repos/ada/engine",
    "GET /repos/ada/engine%2Fx",
    "GET /repos/ada/../grace",
    "GET /me",
    "GET /v24.0/me",
    "POST /me",
    "GET evil.example/me",
];

/// Who is not believed, and gets nothing at all.
const UNKNOWN: &[&str] = &[
    "nameless",
    "two-names",
    "envoy-alone",
    "envoy-malformed",
    "jwt-expired",
    "jwt-other-audience",
    "jwt-forged",
    "jwt-unknown-issuer",
    "jwt-of-admin-but-junk",
    "id-token",
];

/// Providers, each with actions.
type Row = [(&'static str, &'static [&'static str])];

/// What each caller may do, with which provider; `*` is every one. What is not here is denied.
const ALLOWED: &[(&str, &Row)] = &[
    ("calendar", CALENDAR),
    ("calendar-elsewhere", CALENDAR),
    ("calendar-too-deep", &[]),
    ("stranger-with-forged-header", &[]),
    ("janitor", &[("google-oauth2", &["inspect", "revoke"])]),
    ("mail-behind-envoy", &[("google-oauth2", &["get"])]),
    ("vault", &[("*", &["get", "get all"])]),
    (
        "code",
        &[(
            "github",
            &["link", "GET /user", "GET /user?page=2", "GET /repos/ada/engine", "DELETE /repos/ada/engine"],
        )],
    ),
    (
        "both",
        &[
            ("google-oauth2", GETS),
            ("google-oauth2", &["GET www.googleapis.com/oauth2/v3/userinfo"]),
            ("github", &["POST /calendar/v3/users/me/calendarList", "POST /me"]),
        ],
    ),
    ("admin", EVERYTHING),
    ("ada", &[("facebook", &["GET /me"]), ("github", GETS)]),
    ("ada-with-a-service-certificate", &[("facebook", &["GET /me"]), ("github", GETS)]),
    ("grace", &[]),
    ("anonymous", &[("*", &["get", "inspect", "link", "revoke"]), EVERY_REQUEST[0], EVERY_REQUEST[1]]),
];

const CALENDAR: &Row = &[(
    "google-oauth2",
    &[
        "GET /oauth2/v3/userinfo",
        "GET /calendar/v3/users/me/calendarList",
        "GET www.googleapis.com/oauth2/v3/userinfo",
    ],
)];

/// The requests with GET that are well-formed for every provider.
const GETS: &[&str] = &[
    "GET /oauth2/v3/userinfo",
    "GET /calendar/v3/users/me/calendarList",
    "GET /user",
    "GET /user?page=2",
    "GET /user/",
    "GET /repos/ada/engine",
    "GET /repos/ada/engine%2Fx",
    "GET /me",
    "GET /v24.0/me",
];

const EVERY_REQUEST: [(&str, &[&str]); 2] = [("*", GETS), ("*", OTHERS)];

const OTHERS: &[&str] = &[
    "POST /calendar/v3/users/me/calendarList",
    "HEAD /user",
    "DELETE /repos/ada/engine",
    "POST /me",
    "GET www.googleapis.com/oauth2/v3/userinfo",
];

const EVERYTHING: &Row =
    &[("*", &["get", "get all", "inspect", "link", "revoke"]), EVERY_REQUEST[0], EVERY_REQUEST[1]];

/// The providers whose identities each caller may list.
const LISTS: &Row = &[
    ("calendar", &["google-oauth2"]),
    ("calendar-elsewhere", &["google-oauth2"]),
    ("code", &["github"]),
    ("both", &["google-oauth2", "github"]),
    ("admin", &PROVIDERS),
    ("ada", &["github", "facebook"]),
    ("ada-with-a-service-certificate", &["github", "facebook"]),
    ("anonymous", &PROVIDERS),
];

/// The providers of which each caller may have some request sent: only they learn that a request is
/// malformed. In these rules, the same.
const CALLS: &Row = LISTS;

fn of<'a, T: ?Sized>(table: &[(&str, &'a T)], name: &str) -> Option<&'a T> {
    table.iter().find(|(actor, _)| *actor == name).map(|(_, row)| *row)
}

/// What must come of a cell.
pub(super) struct Expected {
    pub(super) code: Code,
    pub(super) code_name: &'static str,
    /// Empty for OK.
    pub(super) reason: &'static str,
    pub(super) decision: &'static str,
    /// The providers that must be listed.
    pub(super) listed: Option<Vec<String>>,
    /// `METHOD host/path`, as it must reach the provider.
    pub(super) sent: Option<String>,
}

impl Expected {
    pub(super) fn of(actor: &str, provider: &str, action: &str) -> Self {
        let no = |code, code_name, reason, decision| Self {
            code,
            code_name,
            reason,
            decision,
            listed: None,
            sent: None,
        };
        if UNKNOWN.contains(&actor) {
            return no(Code::Unauthenticated, "UNAUTHENTICATED", "CALLER_UNAUTHENTICATED", "none");
        }
        let denied = || no(Code::PermissionDenied, "PERMISSION_DENIED", "CALLER_NOT_ALLOWED", "deny");
        let may_call = of(CALLS, actor).is_some_and(|providers| providers.contains(&provider));
        match action {
            // Not in this version.
            "stream" => return no(Code::Unimplemented, "UNIMPLEMENTED", "OPERATION_UNSUPPORTED", "none"),
            "list" => {
                let Some(providers) = of(LISTS, actor) else { return denied() };
                let listed = providers.iter().map(|name| (*name).to_owned()).collect();
                return Self { listed: Some(listed), ..no(Code::Ok, "OK", "", "allow") };
            }
            _ if is_malformed(provider, action) => {
                let invalid = no(Code::InvalidArgument, "INVALID_ARGUMENT", "INVALID_FIELD", "allow");
                return if may_call { invalid } else { denied() };
            }
            _ => {}
        }
        let rows = of(ALLOWED, actor).unwrap_or_else(|| panic!("{actor} is in no table"));
        let is_allowed =
            rows.iter().any(|(name, actions)| ["*", provider].contains(name) && actions.contains(&action));
        if is_allowed {
            Self { sent: sent(provider, action), ..no(Code::Ok, "OK", "", "allow") }
        } else {
            denied()
        }
    }
}

/// What no adapter sends: dots in the path, or another provider's host.
fn is_malformed(provider: &str, action: &str) -> bool {
    action.contains("/../")
        || action.contains("evil.example")
        || action.contains("www.googleapis.com") && provider != "google-oauth2"
}

/// What reaches the provider: Facebook's paths get a version in front, where they have none.
fn sent(provider: &str, action: &str) -> Option<String> {
    let (method, place) = action.split_once(' ').filter(|(_, place)| place.contains('/'))?;
    let path = place[place.find('/')?..].split('?').next()?;
    Some(match provider {
        "google-oauth2" => format!("{method} www.googleapis.com{path}"),
        "github" => format!("{method} api.github.com{path}"),
        _ if path.starts_with("/v24.0/") => format!("{method} graph.facebook.com{path}"),
        _ => format!("{method} graph.facebook.com/v25.0{path}"),
    })
}

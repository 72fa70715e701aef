//! README.md's table of providers matches the adapters.

use super::{capabilities::full, *};

const README: &str = include_str!("../../../README.md");

/// What a capability needs in the configuration besides the application.
const APPLICATION: [&str; 2] = ["client_id", "client_secret"];

/// The cells of the table's rows.
fn rows() -> Vec<Vec<&'static str>> {
    let lines = README.lines().skip_while(|line| !line.starts_with("| Auth0 strategy |")).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// `what`, marked if the application must be configured for it.
fn told(what: Option<&str>, bare: Option<&MissingCapability>) -> String {
    let marked = bare.is_some_and(|missing| *missing != MissingCapability::Unsupported);
    what.map_or("–".to_owned(), |what| format!("{what}{}", if marked { "†" } else { "" }))
}

fn renewal(full: &dyn Provider, bare: &dyn Provider) -> String {
    let what = full.renewal().ok().map(|renewal| match renewal.source() {
        Source::RefreshToken => "yes",
        Source::LiveAccessToken => "while it lives",
    });
    told(what, bare.renewal().err())
}

fn used_refresh_token(full: &dyn Provider) -> String {
    let renewal = full.renewal().ok().filter(|renewal| renewal.source() == Source::RefreshToken);
    told(renewal.map(|renewal| if renewal.rotates() { "dies" } else { "stays" }), None)
}

fn inspection(full: &dyn Provider, bare: &dyn Provider) -> String {
    let what = full.inspection().ok().map(|inspection| {
        let request = inspection.encode(&token(), SystemTime::now()).expect("all is there");
        let is_call =
            request.headers().get("authorization").is_some_and(|value| *value == format!("Bearer {TOKEN}"));
        if is_call { "by a call" } else { "yes" }
    });
    told(what, bare.inspection().err())
}

fn revocation(full: &dyn Provider, bare: &dyn Provider) -> String {
    let what = full.revocation().ok().map(|revocation| match revocation.ends() {
        Ends::Token => "of the token",
        Ends::Grant => "of the grant",
    });
    told(what, bare.revocation().err())
}

/// The supported ways to name the next page.
fn next_page(full: &dyn Provider) -> String {
    let sent = format!("https://{}/a", full.hosts()[0].as_str());
    let sent: Uri = sent.parse().expect("a host makes a URL");
    let next = format!("{sent}?page=2");
    let ways = [
        ("Link", String::new()),
        ("nextPageToken", r#"{"nextPageToken":"2"}"#.to_owned()),
        ("paging.next", format!(r#"{{"paging":{{"next":"{next}"}}}}"#)),
        ("next", format!(r#"{{"next":"{next}"}}"#)),
        ("@odata.nextLink", format!(r#"{{"@odata.nextLink":"{next}"}}"#)),
        ("odata.nextLink", format!(r#"{{"odata.nextLink":"{next}"}}"#)),
    ];
    let link = format!("<{next}>; rel=\"next\"");
    let json = ("content-type", "application/json");
    let followed = ways.into_iter().filter(|(way, body)| {
        let headers = [json, ("link", link.as_str())];
        let answer = answer(200, if *way == "Link" { &headers } else { &headers[..1] }, body);
        full.next_page(&sent, &answer).is_some()
    });
    followed.map(|(way, _)| format!("`{way}`")).collect::<Vec<_>>().join(", ")
}

fn rate_limit(full: &dyn Provider) -> String {
    let headers = [("limit", "60"), ("remaining", "1"), ("reset", "1800000060")];
    let headers = headers.map(|(name, value)| (format!("x-ratelimit-{name}"), value));
    let headers = headers.each_ref().map(|(name, value)| (name.as_str(), *value));
    let told_of = full.rate_limit(answer(200, &headers, "").headers(), SystemTime::now());
    told(told_of.map(|_| "yes"), None)
}

/// The keys without which something does not work, except the application's.
fn needs(kind: &Kind, bare: &dyn Provider) -> String {
    let lacks = [bare.renewal().err(), bare.inspection().err(), bare.revocation().err()];
    let missing = lacks.into_iter().flatten().flat_map(|lack| match lack {
        MissingCapability::NotConfigured { missing } => missing.clone(),
        MissingCapability::Unsupported => Vec::new(),
    });
    let hosts = (kind.hosts() == HostRule::Required).then_some("hosts");
    let keys = hosts.into_iter().chain(missing.filter(|key| !APPLICATION.contains(key)));
    let keys: Vec<_> = keys.map(|key| format!("`{key}`")).collect();
    if keys.is_empty() { "–".to_owned() } else { keys.join(", ") }
}

/// The documented hosts are exactly those that are called.
fn assert_hosts(strategy: &str, kind: &Kind, full: &dyn Provider, cell: &str) {
    let (settings, told): (Vec<_>, Vec<_>) = quoted(cell).into_iter().partition(|name| *name == "hosts");
    assert_eq!(!settings.is_empty(), kind.hosts() != HostRule::Fixed, "{strategy}: {cell}");
    let own = if kind.hosts() == HostRule::Required { &[] } else { full.hosts() };
    let is_told = |host: &HostPattern| {
        told.iter().any(|told| *told == host.as_str() || HostPattern::new(*told).matches(host.as_str()))
    };
    assert!(own.iter().all(is_told), "{strategy}: {cell}");
    assert!(told.iter().all(|told| own.iter().any(|host| host.as_str() == *told)), "{strategy}: {cell}");
}

#[test]
fn every_provider_is_in_the_table_with_what_works() {
    let rows = rows();
    for strategy in strategies() {
        let row = rows.iter().find(|row| quoted(row[0]).contains(&strategy));
        let row = row.unwrap_or_else(|| panic!("README.md's table of providers has no row of {strategy}"));
        let kind = kind(strategy).expect("there is such a kind");
        let bare = Settings { hosts: hosts_of(strategy), ..Settings::default() };
        let (full, bare) = (full(strategy), build(strategy, bare).expect("there is such an adapter"));
        let (full, bare) = (full.as_ref(), bare.as_ref());
        assert_hosts(strategy, kind, full, row[1]);
        let expected = [
            renewal(full, bare),
            used_refresh_token(full),
            inspection(full, bare),
            revocation(full, bare),
            next_page(full),
            rate_limit(full),
            needs(kind, bare),
        ];
        assert_eq!(row[2..], expected, "{strategy}");
    }
}

#[test]
fn no_provider_is_in_the_table_that_is_not_there() {
    let told: Vec<_> = rows().iter().flat_map(|row| quoted(row[0])).collect();
    assert_eq!(told.len(), strategies().count(), "{told:?}");
}

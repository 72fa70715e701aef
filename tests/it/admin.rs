//! `/metrics`: well-formed, complete, and without anything that belongs to a user.

use std::{collections::BTreeMap, time::Duration};

use idp_token_sandbox::Fault;
use idp_token_service::service::pb::{GetIdentityTokenRequest, ListIdentitiesRequest};
use idp_token_testkit::{
    World, eventually, get, page,
    people::{ADA, DONALD, EDSGER, google},
};

/// A page of metrics, checked against OpenMetrics while it is read
/// (<https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>).
struct Page {
    /// Family to type.
    types: BTreeMap<String, String>,
    /// Name with labels to value, as they stand.
    samples: BTreeMap<String, f64>,
}

impl Page {
    fn parse(text: &str) -> Result<Self, String> {
        let mut page = Self { types: BTreeMap::new(), samples: BTreeMap::new() };
        let body = text.strip_suffix("# EOF\n").ok_or("no `# EOF` at the end")?;
        let (mut family, mut described) = (String::new(), false);
        for line in body.lines() {
            let read = match line.split_once(' ') {
                Some(("#", comment)) => page.comment(comment, &mut family, &mut described),
                _ => page.sample(line, &family),
            };
            read.map_err(|problem| format!("{problem}: {line}"))?;
        }
        Ok(page)
    }

    fn comment(&mut self, comment: &str, family: &mut String, described: &mut bool) -> Result<(), String> {
        let [kind, name, text] = comment.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            return Err("a comment in less than three words".to_owned());
        };
        if kind == "HELP" {
            *described = !text.is_empty();
            name.clone_into(family);
        } else if *family != *name || !*described {
            return Err("its HELP does not stand before it".to_owned());
        }
        if kind == "TYPE" && self.types.insert(name.to_owned(), text.to_owned()).is_some() {
            return Err("the family stands there twice".to_owned());
        }
        let unit_fits = kind != "UNIT" || name.ends_with(text);
        if unit_fits { Ok(()) } else { Err("the unit is no part of the name".to_owned()) }
    }

    fn sample(&mut self, line: &str, family: &str) -> Result<(), String> {
        let (series, value) = line.rsplit_once(' ').ok_or("no value")?;
        let name = series.split('{').next().unwrap_or_default();
        let suffixes: &[&str] = match self.types.get(family).map(String::as_str) {
            Some("counter") => &["_total"],
            Some("gauge") => &[""],
            Some("histogram") => &["_bucket", "_sum", "_count"],
            _ => return Err("no TYPE before it".to_owned()),
        };
        if !suffixes.iter().any(|suffix| name == format!("{family}{suffix}")) {
            return Err("the name does not fit the family".to_owned());
        }
        let value = value.parse().map_err(|_| "the value is no number")?;
        let twice = self.samples.insert(series.to_owned(), value).is_some();
        if twice { Err("the series stands there twice".to_owned()) } else { Ok(()) }
    }

    async fn of(world: &World) -> Self {
        let (status, text) = page(world.service.admin, "/metrics").await;
        assert_eq!(status, 200);
        Self::parse(&text).unwrap_or_else(|problem| panic!("{problem}\n\n{text}"))
    }

    fn rpcs(&self, method: &str, code: &str) -> f64 {
        self.value(&format!("idp_token_rpcs_total{{method=\"{method}\",code=\"{code}\"}}"))
    }

    fn value(&self, series: &str) -> f64 {
        self.samples.get(series).copied().unwrap_or_default()
    }
}

#[test]
fn a_malformed_page_is_noticed() {
    let good = "# HELP a_b Words.\n# TYPE a_b counter\na_b_total{c=\"d\"} 1\n# EOF\n";
    assert!(Page::parse(good).is_ok());
    for (from, to) in [
        ("# EOF\n", ""),
        ("# HELP a_b Words.\n", ""),
        ("# TYPE a_b counter\n", ""),
        ("a_b_total", "a_b"),
        ("} 1", "} one"),
        ("# EOF", "a_b_total{c=\"d\"} 1\n# EOF"),
        ("# TYPE", "# UNIT a_b seconds\n# TYPE"),
    ] {
        assert!(Page::parse(&good.replace(from, to)).is_err(), "{from:?} to {to:?}");
    }
}

#[tokio::test]
async fn the_page_says_what_happened_and_to_how_many_but_never_to_whom() {
    let world = World::start().await.ready().await;
    world.lend(google(ADA)).await.unwrap();
    world.lend(google(ADA)).await.unwrap();
    world.lend(google(EDSGER)).await.unwrap_err();
    world.lend_with(GetIdentityTokenRequest::default()).await.unwrap_err();
    world.call(google(ADA), get("/oauth2/v3/userinfo")).await.unwrap();
    world.call(google(ADA), get("/calendar/v3/nothing-here")).await.unwrap();

    let page = Page::of(&world).await;
    assert_eq!(page.rpcs("GetIdentityToken", "OK"), 2.0);
    assert_eq!(page.rpcs("GetIdentityToken", "FAILED_PRECONDITION"), 1.0);
    assert_eq!(page.rpcs("GetIdentityToken", "INVALID_ARGUMENT"), 1.0, "refused ones count");
    assert_eq!(page.rpcs("CallProvider", "OK"), 2.0);
    assert_eq!(page.value("idp_token_rpc_duration_seconds_count{method=\"GetIdentityToken\"}"), 4.0);
    assert_eq!(page.value("idp_token_auth0_requests_total{endpoint=\"token\",outcome=\"ok\"}"), 1.0);
    assert_eq!(page.value("idp_token_auth0_requests_total{endpoint=\"users\",outcome=\"ok\"}"), 3.0);
    // Twice more for her, and once to make sure that his dead token is the newest.
    assert_eq!(page.value("idp_token_profiles_total{source=\"cache\"}"), 4.0);
    assert_eq!(page.value("idp_token_profiles_total{source=\"auth0\"}"), 3.0);
    assert!(page.value("idp_token_management_token_expiry_timestamp_seconds") > 1.7e9);

    let secrets = [ADA, EDSGER, DONALD, "108204268033311374519", "100000000000000000002", "nothing-here"];
    for series in page.samples.keys() {
        assert!(secrets.iter().all(|secret| !series.contains(secret)), "{series}");
    }
}

#[tokio::test]
async fn failures_of_auth0_count_by_their_outcome() {
    let world = World::start().await.ready().await;
    let reads = || Fault::on(world.sandbox.domain()).path("/api/v2/users/");
    for status in [503, 429] {
        world.sandbox.faults().script(reads().answer(status).header("retry-after", "0"));
    }
    world.list(ADA).await.unwrap();
    let page = Page::of(&world).await;
    let outcomes = ["unavailable", "rate_limited", "ok"].map(|outcome| {
        page.value(&format!("idp_token_auth0_requests_total{{endpoint=\"users\",outcome=\"{outcome}\"}}"))
    });
    assert_eq!(outcomes, [1.0, 1.0, 2.0], "with the one read at the start");
}

#[tokio::test]
async fn a_call_that_is_given_up_counts_as_cancelled() {
    let world = World::start().await.ready().await;
    let silent = Fault::on(world.sandbox.domain()).path("/api/v2/users/").hang();
    world.sandbox.faults().script(silent);
    let mut client = world.service.client();
    let request = ListIdentitiesRequest { user_id: ADA.to_owned(), ..Default::default() };
    let call = tokio::spawn(async move { client.list_identities(request).await });
    let journal = world.sandbox.journal();
    eventually("a read of a profile", async || journal.profile_reads() > 0).await;
    call.abort();
    eventually("a cancelled call", async || {
        Page::of(&world).await.rpcs("ListIdentities", "CANCELLED") == 1.0
    })
    .await;
}

#[tokio::test]
async fn the_page_has_the_type_of_open_metrics_and_other_paths_are_not_there() {
    let world = World::start().await;
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
    let url = |path| format!("http://{}{path}", world.service.admin);
    let answer = client.get(url("/metrics")).send().await.unwrap();
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.headers()["content-type"], kind);
    assert_eq!(client.get(url("/")).send().await.unwrap().status(), 404);
}

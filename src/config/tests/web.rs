//! `[web]`: what is accepted and what is rejected.

use super::*;

#[test]
fn exact_origins_are_read_as_browsers_send_them() {
    assert_eq!(config(LEAST, &[]).web.allowed_origins, [""; 0], "closed unless it is opened");
    let origins = [
        "https://app.acme.example",
        "https://app.acme.example:8443",
        "http://localhost:5173",
        "http://[::1]",
    ];
    let file = format!("{LEAST}[web]\nallowed_origins = {origins:?}\n");
    assert_eq!(config(&file, &[]).web.allowed_origins, origins);
    let variables = [("IDP_TOKEN_WEB_ALLOWED_ORIGINS", "https://a.example  http://127.0.0.1:3000")];
    assert_eq!(config(&file, &variables).web.allowed_origins, ["https://a.example", "http://127.0.0.1:3000"]);
}

#[test]
fn what_no_browser_sends_gets_its_remedy() {
    let many: Vec<_> = (0..101).map(|number| format!("https://a{number}.example")).collect();
    for (wrong, expected) in [
        ("['*']".to_owned(), "must name each origin"),
        ("['https://*.acme.example']".to_owned(), "must name each origin"),
        ("['https://app.acme.example/']".to_owned(), "without `/` at the end"),
        ("['https://app.acme.example/app']".to_owned(), "without `/` at the end"),
        ("['https://APP.acme.example']".to_owned(), "in lower case"),
        ("['https://app.acme.example:443']".to_owned(), "without the scheme's own port"),
        ("['https://user:canary-2f9d@app.acme.example']".to_owned(), "scheme, host and port alone"),
        ("['https://bücher.example']".to_owned(), "as a browser sends it"),
        ("['http://app.acme.example']".to_owned(), "`http://` is for loopback only"),
        ("['null']".to_owned(), "must be exact origins such as"),
        ("['app.acme.example']".to_owned(), "must be exact origins such as"),
        ("['capacitor://localhost']".to_owned(), "must be exact origins such as"),
        ("'https://app.acme.example'".to_owned(), "must be an array of exact origins"),
        ("[5]".to_owned(), "each written as a string"),
        (format!("{many:?}"), "holds more than 100 origins"),
    ] {
        let problems = problems(&format!("{LEAST}[web]\nallowed_origins = {wrong}\n"), &[]);
        assert_eq!(problems.len(), 1, "{wrong}: {problems:#?}");
        assert!(
            problems[0].contains(expected) && !problems[0].contains(CANARY),
            "{wrong}\nsays   {}\nwanted {expected}",
            problems[0]
        );
    }
    let unknown = problems(&format!("{LEAST}[web]\norigins = []\n"), &[]);
    assert!(unknown[0].contains("did you mean `web.allowed_origins`?"), "{unknown:?}");
}

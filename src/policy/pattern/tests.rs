use proptest::prelude::*;

use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap_or_else(|problem| panic!("{text} {problem}"))
}

#[test]
fn a_pattern_means_what_it_seems_to_mean() {
    for (text, meant, not_meant) in [
        ("/a/b", &["/a/b"][..], &["/a/b/", "/a", "/A/b", "/a/bc", "/a//b", "a/b", "/a%2Fb", "/%61/b"][..]),
        (
            "/a/*",
            &["/a/b", "/a/*", "/a/%C3%BC", "/a/b;c=d", "/a/%2525"],
            &[
                "/a",
                "/a/",
                "/a/b/",
                "/a/b/c",
                "/a//b",
                "/a/b%2Fc",
                "/a/%2f",
                "/a/b%252Fc",
                "/a/b%25255cc",
                "/a/b%25%32%46c",
                "/a/b%2%35%35%43c",
                "/a/b%%32%46c",
                "/a/b%5Cc",
            ],
        ),
        (
            "/a/**",
            &["/a/", "/a/b", "/a/b/c", "/a//b", "/a/b%2Fc", "/a/b/"],
            &["/a", "/ab", "/A/b", "/b/a/c", "/%61/b"],
        ),
        (
            "/a/**/c",
            &["/a/b/c", "/a/b/b/c", "/a//c", "/a/c/c", "/a/b%2Fb/c"],
            &["/a/c", "/a/b/cc", "/a/b/c/"],
        ),
        ("/a/*/c", &["/a/b/c", "/a/c/c"], &["/a/c", "/a//c", "/a/b/b/c", "/a/b%2Fb/c"]),
        ("/**/a/**/b", &["/x/a/y/b", "/a/a/a/b/b", "/x/y/a/z/z/b"], &["/a/y/b", "/x/a/b"]),
        ("/v*/me", &["/v25.0/me", "/v/me"], &["/v25.0/me/x", "/x/v25.0/me", "/v%2F/me"]),
        ("/a*b*c", &["/abc", "/axbxc", "/abbcc", "/abcbc"], &["/ab", "/acb", "/ab/c", "/abcd"]),
        ("/%25*", &["/%25", "/%25x"], &["/%252F", "/%25252fx", "/%255c"]),
        ("/p/*%2F*/i", &["/p/g%2Fp/i", "/p/%2F/i"], &["/p/g/p/i", "/p/g%2fp/i", "/p/a%2Fb%2Fc/i", "/p/gp/i"]),
        ("/", &["/"], &["", "//", "/a"]),
        ("/**", &["/", "/a", "/a/b"], &[""]),
        ("**", &["", "a", "spiffe://acme/x", "/"], &[]),
        (
            "spiffe://acme/ns/*/sa/calendar",
            &["spiffe://acme/ns/prod/sa/calendar"],
            &[
                "spiffe://acme/ns//sa/calendar",
                "spiffe://acme/ns/a/b/sa/calendar",
                "spiffe://acme/ns/prod/sa/calendar2",
                "spiffe://evil/ns/prod/sa/calendar",
                "spiffe://acme/ns/prod/sa/calendar/",
                "spiffe:/acme/ns/prod/sa/calendar",
            ],
        ),
        (
            "*.acme.example",
            &["calendar.acme.example", ".acme.example"],
            &["acme.example", "a/b.acme.example"],
        ),
    ] {
        let pattern = pattern(text);
        for name in meant {
            assert!(pattern.matches(name), "{text} means {name}");
        }
        for name in not_meant {
            assert!(!pattern.matches(name), "{text} does not mean {name}");
        }
    }
}

#[test]
fn what_could_be_misread_is_no_pattern() {
    for text in ["", "a**", "/a**", "/**a/b", "/a/***", "/a/b**c", &"a".repeat(PATTERN_LIMIT + 1)] {
        assert!(Pattern::parse(text).is_err(), "{text}");
    }
    assert!(Pattern::parse(&"a".repeat(PATTERN_LIMIT)).is_ok());
}

/// In the worst case, matching takes time proportional to the product of both lengths. A matcher that tries
/// every way would not finish.
#[test]
fn no_pattern_and_no_path_make_the_matcher_try_every_way() {
    let hostile = format!("/{}", "a".repeat(8 * 1024 - 1));
    assert!(!pattern(&format!("/{}b", "a*".repeat(250))).matches(&hostile));
    let hostile = "/a".repeat(4 * 1024);
    assert!(!pattern(&format!("{}/b", "/a/**".repeat(100))).matches(&hostile));
    assert!(!pattern(&format!("{}/b", "/*a*/**".repeat(70))).matches(&hostile));
}

/// The same by brute force: tries everything.
fn naive(pattern: &[Segment], texts: &[&str]) -> bool {
    match pattern.split_first() {
        None => texts.is_empty(),
        Some((Segment::Any, rest)) => (1..=texts.len()).any(|taken| naive(rest, &texts[taken..])),
        Some((Segment::One, rest)) => texts
            .split_first()
            .is_some_and(|(text, others)| !text.is_empty() && slashes(text) == 0 && naive(rest, others)),
        Some((Segment::Of(letters), rest)) => texts.split_first().is_some_and(|(text, others)| {
            let is_meant = naive_segment(letters.as_bytes(), text.as_bytes());
            is_meant && slashes(letters) == slashes(text) && naive(rest, others)
        }),
    }
}

fn naive_segment(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|taken| naive_segment(rest, &text[taken..])),
        Some((letter, rest)) => {
            text.split_first().is_some_and(|(found, others)| found == letter && naive_segment(rest, others))
        }
    }
}

/// Letters that become a slash only after any number of decodings.
fn slashes(text: &str) -> usize {
    let count = |text: &[u8]| text.iter().filter(|byte| b"/\\".contains(byte)).count();
    let mut decoded = text.as_bytes().to_vec();
    for _ in 0..text.len() {
        decoded = percent_encoding::percent_decode(&decoded).collect();
    }
    count(&decoded) - count(text.as_bytes())
}

/// Fragments of patterns and paths, so that many match and many almost match.
fn pieces(alphabet: &'static str) -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(alphabet.split(' ').collect::<Vec<_>>());
    proptest::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_matcher_and_the_naive_one_agree(
        text in pieces("/ / a b ab %2F %2f %252F %5C %25 2F %32 %46"),
        pattern in pieces("/ / a b * * /** /**/ /* %2F %252F %25 2F %32 %46"),
    ) {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            let texts: Vec<_> = text.split('/').collect();
            prop_assert_eq!(pattern.matches(&text), naive(&pattern.segments, &texts), "{} {}", pattern, text);
        }
    }

    #[test]
    fn a_pattern_without_a_wildcard_means_itself_alone(one in pieces("/ a b %2F . ;"), other in pieces("/ a b %2F . ;")) {
        prop_assert!(pattern(&one).matches(&one));
        prop_assert_eq!(pattern(&one).matches(&other), one == other);
    }

    #[test]
    fn a_star_never_reaches_beyond_its_segment(text in pieces("/ a b %2F %5c %252f %25 %32 %46 2F")) {
        let is_deeper = text.contains('/') || slashes(&text) > 0;
        prop_assert_eq!(pattern("/x/*").matches(&format!("/x/{text}")), !is_deeper);
    }
}

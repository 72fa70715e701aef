use super::*;

/// The value read for each of these names.
fn read(body: impl AsRef<[u8]>) -> (Option<String>, Option<String>, Option<i64>) {
    let document = Document::read(body.as_ref());
    let token = |name| document.token(name).map(str::to_owned);
    (token("access_token"), token("refresh_token"), document.number("expires_in"))
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn tokens_are_found_in_every_dress() {
    const JSON: &str = r#"{"access_token":"at","expires_in":3600,"refresh_token":"rt2"}"#;
    const FORM: &str = "access_token=at&expires_in=3600&refresh_token=rt2&scope=a+b";
    let with = |member: &str| {
        let (before, after) =
            (JSON.replace('{', &format!("{{{member},")), JSON.replace('}', &format!(",{member}}}")));
        [before, after]
    };
    let mut bodies: Vec<Vec<u8>> = vec![
        JSON.into(),
        format!("\u{feff}{JSON}").into(),
        format!("\u{feff}\r\n\t {JSON}\n\n").into(),
        format!("{JSON}<!-- 12 ms -->").into(),
        format!("{JSON}{JSON}").into(),
        JSON.replace(',', "\n , ").replace(':', " : ").replace('}', "\n}").into(),
        JSON.replace('}', ",}").into(),
        JSON.replace("at", "a\\u0074").replace("access", "\\u0061ccess").into(),
        utf16(&format!("\u{feff}{JSON}"), u16::to_le_bytes),
        utf16(&format!("\u{feff}{JSON}"), u16::to_be_bytes),
        FORM.into(),
        format!("\u{feff}{FORM}\n").into(),
        format!("\n{FORM}&").into(),
        format!("x&{FORM}").replace("x&", "x=&").into(),
        format!("{FORM}&error_description=%zz%&%FC=%FC").into(),
        FORM.replace("rt2", "%72t2").into(),
        [FORM.as_bytes(), b"&name=\xfc"].concat(),
        format!("{FORM}&access_token=&refresh_token=&expires_in=").into(),
    ];
    for member in [
        r#""access_token":null,"refresh_token":"","expires_in":"""#,
        r#""access_token":"at","expires_in":3600"#,
        r#""x":"\"},{\\""#,
        r#""x":{"access_token":"no","y":["}",{}]}"#,
        r#""x":1e999,"y":-0,"z":99999999999999999999999"#,
        r#""x":NaN,"y":-Infinity,"z":undefined"#,
        r#""x":"\ud800","\udfff":1"#,
        r#""x":"it\'s","\x41":"\x41""#,
        "\"x\":\"line\nbreak\tand\u{1}\"",
    ] {
        bodies.extend(with(member).map(String::into_bytes));
    }
    bodies.push(
        [br#"{"error_description":"ung"#, &b"\xfcltig\",\"n\xe4me\":1,"[..], &JSON.as_bytes()[1..]].concat(),
    );
    let deep = format!("{{\"x\":{}{}", "[".repeat(50_000), "]".repeat(50_000));
    bodies.push(format!("{deep},{}", &JSON[1..]).into());
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        assert_eq!(read(body), (Some("at".to_owned()), Some("rt2".to_owned()), Some(3600)), "{shown}");
    }
}

#[test]
fn of_twins_the_last_counts_that_can_be_read() {
    for (body, token) in [
        (r#"{"access_token":"a","access_token":"b"}"#, "b"),
        (r#"{"access_token":"a","access_token":null}"#, "a"),
        (r#"{"access_token":"a","access_token":"b\n"}"#, "a"),
        ("access_token=a&access_token=b", "b"),
        ("access_token=a&access_token", "a"),
    ] {
        assert_eq!(read(body).0.as_deref(), Some(token), "{body}");
    }
    let document = Document::read(br#"{"a":1,"a":"x","b":"x y","b":[],"c":true,"c":0,"d":{"e":1},"d":[]}"#);
    assert_eq!(document.number("a"), Some(1));
    assert_eq!(document.words("b"), ["x", "y"]);
    assert_eq!(document.flag("c"), Some(true));
    assert_eq!(document.object("d").number("e"), Some(1));
}

#[test]
fn what_is_neither_an_object_nor_a_form_holds_nothing() {
    for body in [
        "",
        "=",
        "at",
        "null",
        "\"access_token=at\"",
        r#"["access_token"]"#,
        r#"[{"access_token":"at"}]"#,
        r#"{"access_token":"at""#,
        r#"{"access_token":"at","expires_in":36"#,
        r#"{"access_token":"at","x":[}"#,
        r#"{"access_token":"at","x":}"#,
        r#"{"access_token":"at" "x"}"#,
        "{access_token:'at'}",
        r#"{access_token=at&x="}"#,
        "<a href='/?x=y&access_token=at&z'>",
        "Log in first: https://proxy.example/?back=x&access_token=at&y=z",
        "<script>{\"access_token\":\"at\"}</script>",
    ] {
        assert_eq!(read(body), (None, None, None), "{body}");
    }
    for value in
        [r#""""#, r#""a\nb""#, r#""a\ud800""#, "\"a\u{7}\"", "\"a\u{fffd}\"", "5", "true", "{}", "[\"a\"]"]
    {
        let body = format!(r#"{{"refresh_token":"rt2","access_token":{value}}}"#);
        assert_eq!(read(&body), (None, Some("rt2".to_owned()), None), "{body}");
    }
    assert_eq!(read(b"{\"access_token\":\"a\xfc\"}").0, None, "it is not the one that was meant");
}

#[test]
fn values_are_read_from_texts_too() {
    let document =
        Document::read(br#"{"n":" 463 ","i":463,"t":"True","f":"false","y":"yes","c":["50196",7,null,"x"]}"#);
    assert_eq!(
        (document.number("n"), document.id("i"), document.id("t")),
        (Some(463), Some("463".to_owned()), Some("True".to_owned()))
    );
    assert_eq!(["t", "f", "y", "n"].map(|name| document.flag(name)), [Some(true), Some(false), None, None]);
    assert_eq!(document.numbers("c"), [50_196, 7]);
    let form = Document::read(b"n=463&i=463&t=true&s=a+b%2Cc");
    assert_eq!(
        (form.number("n"), form.id("i"), form.flag("t")),
        (Some(463), Some("463".to_owned()), Some(true))
    );
    assert_eq!(form.words("s"), ["a", "b", "c"]);
}

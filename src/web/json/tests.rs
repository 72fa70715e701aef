use super::*;
use crate::service::pb::{
    CallProviderRequest, GetIdentityTokenRequest, HttpRequest, Identity, ListIdentitiesRequest, NameValue,
};

fn kind(name: &str) -> MessageDescriptor {
    let pool = DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).expect("a valid set");
    pool.get_message_by_name(&format!("idptoken.v1.{name}")).expect("a message of the contract")
}

fn read_as<T: Message + Default>(name: &str, json: &str) -> Result<T, String> {
    let message = read(kind(name), json.as_bytes())?;
    Ok(T::decode(&*message).expect("a message of its type"))
}

#[test]
fn a_field_has_two_spellings_and_null_is_its_default() {
    for json in [
        r#"{"userId": "a|b", "pageSize": 5}"#,
        r#"{"user_id": "a|b", "page_size": "5", "pageToken": null}"#,
        r#" {"userId": "a\u007cb", "page_size": 5.0} "#,
        r#"{"userId": "a|b", "pageSize": 5e0}"#,
    ] {
        let expected =
            ListIdentitiesRequest { user_id: "a|b".to_owned(), page_size: 5, ..Default::default() };
        assert_eq!(read_as::<ListIdentitiesRequest>("ListIdentitiesRequest", json), Ok(expected), "{json}");
    }
}

#[test]
fn bytes_are_base64_of_either_alphabet_padded_or_not() {
    for (body, expected) in
        [("+/8=", &[0xfb, 0xff][..]), ("-_8=", &[0xfb, 0xff]), ("-_8", &[0xfb, 0xff]), ("", &[])]
    {
        let json = format!(r#"{{"request": {{"body": "{body}", "headers": [{{"name": "a"}}, {{}}]}}}}"#);
        let read: CallProviderRequest = read_as("CallProviderRequest", &json).expect("a valid request");
        let headers = vec![NameValue { name: "a".to_owned(), value: String::new() }, NameValue::default()];
        let body = bytes::Bytes::copy_from_slice(expected);
        assert_eq!(read.request, Some(HttpRequest { body, headers, ..Default::default() }));
    }
}

#[test]
fn durations_have_their_unit() {
    let read = |duration: &str| {
        let json = format!(r#"{{"identity": {{}}, "minValidity": {duration}}}"#);
        read_as::<GetIdentityTokenRequest>("GetIdentityTokenRequest", &json)
            .map(|request| request.min_validity.map(|duration| (duration.seconds, duration.nanos)))
    };
    for (duration, expected) in
        [(r#""600s""#, Some((600, 0))), (r#""1.5s""#, Some((1, 500_000_000))), ("null", None)]
    {
        assert_eq!(read(duration), Ok(expected), "{duration}");
    }
    for wrong in [r#""600""#, "600", r#""10m""#, r#""999999999999s""#, r#""s""#] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn enums_have_names_and_numbers_times_are_rfc_3339_and_defaults_are_left_out() {
    for state in [r#""STATE_ACTIVE""#, "1"] {
        let json =
            format!(r#"{{"state": {state}, "expireTime": "2027-01-21T07:12:00+01:00", "provider": ""}}"#);
        let message = read(kind("Identity"), json.as_bytes()).expect("a valid identity");
        let identity = Identity::decode(&*message).expect("an identity");
        assert_eq!((identity.state, identity.expire_time.map(|time| time.seconds)), (1, Some(1_800_511_920)));
        let written = write(kind("Identity"), &message).expect("an identity");
        let expected = r#"{"state":"STATE_ACTIVE","expireTime":"2027-01-21T06:12:00Z"}"#;
        assert_eq!(String::from_utf8_lossy(&written), expected);
    }
}

#[test]
fn sixty_four_bits_are_written_in_quotes() {
    let limit = pb::RateLimit { limit: 1 << 60, remaining: -1, reset_time: None };
    let written = write(kind("RateLimit"), &limit.encode_to_vec()).expect("a limit");
    let expected = r#"{"limit":"1152921504606846976","remaining":"-1"}"#;
    assert_eq!(String::from_utf8_lossy(&written), expected);
}

#[test]
fn what_is_wrong_is_said_without_quoting_a_value() {
    let name = "CallProviderRequest";
    for (json, expected) in [
        ("", "EOF while parsing a value"),
        ("{} {}", "trailing characters"),
        ("null", "invalid type: expected a map"),
        ("[]", "invalid type: expected a map"),
        (r#""canary""#, "invalid type: expected a map"),
        (r#"{"idempotent": "canary"}"#, "invalid type: expected a boolean"),
        (r#"{"idempotent": 1}"#, "invalid type: expected a boolean"),
        (r#"{"identity": {"userId": 5}}"#, "invalid type: expected a string"),
        (r#"{"identity": []}"#, "invalid type: expected a map"),
        (r#"{"request": {"headers": {}}}"#, "invalid type: expected a list"),
        (r#"{"identty": {}}"#, "unrecognized field name 'identty'"),
        (r#"{"identity": {"provider": 1, "provider": 1}}"#, "duplicate field 'provider'"),
        (r#"{"identity": {"userId": "a", "user_id": "b"}}"#, "duplicate field 'user_id'"),
        (r#"{"x": {"b": 1, "\u0062": 1}}"#, "duplicate field 'b'"),
        (r#"{"request": {"body": "can*ry"}}"#, "invalid base64: Invalid symbol 42, offset 3."),
        (r#"{"request": {"path": "\ud800"}}"#, "unexpected end of hex escape"),
        (r#"{"request": {"path": "\ud800\ud800"}}"#, "lone leading surrogate in hex escape"),
        (r#"{"idempotent": NaN}"#, "expected value"),
        (r#"{"idempotent": true,}"#, "trailing comma"),
        ("\u{feff}{}", "expected value"),
        (
            "{\"request\": {\"path\": \"a\nb\"}}",
            "control character (\\u0000-\\u001F) found while parsing a string",
        ),
    ] {
        let error = read(kind(name), json.as_bytes()).expect_err(json);
        let (said, place) = error.rsplit_once(" at line ").expect("it says where");
        assert_eq!(said, format!("is no JSON of a {name}: {expected}"), "{json}");
        assert!(place.contains(" column "), "{error}");
    }
    let error = read(kind(name), b"{\"request\": {\"path\": \"\xff\"}}").expect_err("no UTF-8");
    assert!(error.contains("invalid unicode code point"), "{error}");
}

#[test]
fn numbers_are_of_their_size() {
    for number in ["2147483648", "-2147483649", "1.5", "1e400", "1e10", r#""5 ""#, r#""x""#, "true", "\"\""] {
        let json = format!(r#"{{"pageSize": {number}}}"#);
        let error = read(kind("ListIdentitiesRequest"), json.as_bytes()).expect_err(&json);
        assert!(error.len() < 200, "{error}");
    }
}

#[test]
fn what_is_too_deep_or_too_many_is_refused_in_few_words() {
    let name = "CallProviderRequest";
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let many = format!(r#"{{"request": {{"headers": [{}{{}}]}}}}"#, "{},".repeat(1_000_000));
    let long_key = format!(r#"{{"{}": 1}}"#, "ä".repeat(1_000_000));
    let twice = format!(r#"{{"{key}": 1, "{key}": 1}}"#, key = "k".repeat(1_000_000));
    let long_value = format!(r#"{{"idempotent": "{}"}}"#, "x".repeat(1_000_000));
    for (json, expected) in [
        (&deep, "recursion limit exceeded"),
        (&many, "more than 16384 values"),
        (&long_key, "unrecognized field name 'ä"),
        (&twice, "duplicate field 'k"),
        (&long_value, "invalid type: expected a boolean"),
    ] {
        let error = read(kind(name), json.as_bytes()).expect_err(expected);
        assert!(error.contains(expected) && error.len() < 300, "{error:.400}");
    }
}

#[test]
fn every_rpc_has_its_path_and_details_of_errors_have_their_json() {
    let schema = Schema::new();
    let method = schema.method("/idptoken.v1.IdpTokenService/CallProvider").expect("an RPC");
    assert_eq!(
        (method.input().name(), method.output().name()),
        ("CallProviderRequest", "CallProviderResponse")
    );
    assert!(schema.method("/idptoken.v1.IdpTokenService/Nothing").is_none());
    for (path, expected) in [
        ("/idptoken.v1.IdpTokenService/Nothing", true),
        ("/idptoken.v1.IdpTokenService/", true),
        ("/idptoken.v1.IdpTokenServiceX/CallProvider", false),
        ("/idptoken.v1.IdpTokenService", false),
        ("/", false),
    ] {
        assert_eq!(Schema::is_of_service(path), expected, "{path}");
    }
    let info = tonic_types::pb::ErrorInfo { reason: "INTERNAL".to_owned(), ..Default::default() };
    let json = schema.detail("google.rpc.ErrorInfo", &info.encode_to_vec());
    assert_eq!(json, Some(serde_json::json!({"reason": "INTERNAL"})));
    assert_eq!(schema.detail("google.rpc.Nothing", &[]), None);
}

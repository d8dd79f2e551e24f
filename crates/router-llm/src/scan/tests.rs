//! What the scanner accepts, finds and refuses, and that it agrees with serde_json about all the rest.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

#[test]
fn tells_where_the_chosen_keys_stand() {
    let body = br#" { "a" : [1, {"model": 2}], "mod\u0065l" : "m\"x", "stream":true } "#;
    let [model, stream, absent] = envelope(body, ["model", "stream", "absent"]).unwrap();
    assert_eq!(&body[model.unwrap()], br#""m\"x""#);
    assert_eq!(&body[stream.unwrap()], b"true");
    assert_eq!(absent, None);
}

#[test]
fn refuses_with_the_place_and_the_remedy() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64));
    let cases: &[(&[u8], &str)] = &[
        (b" ", "the body is empty (send one JSON object)"),
        (b"[]", "the body is refused at byte 0: an object was expected (send one JSON object as RFC 8259 has it)"),
        (br#"{"a":1,"b":2,"\u0061":3}"#, "byte 21 (/a): the key stands there a second time"),
        (br#"{"messages":[{"content":"x"},{"content":tru}]}"#, "byte 40 (/messages/1/content): a value was expected"),
        (br#"{"a":"x"#, "byte 7 (/a): the text ends inside a string"),
        (br#"{"a":"\x"}"#, "byte 6 (/a): no such escape"),
        (b"{\"a\":\"\n\"}", "byte 6 (/a): a control character must be escaped"),
        (br#"{"a":01}"#, "byte 6 (/a): a comma or `}` was expected"),
        (br#"{"a":1.}"#, "byte 7 (/a): a digit was expected"),
        (br#"{"a":1,}"#, "byte 7: a key in quotes was expected"),
        (br#"{"a" 1}"#, "byte 5 (/a): a colon was expected"),
        (br#"{"a":1} x"#, "byte 8: the end was expected"),
        (b"{\"a\":\"\xff\"}", "the body is not UTF-8 from byte 6 on"),
        (deep.as_bytes(), "byte 68 (/a/0/0/0"),
    ];
    for (body, message) in cases {
        let error = envelope(body, []).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(message), "{error}\nlacks {message}");
    }
}

#[test]
fn nests_as_deep_as_it_says() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(envelope(nested(63).as_bytes(), []).is_ok());
    assert!(envelope(nested(64).as_bytes(), []).is_err());
}

#[test]
fn finds_by_pointer() {
    let json = br#"{"choices":[{"i":0},{"delta":{"content":"h\ni","n":null}}],"usage":{"a/b":3}}"#;
    let cases = [
        ("", Some(&json[..])),
        ("/choices/0", Some(br#"{"i":0}"#)),
        ("/choices/1/delta/content", Some(br#""h\ni""#)),
        ("/choices/1/delta/n", Some(b"null")),
        ("/choices/2", None),
        ("/choices/x", None),
        ("/usage/a", None),
        ("/choices/0/i/deeper", None),
    ];
    for (pointer, expected) in cases {
        assert_eq!(find(json, pointer), expected, "{pointer}");
    }
    assert_eq!(text(br#""h\ni""#).unwrap(), "h\ni");
    assert_eq!(text(b"3"), None);
}

#[test]
fn closes_what_was_cut() {
    let table = [
        (r#"{"a":1}"#, Some("")),
        (r#"{"a":"b"#, Some("\"}")),
        (r#"{"a":[1,{"b":"#, Some("null}]}")),
        (r#"{"a":[1,2"#, Some("]}")),
        (r#"{"a"#, Some("\":null}")),
        (r#"{"a":"x\"#, Some("\\\"}")),
        (r#"{"a":tru"#, Some("e}")),
        (r#"{"a"}"#, None),
    ];
    for (cut, end) in table {
        assert_eq!(closing(cut.as_bytes()).as_deref(), end, "{cut}");
    }
    assert!(!is_beginning(br#"{"a":1}{"#) && !is_beginning(b"{{"));
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z\"\\\\é\n]{20,80}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn serde_takes(bytes: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(bytes).is_ok()
}

proptest! {
    #[test]
    fn agrees_with_serde_json(value in json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert!(is_json(text.as_bytes()));
        prop_assert_eq!(envelope(text.as_bytes(), []).is_ok(), value.is_object());
        // Read again from the text, because a number need not survive being written.
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        if let Some(object) = value.as_object() {
            for (key, (raw_key, raw)) in object.keys().zip(members(text.as_bytes())) {
                let quoted = [b"\"", raw_key, b"\""].concat();
                prop_assert_eq!(key.as_str(), &*super::text(&quoted).unwrap());
                prop_assert_eq!(&serde_json::from_slice::<serde_json::Value>(raw).unwrap(), &object[key]);
            }
        }
    }

    #[test]
    fn agrees_about_what_is_broken(value in json(), at: prop::sample::Index, byte: u8, kind in 0..4) {
        let mut bytes = serde_json::to_vec(&value).unwrap();
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] = byte,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, b"{}[]\",:\\0-.e"[usize::from(byte) % 12]),
            _ => bytes.truncate(at),
        }
        prop_assert_eq!(is_json(&bytes), serde_takes(&bytes));
        let _ = (envelope(&bytes, ["a"]), find(&bytes, "/a/0/b"), pointer(&bytes, at), members(&bytes).count());
    }

    #[test]
    fn what_was_cut_can_be_closed(value in json(), at: prop::sample::Index) {
        let text = serde_json::to_string(&value).unwrap();
        let cut = &text.as_bytes()[..text.floor_char_boundary(at.index(text.len()))];
        prop_assert!(is_beginning(cut));
        if let Some(end) = closing(cut) {
            prop_assert!(is_json(&[cut, end.as_bytes()].concat()));
        }
    }

    #[test]
    fn agrees_about_noise(noise in "[\\[\\]{}\",:\\\\0-9eE.+a-z \t\n\u{1}-]{0,24}") {
        prop_assert_eq!(is_json(noise.as_bytes()), serde_takes(noise.as_bytes()));
    }
}

//! What the scanner accepts, finds and refuses, and that it agrees with serde_json about all the rest.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

fn strict(json: &[u8]) -> Result<(), Flaw> {
    let mut scanner = Scanner::checked(json)?.strict();
    scanner.value()?;
    scanner.end()
}

fn distinct(json: &[u8]) -> Result<(), Flaw> {
    let mut scanner = Scanner::checked(json)?;
    scanner.distinct(|scanner, _| scanner.value().map(drop))?;
    scanner.end()
}

#[test]
fn tells_where_and_why() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64));
    let cases: &[(&[u8], &str, Fault)] = &[
        (b" ", "byte 1", Fault::Object),
        (b"[]", "byte 0", Fault::Object),
        (br#"{"a":1,"b":2,"\u0061":3}"#, "byte 21 (/a)", Fault::Twice),
        (br#"{"messages":[{"content":"x"},{"content":tru}]}"#, "byte 40 (/messages/1/content)", Fault::Value),
        (br#"{"a":"x"#, "byte 7 (/a)", Fault::Unclosed),
        (br#"{"a":"\x"}"#, "byte 6 (/a)", Fault::Escape),
        (b"{\"a\":\"\n\"}", "byte 6 (/a)", Fault::Control),
        (br#"{"a":01}"#, "byte 6 (/a)", Fault::CommaOrBrace),
        (br#"{"a":1.}"#, "byte 7 (/a)", Fault::Digit),
        (br#"{"a":1,}"#, "byte 7", Fault::Key),
        (br"{1:1}", "byte 1", Fault::KeyOrBrace),
        (br#"{"a" 1}"#, "byte 5 (/a)", Fault::Colon),
        (br#"{"a":[1 2]}"#, "byte 8 (/a/0)", Fault::CommaOrBracket),
        (br#"{"a":1} x"#, "byte 8", Fault::End),
        (br#"{"\ud83d":1}"#, "byte 9 (/)", Fault::Surrogate),
        (b"{\"a\":\"\xff\"}", "byte 6 (/a)", Fault::Utf8),
        (deep.as_bytes(), &format!("byte 68 (/a{})", "/0".repeat(63)), Fault::Depth),
    ];
    for (json, place, fault) in cases {
        let flaw = distinct(json).unwrap_err();
        let text = String::from_utf8_lossy(json);
        assert_eq!((flaw.place(json).as_str(), flaw.fault), (*place, *fault), "{text}");
    }
    let long = format!("{{\"{}\":x}}", "k".repeat(1000));
    assert_eq!(distinct(long.as_bytes()).unwrap_err().place(long.as_bytes()), "byte 1004");
}

#[test]
fn a_key_that_comes_twice_is_found_among_few_and_many() {
    for count in [2, 12, 13, 200] {
        let keys: Vec<String> = (0..count).map(|key| format!("\"{key}\":0")).collect();
        let (once, twice) = (format!("{{{}}}", keys.join(",")), format!("{{{},\"1\":0}}", keys.join(",")));
        assert_eq!(distinct(once.as_bytes()), Ok(()), "{count}");
        assert_eq!(distinct(twice.as_bytes()), Err(Flaw { at: twice.len() - 3, fault: Fault::Twice }), "{count}");
    }
}

#[test]
fn bounds_the_depth() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| open.repeat(depth) + "1" + &close.repeat(depth);
        let fault = |json: String| strict(json.as_bytes()).err().map(|flaw| flaw.fault);
        assert_eq!(fault(nested(64)), None);
        assert_eq!(fault(nested(65)), Some(Fault::Depth));
        assert_eq!(fault(open.repeat(1_000_000)), Some(Fault::Depth));
        assert_eq!(fault(open.repeat(64) + "{}"), Some(Fault::Depth));
    }
}

#[test]
fn the_strict_walk_takes_what_a_parser_can_hold() {
    for text in [
        "0",
        "-0",
        "1.5e-3",
        "12345678901234567890123",
        "1e400",
        "-1e400",
        "0e400",
        "01",
        ".5",
        "+1",
        "1e",
        "--1",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83dx\"",
        "\"\\ud83d\\u0041\"",
        "\"\\u12g4\"",
        "\"12345678\\\"",
        "\"1234567\u{1}\"",
        "\u{feff}{}",
        "[}",
        "{]",
        "",
        "nulll",
        "true false",
        " { \"a\" : [ 1 , { } , [ ] , \"x\" ] , \"b\" : null } ",
        "\"äöü€😀 plain\"",
        &"9".repeat(308),
        &"9".repeat(309),
    ] {
        let taken = serde_json::from_str::<serde_json::Value>(text).is_ok();
        assert_eq!(strict(text.as_bytes()).is_ok(), taken, "{text:?}");
    }
}

#[test]
fn a_walk_that_is_over_stays_over() {
    let mut scanner = Scanner::trusted(b"{} \"a\":1}}");
    let mut place = scanner.object().unwrap();
    assert_eq!((scanner.key(&mut place), scanner.key(&mut place)), (Ok(None), Ok(None)));
    assert_eq!(scanner.at(), 2);
    assert_eq!(items(b"[1]],2").count(), 1);
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
    assert_eq!(closing(b"\"\xff\""), None, "what is no text is closed by nothing");
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
        prop_assert_eq!(distinct(text.as_bytes()).is_ok(), value.is_object());
        // Read again from the text, because a number need not survive being written.
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        if let Some(object) = value.as_object() {
            prop_assert_eq!(members(text.as_bytes()).count(), object.len());
            for (key, (raw_key, raw)) in object.keys().zip(members(text.as_bytes())) {
                let quoted = [b"\"", raw_key, b"\""].concat();
                prop_assert_eq!(key.as_str(), &*super::text(&quoted).unwrap());
                prop_assert_eq!(&serde_json::from_slice::<serde_json::Value>(raw).unwrap(), &object[key]);
            }
        }
        if let Some(array) = value.as_array() {
            let read: Vec<serde_json::Value> =
                items(text.as_bytes()).map(|item| serde_json::from_slice(item).unwrap()).collect();
            prop_assert_eq!(&read, array);
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
        let _ = (distinct(&bytes), find(&bytes, "/a/0/b"), pointer(&bytes, at), members(&bytes).count());
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

    #[test]
    fn the_strict_walk_agrees_about_noise(noise in "[-\\[\\]{}:,\"\\\\u0-9a-f.eE+ tn\u{1}ä]{0,40}") {
        let taken = serde_json::from_str::<serde_json::Value>(&noise).is_ok();
        prop_assert_eq!(strict(noise.as_bytes()).is_ok(), taken);
    }

    #[test]
    fn no_walk_panics(noise in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'{'), Just(b'"'), Just(b']')], 0..40)) {
        let _ = (members(&noise).count(), items(&noise).count(), pointer(&noise, 20), closing(&noise), distinct(&noise));
        let mut scanner = Scanner::trusted(&noise).strict();
        if let (Ok(mut outer), Ok(mut inner)) = (scanner.array(), scanner.object()) {
            for _ in 0..9 {
                let _ = (scanner.key(&mut inner), scanner.element(&mut outer), scanner.value());
            }
        }
    }

    #[test]
    fn sees_every_byte_of_a_string(text in "[a-z\"\\\\\u{1}\u{1f}\u{20}\u{21}\u{7f}\u{80}\u{ff}€]{0,80}") {
        let expected = text.bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count();
        prop_assert_eq!(plain(text.as_bytes()), expected);
    }
}

//! The body of a request at the door: checked in one scan, and the fields that routing needs found in it.

use std::ops::Range;

use router_core::{
    Error, Kind, Result,
    chat::Needs,
    scan::{Fault, Flaw, Scanner},
};

use super::glimpse;

/// Where the values of some keys stand.
type Places<const N: usize> = [Option<Range<usize>>; N];

/// Checks that `body` is one JSON object in UTF-8, of bounded depth and without a duplicate key at its top, and tells
/// where the values of `keys` stand, and which parts that not every model reads are among the messages.
pub(super) fn read<const N: usize>(body: &[u8], keys: [&str; N]) -> Result<(Places<N>, Needs)> {
    scan(body, keys).map_err(|flaw| refused(body, flaw))
}

fn scan<const N: usize>(body: &[u8], keys: [&str; N]) -> std::result::Result<(Places<N>, Needs), Flaw> {
    let mut found = [const { None }; N];
    let mut needs = Needs::default();
    let mut scanner = Scanner::checked(body)?;
    scanner.distinct(|scanner, key| {
        let value =
            if glimpse::HOLDERS.contains(&key) { glimpse::see(scanner, &mut needs)? } else { scanner.value()? };
        if let Some((place, _)) = found.iter_mut().zip(keys).find(|(_, wanted)| *wanted == key) {
            *place = Some(value);
        }
        Ok(())
    })?;
    scanner.end()?;
    Ok((found, needs))
}

fn refused(body: &[u8], flaw: Flaw) -> Error {
    if body.trim_ascii().is_empty() {
        return Error::new(Kind::Invalid, "the body is empty").hint("send one JSON object");
    }
    let Flaw { at, fault } = flaw;
    if fault == Fault::Utf8 {
        let message = format!("the body is not UTF-8 from byte {at} on");
        return Error::new(Kind::Invalid, message).hint("send JSON encoded as UTF-8");
    }
    let remedy = if fault == Fault::Depth { "flatten it" } else { "send one JSON object as RFC 8259 has it" };
    Error::new(Kind::Invalid, format!("the body is refused at {}: {fault}", flaw.place(body))).hint(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_where_the_chosen_keys_stand() {
        let body = br#" { "a" : [1, {"model": 2}], "mod\u0065l" : "m\"x", "stream":true } "#;
        let ([model, stream, absent], _) = read(body, ["model", "stream", "absent"]).unwrap();
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
            (
                br#"{"messages":[{"content":"x"},{"content":tru}]}"#,
                "byte 40 (/messages/1/content): a value was expected",
            ),
            (br#"{"a":"x"#, "byte 7 (/a): the text ends inside a string"),
            (br#"{"a":1,}"#, "byte 7: a key in quotes was expected"),
            (br#"{"a":1} x"#, "byte 8: the end was expected"),
            (b"{\"a\":\"\xff\"}", "the body is not UTF-8 from byte 6 on (send JSON encoded as UTF-8)"),
            (deep.as_bytes(), "/0/0): nested deeper than 64 levels (flatten it)"),
        ];
        for (body, message) in cases {
            let error = read(body, []).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid);
            assert!(error.to_string().contains(message), "{error}\nlacks {message}");
        }
    }

    #[test]
    fn nests_as_deep_as_it_says() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(nested(63).as_bytes(), []).is_ok());
        assert!(read(nested(64).as_bytes(), []).is_err());
    }
}

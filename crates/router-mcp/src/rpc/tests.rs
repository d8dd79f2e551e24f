//! Messages as they are, and as they should not be.

use proptest::prelude::*;

use super::*;

fn raw(json: &str) -> Raw {
    Raw::trusted(json.to_owned())
}

fn id(json: &str) -> Id {
    Id::from_raw(raw(json)).unwrap()
}

fn read_str(frame: &str) -> Result<Message, RpcError> {
    read(&Bytes::copy_from_slice(frame.as_bytes()))
}

#[test]
fn every_kind_of_message_is_read() {
    for (frame, expected) in [
        (
            r#" {"jsonrpc":"2.0","id":0,"method":"tools\/list","params": {"z":1.50, "a":{}} } "#,
            Message::Request { id: id("0"), method: "tools/list".into(), params: Some(raw(r#"{"z":1.50, "a":{}}"#)) },
        ),
        (
            r#"{"params":null,"method":"ping","id":"a\"b","jsonrpc":"2.0","extra":1}"#,
            Message::Request { id: id(r#""a\"b""#), method: "ping".into(), params: None },
        ),
        (r#"{"jsonrpc":"2.0","method":"n"}"#, Message::Notification { method: "n".into(), params: None }),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"x":1e2}}"#,
            Message::Response { id: Some(id("1")), outcome: Ok(raw(r#"{"x":1e2}"#)) },
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no\n","data":[1.0]}}"#,
            Message::Response { id: None, outcome: Err(RpcError::new(-32700, "no\n").with_data(raw("[1.0]"))) },
        ),
    ] {
        assert_eq!(read_str(frame), Ok(expected), "{frame}");
    }
}

#[test]
fn what_is_no_message_is_refused_with_its_reason() {
    for (frame, code) in [
        ("", code::PARSE),
        ("{", code::PARSE),
        ("[]", code::INVALID_REQUEST),
        ("1", code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a"} x"#, code::PARSE),
        (r#"{"id":1,"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":{},"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":true,"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":1}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":""}}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","m\u0065thod":"b"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":1,"n\u0061me":2}}"#, code::INVALID_REQUEST),
    ] {
        assert_eq!(read_str(frame).map_err(|error| error.code), Err(code), "{frame}");
    }
    assert_eq!(read(&Bytes::from_static(b"\"\xff\"")).map_err(|error| error.code), Err(code::PARSE));
}

#[test]
fn a_null_id_is_refused_to_clients_only() {
    let told = Message::Notification { method: "ping".into(), params: None };
    for (frame, of_a_client) in [
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, Err(code::INVALID_REQUEST)),
        (r#"{"jsonrpc":"2.0","method":"ping","params":null}"#, Ok(told.clone())),
    ] {
        assert_eq!(read_str(frame).as_ref(), Ok(&told), "{frame}");
        let frame = Bytes::from_static(frame.as_bytes());
        assert_eq!(read_client(&frame).map_err(|error| error.code), of_a_client, "{frame:?}");
    }
}

#[test]
fn what_is_written_can_be_read() {
    let params = raw(r#"{"b":1,"a":[]}"#);
    assert_eq!(
        read(&request(7, "a\"b", Some(&params))),
        Ok(Message::Request { id: Id::number(7), method: "a\"b".into(), params: Some(params.clone()) })
    );
    assert_eq!(notification("n", None), r#"{"jsonrpc":"2.0","method":"n"}"#);
    assert_eq!(result(&id("\"x\""), &params), r#"{"jsonrpc":"2.0","id":"x","result":{"b":1,"a":[]}}"#);
    let failure = RpcError::new(-1, "tab\t").with_data(raw("null"));
    assert_eq!(
        error(None, &failure),
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"tab\t","data":null}}"#
    );
}

#[test]
fn a_batch_is_right_or_wrong_by_message() {
    let batch = Bytes::from_static(br#" [{"jsonrpc":"2.0","id":1,"method":"a"}, 5]"#);
    assert!(is_batch(&batch));
    let messages = read_batch(&batch).unwrap();
    assert_eq!(messages.len(), 2);
    assert!(messages[0].is_ok() && messages[1].is_err());
    assert!(read_batch(&Bytes::from_static(b"[]")).is_err());
    let many = format!("[{}]", vec!["1"; 101].join(","));
    assert!(read_batch(&many.into()).is_err());
}

#[test]
fn a_message_is_one_line() {
    let smuggled = Bytes::from_static(b"{\"a\":[\r\n{\"jsonrpc\":\"2.0\"}\n,\"\\n\"]}");
    assert_eq!(one_line(smuggled), "{\"a\":[  {\"jsonrpc\":\"2.0\"} ,\"\\n\"]}");
}

proptest! {
    #[test]
    fn never_panics(frame in prop::collection::vec(any::<u8>(), 0..200)) {
        let frame = Bytes::from(frame);
        drop(read(&frame));
        drop(read_batch(&frame));
    }

    #[test]
    fn slices_what_serde_json_would_read(
        key in "[a-z\"\\\\é]{1,5}", value in any::<i64>(), method in "[a-z/\"]{1,12}",
    ) {
        let params = serde_json::json!({ key: value });
        let frame = serde_json::json!({ "jsonrpc": "2.0", "id": value, "method": method, "params": params });
        let Ok(Message::Request { id, method: read_method, params: Some(read_params) }) = read_str(&frame.to_string())
        else {
            return Err(TestCaseError::fail("no request"));
        };
        prop_assert_eq!(id.raw().as_str(), value.to_string());
        prop_assert_eq!(&*read_method, method.as_str());
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(read_params.as_str()).unwrap(), params);
    }
}

use super::*;
use serde_json::json;

fn bytes(text: &str) -> Bytes {
    Bytes::from(text.as_bytes())
}

#[test]
fn a_transaction_is_written_as_the_gateway_reads_it() {
    let transaction = Transaction {
        compare: vec![
            Compare::unchanged(bytes("a"), 7),
            Compare::exists(bytes("k")),
            Compare::value_is(bytes("p"), bytes("1")),
            Compare::range_unchanged_since(bytes("v"), bytes("w"), 9),
        ],
        success: vec![
            Operation::Put { key: bytes("a"), value: bytes("{}") },
            Operation::delete(bytes("b")),
            Operation::DeleteRange { key: bytes("c"), range_end: Some(bytes("d")) },
        ],
        failure: vec![Operation::Range(Range { serializable: true, limit: 3, ..Range::prefix(bytes("a")) })],
    };
    let expected = json!({
        "compare": [
            {"key": "YQ==", "result": "EQUAL", "target": "MOD", "mod_revision": 7},
            {"key": "aw==", "result": "GREATER", "target": "CREATE", "create_revision": 0},
            {"key": "cA==", "result": "EQUAL", "target": "VALUE", "value": "MQ=="},
            {"key": "dg==", "range_end": "dw==", "result": "LESS", "target": "MOD", "mod_revision": 10},
        ],
        "success": [
            {"request_put": {"key": "YQ==", "value": "e30="}},
            {"request_delete_range": {"key": "Yg=="}},
            {"request_delete_range": {"key": "Yw==", "range_end": "ZA=="}},
        ],
        "failure": [
            {"request_range": {"key": "YQ==", "range_end": "Yg==", "limit": 3, "serializable": true}},
        ],
    });
    assert_eq!(serde_json::to_value(&transaction).unwrap(), expected);
}

#[test]
fn what_is_absent_in_a_response_is_zero_false_or_empty() {
    let text = r#"{"header":{"cluster_id":"18446744073709551615","revision":"2"},"responses":[
        {"response_range":{"header":{},"kvs":[{"key":"Zm9v","mod_revision":"2","value":"e30="}],"count":"1"}},
        {"response_range":{}},{"response_put":{"header":{"revision":"2"}}},
        {"response_delete_range":{"deleted":"3"}}]}"#;
    let response: TransactionResponse = parse(text.as_bytes()).unwrap();
    assert_eq!(response.header, Header { cluster_id: u64::MAX, revision: 2 });
    assert!(!response.succeeded);
    let found = KeyValue { key: bytes("foo"), mod_revision: 2, value: bytes("{}") };
    let expected = [
        OperationResponse::Range(RangeResponse { kvs: vec![found], count: 1, ..RangeResponse::default() }),
        OperationResponse::Range(RangeResponse::default()),
        OperationResponse::Put(Ignored {}),
        OperationResponse::DeleteRange(DeleteRangeResponse { deleted: 3 }),
    ];
    assert_eq!(response.responses, expected);
    for wrong in
        [r#"{"responses":[{"response_new":{}}]}"#, r#"{"header":{"revision":"x"}}"#, "<html>", "{", "[]"]
    {
        assert_eq!(parse::<TransactionResponse>(wrong.as_bytes()), None, "{wrong}");
    }
}

#[test]
fn a_prefix_ends_before_the_next_bytes() {
    for (prefix, end) in
        [(&b"a"[..], &b"b"[..]), (b"a\xff", b"b"), (b"a\xff\xff", b"b"), (b"\xff", b"\0"), (b"", b"\0")]
    {
        assert_eq!(Bytes::from(prefix).prefix_end(), Bytes::from(end), "{prefix:?}");
    }
}

#[test]
fn refusals_are_told_apart_by_their_message() {
    let refused = |message: &str| Refused::of(json!({"error": message, "code": 3}).to_string().as_bytes());
    assert_eq!(refused("etcdserver: mvcc: database space exceeded"), Some(Refused::NoSpace));
    assert_eq!(refused("etcdserver: request is too large"), Some(Refused::TooLarge));
    let by_grpc = "grpc: received message larger than max (3000113 vs. 2097152)";
    assert_eq!(refused(by_grpc), Some(Refused::TooLarge));
    assert_eq!(refused("etcdserver: too many operations in txn request"), Some(Refused::TooManyOperations));
    assert_eq!(refused("etcdserver: invalid auth token"), Some(Refused::Unauthenticated));
    assert_eq!(refused("etcdserver: mvcc: required revision has been compacted"), Some(Refused::Compacted));
    let message = "etcdserver: request timed out".to_owned();
    assert_eq!(refused(&message), Some(Refused::Unconfirmed { message }));
    let message = "etcdserver: no leader".to_owned();
    assert_eq!(refused(&message), Some(Refused::Unavailable { message }));
    let message = "etcdserver: permission denied".to_owned();
    assert_eq!(refused(&message), Some(Refused::Other { message }));
    assert_eq!(Refused::of(b"<html>502 Bad Gateway</html>"), None);
}

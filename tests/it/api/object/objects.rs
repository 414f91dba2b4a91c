//! `/api/object` and `/login` (seed 001): what its clients send, and exactly what they get.

use crate::harness::kv::encoded;
use crate::harness::people::{PASSWORD, Person, people_config, send_json};
use crate::harness::{Server, wait_until};
use serde_json::json;

const OBJECT: &str = "/api/object";
const MADE: &str = r#"{"message":"Key-Value pair created"}"#;
const UPDATED: &str = r#"{"message":"Key-Value pair updated"}"#;
const GONE: &str = r#"{"error":"Key not found or expired"}"#;

fn path(key: &str) -> String {
    format!("{OBJECT}/{}", encoded(key))
}

fn server_and_ann() -> (Server, Person) {
    let server = Server::start_with(people_config());
    let ann = Person::register(&server, "ann");
    (server, ann)
}

#[test]
fn an_object_is_made_read_replaced_and_deleted_with_the_seeds_bodies() {
    let (server, ann) = server_and_ann();
    let path = "/api/object/exampleKey";
    let made = r#"{"key": "exampleKey", "data": {"info": "exampleData"}, "ttl": 3600}"#;
    ann.post(&server, OBJECT, made).exactly(201, MADE);
    ann.post(&server, OBJECT, made).exactly(409, r#"{"error":"Key already exists"}"#);
    ann.get(&server, path).exactly(200, r#"{"key":"exampleKey","data":{"info":"exampleData"}}"#);
    ann.put(&server, path, r#"{"data":[1]}"#).exactly(200, UPDATED);
    ann.get(&server, path).exactly(200, r#"{"key":"exampleKey","data":[1]}"#);
    ann.delete(&server, path).exactly(200, r#"{"message":"Key-Value pair deleted"}"#);
    ann.delete(&server, path).exactly(404, r#"{"error":"Key not found"}"#);
    ann.get(&server, path).exactly(404, GONE);
    ann.put(&server, path, r#"{"data":1}"#).exactly(404, GONE);
}

#[test]
fn login_gives_a_token_that_works() {
    let (server, ann) = server_and_ann();
    let body = json!({"username": ann.username, "password": PASSWORD, "remember": true}).to_string();
    let answer = send_json(&server, "POST", "/login", &[], &body).expect(200);
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    let answer = answer.json();
    let token = answer["token"].as_str().unwrap();
    let expected = json!({"token": token, "access_token": token, "token_type": "Bearer", "expires_in": 3600});
    assert_eq!(answer, expected);
    let ann = Person { token: token.to_owned(), ..ann };
    ann.post(&server, OBJECT, r#"{"key":"a","data":1}"#).exactly(201, MADE);
}

#[test]
fn a_login_that_is_wrong_says_nothing_of_who_has_an_account() {
    let (server, ann) = server_and_ann();
    let login = |body: &str| send_json(&server, "POST", "/login", &[], body);
    for (username, password) in
        [(&*ann.username, "Wrong@123"), ("nobody", PASSWORD), ("", ""), ("\u{0}", "x")]
    {
        let body = json!({"username": username, "password": password}).to_string();
        login(&body).exactly(401, r#"{"error":"Invalid credentials"}"#);
    }
    for body in [
        "",
        "{}",
        r#"{"username":"ann"}"#,
        r#"{"password":"Right@123"}"#,
        r#"{"username":null,"password":null}"#,
        r#"{"username":1,"password":"Right@123"}"#,
        r#"{"username":"ann","password":["Right@123"]}"#,
        r#"{"username":"bob","username":"ann","password":"Right@123"}"#,
        r#"["ann","Right@123"]"#,
        r#"{"username":"ann""#,
    ] {
        login(body).error(400);
    }
    let body = json!({"username": ann.username, "password": PASSWORD}).to_string();
    assert!(send_json(&server, "POST", "/login?next=/", &[], &body).error(400).contains("next"));
}

#[test]
fn a_method_that_a_path_has_not_is_405_and_allow_says_which_it_has() {
    let (server, ann) = server_and_ann();
    for (methods, target, allow) in [
        (&["GET", "HEAD", "PUT", "PATCH"][..], "/login", "POST, OPTIONS"),
        (&["GET", "HEAD", "PUT", "DELETE", "PATCH"], OBJECT, "POST, OPTIONS"),
        (&["POST", "PATCH"], "/api/object/a", "GET, PUT, DELETE, HEAD, OPTIONS"),
        (&["GET", "PUT", "DELETE"], "/api/batch/object", "POST, OPTIONS"),
        (&["GET", "PUT", "DELETE"], "/api/batch/object/get", "POST, OPTIONS"),
        (&["GET", "PUT", "DELETE"], "/api/batch/object/delete", "POST, OPTIONS"),
    ] {
        for method in methods {
            let answer = ann.send(&server, method, target, "").expect(405);
            assert_eq!(answer.field("allow"), Some(allow), "{method} {target}");
            assert!(*method == "HEAD" || answer.error(405).contains(allow), "{method} {target}");
        }
    }
    ann.get(&server, "/api/batch/object/other").error(404);
}

#[test]
fn head_is_get_without_the_body() {
    let (server, ann) = server_and_ann();
    ann.post(&server, OBJECT, r#"{"key":"a","data":[1,2]}"#).expect(201);
    for (key, status) in [("a", 200), ("absent", 404)] {
        let get = ann.get(&server, &path(key)).expect(status);
        let head = ann.send(&server, "HEAD", &path(key), "").expect(status);
        assert!(head.body.is_empty());
        assert_eq!(head.field("content-length"), Some(&*get.body.len().to_string()));
        assert_eq!(head.field("content-type"), get.field("content-type"));
    }
}

#[test]
fn a_body_that_is_no_object_is_refused_and_says_what_is_wrong() {
    let (server, ann) = server_and_ann();
    ann.post(&server, OBJECT, r#"{"key":"there","data":1}"#).expect(201);
    for (body, problem) in [
        ("", "body"),
        ("{", "JSON"),
        (r#"{"key":"a","data":01}"#, "JSON"),
        (r#"["a",1]"#, "object"),
        (r#""a""#, "object"),
        (r#"{"data":1}"#, "`key` is missing"),
        (r#"{"key":null,"data":1}"#, "`key` is missing"),
        (r#"{"key":1,"data":1}"#, "`key` is not a string"),
        (r#"{"key":"a"}"#, "`data` is missing"),
        (r#"{"key":"a","data":1,"value":1}"#, "value"),
        (r#"{"key":"a","data":1,"data":2}"#, "duplicate"),
        (r#"{"key":"","data":1}"#, "empty"),
        (r#"{"key":".","data":1}"#, "not keys"),
        (r#"{"key":"a\u0000","data":1}"#, "control"),
        (r#"{"key":"a","data":1,"ttl":-1}"#, "315360000"),
    ] {
        let error = ann.post(&server, OBJECT, body).error(400);
        assert!(error.contains(problem), "{body}: {error}");
    }
    for (body, problem) in [
        ("{}", "`data` is missing"),
        (r#"{"key":"there","data":2}"#, "path"),
        (r#"{"data":2,"ttl":-1}"#, "315360000"),
        (r#"{"data":2,"more":2}"#, "more"),
    ] {
        let error = ann.put(&server, &path("there"), body).error(400);
        assert!(error.contains(problem), "{body}: {error}");
    }
    ann.send(&server, "GET", &format!("{}?raw", path("there")), "").error(400);
    ann.get(&server, &path("there")).exactly(200, r#"{"key":"there","data":1}"#);
    let bearer = format!("Bearer {}", ann.token);
    let fields = [("Authorization", bearer.as_str()), ("Content-Type", "text/plain")];
    server.request("POST", OBJECT, None, &fields, br#"{"key":"a","data":1}"#).error(415);
    ann.get(&server, &path("a")).exactly(404, GONE);
}

#[test]
fn data_is_kept_as_sent() {
    let (server, ann) = server_and_ann();
    for (number, data) in [
        "null",
        "12345678901234567890123",
        "1e400",
        "-0",
        "1E6",
        r#"{"b":1,"a":2,"b":3}"#,
        r#""\u00e9\/""#,
        "[[],{}]",
    ]
    .iter()
    .enumerate()
    {
        let key = number.to_string();
        let body = format!(" {{ \"data\" : {data} , \"key\" : \"{key}\" }} ");
        ann.post(&server, OBJECT, &body).exactly(201, MADE);
        ann.get(&server, &path(&key)).exactly(200, &format!("{{\"key\":\"{key}\",\"data\":{data}}}"));
        ann.put(&server, &path(&key), &format!("{{\"data\":[{data}]}}")).exactly(200, UPDATED);
        ann.get(&server, &path(&key)).exactly(200, &format!("{{\"key\":\"{key}\",\"data\":[{data}]}}"));
    }
    for (depth, status) in [(100, 201), (101, 400)] {
        let data = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let body = format!("{{\"key\":\"deep\",\"data\":{data}}}");
        assert_eq!(ann.post(&server, OBJECT, &body).status, status, "{depth}");
    }
}

#[test]
fn keys_of_accounts_are_as_free_and_as_long_as_all_others() {
    let (server, ann) = server_and_ann();
    let longest = "é".repeat(512);
    for key in
        ["a/b", "a%2Fb", "..a", "a/../b", "\"\\", "e\u{301}", "🔑", "get", &*"x".repeat(1024), &longest]
    {
        ann.post(&server, OBJECT, &json!({"key": key, "data": 1}).to_string()).exactly(201, MADE);
        let shown = json!({"key": key}).to_string();
        let shown = format!("{},\"data\":1}}", shown.strip_suffix('}').unwrap());
        ann.get(&server, &path(key)).exactly(200, &shown);
    }
    ann.get(&server, "/api/object/a/b").exactly(200, r#"{"key":"a/b","data":1}"#);
    ann.get(&server, "/api/object/a%2fb").exactly(200, r#"{"key":"a/b","data":1}"#);
    ann.get(&server, "/api/object/a%252Fb").exactly(200, r#"{"key":"a%2Fb","data":1}"#);
    let too_long = "x".repeat(1025);
    for key in [".", "..", "", &too_long, "a\n"] {
        ann.get(&server, &path(key)).error(400);
        ann.delete(&server, &path(key)).error(400);
        ann.put(&server, &path(key), r#"{"data":1}"#).error(400);
        ann.post(&server, OBJECT, &json!({"key": key, "data": 1}).to_string()).error(400);
    }
}

#[test]
fn without_a_valid_token_there_is_nothing_for_anybody() {
    let mut config = people_config();
    config["default"]["authentication"]["api_key"] = "global.key.0123456789".into();
    let server = Server::start_with(config);
    let ann = Person::register(&server, "ann");
    let bearer = format!("Bearer {}", ann.token);
    let padded = format!("{bearer}=");
    let refused: [&[(&str, &str)]; 8] = [
        &[],
        &[("Authorization", "Bearer")],
        &[("Authorization", "Basic YTpi")],
        &[("Authorization", &padded)],
        &[("Authorization", "Bearer eyJhbGciOiJub25lIn0.e30.")],
        &[("X-API-Key", "global.key.0123456789")],
        &[("X-API-Key", "demo-key-0123456789abcdef")],
        &[("Authorization", &bearer), ("X-API-Key", "demo-key-0123456789abcdef")],
    ];
    for fields in refused {
        for (method, target, body) in [
            ("POST", OBJECT, r#"{"key":"a","data":1}"#),
            ("GET", "/api/object/a", ""),
            ("PUT", "/api/object/a", r#"{"data":1}"#),
            ("DELETE", "/api/object/a", ""),
            ("POST", "/api/batch/object", "[]"),
            ("POST", "/api/batch/object/get", r#"{"keys":[]}"#),
            ("POST", "/api/batch/object/delete", r#"{"keys":[]}"#),
        ] {
            let answer = send_json(&server, method, target, fields, body).expect(401);
            let members = answer.json();
            assert_eq!(members.as_object().unwrap().len(), 2, "{members}");
            assert!(members["msg"].is_string() && members["error"].is_string(), "{members}");
            assert!(answer.field("www-authenticate").is_some());
        }
    }
}

#[test]
fn a_token_works_in_every_field_and_shows_its_account_alone() {
    let (server, ann) = server_and_ann();
    let ben = Person::register(&server, "ben");
    ann.post(&server, OBJECT, r#"{"key":"a","data":"ann's"}"#).exactly(201, MADE);
    ben.get(&server, &path("a")).exactly(404, GONE);
    ben.delete(&server, &path("a")).exactly(404, r#"{"error":"Key not found"}"#);
    ben.post(&server, OBJECT, r#"{"key":"a","data":"ben's"}"#).exactly(201, MADE);
    let bearer = format!("bearer {}", ann.token);
    for (name, value) in [
        ("X-API-KEY", &ann.token),
        ("api-key", &ann.token),
        ("Authorization", &ann.token),
        ("authorization", &bearer),
    ] {
        let answer = send_json(&server, "GET", &path("a"), &[(name, value)], "");
        answer.exactly(200, r#"{"key":"a","data":"ann's"}"#);
    }
}

#[test]
fn an_expired_key_is_gone_for_every_request() {
    let (server, ann) = server_and_ann();
    for ttl in ["1.5", "\"5\"", "true", "false", "-0", "0.0", "-1", "315360001", "1e2"] {
        ann.post(&server, OBJECT, &format!("{{\"key\":\"a\",\"data\":1,\"ttl\":{ttl}}}")).error(400);
    }
    for ttl in ["null", "1", "315360000"] {
        let body = format!("{{\"key\":\"ok{ttl}\",\"data\":1,\"ttl\":{ttl}}}");
        ann.post(&server, OBJECT, &body).exactly(201, MADE);
    }
    for key in ["kept", "kept-by-put"] {
        ann.post(&server, OBJECT, &json!({"key": key, "data": 1, "ttl": 1}).to_string()).exactly(201, MADE);
    }
    ann.put(&server, &path("kept"), r#"{"data":2}"#).exactly(200, UPDATED);
    ann.put(&server, &path("kept-by-put"), r#"{"data":2,"ttl":60}"#).exactly(200, UPDATED);
    ann.post(&server, OBJECT, r#"{"key":"put","data":1}"#).exactly(201, MADE);
    ann.put(&server, &path("put"), r#"{"data":2,"ttl":1}"#).exactly(200, UPDATED);
    let batch = json!(["a", "b", "c", "last"].map(|key| json!({"key": key, "data": 1, "ttl": 1})));
    ann.post(&server, "/api/batch/object", &batch.to_string()).expect(201);
    wait_until("the last key expires", || ann.get(&server, &path("last")).status == 404);
    for key in ["ok1", "put", "a", "last"] {
        ann.get(&server, &path(key)).exactly(404, GONE);
    }
    ann.put(&server, &path("a"), r#"{"data":1}"#).exactly(404, GONE);
    ann.delete(&server, &path("a")).exactly(404, r#"{"error":"Key not found"}"#);
    ann.post(&server, OBJECT, r#"{"key":"b","data":2}"#).exactly(201, MADE);
    let body = json!([{"key": "c", "data": 2}, {"key": "b", "data": 3}]).to_string();
    let answer = r#"{"message":"Batch create complete","created":1,"skipped":["b"]}"#;
    ann.post(&server, "/api/batch/object", &body).exactly(201, answer);
    let body = r#"{"keys":["a","last","kept","kept-by-put","ok315360000","oknull"]}"#;
    let answer = ann.post(&server, "/api/batch/object/get", body).expect(200).json();
    assert_eq!(answer["missing"], json!(["a", "last"]));
    let found = answer["objects"].as_array().unwrap();
    assert_eq!(found[0], json!({"key": "kept", "data": 2}));
    assert_eq!((found.len(), &found[1]["data"]), (4, &json!(2)));
    ann.post(&server, "/api/batch/object/delete", r#"{"keys":["a","kept"]}"#)
        .exactly(200, r#"{"deleted":1,"missing":["a"]}"#);
}

#[test]
fn a_ttl_of_zero_is_none() {
    let (server, ann) = server_and_ann();
    ann.post(&server, OBJECT, r#"{"key":"post","data":1,"ttl":0}"#).exactly(201, MADE);
    ann.post(
        &server,
        "/api/batch/object",
        r#"[{"key":"batch","data":1,"ttl":0},{"key":"one","data":1,"ttl":1}]"#,
    )
    .expect(201);
    ann.post(&server, OBJECT, r#"{"key":"put","data":1,"ttl":1}"#).exactly(201, MADE);
    ann.put(&server, &path("put"), r#"{"data":2,"ttl":0}"#).exactly(200, UPDATED);
    wait_until("the key with a ttl of 1 expires", || ann.get(&server, &path("one")).status == 404);
    for key in ["post", "batch", "put"] {
        ann.get(&server, &path(key)).expect(200);
    }
}

#[test]
fn null_is_a_value() {
    let (mut server, ann) = server_and_ann();
    ann.post(&server, OBJECT, r#"{"key":"post","data":null}"#).exactly(201, MADE);
    ann.post(&server, "/api/batch/object", r#"[{"key":"batch","data":null}]"#).expect(201);
    ann.post(&server, OBJECT, r#"{"key":"put","data":1}"#).exactly(201, MADE);
    ann.put(&server, &path("put"), r#"{"data":null}"#).exactly(200, UPDATED);
    server.restart();
    for key in ["post", "batch", "put"] {
        ann.get(&server, &path(key)).exactly(200, &format!("{{\"key\":\"{key}\",\"data\":null}}"));
        ann.get(&server, &format!("/item/{key}")).exactly(200, &format!("{{\"{key}\":null}}"));
        assert_eq!(ann.get(&server, &format!("/api/data/{key}")).json()["data"]["value"], json!(null));
    }
    let all = ann.post(&server, "/api/batch/object/get", r#"{"keys":["post","put"]}"#);
    all.exactly(200, r#"{"objects":[{"key":"post","data":null},{"key":"put","data":null}],"missing":[]}"#);
}

#[test]
fn a_body_above_the_limit_is_413_in_the_form_of_its_api() {
    let mut config = people_config();
    config["limits"] = json!({"body_bytes_max": 1000});
    let server = Server::start_with(config);
    let ann = Person::register(&server, "ann");
    let object = |bytes: usize| {
        let empty = r#"{"key":"a","data":""}"#.len();
        format!("{{\"key\":\"a\",\"data\":\"{}\"}}", "x".repeat(bytes - empty))
    };
    ann.post(&server, OBJECT, &object(1000)).exactly(201, MADE);
    let error = ann.post(&server, OBJECT, &object(1001)).error(413);
    assert!(error.contains("1000") && error.contains("1001"), "{error}");
    for target in ["/login", "/item/a", "/api/batch/object"] {
        send_json(&server, "POST", target, &[], &object(1001)).error(413);
    }
    let mut connection = server.connect();
    let head = "POST /api/object HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.send(format!("{head}3e9\r\n").as_bytes());
    connection.read_response().error(413);
    connection.expect_closed();
}

//! `POST /api/register`: who gets an account, and what everybody else is told.

use crate::harness::people::{PASSWORD, people_config, registration, send_json};
use crate::harness::visitors::{Browser, expect_done, expect_failed, expect_page};
use crate::harness::{Response, Server};
use serde_json::{Value, json};

const REGISTER: &str = "/api/register";

fn send(server: &Server, body: &Value) -> Response {
    send_json(server, "POST", REGISTER, &[], &body.to_string())
}

/// The fields of [`registration`] as those of a form, with `changed` in place of what they name.
fn typed(username: &str, changed: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let names = ["username", "email", "password", "full_name", "age", "gender"];
    let right = registration(username);
    let text = |name: &str| right[name].as_str().map_or_else(|| right[name].to_string(), str::to_owned);
    let change =
        |name: &str| changed.iter().find(|(field, _)| *field == name).map(|(_, text)| (*text).to_owned());
    names.iter().map(|name| (*name, change(name).unwrap_or_else(|| text(name)))).collect()
}

fn send_form(server: &Server, fields: &[(&'static str, String)]) -> Response {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, text)| (*name, text.as_str())).collect();
    Browser::default().post(server, REGISTER, &fields)
}

#[test]
fn a_browser_that_registers_gets_a_page_that_names_the_user() {
    let server = Server::start_with(people_config());
    let page = expect_page(&send_form(&server, &typed("ann", &[])), 200);
    assert!(page.contains("ann") && page.contains("/api/login"), "{page}");
    assert!(!page.contains(PASSWORD), "{page}");
    assert!(Browser::default().log_in(&server, "ann").status == 302);
}

/// A field, a value that is wrong, and the code that says so.
type Wrong = (&'static str, Value, &'static str);

fn wrong(name: &'static str, code: &'static str, values: Value) -> Vec<Wrong> {
    values.as_array().unwrap().iter().map(|value| (name, value.clone(), code)).collect()
}

fn wrong_texts() -> Vec<Wrong> {
    let long_email = format!("{}@example.com", "e".repeat(243));
    [
        wrong(
            "username",
            "INVALID_REQUEST",
            json!(["", "  ", "a b", "é", "a/b", "a\u{0}", "<b>", "u".repeat(101)]),
        ),
        wrong("username", "INVALID_REQUEST", json!([5, [], null])),
        wrong(
            "email",
            "INVALID_REQUEST",
            json!(["", "ann", "@b", "a@", "a@b@c", "a b@c", "a@\u{7f}", long_email]),
        ),
        wrong("email", "INVALID_REQUEST", json!([1, null])),
        wrong("full_name", "INVALID_REQUEST", json!(["", " \t", "two\nlines", "n".repeat(101), {}, null])),
        wrong("gender", "GENDER_REQUIRED", json!(["", "  ", null])),
        wrong("gender", "INVALID_REQUEST", json!(["g".repeat(21), "a\nb", 1])),
    ]
    .concat()
}

fn wrong_values() -> Vec<Wrong> {
    let weak = ["Short1!", "alllower1!", "ALLUPPER1!", "NoDigits!", "NoSpecial1", "Right@123\u{7}"];
    let above_u64: Value = serde_json::from_str("99999999999999999999").unwrap();
    let mut all = wrong_texts();
    all.extend(wrong("password", "INVALID_PASSWORD", json!(weak)));
    all.extend(wrong("password", "INVALID_PASSWORD", json!([format!("Aa1!{}", "a".repeat(69))])));
    all.extend(wrong("password", "INVALID_REQUEST", json!(["", 12_345_678, null])));
    all.extend(wrong(
        "age",
        "INVALID_AGE",
        json!([0, 151, -1, 1.5, 1e1, u64::MAX, above_u64, true, [30], null]),
    ));
    all.extend(wrong("age", "INVALID_AGE", json!(["0", "151", "ten", "-1", "+1", "1.0", ""])));
    all
}

#[test]
fn a_form_has_the_same_rules_and_shows_them_on_the_page() {
    let server = Server::start_with(people_config());
    for (name, value, _) in wrong_values() {
        let Some(text) = value.as_str() else { continue };
        let page = expect_page(&send_form(&server, &typed("ann", &[(name, text)])), 400);
        assert!(page.contains(&format!("id=\"{name}-error\"")), "{name} {text:?}: {page}");
    }
}

#[test]
fn all_mistakes_of_a_form_are_reported_together_and_its_input_is_kept() {
    let server = Server::start_with(people_config());
    let wrong = [
        ("username", "a <b"),
        ("email", "no \"address"),
        ("password", "short"),
        ("full_name", "<i>\u{1}"),
        ("age", "'151'"),
        ("gender", "more than twenty letters"),
    ];
    let page = expect_page(&send_form(&server, &typed("ann", &wrong)), 400);
    for (name, _) in wrong {
        assert!(page.contains(&format!("href=\"#{name}\"")), "{name} in the summary of {page}");
        assert!(page.contains(&format!("id=\"{name}-error\"")), "{name} at its field in {page}");
    }
    for kept in ["a &lt;b", "no &quot;address", "&lt;i&gt;", "&#39;151&#39;"] {
        assert!(page.contains(&format!("value=\"{kept}")), "{kept} in {page}");
    }
    assert!(!page.contains("short\""), "the password came back: {page}");
    let message = expect_failed(&send(&server, &json!({})), 400, "INVALID_REQUEST");
    let all = ["username", "email", "password", "full_name", "age", "gender"];
    assert_eq!(message, all.map(|name| format!("`{name}` is missing; add it.")).join(" "));
}

#[test]
fn names_and_addresses_are_unique_case_insensitively() {
    let server = Server::start_with(people_config());
    expect_done(&send(&server, &registration("Ann")), 201);
    let mut same_name = registration("aNN");
    same_name["email"] = json!("other@example.com");
    expect_failed(&send(&server, &same_name), 409, "USERNAME_EXISTS");
    let mut same_address = registration("bob");
    same_address["email"] = json!("aNN@EXAMPLE.com");
    expect_failed(&send(&server, &same_address), 409, "EMAIL_EXISTS");
    expect_failed(&send(&server, &registration("ANN")), 409, "USERNAME_EXISTS");

    let page = expect_page(&send_form(&server, &typed("ann", &[])), 409);
    assert!(page.contains("id=\"username-error\"") && page.contains("value=\"ann\""), "{page}");
    let page = expect_page(&send_form(&server, &typed("bob", &[("email", "ann@example.com")])), 409);
    assert!(page.contains("id=\"email-error\"") && page.contains("value=\"bob\""), "{page}");
    expect_done(&send(&server, &registration("bob")), 201);
}

#[test]
fn one_of_many_simultaneous_creations_succeeds() {
    let server = Server::start_with(people_config());
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = |number: usize| {
            let mut body = registration("ann");
            body["email"] = json!(format!("{number}@example.com"));
            send(&server, &body).status
        };
        let asking: Vec<_> = (0..8).map(|number| scope.spawn(move || ask(number))).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 7, "{statuses:?}");
}

#[test]
fn no_client_registers_if_registration_is_closed() {
    let mut config = people_config();
    config["accounts"]["registration"] = json!("closed");
    let server = Server::start_with(config);
    expect_failed(&send(&server, &registration("ann")), 403, "REGISTRATION_CLOSED");
    // Also where it would be refused for another reason.
    expect_failed(&send(&server, &json!({})), 403, "REGISTRATION_CLOSED");
    let sent = expect_page(&send_form(&server, &typed("ann", &[])), 403);
    let opened = expect_page(&Browser::default().get(&server, REGISTER), 403);
    for page in [&sent, &opened] {
        assert!(page.contains("Registration is closed") && !page.contains("<form"), "{page}");
    }
    let login_page = expect_page(&Browser::default().get(&server, "/api/login"), 200);
    let missing = expect_page(&Browser::default().get(&server, "/api/login/nothing"), 404);
    for page in [&sent, &opened, &login_page, &missing] {
        assert!(page.contains("/api/login") && !page.contains("href=\"/api/register\""), "{page}");
    }
    let login = json!({"username": "ann", "password": PASSWORD}).to_string();
    expect_failed(&send_json(&server, "POST", "/api/token", &[], &login), 401, "INVALID_CREDENTIALS");
}

#[test]
fn a_duplicate_member_or_field_is_refused() {
    let server = Server::start_with(people_config());
    let whole = registration("ann").to_string();
    for (member, named) in [
        (r#""username":"bob","#, "username"),
        (r#""password":"Other@123","#, "password"),
        (r#""\u0070assword":"Other@123","#, "password"),
        (r#""unknown":1,"unknown":1,"#, "unknown"),
    ] {
        let doubled = whole.replacen('{', &format!("{{{member}"), 1);
        let answer = send_json(&server, "POST", REGISTER, &[], &doubled);
        let message = expect_failed(&answer, 400, "INVALID_REQUEST");
        assert!(message.contains(&format!("`{named}`")), "{message}");
    }
    let mut fields = typed("ann", &[]);
    fields.push(("username", "bob".to_owned()));
    expect_page(&send_form(&server, &fields), 400);
    for name in ["ann", "bob"] {
        expect_done(&send(&server, &registration(name)), 201);
    }
}

#[test]
fn invalid_registrations_are_refused() {
    let server = Server::start_with(people_config());
    for (body, code) in [
        ("[]", "INVALID_REQUEST"),
        ("\"ann\"", "INVALID_REQUEST"),
        ("{\"username\":", "INVALID_REQUEST"),
        ("{} {}", "INVALID_REQUEST"),
        ("null", "INVALID_REQUEST"),
    ] {
        expect_failed(&send_json(&server, "POST", REGISTER, &[], body), 400, code);
    }
    expect_failed(&send_json(&server, "POST", REGISTER, &[], ""), 400, "INVALID_REQUEST");
    let nested = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(send_json(&server, "POST", REGISTER, &[], &nested).status, 400);
    for broken in ["username=%zz", "username=%ff", "username=\u{e9}%c3"] {
        let fields = [crate::harness::visitors::HTML, crate::harness::visitors::FORM];
        expect_page(&server.request("POST", REGISTER, None, &fields, broken.as_bytes()), 400);
    }
}

use super::*;
use crate::digits::hex_digit;
use proptest::collection::vec;
use proptest::prelude::*;

const KEY: &str = "pikv_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf05vj4V";
const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJwaWt2In0.kW9rr8vWzy396rMHsGVDBho";

fn masked(text: &str) -> String {
    String::from_utf8_lossy(&mask(text.as_bytes())).into_owned()
}

fn target(text: &str) -> String {
    String::from_utf8_lossy(&loggable_target(text.as_bytes())).into_owned()
}

/// `text` as a sender may encode it: each byte as it is, or under one to three levels of encoding.
fn encoded(text: &str, levels: &[u8]) -> String {
    let mut out = String::new();
    for (byte, level) in text.bytes().zip(levels) {
        let digits: String = [byte >> 4, byte & 15].map(hex_digit).map(char::from).iter().collect();
        match level {
            0..=2 => out.push(char::from(byte)),
            3 => out.push_str(&format!("%{digits}")),
            4 => out.push_str(&format!("%{}", digits.to_uppercase())),
            5 => out.push_str(&format!("%25{digits}")),
            // The digits are encoded too.
            _ => {
                out.push_str("%2525");
                digits.bytes().for_each(|digit| out.push_str(&format!("%{digit:02x}")));
            }
        }
    }
    out
}

/// No eight bytes of `secret` in a row are in `shown`, decoded or not.
fn assert_hidden(secret: &str, shown: &str) {
    let decoded = String::from_utf8_lossy(&Decoded::of(shown.as_bytes()).bytes).into_owned();
    for part in secret.as_bytes().windows(8) {
        let part = str::from_utf8(part).unwrap();
        assert!(!shown.contains(part) && !decoded.contains(part), "{part} in {shown}");
    }
}

#[test]
fn keys_and_tokens_are_masked_at_any_position() {
    for secret in [KEY, TOKEN, &TOKEN[..60], &KEY[..30]] {
        for (text, shown) in [
            (format!("/item/{secret}"), "/item/***"),
            (format!("/item/{secret}/b"), "/item/***/b"),
            (format!("/{secret}/{secret}"), "/***/***"),
            (format!("/item/a{secret}"), "/item/a***"),
            (format!("/item/a%20{secret}"), "/item/a%20***"),
            (format!("/item/key={secret}&b"), "/item/key=***&b"),
            (format!("//{secret}"), "//***"),
            (format!("the key `{secret}` is wrong"), "the key `***` is wrong"),
        ] {
            assert_eq!(masked(&text), shown);
        }
    }
}

#[test]
fn a_key_with_typing_errors_is_masked() {
    let upper = KEY.to_ascii_uppercase();
    let punctuated = KEY.replace("003a", "003.a");
    for text in [&upper, &punctuated, &format!("{KEY}x"), &KEY[..KEY.len() - 1].to_owned()] {
        assert_eq!(masked(&format!("/item/{text}")), "/item/***");
    }
}

#[test]
fn encoded_secrets_are_masked_at_every_level() {
    for (text, shown) in [
        (KEY.replace('_', "%5F"), "***"),
        (KEY.replace('_', "%5f"), "***"),
        (KEY.replace('p', "%70"), "***"),
        (KEY.replace('_', "%255F"), "***"),
        (KEY.replace('_', "%25255F"), "***"),
        (KEY.replace('_', "%%35F"), "***"),
        (TOKEN.replace('.', "%2E"), "***"),
        (TOKEN.replace('.', "%252e"), "***"),
        (format!("Bearer%20{TOKEN}"), "Bearer%20***"),
        (format!("Bearer+{KEY}"), "Bearer+***"),
        (format!("a%2{TOKEN}"), "a%2***"),
        (format!("100%{KEY}"), "100%***"),
        (format!("100%25c{}", TOKEN.replacen('J', "%4a", 1)), "100%25c***"),
        (format!("100%{}", TOKEN.replacen('J', "%4a", 1)), "100%***"),
        ("100%Basic%20dXNlcjpw".to_owned(), "100%Basic%20***"),
        ("100%2bearer%20chosen".to_owned(), "100%2bearer%20***"),
    ] {
        assert_eq!(masked(&format!("/x/{text}")), format!("/x/{shown}"));
    }
}

#[test]
fn any_credential_after_a_scheme_is_masked() {
    for (text, shown) in [
        ("/Bearer%20chosen-by-hand/x", "/Bearer%20***"),
        ("/bearer++chosen-by-hand", "/bearer++***"),
        ("/BASIC%2520dXNlcjpwYXNz/cGFzcw==%20x", "/BASIC%2520***%20x"),
        ("/Basic%20", "/Basic%20"),
        ("/basics/bearer", "/basics/bearer"),
    ] {
        assert_eq!(masked(text), shown);
    }
}

#[test]
fn a_key_in_base64_is_masked() {
    // base64 of `:`, `a:` and `ab:`, each with a key after it.
    for text in [
        "OnBpa3ZfMDAzYVVsVEpDN3RqbENUUWoydU5VM01GYWdDWEc5TFJLUmN3R2tCSURsZjA1dmo0Vg==",
        "YTpwaWt2XzAwM2FVbFRKQzd0amxDVFFqMnVOVTNNRmFnQ1hHOUxSS1Jjd0drQklEbGYwNXZqNFY=",
        "YWI6cGlrdl8wMDNhVWxUSkM3dGpsQ1RRajJ1TlUzTUZhZ0NYRzlMUktSY3dHa0JJRGxmMDV2ajRW",
    ] {
        let shown = masked(&format!("/item/{text}"));
        assert!(shown.ends_with("***") && shown.len() < 16, "{shown}");
    }
}

#[test]
fn names_are_not_masked() {
    for text in [
        "/",
        "",
        "/item/pikv_",
        "/item/eyJ.a.b",
        "/api/v1/projects/pikv_data/keys/a//b",
        "/api/v1/projects/pikv_settings/keys/pikv_temperature",
        "/api/v1/projects/first_project/keys/a%2Fb%20c%25",
        "/api/v1/accounts/ada@example.com",
        "/keys/https%3A%2F%2Fexample.com%2Fa@b",
        "/%",
        "/%2",
        "/%zz%",
        "//",
    ] {
        assert_eq!(masked(text), text);
        assert_eq!(target(text), text);
    }
}

#[test]
fn user_information_is_masked_in_every_form_of_a_target() {
    for (text, shown) in [
        ("http://user:password@host/x", "***@host/x"),
        ("HTTPS://user@host", "***@host"),
        ("http://user:pass%40word@host/x", "***@host/x"),
        ("http://user:password%40host/x", "***%40host/x"),
        ("http://user:pass/word@host/x", "***@host/x"),
        ("http://user:pass?word@host/x", "***"),
        ("http://user:pass#word@host/x", "***"),
        ("http://host/x?mail=a@b", "***"),
        ("user:pw@host:1", "***@host:1"),
        ("http:/user:pw@host/", "***@host/"),
        ("//user:pw@host/x", "//***@host/x"),
        ("/proxy/http://user:pw@host/x", "/proxy/http://***@host/x"),
        ("/keys/http%3A%2F%2Fuser%3Apw%40host%2Fx", "/keys/http%3A%2F%2F***%40host%2Fx"),
        ("http://host/x", "http://host/x"),
        ("*", "*"),
    ] {
        assert_eq!(target(text), shown, "{text}");
    }
}

#[test]
fn queries_and_fragments_are_not_loggable() {
    for text in ["/a?b", "/a#b", "/a?b#c", "/a#b?c", "/a?"] {
        assert_eq!(target(text), "/a");
    }
}

proptest! {
    #[test]
    fn a_secret_never_shows_however_it_is_encoded(
        is_key in any::<bool>(),
        levels in vec(0_u8..7, TOKEN.len()),
        before in "/([a-z0-9/+.:=-]|%(25)?[0-9a-f]{0,2}){0,20}",
        after in "([/ &?%][ -~]{0,20})?",
    ) {
        let secret = if is_key { KEY } else { TOKEN };
        let text = format!("{before}{}{after}", encoded(secret, &levels));
        assert_hidden(secret, &masked(&text));
        assert_hidden(secret, &target(&text));
        assert_hidden(secret, &target(&format!("http://host{text}")));
    }

    #[test]
    fn a_password_in_a_url_never_shows(
        levels in vec(0_u8..7, 16),
        scheme in "(http://|https://|HTTP:/|)",
        rest in "(/[a-z]{0,9})?",
    ) {
        let secret = "Pa:s/w?r#d@pwPWpw";
        let user = format!("{scheme}user:{}", encoded(&secret[..16], &levels));
        assert_hidden(&secret[..16], &target(&format!("{user}@host{rest}")));
    }

    #[test]
    fn any_bytes_are_masked_without_a_panic(text in vec(any::<u8>(), 0..64)) {
        mask(&text);
        loggable_target(&text);
    }
}

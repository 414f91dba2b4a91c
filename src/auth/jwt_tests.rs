use super::*;

const KEY: [u8; 32] = [7; 32];
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const PAYLOAD: &str =
    r#"{"iss":"pikv","aud":"pikv","sub":"ada","cid":"c1","iat":1700000000,"exp":1700003600}"#;
/// A moment at which [`PAYLOAD`] is good.
const NOW_S: u64 = 1_700_000_001;

fn key() -> SigningKey {
    SigningKey::new(KEY)
}

fn claims() -> Claims {
    Claims {
        subject: "ada".to_owned(),
        credential: "c1".to_owned(),
        issued_s: 1_700_000_000,
        expires_s: 1_700_003_600,
    }
}

/// `parts` as they are, and the right signature.
fn signed(parts: &str) -> String {
    format!("{parts}.{}", URL_SAFE_NO_PAD.encode(key().mac(PURPOSE, parts.as_bytes())))
}

/// A token that a holder of the key could create.
fn token(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    signed(&format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload)))
}

fn with_payload(old: &str, new: &str) -> String {
    assert!(PAYLOAD.contains(old), "{old}");
    token(HEADER, PAYLOAD.replace(old, new))
}

#[track_caller]
fn check(what: &str, token: impl AsRef<[u8]>, expected: TokenError) {
    assert_eq!(verify(&key(), token.as_ref(), NOW_S), Err(expected), "{what}");
}

#[test]
fn an_issued_token_has_its_claims() {
    let issued = issue(&key(), &claims());
    assert_eq!(issued.reveal(), token(HEADER, PAYLOAD));
    assert_eq!(verify(&key(), issued.reveal().as_bytes(), NOW_S), Ok(claims()));
    let odd = Claims { subject: "\"\\\u{1}jörg\u{2028}".to_owned(), credential: String::new(), ..claims() };
    let issued = issue(&key(), &odd);
    assert_eq!(verify(&key(), issued.reveal().as_bytes(), NOW_S), Ok(odd));
}

#[test]
fn a_token_of_another_implementation_is_the_same() {
    // Computed with Python: hmac.new(hmac.new(bytes(range(32)), b"jwt", sha256).digest(), parts, sha256).
    const MADE_APART: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
        eyJpc3MiOiJwaWt2IiwiYXVkIjoicGlrdiIsInN1YiI6ImrDtnJcImciLCJjaWQiOiJjLTEiLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMH0.\
        kW9rr8vWzy396rMHsGVDBho1385uupfX0heRuQjjF4k";
    let key = SigningKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n").unwrap();
    let claims = Claims { subject: "jör\"g".to_owned(), credential: "c-1".to_owned(), ..claims() };
    assert_eq!(verify(&key, MADE_APART.as_bytes(), NOW_S), Ok(claims.clone()));
    assert_eq!(issue(&key, &claims).reveal(), MADE_APART);
}

#[test]
fn hmac_is_that_of_rfc_4231() {
    let check = |key: &[u8], message: &[u8], expected: &str| {
        let hex: String = hmac_sha256(key, message).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    };
    let counting: Vec<u8> = (1..=25).collect();
    let longer_than_a_block: &[u8] = b"This is a test using a larger than block-size key and a larger than \
        block-size data. The key needs to be hashed before being used by the HMAC algorithm.";
    check(&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    check(
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
    check(&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    check(&counting, &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
    check(
        &[0xaa; 131],
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    );
    check(
        &[0xaa; 131],
        longer_than_a_block,
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    );
}

#[test]
fn what_was_signed_for_one_purpose_is_no_good_for_another() {
    let hex: String = SigningKey::new(std::array::from_fn(|index| u8::try_from(index).unwrap()))
        .mac("form", b"message")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(hex, "f9bb235bf04a70ad676226182b9b2ddbc7a0558302f4f0a4bc39b7319f3e1641", "by Python");
    assert_ne!(key().mac("form", b"message"), key().mac("jwt", b"message"));
    assert_ne!(key().mac("form", b"message"), key().mac("for", b"mmessage"));
    assert_ne!(key().mac("form", b"message"), SigningKey::new([8; 32]).mac("form", b"message"));

    let (parts, _) =
        issue(&key(), &claims()).reveal().rsplit_once('.').map(|(a, b)| (a.to_owned(), b.len())).unwrap();
    for mac in [key().mac("form", parts.as_bytes()), hmac_sha256(&KEY, parts.as_bytes())] {
        check(
            "of another purpose",
            format!("{parts}.{}", URL_SAFE_NO_PAD.encode(mac)),
            TokenError::Signature,
        );
    }
}

#[test]
fn a_token_whose_signature_is_wrong_is_refused() {
    let good = token(HEADER, PAYLOAD);
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let other_payload = URL_SAFE_NO_PAD.encode(PAYLOAD.replace("ada", "eve"));
    let other_header = URL_SAFE_NO_PAD.encode(HEADER.replace("HS256", "none"));
    let other_key = issue(&SigningKey::new([8; 32]), &claims());
    let zeros = URL_SAFE_NO_PAD.encode([0; 32]);
    let bare_sha = URL_SAFE_NO_PAD.encode(crate::secret::KeyHash::of(b"x").encode());
    let of_header = signed(header);
    let of_header = of_header.rsplit('.').next().unwrap();
    for (what, token, expected) in [
        ("signed with another key", other_key.reveal().to_owned(), TokenError::Signature),
        ("another payload", format!("{header}.{other_payload}.{signature}"), TokenError::Signature),
        ("another header", format!("{other_header}.{payload}.{signature}"), TokenError::Signature),
        ("header and payload swapped", format!("{payload}.{header}.{signature}"), TokenError::Signature),
        ("payload and signature swapped", format!("{header}.{signature}.{payload}"), TokenError::Malformed),
        ("header twice", format!("{header}.{header}.{signature}"), TokenError::Signature),
        ("signature of the header alone", format!("{header}.{payload}.{of_header}"), TokenError::Signature),
        ("a signature of zeros", format!("{header}.{payload}.{zeros}"), TokenError::Signature),
        ("no signature", format!("{header}.{payload}."), TokenError::Malformed),
        ("no signature and alg none", format!("{other_header}.{payload}."), TokenError::Malformed),
        ("no signature and no dot", format!("{header}.{payload}"), TokenError::Malformed),
        ("a signature of 71 bytes", format!("{header}.{payload}.{bare_sha}"), TokenError::Malformed),
        ("a signature twice", format!("{good}{signature}"), TokenError::Malformed),
        ("only a signature", format!("..{signature}"), TokenError::Signature),
        ("half a signature", good[..good.len() - 22].to_owned(), TokenError::Malformed),
    ] {
        check(what, token, expected);
    }
}

#[test]
fn a_token_cut_anywhere_is_refused() {
    let good = token(HEADER, PAYLOAD);
    for length in 0..good.len() {
        let refused = verify(&key(), &good.as_bytes()[..length], NOW_S);
        assert!(matches!(refused, Err(TokenError::Malformed)), "the first {length}: {refused:?}");
        assert!(verify(&key(), &good.as_bytes()[good.len() - length..], NOW_S).is_err(), "the last {length}");
    }
    assert!(verify(&key(), good.as_bytes(), NOW_S).is_ok());
}

#[test]
fn a_token_with_any_bit_flipped_is_refused() {
    let good = token(HEADER, PAYLOAD).into_bytes();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let refused = verify(&key(), &bad, NOW_S);
        assert!(
            matches!(refused, Err(TokenError::Malformed | TokenError::Signature)),
            "bit {bit}: {refused:?}"
        );
    }
}

/// `part` with the last bit of its last digit set, which is part of no byte.
fn with_last_bit(part: &str) -> String {
    assert!(part.len() % 4 > 1, "all bits of {part} are used");
    let (rest, last) = part.split_at(part.len() - 1);
    format!("{rest}{}", char::from(last.as_bytes()[0] + 1))
}

#[test]
fn only_one_spelling_of_base64_is_taken() {
    let good = token(HEADER, PAYLOAD);
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let spare_header = URL_SAFE_NO_PAD.encode(format!("{HEADER} "));
    let spare_payload = URL_SAFE_NO_PAD.encode(format!("{PAYLOAD} "));
    let standard = base64::engine::general_purpose::STANDARD_NO_PAD.encode(PAYLOAD.replace("ada", "ÿ>?~ÿ"));
    assert!(standard.contains(['+', '/']), "{standard}");
    for (what, token) in [
        ("bits after the signature", format!("{header}.{payload}.{}", with_last_bit(signature))),
        ("bits after the header", signed(&format!("{}.{payload}", with_last_bit(&spare_header)))),
        ("bits after the payload", signed(&format!("{header}.{}", with_last_bit(&spare_payload)))),
        ("padding after the signature", format!("{good}=")),
        ("too much padding", format!("{good}==")),
        ("padding after the header", signed(&format!("{header}=.{payload}"))),
        ("padding after the payload", signed(&format!("{header}.{payload}=="))),
        ("percent-encoded padding", format!("{good}%3D")),
        ("+ and / in the payload", signed(&format!("{header}.{standard}"))),
        ("a space before", format!(" {good}")),
        ("a space at the end", format!("{good} ")),
        ("a line end at the end", format!("{good}\n")),
        ("a tab in a signed part", signed(&format!("{header}\t.{payload}"))),
        (
            "a line end in a signed part",
            signed(&format!("{header}.{}\r\n{}", &payload[..40], &payload[40..])),
        ),
        ("NUL at the end", format!("{good}\0")),
        ("NUL in a signed part", signed(&format!("{header}\0.{payload}"))),
        ("not ASCII", format!("{good}ü")),
        ("a fourth part", format!("{good}.")),
        ("a fourth part, signed", signed(&format!("{header}.{payload}.{payload}"))),
        ("a dot before", format!(".{good}")),
        ("two dots between", signed(&format!("{header}..{payload}"))),
        ("five parts as JWE has", format!("{header}.a.b.{payload}.{signature}")),
        ("a scheme before", format!("Bearer {good}")),
        ("quotes", format!("\"{good}\"")),
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("raw JSON", format!("{HEADER}.{PAYLOAD}.{signature}")),
        (
            "JWS in its JSON form",
            format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#),
        ),
    ] {
        check(what, token, TokenError::Malformed);
    }
    check("bytes that are no UTF-8", [good.as_bytes(), &[0xff]].concat(), TokenError::Malformed);
}

#[test]
fn a_token_longer_than_8_kib_is_refused_before_anything_else() {
    let of_length = |padding: usize| with_payload("\"ada\"", &format!("\"{}\"", "a".repeat(padding)));
    let fitting = (0..8_000).rev().map(of_length).find(|token| token.len() <= TOKEN_BYTES_MAX).unwrap();
    assert!(fitting.len() > TOKEN_BYTES_MAX - 3, "{}", fitting.len());
    assert!(verify(&key(), fitting.as_bytes(), NOW_S).is_ok());
    check("a bit too long", of_length(6_100), TokenError::TooLong);
    check("far too long", of_length(1_000_000), TokenError::TooLong);
    check("dots only", ".".repeat(TOKEN_BYTES_MAX + 1), TokenError::TooLong);
    check("as many dots as may be", ".".repeat(TOKEN_BYTES_MAX), TokenError::Malformed);
}

#[test]
fn a_signed_header_is_taken_only_as_it_is_issued() {
    let check = |what: &str, header: &str| check(what, token(header, PAYLOAD), TokenError::Claims);
    for alg in
        ["none", "None", "NONE", "nOnE", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256", "HS256 ", ""]
    {
        check(alg, &HEADER.replace("HS256", alg));
    }
    for member in [
        r#""kid":"1""#,
        r#""kid":"../../dev/null""#,
        r#""jku":"https://example.com/keys""#,
        r#""jwk":{"kty":"oct","k":"AA"}"#,
        r#""x5u":"https://example.com/cert""#,
        r#""x5c":["MIIB"]"#,
        r#""x5t":"AA""#,
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""b64":false"#,
        r#""zip":"DEF""#,
        r#""cty":"JWT""#,
        r#""enc":"A128GCM""#,
        r#""kid":null"#,
        r#""":0"#,
        r#""alg":"HS256""#,
        r#""alg":"none""#,
        r#""\u0061lg":"none""#,
        r#""\u0061lg":"HS256""#,
        r#""typ":"JWT""#,
        r#""ALG":"none""#,
        r#""alg\u0000":"none""#,
    ] {
        check(member, &HEADER.replace('}', &format!(",{member}}}")));
        check(member, &HEADER.replace('{', &format!("{{{member},")));
    }
    for header in [
        r#"{"alg":"HS256"}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256","typ":"jwt"}"#,
        r#"{"alg":"HS256","typ":"at+jwt"}"#,
        r#"{"alg":"HS256","typ":null}"#,
        r#"{"alg":null,"typ":"JWT"}"#,
        r#"{"alg":["HS256"],"typ":"JWT"}"#,
        r#"{"alg":{"alg":"HS256"},"typ":"JWT"}"#,
        r#"{"alg":256,"typ":"JWT"}"#,
        r#"{"Alg":"HS256","Typ":"JWT"}"#,
        r#"["HS256","JWT"]"#,
        r#"[{"alg":"HS256","typ":"JWT"}]"#,
        r#""HS256""#,
        "{}",
        "null",
        "",
        r#"{"alg":"HS256","typ":"JWT""#,
        r#"{"alg":"HS256","typ":"JWT",}"#,
        r#"{'alg':'HS256','typ':'JWT'}"#,
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}\0",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\0\"}",
        "\u{feff}{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        " {\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}\n",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}{}",
    ] {
        check(header, header);
    }
}

#[test]
fn the_same_header_in_other_json_is_taken() {
    for header in [
        r#"{"typ":"JWT","alg":"HS256"}"#,
        r#"{"\u0061lg":"HS256","typ":"JWT"}"#,
        r#"{ "alg" : "HS\u003256" , "typ" : "JWT" }"#,
    ] {
        assert_eq!(verify(&key(), token(header, PAYLOAD).as_bytes(), NOW_S), Ok(claims()), "{header}");
    }
}

#[test]
fn each_claim_has_to_be_there_once() {
    let members: Vec<&str> = PAYLOAD.trim_matches(['{', '}']).split(',').collect();
    assert_eq!(members.len(), 6);
    for (index, member) in members.iter().enumerate() {
        let mut without = members.clone();
        without.remove(index);
        check(member, token(HEADER, format!("{{{}}}", without.join(","))), TokenError::Claims);
        let twice = [&members[..], &[*member]].concat();
        check(member, token(HEADER, format!("{{{}}}", twice.join(","))), TokenError::Claims);
        let (name, _) = member.split_once(':').unwrap();
        let null = PAYLOAD.replace(member, &format!("{name}:null"));
        check(member, token(HEADER, null), TokenError::Claims);
        let upper = PAYLOAD.replace(name, &name.to_uppercase());
        check(member, token(HEADER, upper), TokenError::Claims);
    }
}

#[test]
fn a_claim_of_another_value_or_type_is_refused() {
    for (old, new) in [
        ("\"iss\":\"pikv\"", "\"iss\":\"PiKV\""),
        ("\"iss\":\"pikv\"", "\"iss\":\"pikv \""),
        ("\"iss\":\"pikv\"", "\"iss\":\"https://pikv\""),
        ("\"iss\":\"pikv\"", "\"iss\":\"\""),
        ("\"iss\":\"pikv\"", "\"iss\":[\"pikv\"]"),
        ("\"aud\":\"pikv\"", "\"aud\":\"other\""),
        ("\"aud\":\"pikv\"", "\"aud\":[\"pikv\"]"),
        ("\"aud\":\"pikv\"", "\"aud\":[\"pikv\",\"other\"]"),
        ("\"ada\"", "1"),
        ("\"ada\"", "true"),
        ("\"ada\"", "[\"ada\"]"),
        ("\"ada\"", "{\"sub\":\"ada\"}"),
        ("\"ada\"", "\"\\ud800\""),
        ("\"ada\"", "\"a\nb\""),
        ("\"c1\"", "1"),
        ("1700003600", "\"1700003600\""),
        ("1700003600", "1700003600.0"),
        ("1700003600", "1700003600.5"),
        ("1700003600", "1e9"),
        ("1700003600", "1.7000036e9"),
        ("1700003600", "-1"),
        ("1700003600", "-1700003600"),
        ("1700003600", "-0"),
        ("1700003600", "+1700003600"),
        ("1700003600", "01700003600"),
        ("1700003600", "0x6553F100"),
        ("1700003600", "18446744073709551616"),
        ("1700003600", "1e400"),
        ("1700003600", "NaN"),
        ("1700003600", "Infinity"),
        ("1700003600", "true"),
        ("1700003600", "[1700003600]"),
        ("1700003600", "0"),
        ("1700003600", "1700000000"),
        ("1700003600", "1699999999"),
        ("1700000000", "\"1700000000\""),
        ("1700000000", "1700000000.0"),
        ("1700000000", "-1"),
        ("{", "{\"nbf\":null,"),
        ("{", "{\"nbf\":\"1\","),
        ("{", "{\"nbf\":1.0,"),
        ("{", "{\"nbf\":1,\"nbf\":1,"),
        ("{", "{\"\\u0065xp\":1700003600,"),
        ("{", "{\"jti\":\"1\","),
        ("{", "{\"admin\":true,"),
        ("{", "{\"__proto__\":{},"),
        ("{", "[{"),
        ("{", "\u{feff}{"),
        ("{", " {"),
        ("}", "} "),
        ("}", "}{}"),
        ("}", ",}"),
        ("}", ""),
    ] {
        check(&format!("{old} -> {new}"), with_payload(old, new), TokenError::Claims);
    }
}

#[test]
fn a_payload_that_is_no_object_of_text_is_refused() {
    for payload in [
        r#"["pikv","pikv","ada","c1",1700000000,1700003600]"#,
        r#"["pikv","pikv","ada","c1",1700000000,1700003600,0]"#,
        "{}",
        "[]",
        "null",
        "0",
        "\"\"",
        "",
        "{",
        "}",
    ] {
        check(payload, token(HEADER, payload), TokenError::Claims);
    }
    let nested = format!("{{\"sub\":{}{}}}", "[".repeat(2_000), "]".repeat(2_000));
    check("nested", token(HEADER, nested), TokenError::Claims);
    let unknown_nested = format!("{{\"a\":{}{}}}", "{\"a\":".repeat(900), "}".repeat(900));
    check("nested and unknown", token(HEADER, unknown_nested), TokenError::Claims);
    let latin_1 = [
        &b"{\"iss\":\"pikv\",\"aud\":\"pikv\",\"sub\":\"j\xf6rg\",\"cid\":\"c1\","[..],
        &b"\"iat\":1,\"exp\":2}"[..],
    ];
    check("not UTF-8", token(HEADER, latin_1.concat()), TokenError::Claims);
    check("a token in a token", token(HEADER, token(HEADER, PAYLOAD)), TokenError::Claims);
}

#[test]
fn token_is_valid_within_its_lifetime_with_5_seconds_of_leeway() {
    let at = |token: &str, now_s| verify(&key(), token.as_bytes(), now_s).err();
    let plain = token(HEADER, PAYLOAD);
    for (now_s, expected) in [
        (0, Some(TokenError::NotYetValid)),
        (1_699_999_994, Some(TokenError::NotYetValid)),
        (1_699_999_995, None),
        (1_700_000_000, None),
        (1_700_003_599, None),
        (1_700_003_600, None),
        (1_700_003_604, None),
        (1_700_003_605, Some(TokenError::Expired)),
        (1_700_003_606, Some(TokenError::Expired)),
        (u64::MAX, Some(TokenError::Expired)),
    ] {
        assert_eq!(at(&plain, now_s), expected, "{now_s}");
    }
    let later = with_payload("{", "{\"nbf\":1700000100,");
    assert_eq!(at(&later, 1_700_000_094), Some(TokenError::NotYetValid));
    assert_eq!(at(&later, 1_700_000_095), None);
    let earlier = with_payload("{", "{\"nbf\":0,");
    assert_eq!(at(&earlier, 1_699_999_994), Some(TokenError::NotYetValid), "iat counts as well");
    assert_eq!(at(&earlier, NOW_S), None);
    let for_ever = with_payload("1700003600", "18446744073709551615");
    assert_eq!((at(&for_ever, NOW_S), at(&for_ever, u64::MAX)), (None, None));
    let after_its_end = with_payload("{", "{\"nbf\":18446744073709551615,");
    assert_eq!(at(&after_its_end, NOW_S), Some(TokenError::NotYetValid));
}

#[test]
fn token_is_distinguished_from_an_api_key_by_its_start_and_its_two_dots() {
    for (text, expected) in [
        (token(HEADER, PAYLOAD).as_str(), true),
        ("eyJhbGciOiJub25lIn0.e30.", true),
        ("eyJ.b.c", true),
        ("eyJ..", true),
        ("eyJ-._.0", true),
        ("", false),
        ("..", false),
        ("my.secret.key", false),
        ("EyJ.b.c", false),
        ("pikv_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf05vj4U", false),
        ("eyJ.b", false),
        ("eyJ.b.c.d", false),
        ("eyJ.b.c=", false),
        ("eyJ.b+.c", false),
        ("eyJ.b/.c", false),
        ("eyJ.b.c d", false),
        ("eyJ.ü.c", false),
        ("eyJ.b.c\0", false),
    ] {
        assert_eq!(looks_like_token(text.as_bytes()), expected, "{text}");
    }
    assert!(!looks_like_token(b"eyJ.\xff.c"));
}

#[test]
fn the_text_of_a_key_is_read_back_and_nothing_else_is() {
    let text = key().encode();
    let text = text.reveal();
    assert_eq!(text.len(), 43);
    for good in [text.to_owned(), format!("{text}\n")] {
        assert_eq!(SigningKey::parse(&good).map(|key| key.0), Some(KEY));
    }
    let of_bytes = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![7; bytes]);
    for bad in [
        String::new(),
        "\n".to_owned(),
        format!("{text}\n\n"),
        format!("{text}\r\n"),
        format!(" {text}"),
        format!("{text} "),
        format!("{text}="),
        format!("{}d", &text[..42]),
        of_bytes(31),
        of_bytes(33),
        "07".repeat(32),
        "/".repeat(43),
    ] {
        assert!(SigningKey::parse(&bad).is_none(), "{bad:?}");
    }
}

#[test]
fn neither_the_key_nor_a_token_is_shown() {
    assert_eq!(format!("{:?} {:?}", key(), issue(&key(), &claims())), "*** ***");
}

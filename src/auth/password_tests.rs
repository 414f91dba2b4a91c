use super::*;
use crate::limits::BCRYPT_COST_DEFAULT;

const SALT: [u8; 16] = *b"sixteen bytes, t";

fn password(text: &str) -> Password {
    Password::parse(text).unwrap()
}

/// `bytes` long, with all that a new password needs, and `last` at its end.
fn of_length(bytes: usize, last: char) -> String {
    let text = format!("Aa1!{}{last}", "x".repeat(bytes - 5));
    assert_eq!(text.len(), bytes);
    text
}

fn quick_hash(text: &str) -> PasswordHash {
    hash(&password(text), BCRYPT_COST_MIN, SALT)
}

#[test]
fn hashes_of_another_implementation_are_verified() {
    // Computed with crypt(3) of libxcrypt 4.4, by way of Perl.
    for (text, hash) in [
        ("Tr0ub4dor&3".to_owned(), "$2b$04$abcdefghijklmnopqrstuu5UWyuxawIwQzpnlr0Mft5nu6B9cYh/C"),
        ("Grüße-9".to_owned(), "$2b$05$CCCCCCCCCCCCCCCCCCCCC.Gpc3vXfJS2hw5fuDJh3DuvUAPp9xLFq"),
        (of_length(71, 'Z'), "$2b$04$abcdefghijklmnopqrstuuSS9j2UozhxCCkMFOWZfxQfR9euOQ87O"),
        (of_length(72, 'Z'), "$2b$04$abcdefghijklmnopqrstuur2wu/1VysdQWvoK5TIRxvso0rbigEeK"),
    ] {
        let hash = PasswordHash::parse(hash).unwrap();
        assert!(verify(&password(&text), &hash), "{text}");
        assert!(!verify(&password("Tr0ub4dor&4"), &hash), "{text}");
    }
}

#[test]
fn a_hash_is_of_its_password_its_cost_and_its_salt() {
    let hash_4 = quick_hash("Tr0ub4dor&3");
    let other_salt = hash(&password("Tr0ub4dor&3"), BCRYPT_COST_MIN, [7; 16]);
    let hash_5 = hash(&password("Tr0ub4dor&3"), 5, SALT);
    assert_eq!((hash_4.cost(), hash_5.cost()), (4, 5));
    assert_ne!(hash_4.as_text(), other_salt.as_text());
    assert_eq!(hash_4.as_text(), quick_hash("Tr0ub4dor&3").as_text());
    for hash in [hash_4, hash_5, other_salt] {
        assert!(verify(&password("Tr0ub4dor&3"), &hash));
        for wrong in ["tr0ub4dor&3", "Tr0ub4dor&", "Tr0ub4dor&3 ", "Tr0ub4dor&3Tr0ub4dor&3", "T"] {
            assert!(!verify(&password(wrong), &hash), "{wrong}");
        }
    }
}

#[test]
fn each_byte_of_a_long_password_counts() {
    for bytes in [71, 72] {
        let hash = quick_hash(&of_length(bytes, 'y'));
        assert!(verify(&password(&of_length(bytes, 'y')), &hash), "{bytes}");
        assert!(!verify(&password(&of_length(bytes, 'z')), &hash), "{bytes}");
    }
    let whole = of_length(72, 'y');
    assert!(!verify(&password(&whole[..71]), &quick_hash(&whole)), "the last one is cut off");
    assert!(!verify(&password(&whole), &quick_hash(&whole[..71])), "one more");
}

#[test]
fn a_password_has_at_most_72_bytes() {
    for (bytes, is_taken) in [(5, true), (71, true), (72, true), (73, false), (1024 * 1024, false)] {
        let expected = if is_taken { None } else { Some(PasswordError::TooLong { bytes }) };
        assert_eq!(Password::parse(&of_length(bytes, 'Z')).err(), expected);
        if bytes > 8 {
            assert_eq!(Password::parse_new(&of_length(bytes, 'Z'), Rule::Strong).err(), expected);
        }
    }
    assert!(Password::parse(&"ü".repeat(36)).is_ok());
    assert_eq!(Password::parse(&"ü".repeat(37)).err(), Some(PasswordError::TooLong { bytes: 74 }));
    assert_eq!(Password::parse("").err(), Some(PasswordError::Empty));
    assert_eq!(Password::parse_new("", Rule::Strong).err(), Some(PasswordError::Empty));
}

#[test]
fn control_characters_are_refused() {
    for c in ['\0', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}'] {
        for text in [format!("{c}Abcdef1!"), format!("Abc{c}def1!"), format!("Abcdef1!{c}")] {
            assert_eq!(Password::parse(&text).err(), Some(PasswordError::Control), "{c:?}");
            assert_eq!(Password::parse_new(&text, Rule::Strong).err(), Some(PasswordError::Control), "{c:?}");
        }
    }
    assert!(Password::parse(" ~\u{a0}\u{ad}").is_ok());
}

const UPPER: &str = "an upper-case letter";
const LOWER: &str = "a lower-case letter";
const DIGIT: &str = "a digit";
const SPECIAL: &str = "a special character such as `!` or a space";

fn missing(text: &str) -> String {
    match Password::parse_new(text, Rule::Strong) {
        Err(PasswordError::Weak { missing }) => missing,
        Err(error) => panic!("{text}: {error}"),
        Ok(_) => String::new(),
    }
}

#[test]
fn everything_that_a_new_password_misses_is_reported_at_once() {
    let check = |text: &str, expected: &[&str]| {
        assert_eq!(missing(text), expected.join(", "), "{text}");
        assert!(Password::parse(text).is_ok(), "{text} may be an old one");
    };
    check("Abcdef1!", &[]);
    check("Abcde 1f", &[]);
    check("Aksh@234", &[]);
    check("Abcde1!", &["at least 8 characters (this one has 7)"]);
    check("abcdef1!", &[UPPER]);
    check("ABCDEF1!", &[LOWER]);
    check("Abcdefg!", &[DIGIT]);
    check("Abcdefg1", &[SPECIAL]);
    check("12345678", &[UPPER, LOWER, SPECIAL]);
    check(".", &["at least 8 characters (this one has 1)", UPPER, LOWER, DIGIT]);
    check("a", &["at least 8 characters (this one has 1)", UPPER, DIGIT, SPECIAL]);
}

#[test]
fn letters_and_digits_of_other_alphabets_are_not_special_characters() {
    assert_eq!(missing("Äöüßéñ1!"), "");
    assert_eq!(missing("Пароль٣€"), "");
    assert_eq!(missing("Пароль1日"), SPECIAL);
    assert_eq!(missing("日本語日本語日本"), [UPPER, LOWER, DIGIT, SPECIAL].join(", "));
    assert_eq!(missing("Abcdef1😀"), "");
    // Eight bytes, four characters.
    assert_eq!(missing("Äö1€"), "at least 8 characters (this one has 4)");
}

#[test]
fn messages_state_the_limit_and_never_the_password() {
    let check = |text: &str, expected: &str| {
        let message = Password::parse_new(text, Rule::Strong).unwrap_err().to_string();
        assert_eq!(message, expected);
    };
    check("", "The password is empty. Send one.");
    check(&"q".repeat(73), "The password is 73 bytes long; the maximum is 72. Use a shorter one.");
    check("q\0", "The password has a control character, such as a line end or NUL. Remove it.");
    check(
        "zzz",
        "The password needs at least 8 characters (this one has 3), an upper-case letter, a digit, \
         a special character such as `!` or a space. Add what is missing.",
    );
    let hash = quick_hash("Tr0ub4dor&3");
    assert_eq!(format!("{:?} {hash:?}", password("Tr0ub4dor&3")), "*** ***");
}

#[test]
fn only_a_hash_as_it_is_written_here_is_read() {
    const GOOD: &str = "$2b$04$abcdefghijklmnopqrstuu5UWyuxawIwQzpnlr0Mft5nu6B9cYh/C";
    assert_eq!(PasswordHash::parse(GOOD).unwrap().as_text(), GOOD);
    for end in 0..GOOD.len() {
        assert!(PasswordHash::parse(&GOOD[..end]).is_none(), "cut at {end}");
    }
    for (what, bad) in [
        ("one more", format!("{GOOD}.")),
        ("a line end", format!("{GOOD}\n")),
        ("version 2a", GOOD.replace("2b", "2a")),
        ("version 2y", GOOD.replace("2b", "2y")),
        ("a cost below what bcrypt knows", GOOD.replace("$04$", "$03$")),
        ("a cost that takes minutes", GOOD.replace("$04$", "$17$")),
        ("a cost that takes days", GOOD.replace("$04$", "$31$")),
        ("a cost with a sign", GOOD.replace("$04$", "$+4$")),
        ("a cost with a space", GOOD.replace("$04$", "$ 4$")),
        ("set bits after the salt", GOOD.replace("stuu5", "stuv5")),
        ("set bits after the hash", GOOD.replace("Yh/C", "Yh/D")),
        ("another alphabet", GOOD.replace('/', "+")),
        ("not ASCII", GOOD.replace("ab", "ü")),
        ("an API key's hash", format!("sha256:{}", "0".repeat(53))),
    ] {
        assert!(PasswordHash::parse(&bad).is_none(), "{what}");
    }
}

/// The work of bcrypt is all in its rounds, so what has the same cost takes the same time. What
/// must not happen is a dummy hash that is refused before the first round.
#[test]
fn dummy_hash_is_whole_and_has_the_requested_cost() {
    for cost in BCRYPT_COST_MIN..=BCRYPT_COST_MAX {
        let dummy = dummy_hash(cost);
        assert_eq!(dummy.cost(), cost);
        assert!(PasswordHash::parse(dummy.as_text()).is_some(), "{cost}");
        assert!(bcrypt::verify("p", &dummy.as_text().replace(&format!("${cost:02}$"), "$04$")).is_ok());
    }
    assert_eq!(dummy_hash(BCRYPT_COST_DEFAULT).as_text().len(), quick_hash("p").as_text().len());
    assert!(!verify(&password("p"), &dummy_hash(BCRYPT_COST_MIN)));
    verify_dummy(BCRYPT_COST_MIN);
}

#[test]
#[should_panic(expected = "a cost of bcrypt is 4 to 16, not 17")]
fn a_cost_that_is_out_of_bounds_is_a_bug_and_no_quick_hash() {
    verify_dummy(BCRYPT_COST_MAX + 1);
}

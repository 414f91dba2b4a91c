use super::*;

/// Computed apart from this code, with Python's `zlib.crc32` and integers.
const KEY_OF_COUNTING_BYTES: &str = "pikv_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf05vj4U";
const BY_HAND: &str = "a key by hand, of 16 bytes or more";

fn counting() -> Result<[u8; 32], EntropyUnavailable> {
    Ok(std::array::from_fn(|index| u8::try_from(index).unwrap()))
}

#[test]
fn a_generated_key_is_base62_of_32_bytes_with_a_checksum() {
    let table = [
        ([0; 32], "pikv_00000000000000000000000000000000000000000000jdwcU"),
        ([255; 32], "pikv_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp12PZb5W"),
        (counting().unwrap(), KEY_OF_COUNTING_BYTES),
    ];
    for (bytes, expected) in table {
        let key = generate(&mut || Ok(bytes)).unwrap();
        assert_eq!(key.reveal(), expected);
        assert_eq!(expected.len(), KEY_BYTES);
        assert_eq!(hash_sent(expected.as_bytes()), Ok(KeyHash::of(expected.as_bytes())));
    }
}

#[test]
fn a_key_with_one_wrong_character_is_mistyped() {
    let key = KEY_OF_COUNTING_BYTES.as_bytes();
    for position in KEY_PREFIX.len()..key.len() {
        for wrong in [b'0', b'z', b'-', b'\n', 0xff] {
            let mut typed = key.to_vec();
            if typed[position] != wrong {
                typed[position] = wrong;
                assert_eq!(hash_sent(&typed), Err(Denied::Mistyped), "{position} {wrong}");
            }
        }
    }
    for end in KEY_PREFIX.len()..key.len() {
        assert_eq!(hash_sent(&key[..end]), Err(Denied::Mistyped), "cut at {end}");
    }
    assert_eq!(hash_sent(format!("{KEY_OF_COUNTING_BYTES}0").as_bytes()), Err(Denied::Mistyped));
}

#[test]
fn other_texts_are_hashed_whatever_they_are() {
    for text in ["", "x", "pikv", "PIKV_", BY_HAND] {
        assert_eq!(hash_sent(text.as_bytes()), Ok(KeyHash::of(text.as_bytes())));
    }
}

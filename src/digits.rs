//! Numbers as digits, for JSON, heads of responses, log lines and files.

use std::fmt::Display;

/// Appends `value` in decimal digits; faster than `format!`.
pub fn encode_u64(value: u64, out: &mut Vec<u8>) {
    const DIGITS_MAX: usize = 20;
    let mut digits = [b'0'; DIGITS_MAX];
    let (mut rest, mut length) = (value, 0);
    for digit in digits.iter_mut().rev() {
        let units = u8::try_from(rest % 10).unwrap_or_default();
        *digit = b'0' + units;
        length += 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(DIGITS_MAX - length..).unwrap_or_default());
}

/// `number` with commas between groups of three digits, for the texts of messages: `1,024`.
pub fn grouped(number: impl Display) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Parses plain decimal digits: no sign, no white space, no leading zero, which another reader might parse as octal.
/// `None` for any other text and for numbers above 64 bits.
pub(crate) fn decode_u64(text: &[u8]) -> Option<u64> {
    let is_plain = match text {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    str::from_utf8(text).ok().filter(|_| is_plain)?.parse().ok()
}

/// The lower-case hexadecimal digit of the lowest four bits of `value`.
pub(crate) fn hex_digit(value: u8) -> u8 {
    match value & 15 {
        low @ 0..=9 => b'0' + low,
        high => b'a' + high - 10,
    }
}

/// The value of a lower-case hexadecimal digit.
pub(crate) fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_digits_are_separated_from_one_thousand_on() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345, "12,345"),
            (100_000, "100,000"),
            (1_000_000, "1,000,000"),
        ] {
            assert_eq!(grouped(value), text);
        }
    }

    #[test]
    fn numbers_are_rendered_in_decimal() {
        for value in [0, 1, 9, 10, 99, 100, 1_234_567_890, u64::MAX - 1, u64::MAX] {
            let mut out = b"n=".to_vec();
            encode_u64(value, &mut out);
            assert_eq!(out, format!("n={value}").into_bytes());
        }
    }

    #[test]
    fn plain_numbers_are_parsed_and_other_texts_refused() {
        for value in [0, 1, 9, 10, 305, u64::MAX] {
            assert_eq!(decode_u64(value.to_string().as_bytes()), Some(value));
        }
        for text in
            ["", "05", "00", "+5", "-1", " 5", "5 ", "5.0", "1e1", "0x5", "1_0", "٥", "18446744073709551616"]
        {
            assert_eq!(decode_u64(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn only_hexadecimal_digits_have_a_value() {
        for value in 0..16 {
            let digit = hex_digit(value);
            assert_eq!(char::from(digit).to_digit(16), Some(value.into()));
            assert_eq!((hex_value(digit), hex_digit(value | 0xF0)), (Some(value), digit));
        }
        let taken = (0..=u8::MAX).filter(|&byte| hex_value(byte).is_some()).count();
        assert_eq!(taken, 16);
    }
}

//! The content of a file that should be JSON and clearly is not.

/// The beginnings of such content, and what it is.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (b"\xff\xfe", UTF_16),
    (b"\xfe\xff", UTF_16),
    (b"\x1f\x8b", "it is compressed by gzip; decompress it"),
    (b"PK\x03\x04", "it is a ZIP archive; unpack it"),
    (b"\x28\xb5\x2f\xfd", "it is compressed by zstd; decompress it"),
    (b"\xfd7zXZ", "it is compressed by xz; decompress it"),
    (b"b0VIM", "it is a swap file of vim, not the edited file"),
    (b"SQLite format 3", "it is a SQLite database"),
    (
        b"version https://git-lfs",
        "it is a pointer of Git LFS, not the file; fetch the file with `git lfs pull`",
    ),
    (b"<<<<<<< ", "it has conflict markers of a merge; resolve the conflict"),
];

const UTF_16: &str = "it is UTF-16; save it as UTF-8";

/// U+FEFF in UTF-8, which some editors write at the start of a file.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// `text` without a byte order mark at its start.
pub fn without_byte_order_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Names content that begins with `bytes` and cannot be JSON or lines of JSON, and states the fix.
pub fn foreign_content(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.trim_ascii_start();
    if text.is_empty() {
        return Some("it is empty");
    }
    if let Some((_, what)) = BEGINNINGS.iter().find(|(beginning, _)| text.starts_with(beginning)) {
        return Some(what);
    }
    match text {
        // UTF-16 without a byte order mark: every other byte of a Latin text is 0.
        [0, b'{' | b'[' | b'"' | b'\n' | b' ', ..] | [b'{' | b'[' | b'"', 0, ..] => Some(UTF_16),
        [0, ..] => Some("it begins with NUL bytes, as a power cut leaves them; restore it from a backup"),
        [b'<', ..] => Some("it is HTML or XML"),
        [..] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_content_is_named_and_json_is_not() {
        for (bytes, part) in [
            (&b" \r\n"[..], "empty"),
            (b"\0\0\0", "NUL"),
            (b"\xff\xfe{\0", "UTF-16"),
            (b"\0{\0\n", "UTF-16"),
            (b"{\0\n\0", "UTF-16"),
            (b"<!doctype html>", "HTML"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"<<<<<<< HEAD\n", "merge"),
            (b"b0VIM 9.1", "vim"),
        ] {
            let found = foreign_content(bytes).unwrap_or_default();
            assert!(found.contains(part), "{bytes:?}: {found}");
        }
        for bytes in [&b"{}"[..], b"null", b"[1]", b"{\"a\": \"\xe4\"}", b"00000000 {\"key\":"] {
            assert_eq!(foreign_content(bytes), None, "{bytes:?}");
        }
    }
}

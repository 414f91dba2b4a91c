//! JSON texts: accepted where serde_json accepts them and they are not nested too deep, and copied
//! byte for byte but for the white space between tokens.

use pikv::testing::json::{JsonErrorKind, decode_string, encode_string, minify};
use pikv::testing::limits::{BODY_DEPTH_MAX, VALUE_DEPTH_MAX};
use serde_json::Value;
use serde_json::value::RawValue;

/// Bounds on the depth: those that the server has, and ones that inputs reach.
const DEPTH_MAX: [usize; 4] = [0, 3, VALUE_DEPTH_MAX, BODY_DEPTH_MAX];
/// The deepest text that serde_json parses into a [`Value`].
const VALUE_PARSED_DEPTH_MAX: usize = 127;

/// Takes `data` as a JSON text, and as the text of a string.
pub fn check(data: &[u8]) {
    let is_json = serde_json::from_slice::<&RawValue>(data).is_ok();
    let scan = scan(data);
    for depth_max in DEPTH_MAX {
        check_minified(data, depth_max, is_json && scan.depth <= depth_max, &scan.compact);
    }
    if is_json && scan.depth < VALUE_PARSED_DEPTH_MAX {
        check_values(data, &scan.compact);
    }
    if is_json {
        let text = serde_json::from_slice::<String>(&scan.compact).ok();
        assert_eq!(decode_string(&scan.compact).map(|text| text.into_owned()), text, "as a string");
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let mut encoded = Vec::new();
        encode_string(text, &mut encoded);
        assert_eq!(serde_json::from_slice::<String>(&encoded).ok().as_deref(), Some(text), "encoded");
        assert_eq!(decode_string(&encoded).as_deref(), Some(text), "encoded and decoded");
    }
}

fn check_minified(data: &[u8], depth_max: usize, is_accepted: bool, compact: &[u8]) {
    let mut out = b"before".to_vec();
    let result = minify(data, depth_max, &mut out);
    let Some(added) = out.strip_prefix(b"before") else { panic!("what was there is gone") };
    let Err(error) = result else {
        assert!(is_accepted, "accepted at depth {depth_max}");
        assert_eq!(added, compact, "only white space goes");
        let mut again = Vec::new();
        assert!(minify(added, depth_max, &mut again).is_ok(), "and again");
        assert_eq!(again, compact, "twice is once");
        return;
    };
    assert!(!is_accepted, "refused at depth {depth_max}: {error}");
    assert!(added.is_empty(), "an error leaves the output as it was");
    assert!(error.offset <= data.len(), "{error:?}");
    let before = &data[..error.offset];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |lf| lf + 1);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    assert_eq!((error.line, error.column), (line, column), "{error:?}");
    if error.kind == JsonErrorKind::TooDeep {
        assert_eq!(scan(before).open, depth_max, "{error:?}");
    }
    assert!(!error.to_string().is_empty());
}

/// Fails unless both texts are the same value, as far as serde_json tells values apart.
fn check_values(data: &[u8], compact: &[u8]) {
    let before = serde_json::from_slice::<Value>(data);
    let after = serde_json::from_slice::<Value>(compact);
    // Numbers that no machine number holds, and lone surrogates, are JSON and no `Value`.
    assert_eq!(before.ok(), after.ok(), "the value");
}

/// What a text is without looking at its grammar.
struct Scan {
    compact: Vec<u8>,
    /// Most brackets that are open at the same time, outside of strings.
    depth: usize,
    /// Brackets that are open at the end.
    open: usize,
}

fn scan(text: &[u8]) -> Scan {
    let mut scan = Scan { compact: Vec::new(), depth: 0, open: 0 };
    let (mut in_string, mut is_escaped) = (false, false);
    for &byte in text {
        if in_string {
            in_string = byte != b'"' || is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
        } else {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => continue,
                b'"' => in_string = true,
                b'[' | b'{' => scan.open += 1,
                b']' | b'}' => scan.open = scan.open.saturating_sub(1),
                _ => {}
            }
            scan.depth = scan.depth.max(scan.open);
        }
        scan.compact.push(byte);
    }
    scan
}

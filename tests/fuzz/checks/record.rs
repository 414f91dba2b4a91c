//! Journal lines: what is decoded comes back when it is encoded, a line with one bit changed is none,
//! and what lines say is applied in a way that can be taken back and repeated.
//!
//! An input that begins with byte 0xFF is a script of changes (`record_script.rs`); any other is the
//! JSON of a line, and a line as it came.

use super::record_script;
use pikv::testing::json;
use pikv::testing::persist::files::header::{self, HEADER_BYTES, Header};
use pikv::testing::persist::files::record::{self, Line, RecordedChange};
use pikv::testing::persist::files::seed::Seed;
use pikv::testing::store::change::{Change, Revision};
use pikv::testing::store::entry::Entry;
use pikv::testing::store::key_map::KeyMap;
use serde_json::Value;

/// Takes `data` as the module says.
pub fn check(data: &[u8]) {
    if let [0xFF, script @ ..] = data {
        record_script::check(script);
        return;
    }
    if let Some(line) = record::decode_line(data, Seed::NONE) {
        check_line(data.get(9..).unwrap_or_default(), &line);
    }
    if let Some(header) = header::decode(data) {
        check_header(data.get(9..).unwrap_or_default(), &header);
    }
    // A file has no line with a line feed in it.
    let payload = data.split(|&byte| byte == b'\n').next().unwrap_or_default();
    for seed in [Seed::NONE, seed()] {
        let mut built = Vec::new();
        record::begin_line(&mut built);
        built.extend_from_slice(payload);
        record::end_line(&mut built);
        record::seal(&mut built, seed);
        assert_eq!(built.pop(), Some(b'\n'));
        assert!(record::is_intact(&built, seed) && !record::is_intact(&built, another_seed()));
        if let Some(line) = record::decode_line(&built, seed) {
            check_line(&built[9..], &line);
            check_damaged(&mut built, seed);
        }
    }
    check_padded_header(payload);
    check_synced(data);
}

fn seed() -> Seed {
    Seed::new(0x9e37_79b9).unwrap_or(Seed::NONE)
}

fn another_seed() -> Seed {
    Seed::new(0x85eb_ca6b).unwrap_or(Seed::NONE)
}

/// The same bytes as the JSON of a header, filled up with spaces as in each format.
fn check_padded_header(payload: &[u8]) {
    for bytes in [256, HEADER_BYTES] {
        let mut built = Vec::new();
        record::begin_line(&mut built);
        built.extend_from_slice(payload);
        built.resize(built.len().max(bytes - 1), b' ');
        record::end_line(&mut built);
        record::seal(&mut built, Seed::NONE);
        built.pop();
        if let Some(header) = header::decode(&built) {
            assert_eq!(built.len() as u64 + 1, header.bytes());
            check_header(payload, &header);
        }
    }
}

/// What a line says of itself at its end, whatever stands before that.
fn check_synced(data: &[u8]) {
    let begins = b"{\"synced\":";
    if let Some(synced) = record::synced_at_end(data, Seed::NONE) {
        let at = data.windows(begins.len()).rposition(|window| window == begins).unwrap_or_default();
        let value = serde_json::from_slice::<Value>(&data[at..]).unwrap_or_default();
        assert_eq!(value.get("synced").and_then(Value::as_u64), Some(synced.get()));
    }
    let mut torn = data.to_vec();
    let line_start = torn.len();
    record::encode_synced(Revision::MAX, &mut torn);
    record::seal(&mut torn[line_start..], seed());
    torn.pop();
    assert_eq!(record::synced_at_end(&torn, seed()), Some(Revision::MAX), "after a torn line");
}

/// One bit of each of a few bytes, all of the checksum among them.
fn check_damaged(line: &mut [u8], seed: Seed) {
    let step = line.len() / 64 + 1;
    for at in (0..9).chain((9..line.len()).step_by(step)) {
        let bit = 1 << (at % 8);
        line[at] ^= bit;
        assert!(record::decode_line(line, seed).is_none(), "bit {bit} of byte {at} changed");
        line[at] ^= bit;
    }
}

fn check_header(payload: &[u8], header: &Header) {
    let Ok(value) = serde_json::from_slice::<Value>(payload) else { panic!("a header is JSON") };
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    let of_this_format = Header { seed: seed(), ..header.clone() };
    let out = header::encode(&of_this_format);
    assert_eq!(out.len(), HEADER_BYTES);
    assert_eq!(header::decode(&out[..HEADER_BYTES - 1]), Some(of_this_format));
    assert_eq!(number("pikv_journal"), Some(if header.seed == Seed::NONE { 1 } else { 2 }));
    assert_eq!((number("generation"), number("keys")), (Some(header.generation), Some(header.keys)));
    assert_eq!(number("revision"), Some(header.revision.get()));
    assert_eq!(
        (number("json_bytes"), number("clock_ms")),
        (Some(header.json_bytes), Some(header.expired_until_ms))
    );
    let before: String = header.before.iter().map(|crc| format!("{crc:08x}")).collect();
    assert_eq!(value.get("before").and_then(Value::as_str).unwrap_or_default(), before);
}

fn check_line(payload: &[u8], line: &Line<'_>) {
    let Ok(value) = serde_json::from_slice::<Value>(payload) else {
        // Numbers in values that no machine number holds, and lone surrogates.
        assert!(matches!(line, Line::Changes(_)), "only values are not looked into");
        check_changes(payload, line, None);
        return;
    };
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    let mut out = Vec::new();
    match line {
        Line::Meta { key, meta } => {
            record::encode_meta(key, meta, &mut out);
            record::seal(&mut out, seed());
            let decoded = record::decode_line(out.strip_suffix(b"\n").unwrap_or_default(), seed());
            let Some(Line::Meta { key: again_key, meta: again }) = decoded else { panic!("no meta line") };
            assert_eq!((&again_key, again), (key, *meta));
            assert_eq!(value.get("key").and_then(Value::as_str), Some(&**key));
            assert_eq!((number("revision"), number("expires")), (Some(meta.revision.get()), meta.expires_ms));
            assert_eq!(
                (number("created"), number("updated")),
                (Some(meta.created_ms), Some(meta.updated_ms))
            );
        }
        Line::Synced(revision) => {
            record::encode_synced(*revision, &mut out);
            record::seal(&mut out, seed());
            out.pop();
            assert_eq!(record::synced_at_end(&out, seed()), Some(*revision));
            assert_eq!(number("synced"), Some(revision.get()));
        }
        Line::Changes(_) => check_changes(payload, line, value.as_array()),
    }
}

/// `values` is the line in the view of serde_json, where it has one.
fn check_changes(payload: &[u8], line: &Line<'_>, values: Option<&Vec<Value>>) {
    let Line::Changes(recorded) = line else { return };
    assert!(values.is_none_or(|values| values.len() == recorded.len()), "as many changes as objects");
    let empty = Value::Null;
    let objects = values.into_iter().flatten().map(Some).chain(std::iter::repeat(None));
    for (recorded, object) in recorded.iter().zip(objects) {
        check_change(payload, recorded, object.unwrap_or(&empty));
    }
    let Some(changes) = recorded.iter().map(RecordedChange::change).collect::<Option<Vec<_>>>() else {
        return;
    };
    let mut out = Vec::new();
    record_script::encode(&changes, seed(), &mut out);
    out.pop();
    let Some(Line::Changes(again)) = record::decode_line(&out, seed()) else {
        panic!("what was encoded is no line")
    };
    assert_eq!(again.iter().map(RecordedChange::change).collect::<Option<Vec<_>>>().as_ref(), Some(&changes));
    check_applied(&changes);
}

fn check_change(payload: &[u8], recorded: &RecordedChange<'_>, object: &Value) {
    let at = usize::try_from(record::offset_within(payload, recorded.value())).unwrap_or(usize::MAX);
    let value = recorded.value();
    assert!(value.is_empty() || payload.get(at..at + value.len()) == Some(value), "the value is in the line");
    let Some(members) = object.as_object() else { return };
    let named = |name: &str| members.get(name).and_then(Value::as_str);
    let number = |name: &str| members.get(name).and_then(Value::as_u64);
    match recorded.change() {
        Some(Change::Put { key, meta, .. }) => {
            assert_eq!(named("put"), Some(key.as_str()));
            assert_eq!(number("revision"), Some(meta.revision.get()));
            assert_eq!(number("expires"), meta.expires_ms);
            assert!(json::minify(value, usize::MAX, &mut Vec::new()).is_ok() || value.len() > 128);
        }
        Some(Change::Delete { key, revision }) => {
            assert_eq!((named("delete"), number("revision")), (Some(key.as_str()), Some(revision.get())));
        }
        Some(Change::Clear { prefix, revision }) => {
            assert_eq!((named("clear"), number("revision")), (Some(prefix), Some(revision.get())));
        }
        Some(Change::ExpireUntil { at_ms, revision }) => {
            assert_eq!((number("clock"), number("revision")), (Some(at_ms), Some(revision.get())));
        }
        None => assert!(named("put").or(named("delete")).is_some(), "only keys can be wrong"),
    }
}

/// Applies changes with whatever revisions they have.
fn check_applied(changes: &[Change<'_>]) {
    let mut key_map = KeyMap::default();
    for change in changes {
        let before = record_script::state(&key_map);
        let undo = key_map.apply(change);
        let after = record_script::state(&key_map);
        let newer = before.0.iter().filter(|(_, _, meta)| meta.revision > change.revision());
        newer.for_each(|entry| assert!(after.0.contains(entry), "newer than {change:?}: {entry:?}"));
        key_map.rollback(undo);
        assert_eq!(record_script::state(&key_map), before, "rolled back: {change:?}");
        key_map.apply(change);
        assert_eq!(record_script::state(&key_map), after, "done again: {change:?}");
        for now_ms in [0, key_map.expired_until_ms(), u64::MAX] {
            let entries: Vec<Entry<'_>> = key_map.range("", None, now_ms).collect();
            let bytes: u64 = entries.iter().map(|entry| entry.counted_bytes()).sum();
            let totals = key_map.totals(now_ms);
            assert_eq!((totals.keys, totals.bytes), (entries.len() as u64, bytes), "at {now_ms}");
        }
        assert!(key_map.revision() >= change.revision());
    }
}

//! Work on a project as bytes say it: decided, recorded, read back and applied elsewhere; beside it a
//! map that does the same.
//!
//! Four bytes are one step: what, which key, how long it lives, and what it holds.

use pikv::testing::names::Key;
use pikv::testing::persist::files::record::{self, Line, RecordedChange};
use pikv::testing::persist::files::seed::Seed;
use pikv::testing::store::batch::{Batch, Op};
use pikv::testing::store::change::{Change, EntryMeta, Revision, Value};
use pikv::testing::store::decide::{self, At, Step};
use pikv::testing::store::key_map::KeyMap;
use std::collections::BTreeMap;

const KEYS: [&str; 8] = ["a", "a/b", "a/c", "b", "é", "\"\\", "a/", "z z"];
const PREFIXES: [&str; 4] = ["", "a", "a/", "nothing"];
const VALUES: [&str; 6] = ["1", "null", "\"\\u0000\"", "[-0,1e400]", "{\"a\":1,\"a\":2}", "\"é\""];
/// Steps of a script. More are left out.
const STEPS_MAX: usize = 48;
/// Changes that become one line.
const LINE_CHANGES_MAX: usize = 5;

/// What a key map holds: keys, values and times, and its clock.
pub type State = (Vec<(String, String, EntryMeta)>, u64);

/// All that `key_map` holds and has not seen expire.
pub fn state(key_map: &KeyMap) -> State {
    let entries = key_map.range("", None, 0).map(|entry| {
        let text = match entry.value() {
            Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Value::Stored(location) => format!("{location:?}"),
        };
        (entry.key().to_owned(), text, entry.meta())
    });
    (entries.collect(), key_map.expired_until_ms())
}

/// Appends a line of `changes` to `out`, sealed with `seed`.
pub fn encode(changes: &[Change<'_>], seed: Seed, out: &mut Vec<u8>) {
    let line_start = out.len();
    record::begin_line(out);
    out.push(b'[');
    for (index, change) in changes.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        record::encode_change(change, out);
    }
    out.push(b']');
    record::end_line(out);
    record::seal(&mut out[line_start..], seed);
}

/// Takes `script` as steps.
pub fn check(script: &[u8]) {
    let (mut live, mut model, mut now_ms) = (KeyMap::default(), Model::default(), 1_000);
    let (mut journal, mut pending) = (Vec::new(), Vec::new());
    for step in script.chunks_exact(4).take(STEPS_MAX) {
        now_ms = model.advance(now_ms, step[2]);
        for change in decide(&live, step, now_ms) {
            model.apply(&change);
            live.apply(&change);
            pending.push(change);
            if pending.len() == LINE_CHANGES_MAX {
                encode(&pending, Seed::NONE, &mut journal);
                pending.clear();
            }
        }
        model.compare(&live, now_ms);
    }
    encode(&pending, Seed::NONE, &mut journal);
    let lines: Vec<&[u8]> = journal.split(|&byte| byte == b'\n').collect();
    let expected = state(&live);
    let mut replayed = KeyMap::default();
    for line in &lines {
        replay(&mut replayed, line);
    }
    assert_eq!((state(&replayed), replayed.revision()), (expected, live.revision()), "replayed");
    // From an earlier point on once more, as after a restart between journal and values.
    for from in [0, lines.len() / 2, lines.len() - 1] {
        lines[from..].iter().for_each(|line| replay(&mut replayed, line));
        assert_eq!(state(&replayed), state(&live), "replayed again from line {from}");
    }
    check_purged(live, now_ms);
}

fn replay(key_map: &mut KeyMap, line: &[u8]) {
    if line.is_empty() {
        return;
    }
    let Some(Line::Changes(recorded)) = record::decode_line(line, Seed::NONE) else {
        panic!("no line of changes")
    };
    for recorded in &recorded {
        let Some(change) = RecordedChange::change(recorded) else { panic!("a key is none") };
        key_map.apply(&change);
    }
}

/// Fails where taking expired entries out changes what a reader finds.
fn check_purged(mut key_map: KeyMap, now_ms: u64) {
    let read = |key_map: &KeyMap| {
        // At 0 all that no change of the clock has ended.
        let keys = [0, now_ms].map(|now_ms| -> Vec<String> {
            key_map.range("", None, now_ms).map(|entry| entry.key().to_owned()).collect()
        });
        (keys, key_map.totals(0), key_map.totals(now_ms))
    };
    let before = read(&key_map);
    key_map.reclaim(usize::MAX, Revision::MAX);
    assert_eq!(read(&key_map), before);
}

fn decide(live: &KeyMap, step: &[u8], now_ms: u64) -> Vec<Change<'static>> {
    let name = KEYS[usize::from(step[1]) % KEYS.len()];
    let Ok(key) = Key::parse(name) else { unreachable!("all of them are keys") };
    let clock = live.decide_expiry(now_ms);
    let revision = live.revision().advanced(1 + u64::from(clock.is_some()));
    let Some(revision) = revision else { unreachable!("revisions begin at 0") };
    let change = match step[0] % 8 {
        0..=4 => {
            let value = VALUES[usize::from(step[3]) % VALUES.len()].as_bytes();
            let ttl_ms = (step[2] & 1 == 1).then(|| u64::from(step[3]) * 10);
            let op = Op::put(key, value, ttl_ms);
            let steps = decide::decide(&Batch::one(op), &At { key_map: live, now_ms }, now_ms);
            let step = steps.ok().and_then(|steps| steps.first().copied());
            let Some(Step::Put { meta, .. }) = step else { unreachable!("nothing can stop a put") };
            Some(numbered(Change::Put { key, value: Value::Text(value), meta }, revision))
        }
        5 | 6 => live.get(key, now_ms).map(|_| Change::Delete { key, revision }),
        _ => {
            let prefix = PREFIXES[usize::from(step[1]) % PREFIXES.len()];
            Some(Change::Clear { prefix, revision })
        }
    };
    clock.into_iter().chain(change).collect()
}

/// A put behind a clock change of the same step has the number after it.
fn numbered(change: Change<'static>, revision: Revision) -> Change<'static> {
    match change {
        Change::Put { key, value, meta } => Change::Put { key, value, meta: EntryMeta { revision, ..meta } },
        Change::Delete { .. } | Change::Clear { .. } | Change::ExpireUntil { .. } => change,
    }
}

/// The same in a map. What has expired is absent.
#[derive(Default)]
struct Model {
    keys: BTreeMap<String, (String, EntryMeta)>,
}

impl Model {
    /// The clock goes on, and sometimes back.
    fn advance(&self, now_ms: u64, by: u8) -> u64 {
        if by & 0xC0 == 0xC0 { now_ms.saturating_sub(500) } else { now_ms + u64::from(by >> 1) * 8 }
    }

    fn apply(&mut self, change: &Change<'_>) {
        match *change {
            Change::Put { key, value: Value::Text(text), meta } => {
                let text = String::from_utf8_lossy(text).into_owned();
                self.keys.insert(key.as_str().to_owned(), (text, meta));
            }
            Change::Put { .. } => unreachable!("values are text here"),
            Change::Delete { key, .. } => drop(self.keys.remove(key.as_str())),
            Change::Clear { prefix, .. } => self.keys.retain(|name, _| !name.starts_with(prefix)),
            Change::ExpireUntil { at_ms, .. } => self.keys.retain(|_, (_, meta)| is_alive(meta, at_ms)),
        }
    }

    fn compare(&self, live: &KeyMap, now_ms: u64) {
        let expected = self.keys.iter().filter(|(_, (_, meta))| is_alive(meta, now_ms));
        let expected: Vec<_> =
            expected.map(|(name, (text, meta))| (name.as_str(), text.as_bytes(), *meta)).collect();
        let found: Vec<_> = live
            .range("", None, now_ms)
            .map(|entry| match entry.value() {
                Value::Text(text) => (entry.key(), text, entry.meta()),
                Value::Stored(_) => unreachable!("values are text here"),
            })
            .collect();
        assert_eq!(found, expected, "at {now_ms}");
        let bytes: usize = expected.iter().map(|(name, text, _)| name.len() + text.len()).sum();
        let totals = live.totals(now_ms);
        assert_eq!((totals.keys, totals.bytes), (expected.len() as u64, bytes as u64), "at {now_ms}");
        for name in KEYS {
            let Ok(key) = Key::parse(name) else { unreachable!("all of them are keys") };
            let is_alive = expected.iter().any(|entry| entry.0 == name);
            assert_eq!(live.get(key, now_ms).is_some(), is_alive, "{name}");
        }
    }
}

fn is_alive(meta: &EntryMeta, now_ms: u64) -> bool {
    meta.expires_ms.is_none_or(|expires_ms| expires_ms > now_ms)
}

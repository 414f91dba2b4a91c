//! What a client knows of the keys that only it writes, and what it may find after a crash.

use pikv::testing::clock;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// States that are remembered where the last ones may be lost.
const PAST_MAX: usize = 4_096;
/// How far before the kill an acknowledged write may lie that `sync: interval` loses. What is
/// handed to the system survives a kill, and that happens about once a second at the latest.
const LOSS_AGE_MAX: Duration = Duration::from_secs(3);
/// How long a request may take whose answer nobody saw, milliseconds.
const UNSEEN_MS: u64 = 60_000;

/// What was found: names and values.
pub type Found = BTreeMap<String, Value>;

/// When something was done, as far as its client can tell, milliseconds of wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub from_ms: u64,
    pub to_ms: u64,
}

impl Span {
    /// From `from_ms` until now.
    pub fn since(from_ms: u64) -> Span {
        Span { from_ms, to_ms: clock::wall_ms() }
    }
}

/// Whether a key is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    There,
    Gone,
    /// It expired about then.
    Either,
}

impl Presence {
    /// Fails unless `status` is the one that says so.
    #[track_caller]
    pub fn expect(self, status: u16, if_there: u16, if_gone: u16, what: &str) {
        let allowed = match self {
            Presence::There => status == if_there,
            Presence::Gone => status == if_gone,
            Presence::Either => status == if_there || status == if_gone,
        };
        assert!(allowed, "{what}: {status} although the key is {self:?}");
    }
}

/// A change that is absolute.
#[derive(Clone, Debug)]
pub enum Edit {
    Put { name: String, value: Value, ttl_seconds: Option<u64> },
    Delete { name: String },
    Clear { prefix: String },
}

#[derive(Clone, Debug)]
struct Known {
    value: Arc<Value>,
    /// When it expires, at the earliest and at the latest.
    dies: Option<Span>,
}

/// Keys with their values and times.
#[derive(Clone, Debug, Default)]
pub struct Keys(BTreeMap<String, Known>);

impl Keys {
    fn apply(&mut self, edits: &[Edit], span: Span) {
        for edit in edits {
            match edit {
                Edit::Put { name, value, ttl_seconds } => {
                    let dies = ttl_seconds.map(|seconds| Span {
                        from_ms: span.from_ms + seconds * 1_000,
                        to_ms: span.to_ms + seconds * 1_000,
                    });
                    self.0.insert(name.clone(), Known { value: Arc::new(value.clone()), dies });
                }
                Edit::Delete { name } => drop(self.0.remove(name)),
                Edit::Clear { prefix } => self.0.retain(|name, _| !name.starts_with(prefix)),
            }
        }
    }

    /// Whether a request of that time finds `name`.
    pub fn presence(&self, name: &str, asked: Span) -> Presence {
        match self.0.get(name) {
            None => Presence::Gone,
            Some(Known { dies: None, .. }) => Presence::There,
            Some(Known { dies: Some(dies), .. }) if dies.from_ms > asked.to_ms => Presence::There,
            Some(Known { dies: Some(dies), .. }) if dies.to_ms <= asked.from_ms => Presence::Gone,
            Some(_) => Presence::Either,
        }
    }

    /// The value of `name`.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).map(|known| &*known.value)
    }

    /// Compares with all that was found.
    ///
    /// # Errors
    /// The first difference.
    pub fn check(&self, found: &Found, asked: Span) -> Result<(), String> {
        for (name, value) in found {
            if self.presence(name, asked) == Presence::Gone {
                return Err(format!("{name} is there and should not be"));
            }
            if self.value(name) != Some(value) {
                return Err(format!(
                    "{name} is {} instead of {:?}",
                    shown(value),
                    self.value(name).map(shown)
                ));
            }
        }
        let missing =
            |name: &&String| !found.contains_key(*name) && self.presence(name, asked) == Presence::There;
        self.0.keys().find(missing).map_or(Ok(()), |name| Err(format!("{name} is missing")))
    }
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

/// What a kill may take of what was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Nothing.
    All,
    /// The last moments.
    AllButTheEnd,
    /// Everything: it is in memory only.
    Nothing,
}

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Killed(Instant),
    Stopped,
}

/// The keys of one client.
pub struct Model {
    pub keys: Keys,
    promise: Promise,
    /// A change that was sent and of which no answer has come.
    sent: Option<(Vec<Edit>, u64)>,
    /// Earlier states and when the next one was acknowledged, the latest last.
    past: VecDeque<(Keys, Instant)>,
}

impl Model {
    pub fn new(promise: Promise) -> Model {
        Model { keys: Keys::default(), promise, sent: None, past: VecDeque::new() }
    }

    /// Notes a change that is about to be sent.
    pub fn intend(&mut self, edits: Vec<Edit>) {
        self.sent = Some((edits, clock::wall_ms()));
    }

    /// The change was acknowledged.
    pub fn acknowledged(&mut self) {
        let (edits, from_ms) = self.sent.take().expect("it was sent");
        if self.promise == Promise::AllButTheEnd {
            if self.past.len() == PAST_MAX {
                self.past.pop_front();
            }
            self.past.push_back((self.keys.clone(), Instant::now()));
        }
        self.keys.apply(&edits, Span::since(from_ms));
    }

    /// The change was refused.
    pub fn refused(&mut self) {
        self.sent = None;
    }

    /// Goes on with what was found after a start. Returns how many acknowledged changes that lacks,
    /// of those that it may lack.
    ///
    /// # Errors
    /// What is there that cannot be, or not there that must.
    pub fn settle(&mut self, found: &Found, asked: Span, ended: Ended) -> Result<u64, String> {
        let past = std::mem::take(&mut self.past);
        if let Some((edits, from_ms)) = self.sent.take() {
            let mut after = self.keys.clone();
            after.apply(&edits, Span { from_ms, to_ms: from_ms + UNSEEN_MS });
            if after.check(found, asked).is_ok() {
                self.keys = after;
                return Ok(0);
            }
        }
        let Err(difference) = self.keys.check(found, asked) else { return Ok(0) };
        let Ended::Killed(killed_at) = ended else { return self.settle_stopped(found, difference) };
        match self.promise {
            Promise::All => Err(difference),
            Promise::Nothing => self.settle_stopped(found, difference),
            Promise::AllButTheEnd => {
                for (count, (state, until)) in past.into_iter().rev().enumerate() {
                    if killed_at.saturating_duration_since(until) > LOSS_AGE_MAX {
                        break;
                    }
                    if state.check(found, asked).is_ok() {
                        self.keys = state;
                        return Ok(count as u64 + 1);
                    }
                }
                Err(format!("no state of the last moments: {difference}"))
            }
        }
    }

    fn settle_stopped(&mut self, found: &Found, difference: String) -> Result<u64, String> {
        if self.promise != Promise::Nothing || !found.is_empty() {
            return Err(difference);
        }
        self.keys = Keys::default();
        Ok(0)
    }
}

fn put(name: &str, value: u64, ttl_seconds: Option<u64>) -> Vec<Edit> {
    vec![Edit::Put { name: name.to_owned(), value: value.into(), ttl_seconds }]
}

fn found(pairs: &[(&str, u64)]) -> Found {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect()
}

/// A model with a=1, b=2 acknowledged and a=3 sent.
fn worked(promise: Promise) -> Model {
    let mut model = Model::new(promise);
    for (name, value) in [("a", 1), ("b", 2)] {
        model.intend(put(name, value, None));
        model.acknowledged();
    }
    model.intend(put("a", 3, None));
    model
}

fn settled(promise: Promise, pairs: &[(&str, u64)]) -> Result<u64, String> {
    let killed = Ended::Killed(Instant::now());
    worked(promise).settle(&found(pairs), Span::since(clock::wall_ms()), killed)
}

#[test]
fn acknowledged_writes_must_exist_and_sent_writes_may() {
    assert_eq!(settled(Promise::All, &[("a", 1), ("b", 2)]), Ok(0));
    assert_eq!(settled(Promise::All, &[("a", 3), ("b", 2)]), Ok(0));
    for wrong in [&[("a", 1)][..], &[("b", 2)], &[], &[("a", 2), ("b", 2)], &[("a", 1), ("b", 2), ("c", 1)]] {
        settled(Promise::All, wrong).unwrap_err();
    }
}

#[test]
fn only_the_last_writes_may_be_missing_and_only_in_interval_mode() {
    assert_eq!(settled(Promise::AllButTheEnd, &[("a", 3), ("b", 2)]), Ok(0));
    assert_eq!(settled(Promise::AllButTheEnd, &[("a", 1)]), Ok(1));
    assert_eq!(settled(Promise::AllButTheEnd, &[]), Ok(2));
    settled(Promise::AllButTheEnd, &[("b", 2)]).unwrap_err();
    assert_eq!(settled(Promise::Nothing, &[]), Ok(0));
    settled(Promise::Nothing, &[("a", 1)]).unwrap_err();
    let long_ago = worked(Promise::AllButTheEnd).settle(
        &found(&[("a", 1)]),
        Span::since(clock::wall_ms()),
        Ended::Killed(Instant::now() + 2 * LOSS_AGE_MAX),
    );
    long_ago.unwrap_err();
    let stopped = worked(Promise::AllButTheEnd).settle(
        &found(&[("a", 1)]),
        Span::since(clock::wall_ms()),
        Ended::Stopped,
    );
    stopped.unwrap_err();
}

#[test]
fn a_key_must_exist_before_it_expires_and_not_after() {
    let mut model = Model::new(Promise::All);
    let from_ms = clock::wall_ms();
    model.intend(put("a", 1, Some(1_000)));
    model.acknowledged();
    let span = |after_ms: u64| Span { from_ms: from_ms + after_ms, to_ms: from_ms + after_ms + 5 };
    let there = found(&[("a", 1)]);
    model.keys.check(&there, span(900_000)).unwrap();
    model.keys.check(&Found::new(), span(900_000)).unwrap_err();
    model.keys.check(&there, span(1_100_000)).unwrap_err();
    model.keys.check(&Found::new(), span(1_100_000)).unwrap();
    let about = Span { from_ms: from_ms + 999_990, to_ms: from_ms + 1_100_000 };
    assert_eq!(model.keys.presence("a", about), Presence::Either);
}

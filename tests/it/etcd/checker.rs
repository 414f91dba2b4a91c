//! Whether a recorded history is linearizable: the search of Wing and Gong, with the memo of Lowe.
//!
//! In scope: registers that are read, written, compared and set, written and read in pairs, and cleared by prefix;
//! calls whose outcome is unknown, which may take effect at any time after they began, or never.
//! Source: G. Lowe, "Testing for linearizability", 2017.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

pub const REGISTERS: usize = 5;
/// Configurations of one history. A history that is linearizable needs about as many as it has events; the search gives
/// up if it needs more.
const CONFIGURATIONS_MAX: usize = 500_000;

/// What each register has. Every write has a number of its own.
pub type Registers = [Option<u64>; REGISTERS];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Get(usize),
    Put(usize, u64),
    /// Puts the second number if the register has the first one.
    Swap(usize, u64, u64),
    GetBoth([usize; 2]),
    PutBoth([usize; 2], u64),
    /// Empties the registers of a prefix.
    Clear(Range<usize>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Found(Option<u64>),
    FoundBoth([Option<u64>; 2]),
    Done,
    /// The register had another number.
    Refused,
    /// So many registers had a number.
    Cleared(usize),
}

/// A call and its answer. Instants are on one clock.
#[derive(Clone, Debug)]
pub struct Event {
    pub call: Call,
    /// `None`: the outcome is unknown.
    pub answer: Option<Answer>,
    pub from: u64,
    pub to: u64,
}

impl Event {
    /// After this instant every later call sees its effect. `u64::MAX` if the outcome is unknown.
    fn end(&self) -> u64 {
        if self.answer.is_some() { self.to } else { u64::MAX }
    }
}

/// What `call` answers and leaves.
fn apply(call: &Call, before: Registers) -> (Answer, Registers) {
    let mut after = before;
    let answer = match call {
        Call::Get(register) => Answer::Found(before[*register]),
        Call::GetBoth([first, second]) => Answer::FoundBoth([before[*first], before[*second]]),
        Call::Put(register, number) => {
            after[*register] = Some(*number);
            Answer::Done
        }
        Call::PutBoth([first, second], number) => {
            (after[*first], after[*second]) = (Some(*number), Some(*number));
            Answer::Done
        }
        Call::Swap(register, expected, _) if before[*register] != Some(*expected) => Answer::Refused,
        Call::Swap(register, _, number) => {
            after[*register] = Some(*number);
            Answer::Done
        }
        Call::Clear(registers) => {
            let cleared = before[registers.clone()].iter().flatten().count();
            after[registers.clone()].fill(None);
            Answer::Cleared(cleared)
        }
    };
    (answer, after)
}

/// A set of events.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Applied(Vec<u64>);

impl Applied {
    fn has(&self, event: usize) -> bool {
        self.0[event / 64] & (1 << (event % 64)) != 0
    }

    fn flip(&mut self, event: usize) {
        self.0[event / 64] ^= 1 << (event % 64);
    }
}

/// An event with what the whole history tells of it.
struct Bounded<'h> {
    event: &'h Event,
    /// After this instant every later call sees its effect.
    end: u64,
    /// Whether it may never have happened.
    is_optional: bool,
}

struct Search<'h> {
    /// In the order in which they began.
    events: Vec<Bounded<'h>>,
    applied: Applied,
    seen: HashSet<(Applied, Registers)>,
    /// The longest order that explains its answers.
    longest: Vec<usize>,
    order: Vec<usize>,
}

/// Checks `events`, which began with empty registers.
///
/// # Errors
/// The longest order that was found, and the events that no order explains after it.
pub fn check(mut events: Vec<Event>) -> Result<(), String> {
    events.sort_by_key(|event| event.from);
    let seen = first_sights(&events);
    let bounded = |event| {
        let end = bound(event, &seen);
        Bounded { event, end, is_optional: end == u64::MAX }
    };
    // A write that nobody saw need not have happened. Most histories are explained without it, and much faster.
    let is_needed = |each: &Bounded<'_>| !each.is_optional || matches!(each.event.call, Call::Clear(_));
    let without = events.iter().map(bounded).filter(is_needed).collect();
    if Search::of(without).explains([None; REGISTERS]) {
        return Ok(());
    }
    let mut search = Search::of(events.iter().map(bounded).collect());
    if search.explains([None; REGISTERS]) { Ok(()) } else { Err(search.explanation()) }
}

/// The end of the first call that found each number.
fn first_sights(events: &[Event]) -> BTreeMap<u64, u64> {
    let mut sights = BTreeMap::new();
    for event in events {
        let found = match (&event.call, &event.answer) {
            (_, Some(Answer::Found(found))) => [*found, None],
            (_, Some(Answer::FoundBoth(found))) => *found,
            (Call::Swap(_, expected, _), Some(Answer::Done)) => [Some(*expected), None],
            (_, Some(Answer::Done | Answer::Refused | Answer::Cleared(_)) | None) => [None, None],
        };
        for number in found.into_iter().flatten() {
            let sight = sights.entry(number).or_insert(event.to);
            *sight = event.to.min(*sight);
        }
    }
    sights
}

/// When `event` has happened at the latest: a write whose outcome is unknown, before its number was seen.
fn bound(event: &Event, sights: &BTreeMap<u64, u64>) -> u64 {
    let (Call::Put(_, number) | Call::PutBoth(_, number) | Call::Swap(_, _, number)) = &event.call else {
        return event.end();
    };
    match (&event.answer, sights.get(number)) {
        (None, Some(sight)) => *sight,
        (Some(_), _) | (None, None) => event.end(),
    }
}

impl<'h> Search<'h> {
    fn of(events: Vec<Bounded<'h>>) -> Search<'h> {
        let applied = Applied(vec![0; events.len().div_ceil(64)]);
        Search { events, applied, seen: HashSet::new(), longest: Vec::new(), order: Vec::new() }
    }

    /// Whether an order of the events that are not applied explains their answers.
    fn explains(&mut self, registers: Registers) -> bool {
        let open: Vec<usize> = (0..self.events.len()).filter(|&event| !self.applied.has(event)).collect();
        if open.iter().all(|&event| self.events[event].is_optional) {
            return true;
        }
        if self.seen.len() >= CONFIGURATIONS_MAX || !self.seen.insert((self.applied.clone(), registers)) {
            return false;
        }
        for event in self.candidates(open) {
            let Event { call, answer, .. } = self.events[event].event;
            let (expected, after) = apply(call, registers);
            let fits = answer.as_ref().map_or(after != registers, |answer| *answer == expected);
            if !fits {
                continue;
            }
            self.applied.flip(event);
            self.order.push(event);
            if self.order.len() > self.longest.len() {
                self.longest.clone_from(&self.order);
            }
            if self.explains(after) {
                return true;
            }
            self.order.pop();
            self.applied.flip(event);
        }
        false
    }

    /// Those of the `open` events that may be next, because they began before any other one ended. Those that end first
    /// come first.
    fn candidates(&self, mut open: Vec<usize>) -> Vec<usize> {
        let first_end = open.iter().map(|&event| self.events[event].end).min().unwrap_or(u64::MAX);
        open.retain(|&event| self.events[event].event.from <= first_end);
        open.sort_by_key(|&event| (self.events[event].end, Reverse(self.events[event].event.from)));
        open
    }

    fn explanation(&self) -> String {
        let mut registers = [None; REGISTERS];
        let found =
            if self.seen.len() < CONFIGURATIONS_MAX { "is not linearizable" } else { "has no order so far" };
        let mut text = format!("The history {found}. The end of the longest order:\n");
        let shown_from = self.longest.len().saturating_sub(15);
        for (index, &event) in self.longest.iter().enumerate() {
            registers = apply(&self.events[event].event.call, registers).1;
            if index >= shown_from {
                text.push_str(&format!("  {:?} leaves {registers:?}\n", self.events[event].event));
            }
        }
        text.push_str("No order explains these after it:\n");
        let rest = (0..self.events.len()).filter(|event| !self.longest.contains(event));
        rest.take(15).for_each(|event| text.push_str(&format!("  {:?}\n", self.events[event].event)));
        text
    }
}

mod tests {
    use super::{Answer, Call, Event, REGISTERS, Registers, apply, check};
    use crate::harness::sim_disk::Random;

    fn event(from: u64, to: u64, call: Call, answer: Answer) -> Event {
        Event { call, answer: Some(answer), from, to }
    }

    fn unknown(from: u64, call: Call) -> Event {
        Event { call, answer: None, from, to: u64::MAX }
    }

    fn get(from: u64, to: u64, register: usize, found: Option<u64>) -> Event {
        event(from, to, Call::Get(register), Answer::Found(found))
    }

    fn put(from: u64, to: u64, register: usize, number: u64) -> Event {
        event(from, to, Call::Put(register, number), Answer::Done)
    }

    fn swap(from: u64, to: u64, expected: u64, number: u64, answer: Answer) -> Event {
        event(from, to, Call::Swap(0, expected, number), answer)
    }

    #[test]
    fn histories_that_an_order_explains_are_linearizable() {
        for history in [
            vec![],
            vec![get(0, 1, 0, None), put(2, 3, 0, 1), get(4, 5, 0, Some(1))],
            // Reads during a write see the value before or after it.
            vec![put(0, 10, 0, 1), get(1, 2, 0, None), get(3, 4, 0, Some(1))],
            // A write whose outcome is unknown has happened, has not, or happens later.
            vec![unknown(0, Call::Put(0, 1)), get(5, 6, 0, Some(1))],
            vec![unknown(0, Call::Put(0, 1)), get(5, 6, 0, None)],
            vec![unknown(0, Call::Put(0, 1)), get(5, 6, 0, None), get(7, 8, 0, Some(1))],
            vec![
                put(0, 1, 0, 1),
                swap(2, 9, 1, 2, Answer::Done),
                swap(2, 9, 1, 3, Answer::Refused),
                get(10, 11, 0, Some(2)),
            ],
            vec![
                event(0, 9, Call::PutBoth([0, 2], 1), Answer::Done),
                event(1, 2, Call::GetBoth([0, 2]), Answer::FoundBoth([None, None])),
                event(3, 4, Call::GetBoth([0, 2]), Answer::FoundBoth([Some(1), Some(1)])),
                event(10, 11, Call::Clear(0..2), Answer::Cleared(1)),
                event(12, 13, Call::GetBoth([0, 2]), Answer::FoundBoth([None, Some(1)])),
            ],
        ] {
            assert_eq!(check(history), Ok(()));
        }
    }

    #[test]
    fn histories_that_no_order_explains_are_refused() {
        for history in [
            // A stale read.
            vec![put(0, 1, 0, 1), put(2, 3, 0, 2), get(4, 5, 0, Some(1))],
            // A write that was acknowledged and is lost.
            vec![put(0, 1, 0, 1), get(2, 3, 0, None)],
            // A value that was seen, and then its predecessor.
            vec![put(0, 1, 0, 1), unknown(2, Call::Put(0, 2)), get(3, 4, 0, Some(2)), get(5, 6, 0, Some(1))],
            // A value before it was written, and one that nobody wrote.
            vec![get(0, 1, 0, Some(1)), put(2, 3, 0, 1)],
            vec![get(0, 1, 0, Some(7))],
            // Two winners.
            vec![put(0, 1, 0, 1), swap(2, 9, 1, 2, Answer::Done), swap(2, 9, 1, 3, Answer::Done)],
            // No winner.
            vec![put(0, 1, 0, 1), swap(2, 9, 1, 2, Answer::Refused)],
            // Half of a batch.
            vec![
                event(0, 9, Call::PutBoth([0, 2], 1), Answer::Done),
                event(1, 2, Call::GetBoth([0, 2]), Answer::FoundBoth([Some(1), None])),
            ],
            vec![unknown(0, Call::PutBoth([0, 1], 1)), get(1, 2, 0, Some(1)), get(3, 4, 1, None)],
            // A deletion of one of two, and one that counts wrong.
            vec![
                event(0, 1, Call::PutBoth([0, 1], 1), Answer::Done),
                event(2, 3, Call::Clear(0..2), Answer::Cleared(2)),
                get(4, 5, 1, Some(1)),
            ],
            vec![put(0, 1, 0, 1), event(2, 3, Call::Clear(0..2), Answer::Cleared(2))],
            // A write with an unknown outcome that takes effect twice.
            vec![
                unknown(0, Call::Put(0, 1)),
                get(1, 2, 0, Some(1)),
                event(3, 4, Call::Clear(0..1), Answer::Cleared(1)),
                get(5, 6, 0, Some(1)),
            ],
        ] {
            let shown = format!("{history:?}");
            assert!(check(history).is_err(), "{shown}");
        }
    }

    /// Whether an order of `rest` explains its answers. Tries all.
    fn any_order_explains(rest: &[Event], registers: Registers) -> bool {
        rest.iter().all(|event| event.answer.is_none())
            || (0..rest.len()).any(|next| {
                let (answer, after) = apply(&rest[next].call, registers);
                let may_be_next = rest.iter().all(|other| rest[next].from <= other.end());
                let fits = rest[next].answer.as_ref().is_none_or(|expected| *expected == answer);
                let others: Vec<Event> = [&rest[..next], &rest[next + 1..]].concat();
                may_be_next && fits && any_order_explains(&others, after)
            })
    }

    fn random_event(random: &mut Random, number: u64) -> Event {
        let (first, second) = (random.below(2) as usize, 2);
        let seen = |random: &mut Random| Some(random.below(6)).filter(|seen| *seen != 0);
        let (call, answer) = match random.below(6) {
            0 => (Call::Put(first, number), Answer::Done),
            1 => (Call::PutBoth([first, second], number), Answer::Done),
            2 => (
                Call::Swap(first, 1 + random.below(5), number),
                [Answer::Done, Answer::Refused][random.below(2) as usize].clone(),
            ),
            3 => (Call::Clear(0..2), Answer::Cleared(random.below(3) as usize)),
            4 => (Call::GetBoth([first, second]), Answer::FoundBoth([seen(random), seen(random)])),
            _ => (Call::Get(first), Answer::Found(seen(random))),
        };
        let from = random.below(8);
        let answer = (random.below(4) > 0).then_some(answer);
        Event { call, answer, from, to: from + random.below(6) }
    }

    #[test]
    fn the_search_decides_as_trying_all_orders_does() {
        let mut random = Random(20_261_128);
        let mut linearizable = 0;
        for _ in 0..20_000 {
            let history: Vec<Event> = (1..=5).map(|number| random_event(&mut random, number)).collect();
            let expected = any_order_explains(&history, [None; REGISTERS]);
            linearizable += u32::from(expected);
            assert_eq!(check(history.clone()).is_ok(), expected, "{history:?}");
        }
        assert!((500..19_500).contains(&linearizable), "{linearizable}");
    }
}

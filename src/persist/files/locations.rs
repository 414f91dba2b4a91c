//! The locations of the values in journal lines.

use super::record::{self, Line};
use super::seed::Seed;
use super::value_reader::location_of;
use crate::store::change::{Change, Location, Revision};
use std::io;

/// The location of a key's value, as of a revision.
pub(crate) struct LocatedValue {
    pub key: String,
    pub revision: Revision,
    pub location: Location,
}

/// Appends the locations of the values in `line`, which lies at `offset` of file `number` and is given without its
/// line feed.
///
/// # Errors
/// `InvalidData` if the line has neither changes nor a watermark.
pub(crate) fn push_locations(
    line: &[u8],
    seed: Seed,
    (number, offset): (u32, u64),
    out: &mut Vec<LocatedValue>,
) -> io::Result<()> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let changes = match record::decode_line(line, seed) {
        Some(Line::Changes(changes)) => changes,
        Some(Line::Synced(_)) => return Ok(()),
        Some(Line::Meta { .. }) | None => return Err(invalid()),
    };
    for recorded in &changes {
        if let Change::Put { key, meta, .. } = recorded.change().ok_or_else(invalid)? {
            let offset = offset + record::offset_within(line, recorded.value());
            let location = location_of(number, offset, recorded.value());
            out.push(LocatedValue { key: key.as_str().to_owned(), revision: meta.revision, location });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Key;
    use crate::store::change::{EntryMeta, Value};

    #[test]
    fn each_value_of_a_line_is_found_at_its_location() {
        let seed = Seed::new(7).unwrap();
        let revision = |number| Revision::new(number).unwrap();
        let put = |name, value, number| Change::Put {
            key: Key::parse(name).unwrap(),
            value: Value::Text(value),
            meta: EntryMeta { revision: revision(number), created_ms: 1, updated_ms: 1, expires_ms: None },
        };
        let changes = [
            put("a\"b", &b"[1,2]"[..], 3),
            Change::Delete { key: Key::parse("c").unwrap(), revision: revision(4) },
            put("d", b"{\"n\":\"x\"}", 5),
        ];
        let mut line = Vec::new();
        record::begin_line(&mut line);
        line.push(b'[');
        for (index, change) in changes.iter().enumerate() {
            if index > 0 {
                line.push(b',');
            }
            record::encode_change(change, &mut line);
        }
        line.push(b']');
        record::end_line(&mut line);
        record::seal(&mut line, seed);
        line.pop();
        let mut located = Vec::new();
        push_locations(&line, seed, (9, 1_000), &mut located).unwrap();
        let found: Vec<_> = located
            .iter()
            .map(|LocatedValue { key, revision, location }| {
                let start = usize::try_from(location.offset - 1_000).unwrap();
                let text = &line[start..start + location.length as usize];
                assert_eq!(*location, location_of(9, location.offset, text));
                (key.as_str(), revision.get(), text)
            })
            .collect();
        assert_eq!(found, [("a\"b", 3, &b"[1,2]"[..]), ("d", 5, b"{\"n\":\"x\"}")]);
        line.truncate(line.len() - 1);
        assert!(push_locations(&line, seed, (9, 0), &mut located).is_err(), "a damaged line has no values");
    }
}

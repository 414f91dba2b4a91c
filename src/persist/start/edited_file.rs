//! Reads a data file that the operator edited or supplied, one member at a time.
//!
//! ```text
//! start -> `{` -> key -> `:` -> value -> `,` -> key
//!          `{` -> `}`           value -> `}` -> end
//! ```
//! Keys and values are checked as the API checks them, so everything that is imported can be read, overwritten,
//! deleted and loaded again. At most one value is in memory at a time, and one above the maximum is refused before
//! it is read to its end. A file may thus be larger than the memory.

use super::json_reader::{JsonReader, is_byte_order_mark, place_of, skip_byte_order_mark};
use crate::config::mistake::{self, Mistake, shown};
use crate::config::text::object_text;
use crate::disk::{DiskFile, load_from};
use crate::json::{self, JsonErrorKind};
use crate::limits::{CONFIG_BYTES_MAX, KEY_TEXT_BYTES_MAX, VALUE_BYTES_MAX, VALUE_DEPTH_MAX};
use crate::names::{Key, KeyRule};
use crate::persist::files::value_reader::JSON_FILE;
use crate::store::change::{EntryMeta, Location, Revision, Value};
use crate::store::entry::{self, Entries, Entry};
use crate::store::index::{Index, Start};
use crate::store::run::Packed;
use std::collections::BTreeMap;
use std::io;

/// The keys of a file in key order, with the offset of each value and the length and checksum of its minified text. An
/// [`Index`], because it returns its memory to the system.
#[derive(Debug, Default)]
pub(crate) struct EditedKeys(Index<Entries>);

impl EditedKeys {
    /// Adds a key. If the key exists, adds nothing and returns the offset of its first value.
    fn add(&mut self, key: Key<'_>, location: Location) -> Option<u64> {
        let first = self.0.get(key.as_str().as_bytes()).and_then(|entry| entry.value().location());
        if let Some(first) = first {
            return Some(first.offset);
        }
        let mut packed = Vec::new();
        let meta = EntryMeta { revision: Revision::ZERO, created_ms: 0, updated_ms: 0, expires_ms: None };
        entry::pack(key, Value::Stored(location), &meta, &mut packed);
        self.0.push(Entry::of(&packed));
        None
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Location)> {
        let entries = self.0.range(Start::At(b""));
        entries.filter_map(|entry| Some((entry.key(), entry.value().location()?)))
    }
}

#[derive(Debug)]
pub(crate) enum EditedFileError {
    Io(io::Error),
    /// It has a mistake: a sentence with line and column.
    Invalid(String),
}

impl EditedFileError {
    /// The error for a file that was changed after its keys were read.
    pub(crate) fn changed() -> EditedFileError {
        EditedFileError::Invalid("it was changed while it was read".to_owned())
    }
}

/// The advice for an empty file: a project without keys is an empty object.
const EMPTY_ADVICE: &str = "it is empty, as an interrupted edit or a shell redirection leaves it; restore it from a backup, or write `{}` \
     into it to start without keys";

pub(crate) struct EditedFile<'f> {
    file: &'f dyn DiskFile,
    reader: JsonReader<'f>,
    rule: KeyRule,
    value_bytes_max: usize,
    /// The text of the latest key or value.
    text: Vec<u8>,
}

impl From<io::Error> for EditedFileError {
    fn from(error: io::Error) -> EditedFileError {
        EditedFileError::Io(error)
    }
}

impl<'f> EditedFile<'f> {
    /// A reader of `file`, whose keys must satisfy `rule`.
    pub(crate) fn new(file: &'f dyn DiskFile, rule: KeyRule) -> EditedFile<'f> {
        let reader = JsonReader::new(file);
        EditedFile { file, reader, rule, value_bytes_max: VALUE_BYTES_MAX, text: Vec::new() }
    }

    /// Replaces the content of `out` by the minified value at `location`.
    ///
    /// # Errors
    /// [`EditedFileError`], also if the file was changed since [`EditedFile::read_keys`].
    pub(crate) fn read_value(
        &mut self,
        location: Location,
        out: &mut Vec<u8>,
    ) -> Result<(), EditedFileError> {
        out.clear();
        self.text.clear();
        self.reader.seek(location.offset);
        let is_whole = self.reader.collect_value(&mut self.text, self.value_bytes_max)?;
        let is_json = is_whole && json::minify(&self.text, VALUE_DEPTH_MAX, out).is_ok();
        if is_json && crc32fast::hash(out) == location.crc32 {
            Ok(())
        } else {
            Err(EditedFileError::changed())
        }
    }

    pub(crate) fn read_members(&mut self) -> Result<BTreeMap<String, Vec<u8>>, EditedFileError> {
        let mut members = BTreeMap::new();
        for (key, location) in self.read_keys()?.iter() {
            let mut value = Vec::with_capacity(location.length as usize);
            self.read_value(location, &mut value)?;
            members.insert(key.to_owned(), value);
        }
        Ok(members)
    }

    /// Checks the whole file and returns its keys.
    pub(crate) fn read_keys(&mut self) -> Result<EditedKeys, EditedFileError> {
        let mut keys = EditedKeys::default();
        skip_byte_order_mark(&mut self.reader)?;
        self.reader.skip_whitespace()?;
        self.expect(b'{', "an object of keys and values")?;
        self.reader.skip_whitespace()?;
        if !self.reader.take_if(b'}')? {
            self.read_member(&mut keys)?;
            while !self.reader.take_if(b'}')? {
                self.expect(b',', "`,` or `}` after a value")?;
                self.reader.skip_whitespace()?;
                self.read_member(&mut keys)?;
            }
        }
        self.reader.skip_whitespace()?;
        match self.reader.peek()? {
            None => Ok(keys),
            Some(_) => Err(self.not_json(self.reader.position(), "the end of the file")),
        }
    }

    /// Reads a key, its value and the white space after it.
    fn read_member(&mut self, keys: &mut EditedKeys) -> Result<(), EditedFileError> {
        let key_offset = self.reader.position();
        let key = self.read_key()?;
        self.reader.skip_whitespace()?;
        self.expect(b':', "`:` after a key")?;
        self.reader.skip_whitespace()?;
        let offset = self.reader.position();
        let (length, crc32) = self.read_checked(offset, &key)?;
        let location = Location { file: JSON_FILE, offset, length, crc32 };
        let first = Key::parse_stored(&key).ok().and_then(|key| keys.add(key, location));
        if let Some(first) = first {
            let first = place_of(self.file, first)?;
            return Err(self.invalid(key_offset, |place| {
                let key = shown(&key);
                format!(
                    "the key \"{key}\" {place} is a duplicate; its first value is {first}; keep one of them"
                )
            }));
        }
        Ok(self.reader.skip_whitespace()?)
    }

    fn read_key(&mut self) -> Result<String, EditedFileError> {
        let offset = self.reader.position();
        let expected = "a key in double quotes";
        if self.reader.peek()? != Some(b'"') {
            return Err(self.not_json(offset, expected));
        }
        self.text.clear();
        let is_whole = self.reader.collect_string(&mut self.text, KEY_TEXT_BYTES_MAX)?;
        let text = || shown(&String::from_utf8_lossy(&self.text));
        if !is_whole {
            return Err(self.invalid(offset, |place| {
                format!(
                    "the key {} {place} is too long; the maximum is {} bytes; shorten it, or add its closing quote if \
                     that is missing",
                    text(),
                    self.rule.bytes_max()
                )
            }));
        }
        if json::minify(&self.text, 0, &mut Vec::new()).is_err() {
            return Err(self.not_json(offset, expected));
        }
        let Some(key) = json::decode_string(&self.text) else {
            return Err(self.invalid(offset, |place| {
                format!(
                    "the key {} {place} has an escape of half a surrogate pair, which is not a character; write both \
                     halves, or remove it",
                    text()
                )
            }));
        };
        self.rule.parse(&key).map_err(|error| {
            self.invalid(offset, |place| format!("the key \"{}\" {place} {}", shown(&key), error.predicate()))
        })?;
        Ok(key.into_owned())
    }

    /// Reads the value of `key` at `offset`. Returns the length and the checksum of its minified text.
    fn read_checked(&mut self, offset: u64, key: &str) -> Result<(u32, u32), EditedFileError> {
        self.text.clear();
        if !self.reader.collect_value(&mut self.text, self.value_bytes_max)? {
            return Err(self.invalid(offset, |place| {
                format!(
                    "the value of \"{}\" {place} is too long; the maximum is {} bytes minified; shorten it, or \
                     complete it if its end is missing",
                    shown(key),
                    self.value_bytes_max
                )
            }));
        }
        let mut minified = Vec::with_capacity(self.text.len());
        let Err(error) = json::minify(&self.text, VALUE_DEPTH_MAX, &mut minified) else {
            let length = u32::try_from(minified.len()).unwrap_or(u32::MAX); // at most `value_bytes_max`
            return Ok((length, crc32fast::hash(&minified)));
        };
        self.reader.seek(offset);
        self.reader.skip_collected(error.offset)?;
        let offset = self.reader.position();
        if error.kind != JsonErrorKind::TooDeep {
            return Err(self.not_json(offset, "a JSON value"));
        }
        Err(self.invalid(offset, |place| {
            format!(
                "the value of \"{}\" is nested too deeply {place}; the maximum is {VALUE_DEPTH_MAX} levels of arrays \
                 and objects; flatten it",
                shown(key)
            )
        }))
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), EditedFileError> {
        if self.reader.take_if(byte)? { Ok(()) } else { Err(self.not_json(self.reader.position(), what)) }
    }

    /// The error with the text of `tell`, which gets the line and column of `offset`.
    fn invalid(&self, offset: u64, tell: impl FnOnce(&str) -> String) -> EditedFileError {
        let place = place_of(self.file, offset);
        place.map_or_else(EditedFileError::Io, |place| EditedFileError::Invalid(tell(&place)))
    }

    /// The error for a text that is not JSON, because `expected` is not at `offset`.
    fn not_json(&self, offset: u64, expected: &str) -> EditedFileError {
        let found =
            is_byte_order_mark(self.file, offset).and_then(|is_mark| Ok((is_mark, self.recognized()?)));
        let (is_mark, mistake) = match found {
            Ok(found) => found,
            Err(error) => return EditedFileError::Io(error),
        };
        self.invalid(offset, |place| match mistake {
            _ if is_mark => format!(
                "not JSON: a byte order mark {place} (byte {offset}); a file has at most one, at its start; remove \
                 this one"
            ),
            None => format!("not JSON: expected {expected} {place}"),
            Some(mistake) if mistake.problem == mistake::EMPTY => EMPTY_ADVICE.to_owned(),
            // The position that serde_json reports may be that of the byte before.
            Some(mistake) if mistake.is_of_grammar() => format!("{} {place}", mistake.problem),
            Some(mistake) => mistake.to_string(),
        })
    }

    /// The mistake in a file that is small enough to be read as a whole: common mistakes have texts of their own.
    fn recognized(&self) -> io::Result<Option<Mistake>> {
        match load_from(self.file, CONFIG_BYTES_MAX) {
            Ok(text) => Ok(object_text(&text).err()),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
#[path = "edited_file_tests.rs"]
mod tests;

//! Reads a data file that the operator edited or supplied, one member at a time.
//!
//! ```text
//! start -> `{` -> key -> `:` -> value -> `,` -> key
//!          `{` -> `}`           value -> `}` -> end
//! ```
//! Keys and values are checked as the API checks them, so everything that is imported can be read, overwritten,
//! deleted and loaded again. At most one value is in memory at a time, and one above the maximum is refused before
//! it is read to its end. A file may thus be larger than the memory.

use super::json_reader::{Collected, JsonReader, is_byte_order_mark, place_of, skip_byte_order_mark};
use crate::config::mistake::{Mistake, Problem, shown};
use crate::config::text::object_text;
use crate::disk::{DiskFile, load_from};
use crate::json::{self, JsonErrorKind};
use crate::limits::{CONFIG_BYTES_MAX, KEY_TEXT_BYTES_MAX, VALUE_BYTES_MAX, VALUE_DEPTH_MAX};
use crate::names::{Key, KeyError, KeyRule};
use crate::persist::files::value_reader::JSON_FILE;
use crate::store::change::{Location, Meta, Revision, Value};
use crate::store::entry::{self, Entries, Entry};
use crate::store::index::{Index, Start};
use crate::store::run::Packed;
use std::collections::BTreeMap;
use std::io;

/// The keys of a file in order, with the offset of each value and the length and checksum of its minified text.
/// An [`Index`], because it returns its memory to the system.
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
        let meta = Meta { revision: Revision::ZERO, created_ms: 0, updated_ms: 0, expires_ms: None };
        entry::pack(key, Value::Stored(location), &meta, &mut packed);
        self.0.push(Entry::of(&packed));
        None
    }

    /// The keys with their values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Location)> {
        let entries = self.0.range(Start::At(b""));
        entries.filter_map(|entry| Some((entry.key(), entry.value().location()?)))
    }
}

/// Why a file is not imported.
#[derive(Debug)]
pub(crate) enum EditedFileError {
    /// It cannot be read.
    Io(io::Error),
    /// Something in it is wrong: a sentence with line and column.
    Invalid(String),
}

impl EditedFileError {
    /// The error for a file that was changed after its keys were read.
    pub(crate) fn changed() -> EditedFileError {
        EditedFileError::Invalid("it was changed while it was read".to_owned())
    }
}

/// The problem of a file without content: an empty project is an empty object.
const EMPTY_ADVICE: &str = "it is empty, as an interrupted edit or a shell redirection leaves it; restore it from a backup, or write `{}` \
     into it to start without keys";

/// Reads the members of a file.
pub(crate) struct EditedFile<'f> {
    file: &'f dyn DiskFile,
    reader: JsonReader<'f>,
    rule: KeyRule,
    value_bytes_max: usize,
    /// The text of the latest key or value.
    text: Vec<u8>,
}

/// Why reading stopped.
enum Fault {
    Io(io::Error),
    Refused { offset: u64, refusal: Refusal },
}

/// What is wrong at an offset.
enum Refusal {
    /// It is not JSON; what was expected.
    Syntax(&'static str),
    /// A key that the API refuses.
    Key(String, KeyError),
    /// The text of a key is longer than that of any valid key; its beginning.
    LongKeyText(String),
    /// A key has half of a surrogate pair; its text.
    LoneSurrogate(String),
    /// A duplicate key, and the offset of its first value.
    Twice(String, u64),
    /// The value of this key is too long.
    LongValue(String),
    /// The value of this key is nested too deeply.
    DeepValue(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl<'f> EditedFile<'f> {
    /// A reader of `file`, whose keys must satisfy `rule`.
    pub(crate) fn new(file: &'f dyn DiskFile, rule: KeyRule) -> EditedFile<'f> {
        let reader = JsonReader::new(file);
        EditedFile { file, reader, rule, value_bytes_max: VALUE_BYTES_MAX, text: Vec::new() }
    }

    /// Checks the whole file and returns its keys.
    pub(crate) fn read_keys(&mut self) -> Result<EditedKeys, EditedFileError> {
        self.read_object().map_err(|fault| match fault {
            Fault::Io(error) => EditedFileError::Io(error),
            Fault::Refused { offset, refusal } => {
                let told = self.tell(offset, &refusal);
                told.map_or_else(EditedFileError::Io, EditedFileError::Invalid)
            }
        })
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
        let collected = self.reader.collect_value(&mut self.text, self.value_bytes_max);
        let is_whole = collected.map_err(EditedFileError::Io)? == Collected::Whole;
        let is_json = is_whole && json::minify(&self.text, VALUE_DEPTH_MAX, out).is_ok();
        if is_json && crc32fast::hash(out) == location.crc32 {
            Ok(())
        } else {
            Err(EditedFileError::changed())
        }
    }

    /// All keys and their values, minified.
    pub(crate) fn read_members(&mut self) -> Result<BTreeMap<String, Vec<u8>>, EditedFileError> {
        let mut members = BTreeMap::new();
        for (key, location) in self.read_keys()?.iter() {
            let mut value = Vec::with_capacity(location.length as usize);
            self.read_value(location, &mut value)?;
            members.insert(key.to_owned(), value);
        }
        Ok(members)
    }

    fn read_object(&mut self) -> Result<EditedKeys, Fault> {
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
            Some(_) => Err(self.refused_here(Refusal::Syntax("the end of the file"))),
        }
    }

    /// Reads a key, its value and the white space after it.
    fn read_member(&mut self, keys: &mut EditedKeys) -> Result<(), Fault> {
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
            return Err(Fault::Refused { offset: key_offset, refusal: Refusal::Twice(key, first) });
        }
        self.reader.skip_whitespace()?;
        Ok(())
    }

    fn read_key(&mut self) -> Result<String, Fault> {
        let offset = self.reader.position();
        let refused = |refusal| Fault::Refused { offset, refusal };
        if self.reader.peek()? != Some(b'"') {
            return Err(refused(Refusal::Syntax("a key in double quotes")));
        }
        self.text.clear();
        let collected = self.reader.collect_string(&mut self.text, KEY_TEXT_BYTES_MAX)?;
        let beginning = String::from_utf8_lossy(&self.text);
        if collected == Collected::TooLong {
            return Err(refused(Refusal::LongKeyText(beginning.into_owned())));
        }
        if json::minify(&self.text, 0, &mut Vec::new()).is_err() {
            return Err(refused(Refusal::Syntax("a key in double quotes")));
        }
        let Some(key) = json::decode_string(&self.text) else {
            return Err(refused(Refusal::LoneSurrogate(beginning.into_owned())));
        };
        match self.rule.parse(&key) {
            Ok(_) => Ok(key.into_owned()),
            Err(error) => Err(refused(Refusal::Key(key.into_owned(), error))),
        }
    }

    /// Reads the value of `key` at `offset`. Returns the length and the checksum of its minified text.
    fn read_checked(&mut self, offset: u64, key: &str) -> Result<(u32, u32), Fault> {
        self.text.clear();
        if self.reader.collect_value(&mut self.text, self.value_bytes_max)? == Collected::TooLong {
            return Err(Fault::Refused { offset, refusal: Refusal::LongValue(key.to_owned()) });
        }
        let mut minified = Vec::with_capacity(self.text.len());
        let Err(error) = json::minify(&self.text, VALUE_DEPTH_MAX, &mut minified) else {
            let length = u32::try_from(minified.len()).unwrap_or(u32::MAX); // at most `value_bytes_max`
            return Ok((length, crc32fast::hash(&minified)));
        };
        let is_too_deep = error.kind == JsonErrorKind::TooDeep;
        self.reader.seek(offset);
        self.reader.skip_collected(error.offset)?;
        let refusal =
            if is_too_deep { Refusal::DeepValue(key.to_owned()) } else { Refusal::Syntax("a JSON value") };
        Err(self.refused_here(refusal))
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        if self.reader.take_if(byte)? { Ok(()) } else { Err(self.refused_here(Refusal::Syntax(what))) }
    }

    fn refused_here(&self, refusal: Refusal) -> Fault {
        Fault::Refused { offset: self.reader.position(), refusal }
    }

    /// The sentence about a mistake at `offset`.
    fn tell(&self, offset: u64, refusal: &Refusal) -> io::Result<String> {
        let (line, column) = place_of(self.file, offset)?;
        let place = format!("at line {line}, column {column}");
        Ok(match refusal {
            Refusal::Syntax(_) if is_byte_order_mark(self.file, offset)? => format!(
                "not JSON: a byte order mark {place} (byte {offset}); a file has at most one, at its \
                 start; remove this one"
            ),
            Refusal::Syntax(expected) => match self.recognized()? {
                None => format!("not JSON: expected {expected} {place}"),
                Some(Mistake { problem: Problem::Empty, .. }) => EMPTY_ADVICE.to_owned(),
                // The position that serde_json reports may be that of the byte before.
                Some(Mistake { problem: problem @ Problem::Syntax { .. }, .. }) => {
                    format!("{problem} {place}")
                }
                Some(mistake) => mistake.to_string(),
            },
            Refusal::Key(key, error) => format!("the key \"{}\" {place} is refused: {error}", shown(key)),
            Refusal::LongKeyText(text) => format!(
                "the key {} {place} is too long; the maximum is {} bytes; shorten it, or add its closing quote if that \
                 is missing",
                shown(text),
                self.rule.bytes_max()
            ),
            Refusal::LoneSurrogate(text) => format!(
                "the key {} {place} has an escape of half a surrogate pair, which is not a character; write both \
                 halves, or remove it",
                shown(text)
            ),
            Refusal::Twice(key, first) => {
                let (line, column) = place_of(self.file, *first)?;
                let first = format!("its first value is at line {line}, column {column}");
                format!("the key \"{}\" {place} is a duplicate; {first}; keep one of them", shown(key))
            }
            Refusal::LongValue(key) => format!(
                "the value of \"{}\" {place} is too long; the maximum is {} bytes minified; shorten it, or complete it \
                 if its end is missing",
                shown(key),
                self.value_bytes_max
            ),
            Refusal::DeepValue(key) => format!(
                "the value of \"{}\" is nested too deeply {place}; the maximum is {VALUE_DEPTH_MAX} levels of arrays \
                 and objects; flatten it",
                shown(key)
            ),
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

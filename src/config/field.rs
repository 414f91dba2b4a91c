//! The kinds of settings, and how their values are read from config.json and written.

use super::cors::Origin;
use super::engine::{CellName, Endpoint};
use super::members::Node;
use super::mistake::{Mistake, host_advice};
use super::public::{PUBLIC_HOST_ADVICE, PublicHost};
use crate::digits::grouped;
use crate::limits::{API_KEY_BYTES_MAX, API_KEY_BYTES_MIN};
use crate::names::ProjectId;
use crate::network::Network;
use crate::secret::{KeyHash, Secret};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;
use std::net::IpAddr;

/// The values that a setting accepts.
#[derive(Clone, Copy)]
pub enum Kind {
    /// true or false.
    Switch,
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// Such a number, or null.
    NumberOrNull(u64, u64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A text, as the documentation describes it.
    Text(&'static str),
    Path,
    /// An array: the largest number of elements, and what they are.
    List(usize, &'static str),
    /// A key or its hash, as the documentation describes it, or null. It is shown as `***`.
    Secret(&'static str),
    /// An object, or null.
    Nullable,
    /// The array of projects.
    Projects,
    /// The array of cells.
    Cells,
}

/// A value of config.json as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    /// true or false.
    Switch(bool),
    Number(u64),
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object, its members in order.
    Object(Vec<(&'static str, Value)>),
}

/// A type that a setting can have.
pub(super) trait Field: Sized {
    fn read(node: &Node<'_>, kind: &Kind) -> Result<Self, Mistake>;
    fn value(&self) -> Value;
}

impl Field for bool {
    fn read(node: &Node<'_>, _: &Kind) -> Result<bool, Mistake> {
        node.boolean()
    }

    fn value(&self) -> Value {
        Value::Switch(*self)
    }
}

macro_rules! numbers {
    ($($type:ty),+) => { $(
        impl Field for $type {
            fn read(node: &Node<'_>, kind: &Kind) -> Result<$type, Mistake> {
                let (Kind::Number(min, max) | Kind::NumberOrNull(min, max)) = *kind else {
                    unreachable!("the row of a number has its range");
                };
                Ok(node.number(min, max)?.try_into().unwrap_or(<$type>::MAX))
            }

            fn value(&self) -> Value {
                Value::Number((*self).try_into().unwrap_or(u64::MAX))
            }
        }
    )+ };
}

numbers!(u16, u32, u64, usize);

/// `null` means no bound, or that the server chooses.
impl Field for Option<usize> {
    fn read(node: &Node<'_>, kind: &Kind) -> Result<Option<usize>, Mistake> {
        if node.is_null() { Ok(None) } else { usize::read(node, kind).map(Some) }
    }

    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Field::value)
    }
}

/// The path of the data directory.
impl Field for String {
    fn read(node: &Node<'_>, _: &Kind) -> Result<String, Mistake> {
        let path = node.string()?;
        if path.is_empty() || path.contains('\0') {
            let advice = "name a directory, as in \"storage_data/\"";
            return Err(node.mistake(format!("`{}` is empty or has a NUL", node.member), advice));
        }
        Ok(path)
    }

    fn value(&self) -> Value {
        Value::Text(self.clone())
    }
}

/// A type that is written as one text, with the function that parses it or returns the fix.
macro_rules! texts {
    ($($type:ty: $parse:expr;)+) => { $(
        impl Field for $type {
            fn read(node: &Node<'_>, _: &Kind) -> Result<$type, Mistake> {
                let text = node.string()?;
                let parse: fn(&str) -> Result<$type, String> = $parse;
                parse(&text).map_err(|advice| node.wrong_text(&text, advice))
            }

            fn value(&self) -> Value {
                Value::Text(self.to_string())
            }
        }
    )+ };
}

texts! {
    IpAddr: |text| text.parse().map_err(|_| host_advice(text));
    ProjectId: |text| ProjectId::parse(text).map_err(|error| format!("the id {}", error.predicate()));
    Network: |text| Network::parse(text).map_err(|error| error.to_string());
    Origin: |text| Origin::parse(text).map_err(|error| error.to_string());
    CellName: |text| CellName::parse(text).ok_or_else(|| CELL_NAME_ADVICE.to_owned());
    Endpoint: Endpoint::parse;
    PublicHost: |text| PublicHost::parse(text).ok_or_else(|| PUBLIC_HOST_ADVICE.to_owned());
}

const CELL_NAME_ADVICE: &str = "a name has 1 to 32 characters of a-z, 0-9 and -";

impl<T: Field> Field for Vec<T> {
    fn read(node: &Node<'_>, kind: &Kind) -> Result<Vec<T>, Mistake> {
        let elements = node.elements()?;
        if let Kind::List(max, _) = *kind
            && elements.len() > max
        {
            return Err(node.mistake(
                format!("`{}` has {} elements", node.member, grouped(elements.len())),
                format!("the maximum is {}; remove some", grouped(max)),
            ));
        }
        elements.iter().map(|element| T::read(element, kind)).collect()
    }

    fn value(&self) -> Value {
        Value::List(self.iter().map(Field::value).collect())
    }
}

/// `api_key`.
impl Field for Option<Secret> {
    fn read(node: &Node<'_>, _: &Kind) -> Result<Option<Secret>, Mistake> {
        if node.is_null() {
            return Ok(None);
        }
        let text = node.string()?;
        // The text may be a key, so the message does not contain it.
        let refused =
            |problem: &str, advice: &str| Err(node.mistake(format!("`{}` {problem}", node.member), advice));
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let advice = "a key is sent in a header, so it may have only the characters `!` to `~` of ASCII";
            return refused("has a space, a control character or a character outside of ASCII", advice);
        }
        if !(API_KEY_BYTES_MIN..=API_KEY_BYTES_MAX).contains(&text.len()) {
            let (min, max) = (API_KEY_BYTES_MIN, grouped(API_KEY_BYTES_MAX));
            let advice = format!("a key has {min} to {max} bytes; set it to null to have one generated");
            return refused(&format!("has {} bytes", grouped(text.len())), &advice);
        }
        Ok(Some(Secret::new(text)))
    }

    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null, |text| Value::Text(text.reveal().to_owned()))
    }
}

/// The `api_key_hash` of a configuration that was copied from the documentation.
const HASH_PLACEHOLDER: &str = "[Will be generated";

/// `api_key_hash`.
impl Field for Option<KeyHash> {
    fn read(node: &Node<'_>, _: &Kind) -> Result<Option<KeyHash>, Mistake> {
        let text = if node.is_null() { HASH_PLACEHOLDER.to_owned() } else { node.string()? };
        if text.starts_with(HASH_PLACEHOLDER) {
            return Ok(None);
        }
        let advice = "it must be sha256: and 64 lower-case hexadecimal digits, or null to generate a key";
        let refused = || node.mistake(format!("`{}` is not a hash", node.member), advice);
        KeyHash::parse(&text).map(Some).ok_or_else(refused)
    }

    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null, |hash| Value::Text(hash.encode()))
    }
}

/// Defines an enum whose variants have names in config.json.
macro_rules! choices {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// The names that [`Self::parse`] accepts.
            pub const NAMES: &'static [&'static str] = &[$($text),+];

            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Its name in config.json.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl $crate::config::field::Field for $name {
            fn read(
                node: &$crate::config::members::Node<'_>,
                _: &$crate::config::field::Kind,
            ) -> Result<Self, $crate::config::mistake::Mistake> {
                node.choice(Self::NAMES, Self::parse)
            }

            fn value(&self) -> $crate::config::field::Value {
                $crate::config::field::Value::Text(self.name().to_owned())
            }
        }
    };
}
pub(super) use choices;

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Switch(switch) => serializer.serialize_bool(*switch),
            Value::Number(number) => serializer.serialize_u64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(elements) => elements.serialize(serializer),
            Value::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
        }
    }
}

/// As `pikv config show` prints it: strings without quotes, except in an array.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Switch(switch) => write!(f, "{switch}"),
            Value::Number(number) => write!(f, "{number}"),
            Value::Text(text) => f.write_str(text),
            Value::List(elements) => {
                let elements = elements.iter().map(|element| match element {
                    Value::Object(_) => serde_json::to_string(element).unwrap_or_default(),
                    Value::Null | Value::Switch(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
                        format!("{:?}", element.to_string())
                    }
                });
                write!(f, "[{}]", elements.collect::<Vec<_>>().join(", "))
            }
            Value::Object(_) => f.write_str("{ … }"),
        }
    }
}

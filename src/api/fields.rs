//! The fields of a body in JSON or a form, for `/api/register` to `/api/data` and `/login`.

use super::body::parse_object;
use super::context::Context;
use super::error::{AccountError, ApiError, Part, shown};
use super::negotiation::{BodyFormat, body_format};
use crate::accounts::registration::{self, NewAccount, RawInput, Required};
use crate::auth::password::Rule;
use crate::http::request::Framing;
use crate::http::target;
use crate::json;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The fields of a body, each once.
#[derive(Clone)]
pub(crate) struct Fields {
    pub sent: BodyFormat,
    /// Texts of a form, or minified JSON texts.
    fields: BTreeMap<String, String>,
}

impl Fields {
    /// The fields of the body of a request; none if it has no body.
    pub(crate) fn of(context: &Context<'_>) -> Result<Fields, ApiError> {
        let head = &context.request.head;
        if head.framing == Framing::None || context.request.body.trim_ascii().is_empty() {
            return Ok(Fields { sent: body_format(head, context.request.body), fields: BTreeMap::new() });
        }
        match body_format(head, context.request.body) {
            BodyFormat::Form => {
                context.media_type()?;
                Fields::of_form(context.request.body)
            }
            BodyFormat::Json => match context.json_body() {
                Err(ApiError::Invalid(Part::MediaType, _)) => Err(Part::MediaType.invalid(
                    "The body must be a JSON object in UTF-8 as application/json, or a form as \
                     application/x-www-form-urlencoded.",
                )),
                body => Fields::of_json(&body?),
            },
        }
    }

    /// The members of a body that must be a JSON object.
    pub(crate) fn of_json_object(context: &Context<'_>) -> Result<Fields, ApiError> {
        Fields::of_json(&context.json_body()?)
    }

    /// Refuses unknown fields, which are most likely misspelt.
    pub(crate) fn refuse_others(&self, known: &[&str]) -> Result<(), ApiError> {
        match self.fields.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Part::Body.invalid(format!(
                "The member `{}` is unknown. Leave it out, or correct its name.",
                shown(name)
            ))),
            None => Ok(()),
        }
    }

    fn of_json(minified: &[u8]) -> Result<Fields, ApiError> {
        let members: Members = parse_object(minified).map_err(|problem| Part::Body.invalid(problem))?;
        Ok(Fields { sent: BodyFormat::Json, fields: members.0 })
    }

    fn of_form(body: &[u8]) -> Result<Fields, ApiError> {
        let text = str::from_utf8(body)
            .map_err(|_| Part::Body.invalid("The form is not UTF-8. Send it in UTF-8."))?;
        let mut fields = BTreeMap::new();
        for (name, value) in target::pairs(text) {
            let undecodable = |_| {
                Part::Body.invalid(
                    "The form is not percent-encoded UTF-8. Encode it as application/x-www-form-urlencoded.",
                )
            };
            let name = target::decode_query(name).map_err(undecodable)?.into_owned();
            let value = target::decode_query(value.unwrap_or_default()).map_err(undecodable)?.into_owned();
            if fields.contains_key(&name) {
                return Err(Part::Body
                    .invalid(format!("The form has the field `{}` twice. Send it once.", shown(&name))));
            }
            fields.insert(name, value);
        }
        Ok(Fields { sent: BodyFormat::Form, fields })
    }

    /// The text of a field of a form, or of a JSON string. `None` if the field is absent or `null`.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<Cow<'_, str>>, ApiError> {
        match (self.fields.get(name), self.sent) {
            (None, _) => Ok(None),
            (Some(text), BodyFormat::Form) => Ok(Some(Cow::Borrowed(text))),
            (Some(raw), BodyFormat::Json) if raw == "null" => Ok(None),
            (Some(raw), BodyFormat::Json) => {
                let text = json::decode_string(raw.as_bytes());
                text.map(Some).ok_or_else(|| {
                    Part::Body.invalid(format!("`{name}` is not a string; send it in quotes."))
                })
            }
        }
    }

    /// A JSON `true` or `false`; `false` without the field.
    pub(crate) fn switch(&self, name: &'static str) -> Result<bool, ApiError> {
        match self.fields.get(name).map(String::as_str) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Part::Body.invalid(format!("`{name}` must be `true` or `false`."))),
        }
    }

    /// As [`Fields::text`], or any other JSON, minified.
    pub(crate) fn text_of_any(&self, name: &'static str) -> Option<Cow<'_, str>> {
        self.text(name).unwrap_or_else(|_| self.fields.get(name).map(|raw| Cow::Borrowed(raw.as_str())))
    }

    /// The texts of `names`, to be shown again.
    pub(crate) fn typed(
        &self,
        names: impl Iterator<Item = &'static str>,
    ) -> Vec<(&'static str, Cow<'_, str>)> {
        names.filter_map(|name| Some((name, self.text_of_any(name)?))).collect()
    }

    /// A field as minified JSON, which is a string for a field of a form. `None` if the field is absent.
    pub(crate) fn value(&self, name: &str) -> Option<Vec<u8>> {
        let text = self.fields.get(name)?;
        match self.sent {
            BodyFormat::Json => Some(text.clone().into_bytes()),
            BodyFormat::Form => {
                let mut value = Vec::with_capacity(text.len() + 2);
                json::encode_string(text, &mut value);
                Some(value)
            }
        }
    }

    pub(crate) fn new_account(&self, required: Required, rule: Rule) -> Result<NewAccount, ApiError> {
        let typed = RawInput {
            username: self.text("username")?,
            email: self.text("email")?,
            password: self.text("password")?,
            full_name: self.text("full_name")?,
            age: self.text_of_any("age"),
            gender: self.text("gender")?,
        };
        let checked = registration::check(&typed, required, rule);
        checked.map_err(|problems| AccountError::Registration(problems).into())
    }
}

/// The members of a JSON object as minified texts. serde alone would accept two with one name.
struct Members(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct EachOnce;
        impl<'de> Visitor<'de> for EachOnce {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if members.contains_key(&name) {
                        let problem = format!("duplicate member `{}`", shown(&name));
                        return Err(A::Error::custom(problem));
                    }
                    members.insert(name, value.get().to_owned());
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(EachOnce)
    }
}

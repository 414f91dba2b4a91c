//! The forms of the pages: their fields, and the values for their templates.

use super::render::{Value, Values, text};
use crate::limits::{EMAIL_BYTES_MAX, FULL_NAME_CHARACTERS_MAX, KEY_BYTES_MAX, USERNAME_BYTES_MAX};
use std::borrow::Cow;

/// A problem with a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The name of an input; empty for the form as a whole.
    pub field: &'static str,
    /// What is wrong, and how to fix it.
    pub message: String,
}

/// The content of a page with a form.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FormContent<'a> {
    /// (name, value); shown again, except passwords and tokens.
    pub typed: &'a [(&'a str, Cow<'a, str>)],
    /// Shown above the form and at the fields.
    pub problems: &'a [Problem],
    /// The key that the form has just stored, updated or deleted.
    pub done: Option<&'a str>,
    /// The requested key, and its value.
    pub found: Option<(&'a str, &'a str)>,
    /// A page of the keys of the account.
    pub keys: &'a [String],
    /// The cursor of the next page.
    pub next: Option<&'a str>,
}

/// The values of `gender` on the form, and their labels.
pub(crate) const GENDERS: [(&str, &str); 5] = [
    ("male", "Male"),
    ("female", "Female"),
    ("non-binary", "Non-binary"),
    ("other", "Other"),
    ("prefer not to say", "Prefer not to say"),
];

const AGE_DIGITS_MAX: usize = 3;

/// A form and its page.
pub(crate) struct Form {
    /// `get` makes the fields the query, so a form with a token must not use it.
    method: &'static str,
    /// The path that it is sent to, which is also the path of its page.
    pub action: &'static str,
    pub template: &'static str,
    pub title: &'static str,
    /// The text of its button.
    submit: &'static str,
    /// Whether it works only with a session.
    pub needs_session: bool,
    fields: &'static [Field],
}

struct Field {
    /// Its name in the request, and its id in the page.
    name: &'static str,
    label: &'static str,
    /// Empty for none.
    hint: &'static str,
    input: Input,
}

enum Input {
    Line(Line),
    /// Never shown again. It has no maximum: the limit is in bytes, and refusing a password is better than cutting it.
    Password {
        autocomplete: &'static str,
    },
    /// Optional, and never shown again.
    Token,
    /// Several lines.
    Area,
    /// One of (value, label).
    Choice(&'static [(&'static str, &'static str)]),
}

struct Line {
    kind: &'static str,
    autocomplete: &'static str,
    keyboard: &'static str,
    characters_max: usize,
}

const fn field(name: &'static str, label: &'static str, input: Input) -> Field {
    Field { name, label, hint: "", input }
}

const fn line(autocomplete: &'static str, characters_max: usize) -> Input {
    Input::Line(Line { kind: "text", autocomplete, keyboard: "text", characters_max })
}

const USERNAME: Field = field("username", "User name", line("username", USERNAME_BYTES_MAX));
const FULL_NAME: Field = field("full_name", "Full name", line("name", FULL_NAME_CHARACTERS_MAX));
const GENDER: Field = field("gender", "Gender", Input::Choice(&GENDERS));
const PASSWORD: Field = field("password", "Password", Input::Password { autocomplete: "current-password" });
const VALUE: Field = field("value", "Value", Input::Area);

const EMAIL: Field = field(
    "email",
    "Email address",
    Input::Line(Line {
        kind: "email",
        autocomplete: "email",
        keyboard: "email",
        characters_max: EMAIL_BYTES_MAX,
    }),
);

const NEW_PASSWORD: Field = Field {
    hint: "8 to 72 bytes, with an upper-case letter, a lower-case letter, a digit and a special character. \
           Letters other than A to Z take 2 bytes or more.",
    ..field("password", "Password", Input::Password { autocomplete: "new-password" })
};

/// Not of the type `number`: browsers drop an invalid number instead of showing it again.
const AGE: Field = Field {
    hint: "In years, as a whole number.",
    ..field(
        "age",
        "Age",
        Input::Line(Line {
            kind: "text",
            autocomplete: "off",
            keyboard: "numeric",
            characters_max: AGE_DIGITS_MAX,
        }),
    )
};

const ACCESS_TOKEN: Field = Field {
    hint: "You can log in without a token. If you enter one, it must be valid and your own.",
    ..field("access_token", "Access token (optional)", Input::Token)
};

const KEY: Field = Field { hint: "1 to 1,024 bytes.", ..field("key", "Key", line("off", KEY_BYTES_MAX)) };
const _: () = assert!(KEY_BYTES_MAX == 1024, "the hint of the key");

const fn form(
    action: &'static str,
    template: &'static str,
    title: &'static str,
    submit: &'static str,
    fields: &'static [Field],
) -> Form {
    Form { method: "post", action, template, title, submit, needs_session: false, fields }
}

const REGISTER_FIELDS: &[Field] = &[USERNAME, EMAIL, NEW_PASSWORD, FULL_NAME, AGE, GENDER];

pub(crate) const REGISTER: Form = form("/api/register", "register", "Register", "Register", REGISTER_FIELDS);
pub(crate) const TOKEN: Form =
    form("/api/token", "token", "Access token", "Create token", &[USERNAME, PASSWORD]);
pub(crate) const LOGIN: Form =
    form("/api/login", "login", "Log in", "Log in", &[USERNAME, PASSWORD, ACCESS_TOKEN]);
pub(crate) const STORE: Form =
    Form { needs_session: true, ..form("/api/data", "store", "Store a value", "Store", &[KEY, VALUE]) };
pub(crate) const RETRIEVE: Form = Form {
    method: "get",
    needs_session: true,
    ..form("/api/data/retrieve", "retrieve", "Retrieve a value", "Retrieve", &[KEY])
};
pub(crate) const UPDATE: Form = Form {
    needs_session: true,
    ..form("/api/data/update", "update", "Update a value", "Update", &[KEY, VALUE])
};
pub(crate) const DELETE: Form =
    Form { needs_session: true, ..form("/api/data/delete", "delete", "Delete a key", "Delete", &[KEY]) };

impl Form {
    /// The names of the fields that are shown again as typed: all but passwords and tokens.
    pub(crate) fn names_shown_again(&self) -> impl Iterator<Item = &'static str> {
        let is_secret = |field: &&Field| matches!(field.input, Input::Password { .. } | Input::Token);
        self.fields.iter().filter(move |field| !is_secret(field)).map(|field| field.name)
    }

    /// The values for the parts `summary` and `form`.
    pub(crate) fn values<'a>(&self, content: &FormContent<'a>) -> Values<'a> {
        let first_wrong = self.fields.iter().find(|field| !field.error(content).is_empty());
        let fields = self.fields.iter().map(|field| {
            let is_first_wrong = first_wrong.is_some_and(|first| first.name == field.name);
            let mut values = field.values(content);
            values.push(("focused", Value::Flag(is_first_wrong)));
            values
        });
        let problems = content.problems.iter().map(|problem| self.problem_values(problem));
        vec![
            ("has_problems", Value::Flag(!content.problems.is_empty())),
            // A screen reader must announce at once that this is not the expected page.
            ("focus_summary", Value::Flag(first_wrong.is_none())),
            ("problems", Value::List(problems.collect())),
            ("method", text(self.method)),
            ("action", text(self.action)),
            ("fields", Value::List(fields.collect())),
            ("submit", text(self.submit)),
        ]
    }

    /// A line of the summary. It links to the field, if the form has one for the problem.
    fn problem_values<'a>(&self, problem: &'a Problem) -> Values<'a> {
        let field = self.fields.iter().find(|field| field.name == problem.field);
        vec![
            ("field", text(field.map_or("", |field| field.name))),
            ("field_label", text(field.map_or("", |field| field.label))),
            ("message", text(&*problem.message)),
        ]
    }
}

impl Field {
    fn error(&self, content: &FormContent<'_>) -> String {
        let problems = content.problems.iter().filter(|problem| problem.field == self.name);
        problems.map(|problem| &*problem.message).collect::<Vec<_>>().join(" ")
    }

    fn values<'a>(&self, content: &FormContent<'a>) -> Values<'a> {
        let error = self.error(content);
        let typed = content.typed.iter().find(|(name, _)| *name == self.name).map_or("", |(_, typed)| typed);
        let mut values = vec![
            ("name", text(self.name)),
            ("label", text(self.label)),
            ("hint", text(self.hint)),
            ("described_by", text(self.described_by(&error))),
            ("required", Value::Flag(!matches!(self.input, Input::Token))),
            ("error", text(error)),
        ];
        values.extend(self.input.values(typed));
        values
    }

    /// The ids of the texts that describe it.
    fn described_by(&self, error: &str) -> String {
        let texts = [("hint", self.hint), ("error", error)];
        let ids = texts.iter().filter(|(_, text)| !text.is_empty());
        ids.map(|(id, _)| format!("{}-{id}", self.name)).collect::<Vec<_>>().join(" ")
    }
}

impl Input {
    /// The values for each kind of input, of which one is present, with `typed` unless that is a secret.
    fn values<'a>(&self, typed: &'a str) -> Values<'a> {
        let (mut line, mut password, mut token, mut area, mut choice) = Default::default();
        match self {
            Input::Line(fixed) => {
                line = vec![vec![
                    ("type", text(fixed.kind)),
                    ("autocomplete", text(fixed.autocomplete)),
                    ("keyboard", text(fixed.keyboard)),
                    ("characters_max", text(fixed.characters_max.to_string())),
                    ("typed", text(typed)),
                ]];
            }
            Input::Password { autocomplete } => password = vec![vec![("autocomplete", text(*autocomplete))]],
            Input::Token => token = true,
            Input::Area => area = vec![vec![("typed", text(typed))]],
            Input::Choice(options) => {
                let option = |&(value, label): &(&'static str, &'static str)| {
                    let selected = Value::Flag(value == typed);
                    vec![("value", text(value)), ("option", text(label)), ("selected", selected)]
                };
                choice = vec![vec![("options", Value::List(options.iter().map(option).collect()))]];
            }
        }
        vec![
            ("line", Value::List(line)),
            ("password", Value::List(password)),
            ("token", Value::Flag(token)),
            ("area", Value::List(area)),
            ("choice", Value::List(choice)),
        ]
    }
}

//! The forms of the pages: their fields, and what a template needs to show them.

use super::render::{Value, Values, text};
use crate::limits::{EMAIL_BYTES_MAX, FULL_NAME_CHARACTERS_MAX, KEY_BYTES_MAX, USERNAME_BYTES_MAX};
use std::borrow::Cow;

/// One thing that was wrong with a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The name of an input; empty for the form as a whole.
    pub field: &'static str,
    /// What was wrong, and what would be right.
    pub message: String,
}

/// What a page with a form shows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FormContent<'a> {
    /// (name, value); shown again, except passwords and tokens.
    pub typed: &'a [(&'a str, Cow<'a, str>)],
    /// Shown above the form and at the fields.
    pub problems: &'a [Problem],
    /// The key that the form has just stored, updated or deleted.
    pub done: Option<&'a str>,
    /// The key that was asked for, and its value.
    pub found: Option<(&'a str, &'a str)>,
    /// A page of the keys that exist.
    pub keys: &'a [String],
    /// The cursor of the page after that.
    pub next: Option<&'a str>,
}

/// What a `gender` may be on the form, and how it is shown.
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
    method: Method,
    /// Where it goes, which is also where its page is.
    pub action: &'static str,
    pub template: &'static str,
    pub title: &'static str,
    /// The text of its button.
    submit: &'static str,
    /// Whether it is of no use without a session.
    pub needs_session: bool,
    fields: &'static [Field],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    /// The fields become the query, so a token has no place in it.
    Get,
    Post,
}

struct Field {
    /// Its name in the request, and its id in the page.
    name: &'static str,
    label: &'static str,
    /// Empty for none.
    hint: &'static str,
    presence: Presence,
    input: Input,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}

enum Input {
    Line(Line),
    /// Never shown again. Its limit is in bytes, and cutting a password is worse than refusing it.
    Password {
        autocomplete: &'static str,
    },
    /// Never shown again.
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

const USERNAME: Field = Field {
    name: "username",
    label: "User name",
    hint: "",
    presence: Presence::Required,
    input: Input::Line(Line {
        kind: "text",
        autocomplete: "username",
        keyboard: "text",
        characters_max: USERNAME_BYTES_MAX,
    }),
};

const EMAIL: Field = Field {
    name: "email",
    label: "Email address",
    hint: "",
    presence: Presence::Required,
    input: Input::Line(Line {
        kind: "email",
        autocomplete: "email",
        keyboard: "email",
        characters_max: EMAIL_BYTES_MAX,
    }),
};

const NEW_PASSWORD: Field = Field {
    name: "password",
    label: "Password",
    hint: "8 to 72 bytes, with an upper-case letter, a lower-case letter, a digit and a special character. \
           Letters beyond A to Z take 2 bytes or more.",
    presence: Presence::Required,
    input: Input::Password { autocomplete: "new-password" },
};

const PASSWORD: Field = Field {
    name: "password",
    label: "Password",
    hint: "",
    presence: Presence::Required,
    input: Input::Password { autocomplete: "current-password" },
};

const FULL_NAME: Field = Field {
    name: "full_name",
    label: "Full name",
    hint: "",
    presence: Presence::Required,
    input: Input::Line(Line {
        kind: "text",
        autocomplete: "name",
        keyboard: "text",
        characters_max: FULL_NAME_CHARACTERS_MAX,
    }),
};

/// Not of the type `number`: browsers drop what is none instead of showing it again.
const AGE: Field = Field {
    name: "age",
    label: "Age",
    hint: "In years, as a whole number.",
    presence: Presence::Required,
    input: Input::Line(Line {
        kind: "text",
        autocomplete: "off",
        keyboard: "numeric",
        characters_max: AGE_DIGITS_MAX,
    }),
};

const GENDER: Field = Field {
    name: "gender",
    label: "Gender",
    hint: "",
    presence: Presence::Required,
    input: Input::Choice(&GENDERS),
};

const ACCESS_TOKEN: Field = Field {
    name: "access_token",
    label: "Access token (optional)",
    hint: "You can log in without one. A token that is given must be valid and your own.",
    presence: Presence::Optional,
    input: Input::Token,
};

const KEY: Field = Field {
    name: "key",
    label: "Key",
    hint: "1 to 1024 bytes.",
    presence: Presence::Required,
    input: Input::Line(Line {
        kind: "text",
        autocomplete: "off",
        keyboard: "text",
        characters_max: KEY_BYTES_MAX,
    }),
};

const VALUE: Field =
    Field { name: "value", label: "Value", hint: "", presence: Presence::Required, input: Input::Area };

const _: () = assert!(KEY_BYTES_MAX == 1024, "the hint of the key says so");

pub(crate) const REGISTER: Form = Form {
    method: Method::Post,
    action: "/api/register",
    template: "register",
    title: "Register",
    submit: "Register",
    needs_session: false,
    fields: &[USERNAME, EMAIL, NEW_PASSWORD, FULL_NAME, AGE, GENDER],
};

pub(crate) const TOKEN: Form = Form {
    method: Method::Post,
    action: "/api/token",
    template: "token",
    title: "Access token",
    submit: "Make a token",
    needs_session: false,
    fields: &[USERNAME, PASSWORD],
};

pub(crate) const LOGIN: Form = Form {
    method: Method::Post,
    action: "/api/login",
    template: "login",
    title: "Log in",
    submit: "Log in",
    needs_session: false,
    fields: &[USERNAME, PASSWORD, ACCESS_TOKEN],
};

pub(crate) const STORE: Form = Form {
    method: Method::Post,
    action: "/api/data",
    template: "store",
    title: "Store a value",
    submit: "Store",
    needs_session: true,
    fields: &[KEY, VALUE],
};

pub(crate) const RETRIEVE: Form = Form {
    method: Method::Get,
    action: "/api/data/retrieve",
    template: "retrieve",
    title: "Retrieve a value",
    submit: "Retrieve",
    needs_session: true,
    fields: &[KEY],
};

pub(crate) const UPDATE: Form = Form {
    method: Method::Post,
    action: "/api/data/update",
    template: "update",
    title: "Update a value",
    submit: "Update",
    needs_session: true,
    fields: &[KEY, VALUE],
};

pub(crate) const DELETE: Form = Form {
    method: Method::Post,
    action: "/api/data/delete",
    template: "delete",
    title: "Delete a key",
    submit: "Delete",
    needs_session: true,
    fields: &[KEY],
};

impl Form {
    /// The names of the fields that are shown again as they were typed: no passwords and no tokens.
    pub(crate) fn names_shown_again(&self) -> impl Iterator<Item = &'static str> {
        let is_secret = |field: &&Field| matches!(field.input, Input::Password { .. } | Input::Token);
        self.fields.iter().filter(move |field| !is_secret(field)).map(|field| field.name)
    }

    /// What the parts `summary` and `form` name.
    pub(crate) fn values<'a>(&self, content: &FormContent<'a>) -> Values<'a> {
        let method = match self.method {
            Method::Get => "get",
            Method::Post => "post",
        };
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
            // Something has to say at once that the page is not the one that was expected.
            ("focus_summary", Value::Flag(first_wrong.is_none())),
            ("problems", Value::List(problems.collect())),
            ("method", text(method)),
            ("action", text(self.action)),
            ("fields", Value::List(fields.collect())),
            ("submit", text(self.submit)),
        ]
    }

    /// A line of the summary; one about no field of this form has nothing to link to.
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
    /// Everything that is wrong with it.
    fn error(&self, content: &FormContent<'_>) -> String {
        let problems = content.problems.iter().filter(|problem| problem.field == self.name);
        problems.map(|problem| &*problem.message).collect::<Vec<_>>().join("; ")
    }

    fn values<'a>(&self, content: &FormContent<'a>) -> Values<'a> {
        let error = self.error(content);
        let typed = content.typed.iter().find(|(name, _)| *name == self.name).map_or("", |(_, typed)| typed);
        let mut values = vec![
            ("name", text(self.name)),
            ("label", text(self.label)),
            ("hint", text(self.hint)),
            ("described_by", text(self.described_by(&error))),
            ("required", Value::Flag(self.presence == Presence::Required)),
            ("error", text(error)),
        ];
        values.extend(self.input.values(typed));
        values
    }

    /// The ids of the texts about it.
    fn described_by(&self, error: &str) -> String {
        let texts = [("hint", self.hint), ("error", error)];
        let ids = texts.iter().filter(|(_, text)| !text.is_empty());
        ids.map(|(id, _)| format!("{}-{id}", self.name)).collect::<Vec<_>>().join(" ")
    }
}

impl Input {
    /// The one kind that it is, with `typed` in it unless that is a secret.
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

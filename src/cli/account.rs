//! The actions of `pikv account`.

use super::arguments::{Call, option};
use super::flag::Flag;
use super::usage_error::UsageError;
use crate::auth::password::Rule;
use crate::config::mistake::shown;
use crate::limits::USERNAME_BYTES_MAX;
use crate::names::Username;
use crate::secret::Secret;

/// The global key for `pikv account` while a server runs. It is not a flag, because other users can see those.
pub const GLOBAL_KEY_VARIABLE: &str = "PIKV_GLOBAL_KEY";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Create an account. The rule is that for its password.
    Add {
        username: Username,
        email: Option<String>,
        rule: Rule,
    },
    SetPassword {
        username: Username,
        rule: Rule,
    },
    SetDisabled {
        username: Username,
        is_disabled: bool,
    },
    /// Delete an account and its keys.
    Delete {
        username: Username,
    },
    List,
}

pub(super) fn add(call: &Call<'_>) -> Result<Act, UsageError> {
    let email = option(call, Flag::EMAIL, |_| String::new(), |text| Some(text.to_owned()))?;
    let email = email.map(|email| email.value);
    Ok(Act::Add { username: username(call.argument(0))?, email, rule: rule(call) })
}

pub(super) fn set_password(call: &Call<'_>) -> Result<Act, UsageError> {
    Ok(Act::SetPassword { username: username(call.argument(0))?, rule: rule(call) })
}

pub(super) fn set_disabled(call: &Call<'_>, is_disabled: bool) -> Result<Act, UsageError> {
    Ok(Act::SetDisabled { username: username(call.argument(0))?, is_disabled })
}

pub(super) fn delete(call: &Call<'_>) -> Result<Act, UsageError> {
    Ok(Act::Delete { username: username(call.argument(0))? })
}

fn rule(call: &Call<'_>) -> Rule {
    if call.has(Flag::WEAK_PASSWORD) { Rule::Weak } else { Rule::Strong }
}

/// The global key in the environment, without the line end of a file that it was read from.
pub(super) fn global_key(call: &Call<'_>) -> Option<Secret> {
    let key = (call.environment)(GLOBAL_KEY_VARIABLE)?.into_string().ok()?;
    let key = key.trim_end_matches(['\r', '\n']);
    (!key.is_empty()).then(|| Secret::new(key.to_owned()))
}

fn username(text: &str) -> Result<Username, UsageError> {
    Username::parse(text).ok_or_else(|| {
        let text = shown(text);
        UsageError(format!(
            "User name `{text}` is not valid. Use 1 to {USERNAME_BYTES_MAX} characters of A-Z a-z 0-9 . _ - @ +."
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Command;
    use std::ffi::OsString;

    fn parsed(line: &str) -> Result<Command, UsageError> {
        let environment = |name: &str| (name == GLOBAL_KEY_VARIABLE).then(|| OsString::from("key\n"));
        crate::cli::parse(line.split_whitespace().map(OsString::from), &environment)
    }

    fn act(line: &str) -> Act {
        match parsed(line) {
            Ok(Command::Account { act, global_key, .. }) => {
                assert_eq!(global_key, Some(Secret::new("key".to_owned())));
                act
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn each_act_names_its_account() {
        let username = || Username::parse("mavi").unwrap();
        assert_eq!(
            act("account add mavi"),
            Act::Add { username: username(), email: None, rule: Rule::Strong }
        );
        let email = Some("m@example.com".to_owned());
        let with_email = Act::Add { username: username(), email, rule: Rule::Strong };
        assert_eq!(act("account add mavi --email m@example.com"), with_email);
        let weak = Act::Add { username: username(), email: None, rule: Rule::Weak };
        assert_eq!(act("account add mavi --weak-password"), weak);
        let passwd = |rule| Act::SetPassword { username: username(), rule };
        assert_eq!(act("account passwd mavi"), passwd(Rule::Strong));
        assert_eq!(act("account --weak-password passwd mavi"), passwd(Rule::Weak));
        assert_eq!(act("account disable mavi"), Act::SetDisabled { username: username(), is_disabled: true });
        assert_eq!(act("account enable mavi"), Act::SetDisabled { username: username(), is_disabled: false });
        assert_eq!(act("account delete mavi"), Act::Delete { username: username() });
        assert_eq!(act("account list"), Act::List);
    }

    #[test]
    fn a_password_as_an_argument_is_refused_and_not_repeated() {
        for line in ["account add mavi Right@123", "account passwd mavi Right@123 more"] {
            let error = parsed(line).unwrap_err().to_string();
            assert!(error.contains("Passwords are not accepted as arguments"), "{line}: {error}");
            assert!(!error.contains("Right@123"));
        }
    }

    #[test]
    fn an_invalid_account_command_is_refused_with_what_is_wrong() {
        for (line, part) in [
            ("account", "`add` or `passwd`"),
            ("account add", "the name of an account"),
            ("account ad mavi", "Did you mean `add`"),
            ("account list mavi", "Unexpected argument `mavi`"),
            ("account disable mavi now", "Unexpected argument `now`"),
            ("account add ma/vi", "User name"),
            ("account passwd mavi --email a@b", "does not take `--email`"),
            ("account list --port 1", "does not take `--port`"),
            ("account disable mavi --weak-password", "does not take `--weak-password`"),
            ("serve --weak-password", "does not take `--weak-password`"),
            ("account add mavi --weak-password=1", "`--weak-password` takes no value"),
        ] {
            let error = parsed(line).unwrap_err().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}

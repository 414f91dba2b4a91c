//! Reads a new password from standard input, or from a terminal without showing it.

use crate::limits::{PASSWORD_BYTES_MAX, PASSWORD_INPUT_BYTES_MAX};
use crate::secret::Secret;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fmt;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::process::{Command, Stdio};

/// The exit code after a signal is this plus the number of the signal, as in shells.
const SIGNAL_EXIT_CODE: i32 = 128;

#[derive(Debug)]
pub enum PromptError {
    Io(io::Error),
    TooLong,
    /// The repeated password differs.
    Different,
    /// The terminal would show the password.
    Echo,
}

/// Reads a password: one line of standard input, or typed twice at a terminal. It is not checked.
pub(crate) fn new_password() -> Result<Secret, PromptError> {
    let input = io::stdin();
    if !input.is_terminal() {
        return read_line(&mut input.lock());
    }
    let _hidden = Hidden::begin()?;
    let first = ask("password: ")?;
    let second = ask("repeat password: ")?;
    if first == second { Ok(first) } else { Err(PromptError::Different) }
}

fn ask(question: &str) -> Result<Secret, PromptError> {
    let mut out = io::stderr().lock();
    out.write_all(question.as_bytes()).and_then(|()| out.flush()).map_err(PromptError::Io)?;
    let typed = read_line(&mut io::stdin().lock())?;
    // The terminal has not shown the typed line end.
    out.write_all(b"\n").map_err(PromptError::Io)?;
    Ok(typed)
}

fn read_line(input: &mut impl BufRead) -> Result<Secret, PromptError> {
    let mut line = String::new();
    let bytes = input.take(PASSWORD_INPUT_BYTES_MAX).read_line(&mut line).map_err(PromptError::Io)?;
    if bytes as u64 == PASSWORD_INPUT_BYTES_MAX {
        return Err(PromptError::TooLong);
    }
    let text = line.strip_suffix('\n').unwrap_or(&line);
    Ok(Secret::new(text.strip_suffix('\r').unwrap_or(text).to_owned()))
}

/// A terminal does not show input while this exists. It shows input again after this is dropped or after a signal.
struct Hidden;

impl Hidden {
    fn begin() -> Result<Hidden, PromptError> {
        let mut signals = Signals::new([SIGINT, SIGQUIT, SIGTERM, SIGHUP]).map_err(PromptError::Io)?;
        std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                let _ = stty("echo");
                std::process::exit(SIGNAL_EXIT_CODE + signal);
            }
        });
        if stty("-echo") { Ok(Hidden) } else { Err(PromptError::Echo) }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = stty("echo");
    }
}

/// Returns whether it succeeded. `stty` changes the terminal that is its standard input.
fn stty(setting: &str) -> bool {
    let status = Command::new("stty").arg(setting).stdin(Stdio::inherit()).status();
    status.is_ok_and(|status| status.success())
}

impl fmt::Display for PromptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PromptError::Io(error) => write!(f, "The password could not be read: {error}."),
            PromptError::TooLong => write!(f, "The password is too long; the maximum is {PASSWORD_BYTES_MAX} bytes."),
            PromptError::Different => f.write_str("The two passwords differ. Nothing was changed."),
            PromptError::Echo => f.write_str(
                "The terminal would show the password, because `stty -echo` failed. Pass the password on standard input.",
            ),
        }
    }
}

impl std::error::Error for PromptError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_without_its_end_is_the_password() {
        for (input, password) in [
            ("Right@123\n", "Right@123"),
            ("a\r\n", "a"),
            ("a", "a"),
            (" a \nb\n", " a "),
            ("", ""),
            ("\n", ""),
        ] {
            assert_eq!(read_line(&mut input.as_bytes()).unwrap().reveal(), password, "{input:?}");
        }
    }

    #[test]
    fn a_line_longer_than_any_password_is_refused() {
        let input = "x".repeat(100_000);
        assert!(matches!(read_line(&mut input.as_bytes()), Err(PromptError::TooLong)));
    }
}

//! The rivals that are part of this crate. Each prints where it listens and serves until it is stopped.

use std::io::Write;
use std::net::SocketAddr;

use crate::failure::Outcome;

pub mod axum;
pub mod bare;
pub mod commit;
pub mod loops;
pub mod whole_file;

/// Tells the process that started this one where the server listens.
///
/// # Errors
/// Nobody reads it.
pub fn announce(address: SocketAddr) -> Outcome<()> {
    let mut output = std::io::stdout();
    writeln!(output, "{address}")?;
    output.flush()?;
    Ok(())
}

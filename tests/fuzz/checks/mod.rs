//! What must hold for any input: one file per subject, each with a `check(data)` that panics where it
//! does not. The fuzz targets under `fuzz/` and the ordinary tests (`tests/it/fuzz_corpora.rs`) run
//! the same functions.
//!
//! Where it is possible the code is compared with a second implementation in [`independent`], which
//! takes nothing from the first but its bounds.

pub mod chunked_body;
pub mod head;
pub mod independent;
pub mod jwt;
pub mod minifier;
pub mod record;
mod record_script;
pub mod router;
pub mod streams;

/// Panics where what must hold does not.
pub type Check = fn(&[u8]);

/// The name of each check, as the fuzz target and the corpus have it, and the check.
pub const ALL: [(&str, Check); 7] = [
    ("head", head::check),
    ("chunked_body", chunked_body::check),
    ("record", record::check),
    ("minifier", minifier::check),
    ("router", router::check),
    ("jwt", jwt::check),
    ("streams", streams::check),
];

/// Cuts `data` into pieces of 1 to `bytes_max` bytes. The sizes depend on nothing but the bytes and
/// `salt`, so that a failure comes again.
fn pieces(data: &[u8], bytes_max: usize, salt: u64) -> Vec<&[u8]> {
    let mut state = data.iter().fold(salt ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let (mut pieces, mut rest) = (Vec::new(), data);
    while !rest.is_empty() {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(salt | 1);
        let size = 1 + (state >> 33) as usize % bytes_max;
        let (piece, tail) = rest.split_at(size.min(rest.len()));
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

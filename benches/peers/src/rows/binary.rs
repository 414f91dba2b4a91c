//! The size of the program.

use crate::campaign::Campaign;
use crate::failure::Outcome;
use crate::statistics::Spread;
use crate::table::{Bar, Figure, Row, Unit};

/// Looks at the file.
///
/// # Errors
/// It is not there.
#[expect(clippy::cast_precision_loss, reason = "no program has 2 to the power of 52 bytes")]
pub fn measure(campaign: &mut Campaign) -> Outcome<()> {
    let bytes = std::fs::metadata(&campaign.pikv)?.len();
    campaign.rows.push(Row {
        what: "release binary, stripped".to_owned(),
        against: "absolute".to_owned(),
        unit: Unit::Mebibytes,
        ours: Figure::Measured(Spread::single(bytes as f64 / (1024.0 * 1024.0))),
        theirs: Figure::None,
        bar: Bar::OursMax(3.0),
        note: String::new(),
    });
    Ok(())
}

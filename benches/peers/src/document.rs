//! What is printed: the table and the machine as Markdown, and where it goes in a document.

use crate::failure::{Outcome, failure};
use crate::machine::Facts;
use crate::table::{Row, render_markdown};

const BEGIN: &str = "<!-- printed by benches/peers: begin -->";
const END: &str = "<!-- printed by benches/peers: end -->";

/// The table, and below it what it was measured on.
pub fn render(rows: &[Row], facts: &Facts) -> String {
    let mut text = render_markdown(rows);
    text.push('\n');
    for (name, value) in facts {
        text.push_str(&format!("- {name}: {value}\n"));
    }
    text
}

/// `document` with `text` in place of what was between the two marks.
///
/// # Errors
/// The marks are not there.
pub fn replace(document: &str, text: &str) -> Outcome<String> {
    let missing = || failure(format!("the document has no lines {BEGIN} and {END}"));
    let (before, rest) = document.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}\n\n{text}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let document = format!("# Speed\n{BEGIN}\nold\n{END}\nmore\n");
        let replaced = replace(&document, "new\n").unwrap();
        assert_eq!(replaced, format!("# Speed\n{BEGIN}\n\nnew\n\n{END}\nmore\n"));
        assert_eq!(replace(&replaced, "new\n").unwrap(), replaced);
        assert!(replace("# Speed\n", "new\n").is_err());
    }
}

//! Foreign text, made harmless for a terminal and a page.
//!
//! Names, titles and words come from documents that nobody here wrote. Control characters could
//! repaint a terminal, and characters that turn the direction of writing could make a sentence read
//! as its opposite ("permit" for "deny"). They become spaces; everything else stays as it is written.
//!
//! Deliberately absent: escaping for HTML or CSV, which belongs to those forms.

use std::borrow::Cow;

/// The text without control characters and without marks that change the direction of writing.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(moves) {
        Cow::Owned(text.chars().map(|c| if moves(c) { ' ' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Control characters, line and paragraph separators, and the marks, embeddings, overrides and isolates of
/// Unicode's bidirectional algorithm; also characters without width, which make two names look like one.
fn moves(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_text_becomes_space() {
        assert_eq!(clean("Dr. Özgür 山田 نور"), "Dr. Özgür 山田 نور");
        for bad in
            ['\u{1b}', '\n', '\u{0}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{200f}', '\u{061c}', '\u{feff}']
        {
            assert_eq!(clean(&format!("a{bad}b")), "a b", "{:x}", bad as u32);
        }
        assert!(matches!(clean("plain"), Cow::Borrowed(_)));
    }
}

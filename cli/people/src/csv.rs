//! A report as CSV: RFC 4180, and nothing in it that a spreadsheet would run.
//!
//! One rectangular table. The first column says what a line is: an entry, or one of the parts that
//! stand below the table on paper, whose words are in the last column. Instants are ISO 8601, UTC.
//!
//! Names and titles come from foreign documents, and a spreadsheet takes a cell that begins with `=`,
//! `+`, `-` or `@` for a formula. Such a cell gets an apostrophe in front, which spreadsheets show as
//! text (OWASP, "CSV Injection").

use crate::catalogue::Speaker;
use crate::report::{Cell, Report};
use crate::say;

/// The report as CSV, in UTF-8, lines ended by CR LF.
#[must_use]
pub fn csv(report: &Report, s: &Speaker) -> String {
    let mut out = String::new();
    let heads = report.columns.iter().map(|column| guarded(&column.head));
    line(&mut out, std::iter::once(say!(s, "column-part")).chain(heads).chain([say!(s, "column-remark")]));
    for row in &report.rows {
        let cells = row.iter().map(cell);
        line(&mut out, std::iter::once(say!(s, "part-entry")).chain(cells).chain([String::new()]));
    }
    let about = (report.title.clone(), report.lines.clone());
    for (heading, lines) in std::iter::once(about).chain(report.sections(s)) {
        for text in lines {
            let blanks = report.columns.iter().map(|_| String::new());
            line(&mut out, std::iter::once(guarded(&heading)).chain(blanks).chain([guarded(&text)]));
        }
    }
    out
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) | Cell::Named { words: text, .. } => guarded(text),
        other => other.plain(),
    }
}

/// Text that no spreadsheet takes for a formula.
fn guarded(text: &str) -> String {
    let text = Cell::Text(text.to_owned()).plain();
    let is_formula = |c: char| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '|' | '%');
    if text.trim_start().starts_with(is_formula) { format!("'{text}") } else { text }
}

fn line(out: &mut String, cells: impl Iterator<Item = String>) {
    let quoted: Vec<String> = cells.map(|cell| quoted(&cell)).collect();
    out.push_str(&quoted.join(","));
    out.push_str("\r\n");
}

fn quoted(cell: &str) -> String {
    let needs = cell.contains([',', '"', '\r', '\n']) || cell.starts_with(' ') || cell.ends_with(' ');
    if needs { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_text() {
        for bad in ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\t=1", "\r\n=1", "＝1", "|x", "%x"] {
            assert!(guarded(bad).starts_with('\''), "{bad:?}");
        }
        for good in ["Dr. Adams", "1 Jan", "a=b", ""] {
            assert_eq!(guarded(good), good);
        }
    }
}

//! A report as a page to read and print: one file, nothing loaded from elsewhere, everything escaped.
//!
//! The page carries a policy that forbids scripts and every request, so that a name that slipped past the
//! escaping could do nothing. Its style has rules for paper.

use std::fmt::Write as _;

use crate::catalogue::Speaker;
use crate::report::Report;
use crate::say;

/// Everything that the page looks like.
const STYLE: &str = "\
body{font:11pt/1.4 Georgia,serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%;font-size:.85em}\
th,td{border:1px solid #999;padding:.3rem .4rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
th{background:#eee}li{overflow-wrap:anywhere}\
@page{size:A4 landscape;margin:15mm}\
@media print{body{margin:0;max-width:none;font-size:9pt}thead{display:table-header-group}tr{break-inside:avoid}\
h2{break-after:avoid}}";

/// The page, in UTF-8.
#[must_use]
pub fn page(report: &Report, s: &Speaker) -> String {
    let mut out = String::new();
    let title = escaped(&report.title);
    let language = escaped(s.language());
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n"
    );
    for line in &report.lines {
        let _ = writeln!(out, "<p>{}</p>", escaped(line));
    }
    if report.rows.is_empty() {
        let _ = writeln!(out, "<p><strong>{}</strong></p>", escaped(&say!(s, "report-no-rows")));
    } else {
        table(&mut out, report, s);
    }
    for (heading, lines) in report.sections(s) {
        let _ = writeln!(out, "<h2>{}</h2>\n<ul>", escaped(&heading));
        for line in lines {
            let _ = writeln!(out, "<li>{}</li>", escaped(&line));
        }
        out.push_str("</ul>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn table(out: &mut String, report: &Report, s: &Speaker) {
    out.push_str("<table>\n<thead><tr>");
    for column in &report.columns {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(&column.head));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &report.rows {
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td>{}</td>", escaped(&cell.said(s)));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

/// Text that is text in HTML, in an element and in a quoted attribute; cleaned of what would move it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in crate::clean::clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_is_text() {
        assert_eq!(
            escaped("<img src=x onerror='a(\"&\")'>\u{202e}"),
            "&lt;img src=x onerror=&#39;a(&quot;&amp;&quot;)&#39;&gt; "
        );
    }
}

//! Words that people type, as the codes and concepts that sealed fields hold.
//!
//! `TREAT` is a code of HL7's list of purposes; `14-1-e` and `53-1-c` are codes of the EHDS Regulation; `system|code` or
//! `system|code|words` is any code; everything else is words. What is typed is what is sealed.

use custos_decide::terminology::{EHDS, Terminology};
use custos_proof::cbor::List;
use custos_proof::kinds::access::Retention;
use custos_proof::sealed_values::{Coding, Concept, Prose, Token};

/// HL7 v3 ActReason: purposes of use.
const PURPOSES: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

/// The purposes that have words in this program.
const KNOWN_PURPOSES: &[(&str, &str)] = &[
    ("TREAT", "treatment"),
    ("ETREAT", "emergency treatment"),
    ("HPAYMT", "healthcare payment"),
    ("HOPERAT", "healthcare operations"),
    ("HRESCH", "healthcare research"),
    ("PUBHLTH", "public health"),
    ("PATRQT", "the patient's request"),
    ("HMARKT", "healthcare marketing"),
];

/// A concept as typed.
pub(crate) fn concept(text: &str) -> Result<Concept, String> {
    let refused =
        || format!("{text:?} is no code and no words; write system|code, system|code|words, or words");
    if let Some((system, rest)) = text.split_once('|') {
        let (code, display) =
            rest.split_once('|').map_or((rest, None), |(code, display)| (code, Some(display)));
        let coding = Coding {
            system: Some(Token::new(system).ok_or_else(refused)?),
            code: Token::new(code).ok_or_else(refused)?,
            display: display.map(|display| Prose::new(display).ok_or_else(refused)).transpose()?,
        };
        return Ok(coded(coding));
    }
    if is_article(text) {
        return Ok(coded(Coding {
            system: Token::new(EHDS),
            code: Token::new(text).ok_or_else(refused)?,
            display: None,
        }));
    }
    Ok(Concept { codings: List::default(), text: Some(Prose::new(text).ok_or_else(refused)?) })
}

/// Whether a text is a code of the EHDS Regulation as the pinned terminology writes them: `14-1-e`, `53-1-c`.
fn is_article(text: &str) -> bool {
    Terminology::shipped().system_of(text) == Some(EHDS) && text.contains('-')
}

/// A purpose as typed: a code of HL7's list, in capitals, or any [`concept`].
pub(crate) fn purpose(text: &str) -> Result<Concept, String> {
    let is_code = !text.is_empty() && text.bytes().all(|c| c.is_ascii_uppercase());
    if !is_code {
        return concept(text);
    }
    let display =
        KNOWN_PURPOSES.iter().find(|(code, _)| *code == text).and_then(|(_, words)| Prose::new(words));
    let code = Token::new(text).ok_or("a purpose is at most 512 characters long")?;
    Ok(coded(Coding { system: Token::new(PURPOSES), code, display }))
}

/// The purpose as one coding, where only codes can stand.
pub(crate) fn purpose_coding(text: &str) -> Result<Coding, String> {
    let concept = purpose(text)?;
    concept
        .codings
        .first()
        .cloned()
        .ok_or_else(|| format!("{text:?} is no code; write TREAT, or system|code"))
}

/// A class of retention as typed.
pub(crate) fn retention(text: &str) -> Result<Retention, String> {
    Retention::from_word(text).ok_or_else(|| "it is one of short, standard, long".into())
}

fn coded(coding: Coding) -> Concept {
    Concept { codings: List::new(vec![coding]).unwrap_or_default(), text: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_proof::sealed_values::Describe as _;

    #[test]
    fn codes_and_words_are_told_apart() {
        assert!(purpose("TREAT").unwrap().has(PURPOSES, "TREAT"));
        assert_eq!(purpose("TREAT").unwrap().describe(), "treatment");
        assert_eq!(purpose("to be kind").unwrap().describe(), "to be kind");
        assert!(
            concept("http://loinc.org|26436-6|laboratory results")
                .unwrap()
                .has("http://loinc.org", "26436-6")
        );
        assert_eq!(concept("laboratory results").unwrap().codings.len(), 0);
        assert!(concept("14-1-e").unwrap().has(EHDS, "14-1-e"));
        assert!(purpose("53-1-e").unwrap().has(EHDS, "53-1-e"));
        assert_eq!(concept("14-1-zz").unwrap().codings.len(), 0);
        for refused in ["", "|", "a|", "|b", "a|b|"] {
            assert!(concept(refused).is_err(), "{refused}");
        }
        assert!(purpose_coding("to be kind").is_err());
    }
}

//! FHIR's data types, read into the values that seals commit to.
//!
//! A part that cannot be carried (an empty string, one that is too long) is left unmarked, and
//! thereby named in the record; a part of the wrong JSON type is refused.

use custos_proof::cbor::List;
use custos_proof::sealed_values::{
    Coding, Concept, Identifier, MAX_PROSE, MAX_TOKEN, Moment, Party, Prose, Span, Token,
};

use super::element::Element;
use super::{Refusal, RefusalCode};

type Read<T> = Result<Option<T>, Refusal>;

/// `code`, `uri`, `id`.
pub(crate) fn token(element: &Element<'_>) -> Read<Token> {
    element.text(Token::new)
}

/// `string`, short.
pub(crate) fn words(element: &Element<'_>) -> Read<Prose<MAX_TOKEN>> {
    element.text(Prose::new)
}

/// `string`, `markdown`.
pub(crate) fn prose(element: &Element<'_>) -> Read<Prose<MAX_PROSE>> {
    element.text(Prose::new)
}

/// `date`, `dateTime`, `instant`: never ignored, because a wrong date changes what is said.
pub(crate) fn moment(element: &Element<'_>) -> Result<Moment, Refusal> {
    element.text(Moment::new)?.ok_or_else(|| {
        element.refuse(RefusalCode::MalformedDate, "not a date or time of FHIR between the years 1 and 9999")
    })
}

/// A child that is a date.
pub(crate) fn child_moment(element: &Element<'_>, name: &str) -> Read<Moment> {
    element.child(name).map(|child| moment(&child)).transpose()
}

/// `Period`. Its end may not be before its start.
pub(crate) fn span(element: &Element<'_>) -> Read<Span> {
    let element = element.clone().object()?;
    let span = Span { start: child_moment(&element, "start")?, end: child_moment(&element, "end")? };
    match (&span.start, &span.end) {
        (None, None) => Ok(None),
        (Some(start), Some(end)) if end.last_ms() < start.first_ms() => {
            Err(element.refuse_child("end", RefusalCode::PeriodInverted, "the period ends before it begins"))
        }
        _ => Ok(Some(span)),
    }
}

/// A child that is a `Period`.
pub(crate) fn child_span(element: &Element<'_>, name: &str) -> Read<Span> {
    element.child(name).map_or(Ok(None), |child| span(&child))
}

/// `Coding`. Without a code there is nothing to carry.
pub(crate) fn coding(element: &Element<'_>) -> Read<Coding> {
    let element = element.clone().object()?;
    let Some(code) = element.child_text("code", Token::new)? else { return Ok(None) };
    Ok(Some(Coding {
        code,
        system: element.child_text("system", Token::new)?,
        display: element.child_text("display", Prose::new)?,
    }))
}

/// A child that is a `Coding`.
pub(crate) fn child_coding(element: &Element<'_>, name: &str) -> Read<Coding> {
    element.child(name).map_or(Ok(None), |child| coding(&child))
}

/// `CodeableConcept`.
pub(crate) fn concept(element: &Element<'_>) -> Read<Concept> {
    let element = element.clone().object()?;
    let concept =
        Concept { codings: element.values("coding", coding)?, text: element.child_text("text", Prose::new)? };
    Ok((concept != Concept::default()).then_some(concept))
}

/// A child that is a `CodeableConcept`.
pub(crate) fn child_concept(element: &Element<'_>, name: &str) -> Read<Concept> {
    element.child(name).map_or(Ok(None), |child| concept(&child))
}

/// `Identifier`.
pub(crate) fn identifier(element: &Element<'_>) -> Read<Identifier> {
    let element = element.clone().object()?;
    let identifier = Identifier {
        system: element.child_text("system", Token::new)?,
        value: element.child_text("value", Prose::new)?,
        kind: child_concept(&element, "type")?,
        usage: element.child_text("use", Token::new)?,
    };
    Ok((identifier != Identifier::default()).then_some(identifier))
}

/// `Reference`.
pub(crate) fn party(element: &Element<'_>) -> Read<Party> {
    let element = element.clone().object()?;
    let party = Party {
        reference: element.child_text("reference", Token::new)?,
        class: element.child_text("type", Token::new)?,
        identifier: element.child("identifier").map_or(Ok(None), |child| identifier(&child))?,
        display: element.child_text("display", Prose::new)?,
    };
    Ok((party != Party::default()).then_some(party))
}

/// A child that is a `Reference`.
pub(crate) fn child_party(element: &Element<'_>, name: &str) -> Read<Party> {
    element.child(name).map_or(Ok(None), |child| party(&child))
}

/// `base64Binary`, at most `max` bytes; white space is allowed inside.
pub(crate) fn base64(text: &str, max: usize) -> Option<Vec<u8>> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let symbols: Vec<u8> = text.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
    let padding = symbols.iter().rev().take_while(|c| **c == b'=').count();
    let (data, _) = symbols.split_at_checked(symbols.len().checked_sub(padding)?)?;
    if !symbols.len().is_multiple_of(4) || padding > 2 || data.len() / 4 * 3 > max {
        return None;
    }
    let mut bytes = Vec::with_capacity(data.len() / 4 * 3 + 2);
    for group in data.chunks(4) {
        let bits = group.iter().try_fold(0u32, |bits, c| Some(bits << 6 | u32::from(value(*c)?)))?;
        let padded = bits << (6 * (4 - group.len()));
        let [_, a, b, c] = padded.to_be_bytes();
        match group.len() {
            4 => bytes.extend([a, b, c]),
            3 if c == 0 => bytes.extend([a, b]),
            2 if b == 0 && c == 0 => bytes.push(a),
            _ => return None,
        }
    }
    (bytes.len() <= max).then_some(bytes)
}

/// The members of `meta` that both resources carry: profiles and labels. A server's bookkeeping says
/// nothing about the event or the rule, and tags that say how a record stands on the ledger are our
/// own and follow from the record; so is the extension with the source's id.
pub(crate) fn meta(resource: &Element<'_>) -> Result<(List<Token, 16>, List<Coding, 16>), Refusal> {
    let is_ours = |name: &str| name.starts_with(super::export::OURS);
    for extension in resource.list("extension", usize::MAX)? {
        if extension.peek_child("url").is_some_and(is_ours) {
            extension.mark_all();
        }
    }
    match resource.child_object("meta")? {
        Some(meta) => {
            for name in ["versionId", "lastUpdated"] {
                meta.child(name).iter().for_each(Element::mark);
            }
            for tag in meta.list("tag", usize::MAX)? {
                if tag.peek_child("system").is_some_and(is_ours) {
                    tag.mark_all();
                }
            }
            Ok((meta.values("profile", token)?, meta.values("security", coding)?))
        }
        None => Ok((List::default(), List::default())),
    }
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_has_one_spelling_per_value() {
        // RFC 4648, section 10.
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9v\nYmE=", "fooba"),
        ] {
            assert_eq!(base64(text, 8).as_deref(), Some(bytes.as_bytes()));
        }
        for text in ["Zg=", "Zg", "Zh==", "Zm9=", "Z===", "====", "Zm9v!", "Z-_="] {
            assert_eq!(base64(text, 8), None, "{text}");
        }
        assert_eq!(base64("Zm9vYmFyZm9v", 8), None);
    }
}

//! Headers, as a FHIR client spells them.

use axum::http::{HeaderMap, HeaderValue, header};
use custos_custodian::fhir::Release;
use custos_proof::ids::TimeMs;

use super::{FHIR_JSON, Fail};
use crate::custodian::stated_release;

/// A header that may stand there once.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Fail> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (values.next(), value.to_str()) {
        (None, Ok(text)) => Ok(Some(text)),
        _ => {
            let why = format!("the header {name} stands there twice, or is not text");
            Err(Fail::of(400, "invalid", "bad-request", why))
        }
    }
}

pub(super) fn media_type(headers: &HeaderMap) -> String {
    let stated = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    stated.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

pub(super) fn unsupported_media(wanted: &str) -> Fail {
    Fail::of(415, "not-supported", "unsupported-media-type", format!("send {wanted}"))
}

/// R4 in JSON is what goes out; a client that takes neither is told so.
pub(super) fn accepted(headers: &HeaderMap) -> Result<(), Fail> {
    let Some(accept) = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()) else {
        return Ok(());
    };
    let takes = |range: &str| {
        let kind = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_json = [FHIR_JSON, "application/json", "application/*", "*/*", ""].contains(&kind.as_str());
        is_json && !matches!(stated_release(range), Err(_) | Ok(Some(Release::R5)))
    };
    if accept.split(',').any(takes) {
        return Ok(());
    }
    Err(Fail::of(406, "not-supported", "not-acceptable", "what goes out is FHIR R4 as application/fhir+json"))
}

/// A preference of the client: `Prefer: return=minimal, handling=strict`.
pub(super) fn preference(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|part| part.trim().split_once('='))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim_matches('"').to_owned())
}

/// RFC 9110, 5.6.7.
pub(super) fn http_date(time: TimeMs) -> Option<HeaderValue> {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // `2026-03-12T10:14:00.000Z`
    let text = time.to_string();
    let (date, clock) = text.split_once('T')?;
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?.parse::<usize>().ok()?, parts.next()?);
    let weekday = DAYS.get(usize::try_from(time.0 / 86_400_000 % 7).ok()?)?;
    let month = MONTHS.get(month.checked_sub(1)?)?;
    HeaderValue::from_str(&format!("{weekday}, {day} {month} {year} {} GMT", clock.get(..8)?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        // From `date -u -R`.
        assert_eq!(http_date(TimeMs(1_773_309_600_000)).unwrap(), "Thu, 12 Mar 2026 10:00:00 GMT");
        assert_eq!(http_date(TimeMs(0)).unwrap(), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn what_a_client_takes_and_prefers() {
        let headers = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            headers
        };
        for (accept, takes) in [
            ("application/fhir+json", true),
            ("application/fhir+xml, */*;q=0.1", true),
            ("application/fhir+json; fhirVersion=4.0", true),
            ("application/fhir+json; fhirVersion=5.0", false),
            ("application/fhir+xml", false),
            ("text/html", false),
        ] {
            assert_eq!(accepted(&headers("accept", accept)).is_ok(), takes, "{accept}");
        }
        assert!(accepted(&HeaderMap::new()).is_ok());
        let prefer = headers("prefer", "return=minimal; handling=strict");
        assert_eq!(preference(&prefer, "handling").as_deref(), Some("strict"));
        assert_eq!(preference(&prefer, "return").as_deref(), Some("minimal"));
        assert_eq!(preference(&prefer, "wait"), None);
    }
}

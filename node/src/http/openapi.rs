//! The OpenAPI document, generated from the handlers and the types they answer with.
//!
//! `docs/spec/openapi.json` is the committed copy; a test holds that it is this one.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::fail::problems;
use super::{Fail, members, permits, public, submit};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Custos node",
        version = "1",
        description = "The HTTP API of a Custos node. Whatever can be proven is served as the exact file that \
            `custos verify` takes (application/cbor), and as a JSON view for reading. Members sign requests with a \
            `sign` key of the registry (RFC 9421): components @method, @authority, @path, @query and, with a body, \
            content-digest; parameters created, nonce, keyid (the key id in hexadecimal digits) and alg=\"ed25519\". \
            Subjects show the preimage of a trail's reader hash in the header Custos-Reader. Errors are problems \
            (RFC 9457) with a stable `code` (the schema of a problem names all of them, with status and hint); 429 carries \
            Retry-After, and so does 503 unless the node needs its operator.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        public::healthz,
        public::readyz,
        public::metrics,
        public::status,
        public::genesis,
        public::header,
        public::certificate,
        members::block,
        public::checkpoint,
        public::consistency,
        public::links,
        public::advance,
        public::registry,
        public::proposals,
        public::proposal,
        public::policy,
        permits::permits,
        permits::permit,
        permits::policy_state,
        permits::participant_state,
        permits::permit_state,
        submit::submit,
        submit::submit_many,
        submit::status,
        members::item,
        members::receipt,
        members::trail,
        members::trail_proof,
        document,
    ),
    tags(
        (name = "node", description = "How the node is"),
        (name = "chain", description = "What proves the chain: public"),
        (name = "permits", description = "Data permits (EHDS, Art. 58): public"),
        (name = "submissions", description = "Handing in, and what became of it"),
        (name = "items", description = "For authors, and for readers of the trails"),
        (name = "trails", description = "For owners, grantees and subjects"),
    ),
)]
struct Document;

/// The document's text.
///
/// # Errors
/// When it cannot be written as JSON, which would be a mistake in this module.
pub fn text() -> Result<String, String> {
    let mut document = serde_json::to_value(Document::openapi()).map_err(|error| error.to_string())?;
    name_the_codes(&mut document).ok_or("the document has no schema of a problem with a code")?;
    let mut text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
    text.push('\n');
    Ok(text)
}

/// Says which codes a problem can have, each with its statuses and what to do about it. The codes of refusals
/// belong to the rules and those of the API to `custos-api`; neither knows OpenAPI's types.
fn name_the_codes(document: &mut Value) -> Option<()> {
    let code = document.pointer_mut("/components/schemas/Problem/properties/code")?.as_object_mut()?;
    let problems = problems();
    code.insert("enum".into(), problems.keys().copied().collect::<Vec<_>>().into());
    let about = problems.into_iter().map(|(code, (statuses, hint))| match hint {
        Some(hint) => (code.to_owned(), json!({ "status": statuses, "hint": hint })),
        None => (code.to_owned(), json!({ "status": statuses })),
    });
    code.insert("x-problems".into(), about.collect::<Map<_, _>>().into());
    Some(())
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "node", responses((status = 200, body = Object)))]
pub(super) async fn document() -> Result<Response, Fail> {
    let text = text().map_err(|error| Fail::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With `CUSTOS_BLESS=1` the committed copy is written anew.
    #[test]
    fn the_committed_document_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/spec/openapi.json");
        let generated = text().unwrap();
        if std::env::var_os("CUSTOS_BLESS").is_some() {
            std::fs::write(path, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(
            committed == generated,
            "run `CUSTOS_BLESS=1 cargo test -p custos-node openapi` and commit the file"
        );
    }

    #[test]
    fn every_route_is_described() {
        let described = Document::openapi().paths.paths.len();
        let source = include_str!("../http.rs");
        assert_eq!(described, source.matches(".route(\"").count());
    }

    #[test]
    fn every_code_is_named_with_its_status() {
        let document: Value = serde_json::from_str(&text().unwrap()).unwrap();
        let code = document.pointer("/components/schemas/Problem/properties/code").unwrap();
        let named: Vec<&str> = code["enum"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let refusals = custos_state::error::RefusalCode::ALL.iter().map(|code| code.word());
        let of_the_api = custos_api::problem::codes::ALL.iter().map(|(code, _)| *code);
        for word in refusals.chain(of_the_api) {
            assert!(named.contains(&word), "{word}");
            assert!(code["x-problems"][word]["status"][0].is_u64(), "{word}");
        }
        // Every code of the API's own module is in its list.
        let source = include_str!("../../api/src/problem.rs");
        assert_eq!(source.matches(": &str = \"").count(), custos_api::problem::codes::ALL.len());
    }
}

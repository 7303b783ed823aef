//! HTTP message signatures (RFC 9421) in the one shape that members use.
//!
//! A member signs method, authority, path, query and, with a body, its digest (RFC 9530), with a
//! `sign` key of the registry. The authority is covered so that a node cannot pass on a request
//! that was made to it; `created` and `nonce` bound for how long and how often a request is good.
//!
//! ```text
//!   Content-Digest: sha-256=:...:
//!   Signature-Input: custos=("@method" "@authority" "@path" "@query" "content-digest");\
//!                    created=1767225600;nonce="...";keyid="<key id>";alg="ed25519"
//!   Signature: custos=:...:
//! ```
//!
//! Deliberately absent: any other component, parameter or algorithm, several signatures on one
//! request, and the registry: who the key belongs to is for the node to say.

use custos_proof::hash::{KeyId, sha256};
use custos_proof::keys::{PublicKey, SignError, Signature, Signer, key_id, verify_zip215};
use thiserror::Error;

use crate::base64;

/// The name of the header with the covered components and parameters.
pub const SIGNATURE_INPUT: &str = "signature-input";
/// The name of the header with the signature.
pub const SIGNATURE: &str = "signature";
/// The name of the header with the digest of the body (RFC 9530).
pub const CONTENT_DIGEST: &str = "content-digest";

/// The longest `Signature-Input` or `Signature` header that is looked at, in bytes.
pub const MAX_HEADER_BYTES: usize = 1024;
/// The shortest and longest nonce, in characters.
const NONCE_CHARS: std::ops::RangeInclusive<usize> = 16..=64;
/// What has to be covered, always.
const REQUIRED: [&str; 4] = ["@method", "@authority", "@path", "@query"];

/// What of a request is signed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// Host and, unless it is the scheme's own, port; in lower case.
    pub authority: &'a str,
    /// The path, as sent.
    pub path: &'a str,
    /// The query, as sent, without the question mark; empty when there is none.
    pub query: &'a str,
    /// The body, if there is one.
    pub body: Option<&'a [u8]>,
}

/// The headers of a signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeaders {
    /// [`CONTENT_DIGEST`], with a body.
    pub content_digest: Option<String>,
    /// [`SIGNATURE_INPUT`].
    pub signature_input: String,
    /// [`SIGNATURE`].
    pub signature: String,
}

/// Signs a request.
///
/// `created_s` is the time in Unix seconds, `nonce` is 16 fresh random bytes.
///
/// # Errors
/// The signer's.
pub fn sign(
    request: &Request<'_>,
    signer: &dyn Signer,
    created_s: u64,
    nonce: &[u8; 16],
) -> Result<SignedHeaders, SignError> {
    let content_digest = request.body.map(content_digest);
    let mut components: Vec<String> = REQUIRED.iter().map(|c| (*c).to_owned()).collect();
    if content_digest.is_some() {
        components.push(CONTENT_DIGEST.to_owned());
    }
    let list = components.iter().map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join(" ");
    let nonce: String = nonce.iter().map(|b| format!("{b:02x}")).collect();
    let parameters = format!(
        "({list});created={created_s};nonce=\"{nonce}\";keyid=\"{}\";alg=\"ed25519\"",
        key_id(&signer.public_key())
    );
    let base = base(&components, &parameters, request, content_digest.as_deref());
    let signature = signer.sign(base.as_bytes())?;
    Ok(SignedHeaders {
        content_digest,
        signature_input: format!("custos={parameters}"),
        signature: format!("custos=:{}:", base64::encode(&signature.0)),
    })
}

/// What the headers of a request claim: read, not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The key that is said to have signed.
    pub key_id: KeyId,
    /// When, in Unix seconds.
    pub created_s: u64,
    /// Unique for this key while the request is good.
    pub nonce: String,
    components: Vec<String>,
    parameters: String,
    signature: Signature,
}

/// Why a request's signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Not the shape that this API uses.
    #[error("the Signature-Input or Signature header is not of the form that this API takes: {0}")]
    Form(&'static str),
    /// Something that has to be covered is not.
    #[error("the signature must cover @method, @authority, @path, @query and, with a body, content-digest")]
    NotCovered,
    /// The body's digest is missing or not the body's.
    #[error("Content-Digest is missing, or not the SHA-256 of the body")]
    Digest,
    /// The signature is not valid under the key.
    #[error("the signature is not valid under the named key")]
    Invalid,
}

impl Claim {
    /// Reads the two headers.
    ///
    /// # Errors
    /// [`SignatureError::Form`], [`SignatureError::NotCovered`].
    pub fn parse(signature_input: &str, signature: &str) -> Result<Self, SignatureError> {
        use SignatureError::Form;
        if signature_input.len() > MAX_HEADER_BYTES || signature.len() > MAX_HEADER_BYTES {
            return Err(Form("too long"));
        }
        let (label, parameters) = signature_input.split_once('=').ok_or(Form("no label"))?;
        let (signature_label, value) = signature.split_once('=').ok_or(Form("no label"))?;
        if label != signature_label || label.is_empty() || !label.bytes().all(|b| b.is_ascii_lowercase()) {
            return Err(Form("one label, the same in both headers"));
        }
        let signature = value
            .strip_prefix(':')
            .and_then(|v| v.strip_suffix(':'))
            .and_then(base64::decode)
            .and_then(|bytes| <[u8; 64]>::try_from(bytes).ok())
            .map(Signature)
            .ok_or(Form("the signature is 64 bytes in base64 between colons"))?;
        let (list, rest) = parameters
            .strip_prefix('(')
            .and_then(|text| text.split_once(')'))
            .ok_or(Form("the components stand in parentheses"))?;
        let components = list
            .split(' ')
            .map(|quoted| unquote(quoted).map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .ok_or(Form("components are quoted, with one space between"))?;
        let known = |c: &String| REQUIRED.contains(&c.as_str()) || c == CONTENT_DIGEST;
        let unique = components.iter().enumerate().all(|(i, c)| !components[..i].contains(c));
        if !components.iter().all(known) || !unique {
            return Err(Form("a component that this API does not know, or one twice"));
        }
        if !REQUIRED.iter().all(|required| components.iter().any(|c| c == required)) {
            return Err(SignatureError::NotCovered);
        }
        let (mut created, mut nonce, mut key, mut alg) = (None, None, None, None);
        for parameter in rest.split(';').skip(1) {
            let (name, value) = parameter.split_once('=').ok_or(Form("a parameter without a value"))?;
            let slot = match name {
                "created" => &mut created,
                "nonce" => &mut nonce,
                "keyid" => &mut key,
                "alg" => &mut alg,
                _ => return Err(Form("parameters are created, nonce, keyid and alg")),
            };
            if slot.replace(value).is_some() {
                return Err(Form("a parameter twice"));
            }
        }
        if !rest.is_empty() && !rest.starts_with(';') {
            return Err(Form("parameters follow the components"));
        }
        if alg.and_then(unquote) != Some("ed25519") {
            return Err(Form("alg is \"ed25519\""));
        }
        let created_s = created
            .filter(|text| text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .ok_or(Form("created is a number of seconds"))?;
        let nonce = nonce
            .and_then(unquote)
            .filter(|text| NONCE_CHARS.contains(&text.len()))
            .ok_or(Form("nonce is a text of 16 to 64 characters"))?
            .to_owned();
        let key_id = key
            .and_then(unquote)
            .and_then(|text| text.parse().ok())
            .ok_or(Form("keyid is a key id, 64 hexadecimal digits"))?;
        Ok(Self { key_id, created_s, nonce, components, parameters: parameters.to_owned(), signature })
    }

    /// Checks that `key` is the named key and signed this request.
    ///
    /// `content_digest` is the header of that name, if there is one.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(
        &self,
        key: &PublicKey,
        request: &Request<'_>,
        content_digest: Option<&str>,
    ) -> Result<(), SignatureError> {
        let covers_digest = self.components.iter().any(|c| c == CONTENT_DIGEST);
        match (request.body, content_digest) {
            (Some(body), Some(stated)) if covers_digest => {
                if stated != self::content_digest(body) {
                    return Err(SignatureError::Digest);
                }
            }
            (Some(_), Some(_)) => return Err(SignatureError::NotCovered),
            (Some(_), None) => return Err(SignatureError::Digest),
            (None, _) if covers_digest => return Err(SignatureError::Digest),
            (None, _) => {}
        }
        let base = base(&self.components, &self.parameters, request, content_digest);
        if key_id(key) == self.key_id && verify_zip215(key, base.as_bytes(), &self.signature) {
            Ok(())
        } else {
            Err(SignatureError::Invalid)
        }
    }
}

/// The value of [`CONTENT_DIGEST`] for a body.
#[must_use]
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", base64::encode(&sha256(body).0))
}

/// The signature base (RFC 9421, section 2.5). Components are those that [`Claim::parse`] lets through.
fn base(
    components: &[String],
    parameters: &str,
    request: &Request<'_>,
    content_digest: Option<&str>,
) -> String {
    let mut base = String::new();
    for component in components {
        let value = match component.as_str() {
            "@method" => request.method.to_owned(),
            "@authority" => request.authority.to_owned(),
            "@path" => request.path.to_owned(),
            "@query" => format!("?{}", request.query),
            _ => content_digest.unwrap_or_default().to_owned(),
        };
        base.push_str(&format!("\"{component}\": {value}\n"));
    }
    base.push_str("\"@signature-params\": ");
    base.push_str(parameters);
    base
}

/// What stands between two quotes, if it is plain.
fn unquote(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    inner.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\').then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::Signer as _;

    struct Key(ed25519_dalek::SigningKey);

    impl Signer for Key {
        fn public_key(&self) -> PublicKey {
            PublicKey(self.0.verifying_key().to_bytes())
        }
        fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
            Ok(Signature(self.0.sign(message).to_bytes()))
        }
    }

    fn key() -> Key {
        Key(ed25519_dalek::SigningKey::from_bytes(&[7; 32]))
    }

    fn request<'a>(body: Option<&'a [u8]>) -> Request<'a> {
        Request {
            method: "POST",
            authority: "node.example:7700",
            path: "/v1/submissions",
            query: "wait=committed",
            body,
        }
    }

    /// The example of RFC 9421, appendix B.2.6, pins how a base is put together.
    #[test]
    fn the_base_is_put_together_as_the_standard_does() {
        let base = base(
            &["@method".into(), "@path".into(), "@authority".into()],
            "(\"@method\" \"@path\" \"@authority\");created=1618884473;keyid=\"test-key-ed25519\"",
            &Request { method: "POST", authority: "example.com", path: "/foo", query: "", body: None },
            None,
        );
        assert_eq!(
            base,
            "\"@method\": POST\n\"@path\": /foo\n\"@authority\": example.com\n\"@signature-params\": \
             (\"@method\" \"@path\" \"@authority\");created=1618884473;keyid=\"test-key-ed25519\""
        );
    }

    #[test]
    fn a_signed_request_verifies_and_a_changed_one_does_not() {
        let headers = sign(&request(Some(b"body")), &key(), 1_767_225_600, &[1; 16]).unwrap();
        let claim = Claim::parse(&headers.signature_input, &headers.signature).unwrap();
        let digest = headers.content_digest.as_deref();
        let public = key().public_key();
        assert_eq!(claim.created_s, 1_767_225_600);
        assert_eq!(claim.verify(&public, &request(Some(b"body")), digest), Ok(()));
        for (changed, expected) in [
            (Request { method: "PUT", ..request(Some(b"body")) }, SignatureError::Invalid),
            (Request { authority: "other.example", ..request(Some(b"body")) }, SignatureError::Invalid),
            (Request { path: "/v1/status", ..request(Some(b"body")) }, SignatureError::Invalid),
            (Request { query: "", ..request(Some(b"body")) }, SignatureError::Invalid),
            (request(Some(b"bodY")), SignatureError::Digest),
            (request(None), SignatureError::Digest),
        ] {
            assert_eq!(claim.verify(&public, &changed, digest), Err(expected), "{changed:?}");
        }
    }

    #[test]
    fn a_body_has_to_be_covered() {
        let headers = sign(&request(None), &key(), 1, &[1; 16]).unwrap();
        let claim = Claim::parse(&headers.signature_input, &headers.signature).unwrap();
        let digest = content_digest(b"body");
        let public = key().public_key();
        assert_eq!(
            claim.verify(&public, &request(Some(b"body")), Some(&digest)),
            Err(SignatureError::NotCovered)
        );
        assert_eq!(claim.verify(&public, &request(Some(b"body")), None), Err(SignatureError::Digest));
    }

    #[test]
    fn other_shapes_are_refused() {
        let good = sign(&request(None), &key(), 1, &[1; 16]).unwrap();
        for (from, to) in [
            ("custos=(", "Custos=("),
            ("\"@path\" ", ""),
            ("\"@path\"", "\"@path\" \"@path\""),
            ("\"@path\"", "\"@path\" \"date\""),
            ("created=1", "created=-1"),
            ("created=1", "created=1;created=1"),
            ("created=1", "expires=1"),
            ("alg=\"ed25519\"", "alg=\"hmac-sha256\""),
            (";alg=\"ed25519\"", ""),
            ("keyid=\"", "keyid=\"z"),
            ("nonce=\"", "nonce=\"\\"),
        ] {
            let changed = good.signature_input.replacen(from, to, 1);
            assert_ne!(changed, good.signature_input);
            assert!(Claim::parse(&changed, &good.signature).is_err(), "{changed}");
        }
        assert!(Claim::parse(&good.signature_input, "custos=::").is_err());
        assert!(Claim::parse("", "").is_err());
    }
}

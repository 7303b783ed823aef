//! A feed without a ledger, before senders of every kind: what is good is kept, what is hostile is counted
//! and answered, and nothing ends the process.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use custos_feed::config::Config;
use custos_feed::feed::Feed;
use custos_proof::anchor::TrustAnchor;
use custos_proof::cbor::Set;
use custos_proof::certificate::{Validator, ValidatorSet};
use custos_proof::hash::{BlockId, ChainId};
use custos_proof::ids::{Height, TimeMs};
use custos_proof::keys::{PublicKey, SignError, Signature, Signer};
use ed25519_dalek::{Signer as _, SigningKey};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

struct Key(SigningKey);

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature(self.0.sign(message).to_bytes()))
    }
}

struct Running {
    folder: TempDir,
    http: SocketAddr,
    syslog: SocketAddr,
    status: SocketAddr,
    stop: watch::Sender<bool>,
    done: JoinHandle<()>,
    pki: Pki,
}

/// A feed whose only node is not there.
async fn feed(extra: &str) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let (running, done) = open(folder.path(), extra).await;
    let (http, syslog, status, stop) = running;
    Running { folder, http, syslog, status, stop, done, pki }
}

type Opened = (SocketAddr, SocketAddr, SocketAddr, watch::Sender<bool>);

async fn open(folder: &Path, extra: &str) -> (Opened, JoinHandle<()>) {
    let text = format!(
        "nodes = [\"http://127.0.0.1:9\"]\nkey = \"k\"\nanchor = \"a\"\nvault = \"vault\"\nvault_key = \"vault.key\"\n\
         base = \"https://fhir.example\"\n\
         [spool]\ndir = \"spool\"\nreserve_bytes = 0\nmax_events = 50\n\
         [http]\nlisten = \"127.0.0.1:0\"\nmax_body_bytes = 65536\n\
         [syslog]\nlisten = \"127.0.0.1:0\"\nmax_message_bytes = 16384\n\
         [syslog.tls]\ncert = \"server.pem\"\nkey = \"server.key\"\nclient_ca = \"ca.pem\"\n\
         [status]\nlisten = \"127.0.0.1:0\"\n{extra}"
    );
    let checked = Config::parse(&text, &folder.join("feed.toml")).unwrap();
    let key = SigningKey::from_bytes(&[5; 32]);
    let validator = Validator {
        participant: "hospital.example".parse().unwrap(),
        key: PublicKey(key.verifying_key().to_bytes()),
        power: 1,
    };
    let anchor = TrustAnchor {
        chain: ChainId([1; 32]),
        height: Height(0),
        block_id: BlockId([2; 32]),
        validators: ValidatorSet::new(vec![validator]).unwrap(),
        time: TimeMs(0),
        witnesses: Set::new(Vec::new()).unwrap(),
        threshold: 0,
    };
    let feed = Feed::open(checked, Arc::new(Key(key)), anchor).await.unwrap();
    let address = |wanted: &str| feed.addresses().into_iter().find(|(name, _)| *name == wanted).unwrap().1;
    let (http, syslog, status) = (address("http"), address("syslog"), address("status"));
    let (stop, _) = watch::channel(false);
    let done = tokio::spawn({
        let stop = stop.clone();
        async move { feed.run(stop).await.unwrap() }
    });
    ((http, syslog, status, stop), done)
}

impl Running {
    async fn post(&self, path: &str, body: &[u8]) -> (u16, Value) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let (code, text) = exchange(self.http, &[head.as_bytes(), body].concat()).await;
        (code, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn status(&self) -> Value {
        let get = b"GET /status.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        serde_json::from_str(&exchange(self.status, get).await.1).unwrap()
    }

    /// How often this was counted.
    async fn count(&self, input: &str, outcome: &str, reason: &str) -> u64 {
        let status = self.status().await;
        let rows = status["counts"].as_array().unwrap();
        let row = rows
            .iter()
            .find(|row| row["input"] == input && row["outcome"] == outcome && row["reason"] == reason);
        row.map_or(0, |row| row["count"].as_u64().unwrap())
    }

    async fn waiting(&self) -> u64 {
        self.status().await["backlog"]["events"].as_u64().unwrap()
    }

    async fn syslog(&self, bytes: &[u8]) {
        let mut stream = self.pki.connect(self.syslog, true).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let _ = stream.shutdown().await;
        // Whatever was sent, it ends with an end.
        let _ =
            tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut Vec::new())).await.unwrap();
    }

    async fn end(self) -> TempDir {
        self.stop.send_replace(true);
        tokio::time::timeout(Duration::from_secs(20), self.done).await.unwrap().unwrap();
        self.folder
    }
}

async fn exchange(address: SocketAddr, bytes: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server may answer and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (code, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

struct Pki {
    folder: PathBuf,
}

impl Pki {
    fn new(folder: &Path) -> Self {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
        let authority = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            (params.self_signed(&key).unwrap(), key)
        };
        let (ca, ca_key) = authority("ours");
        let (other, other_key) = authority("another");
        let write = |name: &str, ca: &rcgen::Certificate, ca_key: &KeyPair| {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(vec!["localhost".to_owned()])
                .unwrap()
                .signed_by(&key, ca, ca_key)
                .unwrap();
            fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
            fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
        };
        write("server", &ca, &ca_key);
        write("client", &ca, &ca_key);
        write("stranger", &other, &other_key);
        fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
        Self { folder: folder.into() }
    }

    async fn connect(
        &self,
        address: SocketAddr,
        is_known: bool,
    ) -> std::io::Result<impl AsyncRead + AsyncWrite + use<>> {
        use rustls::pki_types::pem::PemObject as _;
        let pem = |name: &str| fs::read(self.folder.join(name)).unwrap();
        let name = if is_known { "client" } else { "stranger" };
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem("ca.pem")).unwrap()).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(&pem(&format!("{name}.pem"))).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(&pem(&format!("{name}.key"))).unwrap();
        let config =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_client_auth_cert(chain, key)
                .unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, TcpStream::connect(address).await?)
            .await
    }
}

fn event(id: Option<&str>) -> Value {
    let mut event = json!({
        "resourceType": "AuditEvent",
        "type": { "system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110110" },
        "action": "R",
        "recorded": "2026-11-22T10:00:00Z",
        "agent": [{ "requestor": true }],
        "source": { "observer": { "display": "emr" } },
    });
    if let Some(id) = id {
        event["id"] = id.into();
    }
    event
}

fn frame(message: &str) -> Vec<u8> {
    format!("{} {message}", message.len()).into_bytes()
}

fn audit(user: &str) -> String {
    format!(
        "<85>1 2026-11-22T10:00:00Z emr app 1 IHE+RFC-3881 - <AuditMessage><EventIdentification EventActionCode=\"R\" \
         EventDateTime=\"2026-11-22T10:00:00Z\" EventOutcomeIndicator=\"0\"><EventID csd-code=\"110112\" codeSystemName=\"DCM\"/>\
         </EventIdentification><ActiveParticipant UserID=\"{user}\"/><AuditSourceIdentification AuditSourceID=\"emr\"/></AuditMessage>"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn fhir_is_accepted_recognised_or_refused_with_the_element() {
    let feed = feed("").await;
    let post = async |event: &Value| feed.post("/AuditEvent", event.to_string().as_bytes()).await;
    assert_eq!(post(&event(Some("1"))).await.0, 201);
    let (code, again) = post(&event(Some("1"))).await;
    assert_eq!((code, &again["issue"][0]["code"]), (200, &"duplicate".into()));
    assert_eq!(post(&event(Some("2"))).await.0, 201);
    assert_eq!(feed.waiting().await, 2);

    let mut broken = event(Some("3"));
    broken["recorded"] = "yesterday".into();
    let (code, outcome) = post(&broken).await;
    assert_eq!((code, &outcome["resourceType"]), (422, &"OperationOutcome".into()));
    assert_eq!(outcome["issue"][0]["expression"][0], "AuditEvent.recorded");
    assert_eq!(feed.post("/AuditEvent", b"{").await.0, 400);
    assert_eq!(feed.post("/AuditEvent", b"[]").await.0, 400);
    assert_eq!(feed.post("/AuditEvent", br#"{"resourceType":"Consent"}"#).await.0, 422);
    assert_eq!(feed.post("/AuditEvent", &[b'['; 60_000]).await.0, 400, "a JSON bomb");
    assert_eq!(feed.post("/AuditEvent", &vec![b' '; 100_000]).await.0, 413);
    assert_eq!(feed.post("/Patient", b"{}").await.0, 404);

    let bundle = |kind: &str, events: &[&Value]| {
        let entries: Vec<Value> = events.iter().map(|event| json!({ "resource": event })).collect();
        json!({ "resourceType": "Bundle", "type": kind, "entry": entries }).to_string()
    };
    let (three, four) = (event(Some("5")), event(Some("6")));
    let (code, outcome) = feed.post("/", bundle("transaction", &[&three, &broken]).as_bytes()).await;
    assert_eq!(code, 422);
    let named = outcome["issue"][0]["expression"][0].as_str().unwrap();
    assert!(named.contains("Bundle.entry[1]") && named.contains("AuditEvent.recorded"), "{named}");
    assert_eq!(feed.waiting().await, 2, "all or nothing");
    let (code, answer) =
        feed.post("/", bundle("batch", &[&three, &broken, &event(Some("1"))]).as_bytes()).await;
    let statuses: Vec<&str> = answer["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["response"]["status"].as_str().unwrap())
        .collect();
    assert_eq!((code, &statuses[..]), (200, &["201 Created", "422 Unprocessable Entity", "200 OK"][..]));
    assert_eq!(feed.post("/", bundle("transaction", &[&three, &four]).as_bytes()).await.0, 200);
    assert_eq!(feed.waiting().await, 4);
    assert!(feed.count("http", "refused", "malformed-date").await >= 2);

    let get = b"GET /metadata HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(exchange(feed.http, get).await.1.contains("CapabilityStatement"));
    let delete = b"DELETE /AuditEvent HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(feed.http, delete).await.0, 405);
    feed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_senders_of_syslog_are_counted_and_closed_and_others_go_on() {
    let feed = feed("").await;
    // Good messages before and behind a bad one, and a frame that is none.
    feed.syslog(&[frame(&audit("a")), frame("hello"), frame(&audit("b"))].concat()).await;
    assert_eq!(feed.waiting().await, 2);
    assert_eq!(feed.count("syslog", "refused", "malformed-message").await, 1);
    feed.syslog(&[frame(&audit("c")), b"99999999999 ".to_vec()].concat()).await;
    feed.syslog(b"GET / HTTP/1.1\r\n\r\n").await;
    feed.syslog(b"007 x").await;
    assert_eq!(feed.count("syslog", "refused", "malformed-frame").await, 3);
    feed.syslog(b"16385 <85>1").await;
    assert_eq!(feed.count("syslog", "refused", "too-long-frame").await, 1);
    feed.syslog(b"100 <85>1 cut").await;
    assert_eq!(feed.count("syslog", "refused", "broken-frame").await, 1);
    let bomb = "<85>1 - - - - - - <!DOCTYPE a [<!ENTITY b \"c\">]><AuditMessage>&b;</AuditMessage>";
    feed.syslog(&[frame(bomb), frame("<85>1 - - - - - - \u{1}"), frame(&audit("d"))].concat()).await;
    assert!(feed.count("syslog", "refused", "not-understood").await >= 1);
    // The same frame again is the same event.
    feed.syslog(&frame(&audit("d"))).await;
    assert_eq!(feed.count("syslog", "duplicate", "").await, 1);
    assert_eq!(feed.waiting().await, 4);
    let status = feed.status().await;
    assert!(status["refusals"].as_array().unwrap().len() >= 6, "{status}");
    assert!(!status.to_string().contains("hello"), "the status shows nothing of a message");

    // Without a certificate of our authority nobody gets as far as a message; nor does plain text.
    let stranger = feed.pki.connect(feed.syslog, false).await;
    if let Ok(mut stream) = stranger {
        // TLS 1.3 tells a client only when it reads.
        let _ = stream.write_all(&frame(&audit("stranger"))).await;
        assert!(stream.read(&mut [0; 1]).await.is_err());
    }
    let mut plain = TcpStream::connect(feed.syslog).await.unwrap();
    plain.write_all(&frame(&audit("plain"))).await.unwrap();
    let _ = tokio::time::timeout(Duration::from_secs(20), plain.read_to_end(&mut Vec::new())).await.unwrap();
    assert_eq!(feed.waiting().await, 4);
    assert_eq!(feed.count("syslog", "closed", "handshake").await, 2);
    feed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_there_after_a_restart_and_a_full_spool_says_so() {
    let first = feed("").await;
    for n in 0..50 {
        let body = event(Some(&n.to_string())).to_string();
        assert_eq!(first.post("/AuditEvent", body.as_bytes()).await.0, 201, "{n}");
    }
    let (code, outcome) = first.post("/AuditEvent", event(Some("x")).to_string().as_bytes()).await;
    assert_eq!((code, &outcome["issue"][0]["code"]), (507, &"no-store".into()));
    let status = first.status().await;
    assert!(status["full"].as_str().unwrap().contains("max_events"), "{status}");
    let folder = first.end().await;
    let ((http, syslog, status, stop), done) = open(folder.path(), "").await;
    let again =
        Running { pki: Pki { folder: folder.path().into() }, folder, http, syslog, status, stop, done };
    assert_eq!(again.waiting().await, 50);
    again.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_followed_and_bad_lines_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit");
    fs::create_dir(&audit).unwrap();
    let line = |id: &str| format!("{}\n", event(Some(id)));
    fs::write(audit.join("b.ndjson"), line("1") + "not json\n\n" + &line("2")).unwrap();
    fs::write(audit.join("a.ndjson"), line("3")).unwrap();
    fs::write(audit.join("other.txt"), line("4")).unwrap();
    let extra =
        format!("[[tail]]\nname = \"folder\"\npath = {audit:?}\npoll_ms = 20\nmax_line_bytes = 4096\n");
    let feed = feed(&extra).await;
    let wait = async |events: u64| {
        for _ in 0..300 {
            if feed.waiting().await == events {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{}", feed.status().await);
    };
    wait(3).await;
    assert_eq!(feed.count("tail", "refused", "not-json").await, 1);
    // Appended, truncated and rewritten, and a line beyond the bound.
    let append = |name: &str, text: &str| {
        use std::io::Write as _;
        fs::OpenOptions::new()
            .append(true)
            .open(audit.join(name))
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    };
    append("a.ndjson", &format!("{}\n{}", "x".repeat(10_000), line("5")));
    wait(4).await;
    assert_eq!(feed.count("tail", "refused", "too-long-line").await, 1);
    fs::write(audit.join("b.ndjson"), line("6")).unwrap();
    wait(5).await;
    assert_eq!(feed.count("tail", "restarted", "truncated-or-replaced").await, 1);
    // The same lines under another name are the same events.
    fs::copy(audit.join("a.ndjson"), audit.join("c.ndjson")).unwrap();
    for _ in 0..300 {
        if feed.count("tail", "duplicate", "").await == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(feed.count("tail", "duplicate", "").await, 2);
    assert_eq!(feed.waiting().await, 5);
    feed.end().await;
}

//! A feed beside a real network: three inputs, a process that is killed again and again, a ledger that
//! is partly down, a disk that is full. Every event that was accepted is on the ledger exactly once, and
//! the numbers have no gap.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use custos_api::client::Part;
use custos_custodian::draft::AccessValues;
use custos_custodian::vault::{Vault, VaultKey};
use custos_proof::cbor::Wire as _;
use custos_proof::item::{Item, item_hash};
use custos_proof::kinds::Fields;
use custos_proof::kinds::access::{Event, Late};
use custos_proof::record::{Code, Record};
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::Entry;
use custos_testnet::{Network, binary};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(150);

/// A feed's files and its process.
struct Feed {
    folder: PathBuf,
    spool: PathBuf,
    ports: [u16; 3],
    child: Option<Child>,
}

/// Certificates of an authority, a server and a client, in PEM.
struct Pki {
    authority: String,
    client: (String, String),
}

impl Feed {
    /// Writes the configuration and certificates. Nodes are tried in this order.
    fn new(network: &Network, nodes: &[usize], spool: Option<&Path>) -> (Self, Pki) {
        let folder = network.folder().join("feed");
        fs::create_dir(&folder).unwrap();
        let spool = spool.map_or_else(|| folder.join("spool"), Path::to_path_buf);
        let pki = certificates(&folder);
        let ports =
            [custos_ports::free().unwrap(), custos_ports::free().unwrap(), custos_ports::free().unwrap()];
        let nodes: Vec<String> = nodes.iter().map(|index| format!("{:?}", network.address(*index))).collect();
        let reserve = if spool.starts_with(&folder) { 1 << 20 } else { 0 };
        let text = format!(
            "nodes = [{nodes}]\nkey = {key:?}\nanchor = {anchor:?}\nvault = \"vault\"\nvault_key = \"vault.key\"\n\
             base = \"https://fhir.hospital.example\"\nstream = 3\n\
             [spool]\ndir = {spool:?}\nreserve_bytes = {reserve}\nsegment_bytes = 65536\n\
             [batch]\nmax_items = 20\nlinger_ms = 100\n\
             [http]\nlisten = \"127.0.0.1:{http}\"\npath = \"/fhir\"\n\
             [syslog]\nlisten = \"127.0.0.1:{syslog}\"\n\
             [syslog.tls]\ncert = \"server.pem\"\nkey = \"server.key\"\nclient_ca = \"ca.pem\"\n\
             [[tail]]\nname = \"emr\"\npath = \"audit.ndjson\"\npoll_ms = 30\n\
             [status]\nlisten = \"127.0.0.1:{status}\"\n",
            nodes = nodes.join(", "),
            key = network.file("client_key"),
            anchor = network.file("genesis"),
            http = ports[0],
            syslog = ports[1],
            status = ports[2],
        );
        fs::write(folder.join("feed.toml"), text).unwrap();
        (Self { folder, spool, ports, child: None }, pki)
    }

    fn start(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log")).unwrap();
        let child = Command::new(binary())
            .args(["feed", "--config"])
            .arg(self.folder.join("feed.toml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        self.wait("it answers", |_| true);
    }

    /// As a power failure would.
    fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// In order; gives back whether it ended well.
    fn stop(&mut self) -> bool {
        let mut child = self.child.take().unwrap();
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
        child.wait().unwrap().success()
    }

    fn status(&self) -> Option<Value> {
        let (code, body) = request(self.ports[2], "GET", "/status.json", "").ok()?;
        (code == 200).then(|| serde_json::from_str(&body).unwrap())
    }

    fn wait(&mut self, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if let Some(status) = status.as_ref().filter(|status| done(status)) {
                return status.clone();
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            let is_late = Instant::now() > deadline;
            assert!(!is_late && ended.is_none(), "not {what}: {status:?}\n{}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Posts an event until it is accepted.
    fn post(&self, event: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match request(self.ports[0], "POST", "/fhir/AuditEvent", event) {
                Ok((200 | 201, _)) => return,
                Ok((code, body)) => panic!("{code}: {body}"),
                Err(_) => thread::sleep(Duration::from_millis(30)),
            }
            assert!(Instant::now() < deadline, "never accepted: {event}");
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn request(port: u16, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/fhir+json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    code.zip(body).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    custos_proof::ids::TimeMs(since.as_millis() as u64).to_string()
}

/// A read of a patient's data. Its id is its own; patients are few, so that trails get many events.
fn audit_event(id: &str, patient: usize) -> String {
    json!({
        "resourceType": "AuditEvent",
        "id": id,
        "type": { "system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest" },
        "subtype": [{ "system": "http://hl7.org/fhir/restful-interaction", "code": "read" }],
        "action": "R",
        "recorded": now(),
        "outcome": "0",
        "agent": [{ "who": { "identifier": { "value": "dr.adams" } }, "requestor": true }],
        "source": { "observer": { "reference": "Device/emr" } },
        "entity": [{
            "what": { "reference": format!("Patient/{patient}") },
            "type": { "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type", "code": "1" },
            "role": { "system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1" },
        }],
    })
    .to_string()
}

/// A syslog frame with a DICOM audit message.
fn frame(user: &str, patient: usize) -> Vec<u8> {
    let at = now();
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><AuditMessage>\
         <EventIdentification EventActionCode=\"R\" EventDateTime=\"{at}\" EventOutcomeIndicator=\"0\">\
         <EventID csd-code=\"110103\" codeSystemName=\"DCM\" originalText=\"DICOM Instances Accessed\"/></EventIdentification>\
         <ActiveParticipant UserID=\"{user}\" UserIsRequestor=\"true\"/>\
         <AuditSourceIdentification AuditSourceID=\"pacs\"/>\
         <ParticipantObjectIdentification ParticipantObjectID=\"MRN-{patient}^^^&amp;1.2.3&amp;ISO\" \
         ParticipantObjectTypeCode=\"1\" ParticipantObjectTypeCodeRole=\"1\"/></AuditMessage>"
    );
    let message = format!("<85>1 {at} pacs audit 1 IHE+RFC-3881 - \u{feff}{xml}");
    [message.len().to_string().as_bytes(), b" ", message.as_bytes()].concat()
}

fn certificates(folder: &Path) -> Pki {
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let signed = |name: &str, usage: ExtendedKeyUsagePurpose| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &authority, &authority_key).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    let server = signed("localhost", ExtendedKeyUsagePurpose::ServerAuth);
    let client = signed("pacs.hospital.example", ExtendedKeyUsagePurpose::ClientAuth);
    fs::write(folder.join("server.pem"), &server.0).unwrap();
    fs::write(folder.join("server.key"), &server.1).unwrap();
    fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    Pki { authority: authority.pem(), client }
}

type Tls = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

/// A sender as the installed base has it: TLS 1.2, with a certificate of its own.
fn connect(pki: &Pki, port: u16) -> std::io::Result<Tls> {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pki.authority.as_bytes()).unwrap()).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(pki.client.0.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(pki.client.1.as_bytes()).unwrap();
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    Ok(rustls::StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", port))?))
}

/// Sends frames until a connection took all of them and was closed in order. A sender cannot know what a
/// connection that broke has delivered, so it sends all of it again: the same frames are the same events.
fn send_all(pki: &Pki, port: u16, frames: &[Vec<u8>], pace: Duration) {
    let deadline = Instant::now() + PATIENCE;
    let attempt = || -> std::io::Result<()> {
        let mut stream = connect(pki, port)?;
        for frame in frames {
            stream.write_all(frame)?;
            stream.flush()?;
            thread::sleep(pace);
        }
        stream.conn.send_close_notify();
        stream.flush()?;
        // The feed closes when it has put all of it on disk.
        stream.sock.set_read_timeout(Some(Duration::from_secs(20)))?;
        match stream.read(&mut [0; 16]) {
            Ok(0) => Ok(()),
            Ok(_) => panic!("syslog never answers"),
            Err(error) => Err(error),
        }
    };
    while attempt().is_err() {
        assert!(Instant::now() < deadline, "the frames never got through");
        thread::sleep(Duration::from_millis(100));
    }
}

/// What the ledger holds of a custodian's events, in the order of the log.
fn recorded(network: &Network) -> Vec<(Event, Record, custos_proof::hash::ItemHash)> {
    let name = TrailName::institution(&network.participant(1));
    let (_, proof) = network.client(1).trail_proof(&name, Part::Whole, None).unwrap();
    let event = |entry: &Entry| match entry {
        Entry::Full { item, record, .. } => match Item::from_bytes(item).unwrap().fields {
            Fields::AccessEvent(event) => Some((event, Record::from_bytes(record).unwrap(), item_hash(item))),
            _ => None,
        },
        Entry::Withheld { .. } | Entry::Pruned { .. } => None,
    };
    proof.entries.iter().filter_map(event).collect()
}

/// The one oracle: what is on the ledger is `expected`, each once, numbered 1, 2, 3 and so on in its order.
fn assert_exactly_once(network: &Network, feed: &Feed, expected: &BTreeSet<String>) {
    let events = recorded(network);
    let numbers: Vec<u64> = events.iter().map(|(event, ..)| event.sequence).collect();
    assert_eq!(numbers, (1..=expected.len() as u64).collect::<Vec<_>>(), "gaps, or out of order");
    assert!(events.iter().all(|(event, ..)| event.stream == 3));
    let ids: BTreeSet<_> = events.iter().map(|(event, ..)| event.event).collect();
    assert_eq!(ids.len(), events.len(), "an event id twice");
    for (_, record, _) in &events {
        let verdict = &record.as_item().unwrap().verdict;
        let allowed = |code: &Code| *code == Code::Late;
        assert!(verdict.codes.iter().all(allowed), "{verdict:?}");
    }
    // What is inside, from the vault.
    let key = VaultKey::load(&feed.folder.join("vault.key")).unwrap();
    let vault = Vault::open(&feed.folder.join("vault"), &key).unwrap();
    let mut found = BTreeMap::new();
    for (_, _, hash) in &events {
        let values = AccessValues::from_fields(&vault.item(hash).unwrap().values).unwrap();
        let own =
            values.source.value().and_then(|source| source.own_id.as_ref()).map(|id| String::from(&**id));
        let user = values.agents.value().and_then(|agents| agents[0].who.clone());
        let user = user.and_then(|who| who.identifier?.value).map(|id| String::from(&*id));
        *found.entry(own.or(user).unwrap()).or_insert(0) += 1;
    }
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "recorded more than once: {twice:?}");
    assert_eq!(&found.into_keys().collect::<BTreeSet<_>>(), expected);
    assert_eq!(vault.prepared().count(), 0);
}

#[test]
fn three_inputs_survive_kills_while_the_ledger_is_partly_down() {
    const EACH: usize = 40;
    let network = Network::up(4);
    let (mut feed, pki) = Feed::new(&network, &[1, 2], None);
    let check =
        network.custos(&["feed", "check", "--config", feed.folder.join("feed.toml").to_str().unwrap()]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    feed.start();

    let file = feed.folder.join("audit.ndjson");
    let [http, syslog, _] = feed.ports;
    let mut expected = BTreeSet::new();
    for n in 0..EACH {
        expected.extend([format!("http-{n}"), format!("syslog-{n}"), format!("tail-{n}")]);
    }
    let poster =
        Feed { folder: feed.folder.clone(), spool: feed.spool.clone(), ports: feed.ports, child: None };
    let done = Arc::new(AtomicBool::new(false));
    assert_ne!(http, syslog);
    thread::scope(|scope| {
        let posts = scope.spawn(|| {
            for n in 0..EACH {
                let event = audit_event(&format!("http-{n}"), n % 5);
                poster.post(&event);
                // A source that missed the answer sends again.
                if n % 4 == 0 {
                    poster.post(&event);
                }
                thread::sleep(Duration::from_millis(120));
            }
        });
        let frames: Vec<Vec<u8>> = (0..EACH).map(|n| frame(&format!("syslog-{n}"), n % 5)).collect();
        let sends = scope.spawn(move || send_all(&pki, syslog, &frames, Duration::from_millis(100)));
        let tails = scope.spawn(|| {
            for n in 0..EACH {
                let line = audit_event(&format!("tail-{n}"), n % 5) + "\n";
                // In two parts: a line is taken when it is whole.
                let (one, two) = line.split_at(line.len() / 2);
                let mut out = fs::OpenOptions::new().create(true).append(true).open(&file).unwrap();
                out.write_all(one.as_bytes()).unwrap();
                thread::sleep(Duration::from_millis(30));
                out.write_all(two.as_bytes()).unwrap();
                if n == EACH / 2 {
                    // Rotated while it is written.
                    fs::rename(&file, file.with_extension("ndjson.1")).unwrap();
                }
                thread::sleep(Duration::from_millis(90));
            }
        });
        for round in 0..6 {
            thread::sleep(Duration::from_millis(700 + 130 * round));
            feed.kill();
            match round {
                1 => network.kill(1),
                2 => network.kill(3),
                4 => {
                    network.start_without_waiting(1);
                    network.start_without_waiting(3);
                }
                _ => {}
            }
            feed.start();
        }
        posts.join().unwrap();
        sends.join().unwrap();
        tails.join().unwrap();
        done.store(true, Ordering::Relaxed);
    });
    network.wait_for_height(&[1, 2, 3, 4], 1);
    let total = (3 * EACH) as u64;
    // Every document was accepted, once; then nothing waits any more.
    feed.wait("recorded", |status| {
        status["accepted_documents"] == total
            && status["backlog"]["events"] == 0
            && status["recorded_events"] == total
    });
    feed.kill();
    feed.start();
    let status = feed.wait("quiet", |status| status["backlog"]["events"] == 0);
    assert_eq!((&status["recorded_events"], &status["last_sequence"]), (&total.into(), &total.into()));
    let (code, page) = request(feed.ports[2], "GET", "/", "").unwrap();
    assert!(code == 200 && page.contains("Everything that was accepted is recorded"), "{page}");
    let (_, metrics) = request(feed.ports[2], "GET", "/metrics", "").unwrap();
    assert!(metrics.contains("\ncustos_feed_backlog_events 0\n"), "{metrics}");
    assert!(metrics.contains(&format!("custos_feed_recorded_events_total {total}\n")), "{metrics}");
    assert!(feed.stop(), "{}", feed.log());
    assert_exactly_once(&network, &feed, &expected);
    network.assert_equal_roots(&[1, 2, 3, 4]);
}

/// A file system of this size; nothing without the right to mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(folder: &Path, bytes: u64) -> Option<Self> {
        let path = folder.join("disk");
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(&path)
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_what_is_new_and_loses_nothing_of_what_was_accepted() {
    let network = Network::up(1);
    let Some(disk) = SmallDisk::new(network.folder(), 1 << 20) else {
        eprintln!("skipped: a small file system cannot be mounted here (not root)");
        return;
    };
    let (mut feed, _) = Feed::new(&network, &[1], Some(&disk.0.join("spool")));
    // The ledger is down, so that what is accepted stays.
    network.kill(1);
    feed.start();
    let mut expected = BTreeSet::new();
    let mut refused = None;
    for n in 0..4000 {
        let id = format!("disk-{n}");
        let (code, body) =
            request(feed.ports[0], "POST", "/fhir/AuditEvent", &audit_event(&id, n % 7)).unwrap();
        match code {
            201 => drop(expected.insert(id)),
            507 => {
                refused = Some(body);
                break;
            }
            _ => panic!("{code}: {body}"),
        }
    }
    let refused = refused.expect("a megabyte was never full");
    assert!(refused.contains("no-store") && refused.contains("nothing was accepted"), "{refused}");
    assert!(expected.len() > 100, "{}", expected.len());
    let status = feed.wait("full", |status| !status["full"].is_null());
    assert!(status["warnings"][0].as_str().unwrap().contains("new events are refused"), "{status}");
    assert_eq!(request(feed.ports[2], "GET", "/healthz", "").unwrap().0, 503);
    // Full, and killed.
    feed.kill();
    feed.start();
    let accepted = expected.len() as u64;
    feed.wait("all there", |status| status["backlog"]["events"] == accepted);
    // Whoever was refused comes again, to a disk that is still full.
    let (code, _) = request(feed.ports[0], "POST", "/fhir/AuditEvent", &audit_event("again", 1)).unwrap();
    assert_eq!(code, 507);
    // The operator makes room and the ledger comes back.
    let more = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&disk.0).status().unwrap();
    assert!(more.success());
    network.start(1);
    feed.post(&audit_event("again", 1));
    expected.insert("again".into());
    let total = expected.len() as u64;
    feed.wait("recorded", |status| status["recorded_events"] == total && status["backlog"]["events"] == 0);
    assert!(feed.stop(), "{}", feed.log());
    assert_exactly_once(&network, &feed, &expected);
    // What waited for the ledger says so.
    let late = recorded(&network).iter().filter(|(event, ..)| event.late == Late::Spooled).count();
    assert!(late > 0, "nothing is marked as spooled");
}

#[test]
fn like_reads_are_grouped_when_that_is_asked_for() {
    let network = Network::up(1);
    let (mut feed, _) = Feed::new(&network, &[1], None);
    let config = feed.folder.join("feed.toml");
    let mut text = fs::read_to_string(&config).unwrap();
    writeln!(text, "[group]\nenabled = true\nwindow_s = 6").unwrap();
    fs::write(&config, text).unwrap();
    feed.start();
    for n in 0..12 {
        feed.post(&audit_event(&format!("g-{n}"), n % 3));
    }
    feed.wait("recorded", |status| status["recorded_events"] == 3 && status["backlog"]["events"] == 0);
    assert!(feed.stop());
    let key = VaultKey::load(&feed.folder.join("vault.key")).unwrap();
    let vault = Vault::open(&feed.folder.join("vault"), &key).unwrap();
    let events = recorded(&network);
    assert_eq!(events.iter().map(|(event, ..)| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    for (_, _, hash) in events {
        let values = AccessValues::from_fields(&vault.item(&hash).unwrap().values).unwrap();
        let group = values.group.value().unwrap();
        assert_eq!(group.count, Some(4));
        assert!(group.start.as_ref().unwrap().first_ms() < group.end.as_ref().unwrap().first_ms());
    }
}

//! A node that lies to a patient's program, or somebody between the two: another chain, another year, a registry
//! that leaves a participant out, a part of a trail for the whole, another item's receipt.
//!
//! Everything that the node says is true of something else, and properly proven. What counts is that none of it is
//! ever shown as the answer to what was asked. The liar stands before a real node of a real network and changes only
//! what the test says.

#![allow(clippy::unwrap_used)]

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use custos_custodian::draft::SubjectKey;
use custos_custodian::vault::{Vault, VaultKey};
use custos_testnet::Network;
use serde_json::Value;

const PATIENT: &str = "https://a.example/Patient/17";
const YEAR_MS: u64 = 366 * 86_400_000;

type OfPath = dyn Fn(&str) -> String + Send + Sync;
type OfAnswer = dyn Fn(&str, Value) -> Value + Send + Sync;

/// What is changed on the way: the path that is asked for, and the answer to a path.
#[derive(Clone)]
struct Lie {
    path: Arc<OfPath>,
    answer: Arc<OfAnswer>,
}

impl Lie {
    fn none() -> Self {
        Self { path: Arc::new(str::to_owned), answer: Arc::new(|_, answer| answer) }
    }

    fn of_path(path: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self { path: Arc::new(path), ..Self::none() }
    }

    /// Answers in JSON to paths that begin so.
    fn of_answer(begins: &'static str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        let answer = move |path: &str, mut answer: Value| {
            if path.starts_with(begins) {
                change(&mut answer);
            }
            answer
        };
        Self { answer: Arc::new(answer), ..Self::none() }
    }

    /// The address of a liar before this node. It lies until the test ends.
    fn before(&self, node: &str) -> String {
        let (lie, node) = (self.clone(), node.strip_prefix("http://").unwrap().to_owned());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (lie, node) = (lie.clone(), node.clone());
                // A client that hung up has its reasons.
                thread::spawn(move || lie.pass_on(client, &node));
            }
        });
        address
    }

    /// One request without a body, and its answer.
    fn pass_on(&self, mut client: TcpStream, node: &str) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let (request, headers) = head.split_once("\r\n").unwrap();
        let asked = request.split(' ').nth(1).unwrap();
        let mut node = TcpStream::connect(node)?;
        write!(node, "GET {} HTTP/1.1\r\nconnection: close\r\n{}", (self.path)(asked), without(headers))?;
        let mut answer = Vec::new();
        node.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let (head, body) = (String::from_utf8(answer[..end + 2].to_vec()).unwrap(), &answer[end + 4..]);
        // Proofs are CBOR, and stay as they are.
        let body = match serde_json::from_slice(body) {
            Ok(json) => serde_json::to_vec(&(self.answer)(asked, json)).unwrap(),
            Err(_) => body.to_vec(),
        };
        write!(client, "{}content-length: {}\r\nconnection: close\r\n\r\n", without(&head), body.len())?;
        client.write_all(&body)
    }
}

/// Header lines without those that are said anew.
fn without(headers: &str) -> String {
    let kept = headers.split_inclusive("\r\n").filter(|line| {
        let line = line.to_ascii_lowercase();
        !line.starts_with("connection:") && !line.starts_with("content-length:")
    });
    kept.collect()
}

struct Patient {
    network: Network,
    code: String,
    anchor: String,
    /// The custodian's own access.
    item: String,
}

impl Patient {
    fn new() -> Self {
        let network = Network::up(4);
        let file = |name: &str| network.folder().join(name).to_str().unwrap().to_owned();
        let text = |name: &str| network.file(name).to_str().unwrap().to_owned();
        let (key, vault_key, vault) = (text("client_key"), text("vault_key"), file("vault"));
        let other = network.participant(2).to_string();
        let mut items = Vec::new();
        for acting in [network.participant(1).to_string(), other] {
            let output = network.custos(&[
                "--json",
                "access",
                "record",
                "--patient",
                PATIENT,
                "--action",
                "read",
                "--acting",
                &acting,
                "--node",
                &network.address(1),
                "--key",
                &key,
                "--vault",
                &vault,
                "--vault-key",
                &vault_key,
                "--anchor",
                &text("anchor"),
            ]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let said: Value = serde_json::from_slice(&output.stdout).unwrap();
            items.push(said["item"].as_str().unwrap().to_owned());
        }
        let kept = Vault::open(vault.as_ref(), &VaultKey::load(vault_key.as_ref()).unwrap()).unwrap();
        let subject = kept.find(&[SubjectKey::address(PATIENT)]).unwrap().unwrap();
        let code = file("code.txt");
        std::fs::write(&code, kept.code(&subject).unwrap().to_string()).unwrap();
        let anchor = text("anchor");
        Self { network, code: format!("@{code}"), anchor, item: items.swap_remove(0) }
    }

    /// Exit code, standard output and standard error of a reading command that believes its anchor.
    fn ask(&self, lie: &Lie, words: &[&str]) -> (i32, String, String) {
        let node = lie.before(&self.network.address(1));
        let custodian = self.network.participant(1).to_string();
        let by = ["--code", &self.code, "--custodian", &custodian, "--anchor", &self.anchor, "--node", &node];
        let output = self.network.custos(&[words, &by[..]].concat());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

#[test]
fn no_lie_of_a_node_becomes_a_verified_answer() {
    let patient = Patient::new();
    let show = ["--json", "trail", "show"];
    let list = ["--json", "trail", "list"];
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();

    // What is true, through the same listener.
    let (code, out, err) = patient.ask(&Lie::none(), &show);
    assert_eq!(code, 0, "{err}");
    assert_eq!(json(&out)["entries"].as_array().unwrap().len(), patient.entries(), "{out}");
    let (code, listed, err) = patient.ask(&Lie::none(), &list);
    assert_eq!((code, json(&listed)["trails"].as_array().unwrap().len()), (0, 2), "{listed}{err}");

    // Another chain, and another year: on both there truly is nothing.
    let chain = Lie::of_answer("/v1/status", |status| {
        let chain = status["chain"].as_str().unwrap().chars().rev().collect::<String>();
        status["chain"] = chain.into();
    });
    let year = Lie::of_answer("/v1/status", |status| {
        status["time_ms"] = (status["time_ms"].as_u64().unwrap() + YEAR_MS).into();
    });
    for (lie, name) in [(&chain, "chain"), (&year, "year")] {
        let (code, said, err) = patient.ask(lie, &show);
        assert_eq!(code, 0, "{name}: {err}");
        assert_eq!(json(&said)["entries"], json(&out)["entries"], "{name}");
        let (code, said, err) = patient.ask(lie, &["--json", "report", "ehds"]);
        assert_eq!(code, 0, "{name}: {err}");
        assert!(!json(&said)["entries"].as_array().unwrap().is_empty(), "{name}: {said}");
    }

    // A registry without the other institution, whose trail it would hide.
    let other = patient.network.participant(2).to_string();
    let hides = Lie::of_answer("/v1/registry", move |registry| {
        let all = registry["participants"].as_array_mut().unwrap();
        let before = all.len();
        all.retain(|one| one["id"].as_str() != Some(&other));
        assert_eq!(all.len() + 1, before);
    });
    let (code, said, err) = patient.ask(&hides, &list);
    assert_eq!(code, 0, "{err}");
    assert_eq!(json(&said)["trails"].as_array().unwrap().len(), 2, "{said}");

    // A part of a trail, properly proven, for the whole.
    let part = Lie::of_path(|path| match path.contains("/proof") {
        true => format!("{path}&from=1&to=1"),
        false => path.to_owned(),
    });
    let (code, said, err) = patient.ask(&part, &["trail", "show", "--own"]);
    assert!(patient.own().0 > 2, "a part with its neighbours would be all of the trail");
    assert_eq!((code, said.as_str()), (2, ""), "{err}");
    assert!(err.contains("not all that were asked for"), "{err}");

    // The receipt of another item of the same trail.
    let asked = patient.item.clone();
    let (_, out, _) = patient.ask(&Lie::none(), &["--json", "trail", "show", "--own"]);
    let own = json(&out)["entries"].as_array().unwrap().clone();
    let references = own.iter().map(|entry| entry["item"]["reference"].as_str().unwrap().to_owned());
    let given = references.into_iter().find(|reference| *reference != asked).unwrap();
    let swapped = Lie::of_path(move |path| path.replace(&asked, &given));
    let file = patient.network.folder().join("receipt.custos");
    let get = ["receipt", "get", &patient.item, "-o", file.to_str().unwrap()];
    let (code, _, err) = patient.ask(&swapped, &get);
    assert_eq!(code, 1, "{err}");
    assert!(!file.exists(), "what was refused is not kept");
    let (code, _, err) = patient.ask(&Lie::none(), &get);
    assert_eq!(code, 0, "{err}");
}

impl Patient {
    /// Entries of all trails.
    fn entries(&self) -> usize {
        let (own, other) = self.own();
        own + other
    }

    /// Entries of the own trail, and of the other institution's.
    fn own(&self) -> (usize, usize) {
        let (_, out, _) = self.ask(&Lie::none(), &["--json", "trail", "list"]);
        let said: Value = serde_json::from_str(&out).unwrap();
        let of = |trail: &Value| usize::try_from(trail["entries"].as_u64().unwrap()).unwrap();
        let trails = said["trails"].as_array().unwrap();
        (of(&trails[0]), trails[1..].iter().map(of).sum())
    }
}

//! A node that lies to a patient's program: another chain, another year, a registry that leaves a participant out, a
//! part of a trail for the whole, another item's receipt, and what was so before something came in between.

use custos_custodian::draft::SubjectKey;
use custos_custodian::vault::{Vault, VaultKey};
use custos_proof::trail::TrailName;
use custos_testnet::Network;
use serde_json::Value;

use crate::liar::{Answer, Liar, Lie, outcome};

const PATIENT: &str = "https://a.example/Patient/17";
const YEAR_MS: u64 = 366 * 86_400_000;

struct Patient {
    network: Network,
    code: String,
    anchor: String,
    /// The custodian's own access.
    item: String,
}

impl Patient {
    /// With an access by the custodian itself.
    fn new() -> Self {
        let network = Network::up(4);
        let file = |name: &str| network.folder().join(name).to_str().unwrap().to_owned();
        let anchor = network.file("anchor").to_str().unwrap().to_owned();
        let code = format!("@{}", file("code.txt"));
        let mut patient = Self { network, code, anchor, item: String::new() };
        patient.item = patient.is_read_by(patient.network.participant(1).as_str());
        let key = VaultKey::load(&patient.network.file("vault_key")).unwrap();
        let kept = Vault::open(&patient.network.folder().join("vault"), &key).unwrap();
        let subject = kept.find(&[SubjectKey::address(PATIENT)]).unwrap().unwrap();
        let code = kept.code(&subject).unwrap().to_string();
        std::fs::write(patient.network.folder().join("code.txt"), code).unwrap();
        patient
    }

    /// The custodian records an access by somebody.
    fn is_read_by(&self, acting: &str) -> String {
        let path = |name: &str| self.network.file(name).to_str().unwrap().to_owned();
        let vault = self.network.folder().join("vault");
        let words = ["access", "record", "--patient", PATIENT, "--action", "read", "--acting", acting];
        let said = self.done(&[
            &words[..],
            &["--key", &path("client_key"), "--vault", vault.to_str().unwrap()],
            &["--vault-key", &path("vault_key"), "--anchor", &self.anchor],
        ]);
        said["item"].as_str().unwrap().to_owned()
    }

    /// What a command said to the first node, and ended well.
    fn done(&self, words: &[&[&str]]) -> Value {
        let node = self.network.address(1);
        let output = self.network.custos(&[&["--json"], &words.concat()[..], &["--node", &node]].concat());
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Exit code, standard output and standard error of a reading command that believes its anchor.
    fn ask(&self, lie: &Lie, words: &[&str]) -> (i32, String, String) {
        let liar = Liar::before(&self.network.address(1));
        liar.tells(lie.clone());
        self.ask_at(&liar, words)
    }

    fn ask_at(&self, liar: &Liar, words: &[&str]) -> (i32, String, String) {
        let custodian = self.network.participant(1).to_string();
        let by = ["--code", &self.code, "--custodian", &custodian, "--anchor", &self.anchor];
        let output = self.network.custos(&[words, &by[..], &["--node", &liar.address]].concat());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

#[test]
fn no_lie_of_a_node_becomes_a_verified_answer() {
    let patient = Patient::new();
    patient.is_read_by(patient.network.participant(2).as_str());
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

#[test]
fn what_was_so_before_does_not_hide_what_came_in_between() {
    let patient = Patient::new();
    let liar = Liar::before(&patient.network.address(1));
    let list = ["--json", "trail", "list"];
    let trails = |text: &str| {
        let said: Value = serde_json::from_str(text).unwrap();
        said["trails"].as_array().unwrap().len()
    };
    let (code, said, err) = patient.ask_at(&liar, &list);
    assert_eq!((code, trails(&said)), (0, 1), "{err}");
    // Every proof of it, in order: the own trail, who is registered, and that nobody else has a trail.
    let before: Vec<_> =
        liar.heard().into_iter().filter(|(asked, _)| asked.starts_with("GET /v1/trails/")).collect();
    let head = patient.network.client(1).status().unwrap();

    // In between somebody is registered and reads, and so does somebody who was registered all the time.
    patient.registers("late.example");
    for acting in [patient.network.participant(2).as_str(), "late.example"] {
        patient.is_read_by(acting);
    }
    let (code, said, err) = patient.ask_at(&liar, &list);
    assert_eq!((code, trails(&said)), (0, 3), "{err}");

    let own = before[0].0.clone();
    assert_ne!(head.height, patient.network.client(1).status().unwrap().height);
    let registrar = patient.network.client(1).genesis().unwrap().registrar;
    let registry = format!("GET /v1/trails/{}/", TrailName::registry(&registrar).key());
    assert!(before.len() > 2 && before.iter().filter(|(asked, _)| asked.starts_with(&registry)).count() == 1);
    let old = |is_old: Box<dyn Fn(&str) -> bool + Send + Sync>| {
        let before = before.clone();
        Lie::instead(move |asked| {
            let remembered = before.iter().find(|(of, _)| of == asked && is_old(of));
            remembered.map(|(_, answer): &(String, Answer)| answer.clone())
        })
    };
    // An older absence hides the one, an older registry the other.
    let of = registry.clone();
    let absence = old(Box::new(move |asked| asked != own && !asked.starts_with(&of)));
    let registry = old(Box::new(move |asked| asked.starts_with(&registry)));
    for (lie, name) in [(&absence, "absence"), (&registry, "registry")] {
        for words in [&list[..], &["--json", "trail", "show"], &["--json", "report", "ehds"]] {
            liar.tells(lie.clone());
            let (code, said, err) = patient.ask_at(&liar, words);
            assert_eq!((code, &*outcome(&said)), (2, "could-not-tell"), "{name} {words:?}: {err}");
            assert!(err.contains("and then what was so at"), "{name} {words:?}: {err}");
            assert!(liar.told() > 0, "{name} {words:?}");
        }
    }

    // All of it from before is the truth of then, and says of when it is; who asks for later gets no answer.
    liar.tells(old(Box::new(|_| true)));
    let (code, said, err) = patient.ask_at(&liar, &list);
    assert_eq!((code, trails(&said)), (0, 1), "{err}");
    let later = custos_proof::ids::TimeMs(head.time_ms + 1).to_string();
    let (code, said, err) = patient.ask_at(&liar, &[&list[..], &["--not-older-than", &later]].concat());
    assert_eq!((code, &*outcome(&said)), (2, "could-not-tell"), "{err}");
    assert!(liar.told() > 0);
}

impl Patient {
    /// Three of four validators take somebody in.
    fn registers(&self, id: &str) {
        let key = |index: usize| {
            let path = self.network.folder().join(format!("keys/hospital-{index}-sign.key"));
            path.to_str().unwrap().to_owned()
        };
        let words = ["participant", "register", id, "--name", "Late", "--role", "recipient"];
        self.done(&[&words, &["--key", &key(1)]]);
        let open = self.done(&[&["proposal", "list"]]);
        let proposal = open["proposals"][0]["proposal"].as_str().unwrap().to_owned();
        for index in [2, 3] {
            self.done(&[&["proposal", "vote", &proposal, "yes", "--key", &key(index)]]);
        }
    }
}

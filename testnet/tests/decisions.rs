//! Decisions from the ledger: a custodian's gateway asks a real node, with a patient's code and the vault, and asks again
//! later for the same block. And permits, which anybody reads.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use custos_custodian::draft::SubjectKey;
use custos_custodian::vault::{Vault, VaultKey};
use custos_proof::ids::TimeMs;
use custos_proof::trail::TrailName;
use custos_testnet::Network;
use serde_json::{Value, json};

/// A network of one validator, a hospital's desk, an access body and a data user.
struct Ward {
    network: Network,
    body_key: String,
}

const BODY: &str = "body.example";
const RESEARCH: &str = "research.example";

impl Ward {
    fn open() -> Self {
        let network = Network::up(1);
        let mut ward = Self { network, body_key: String::new() };
        ward.body_key = ward.register(BODY, "access-body");
        ward.register(RESEARCH, "data-user");
        ward
    }

    fn folder(&self) -> &Path {
        self.network.folder()
    }

    fn file(&self, name: &str) -> String {
        self.folder().join(name).to_str().unwrap().to_owned()
    }

    /// Registers a participant with a key of its own; the key's file.
    fn register(&self, id: &str, role: &str) -> String {
        let key = self.file(&format!("{id}.key"));
        let chain = self.network.client(1).status().unwrap().chain.to_string();
        let made = self.text(&["keygen", "-o", &key, "--owner", id, "--chain", &chain]);
        let word = |name: &str, place: usize| {
            let line = made.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap();
            line.split_whitespace().nth(place).unwrap().to_owned()
        };
        let (public, possession) = (word("public", 2), word("possession", 1));
        let hospital = self.hospital_key();
        self.text(&[
            "participant",
            "register",
            id,
            "--name",
            id,
            "--role",
            role,
            "--public-key",
            &public,
            "--possession",
            &possession,
            "--node",
            &self.network.address(1),
            "--key",
            &hospital,
        ]);
        key
    }

    fn hospital_key(&self) -> String {
        self.network.file("client_key").to_str().unwrap().to_owned()
    }

    fn vault(&self) -> Vec<String> {
        let key = self.network.file("vault_key").to_str().unwrap().to_owned();
        vec!["--vault".into(), self.file("vault"), "--vault-key".into(), key]
    }

    /// Exit code, standard output, standard error.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.network.custos(arguments);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn text(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {out}{err}");
        out
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[&["--json"], arguments].concat())).unwrap()
    }

    /// A command of the hospital's desk.
    fn desk(&self, arguments: &[&str]) -> Value {
        let (node, key, vault) = (self.network.address(1), self.hospital_key(), self.vault());
        let mut all = arguments.to_vec();
        all.extend(["--node", &node, "--key", &key]);
        all.extend(vault.iter().map(String::as_str));
        self.json(&all)
    }

    /// Puts a rule of a patient; its id.
    fn put(&self, patient: &str, what: &[&str]) -> String {
        let answer = self.desk(&[&["rule", "put", "--patient", patient], what].concat());
        answer["rules"][0]["rule"].as_str().unwrap().to_owned()
    }

    /// The file with a patient's code.
    fn code(&self, patient: &str) -> String {
        let key = VaultKey::load(&self.network.file("vault_key")).unwrap();
        let vault = Vault::open(&self.folder().join("vault"), &key).unwrap();
        let id = vault.find(&[SubjectKey::address(patient)]).unwrap().unwrap();
        let path = self.file(&format!("code-{}", patient.rsplit('/').next().unwrap()));
        std::fs::write(&path, vault.code(&id).unwrap().to_string()).unwrap();
        format!("@{path}")
    }

    fn height(&self) -> u64 {
        self.network.client(1).status().unwrap().height
    }

    /// Issues a permit, or amends one; its id.
    fn permit(&self, what: &[&str], categories: &[&str]) -> String {
        let (node, holder) = (self.network.address(1), self.network.participant(1).to_string());
        let mut all = vec!["permit"];
        all.extend(what);
        all.extend(["--node", &node, "--key", &self.body_key, "--user", RESEARCH, "--purpose", "53-1-e"]);
        all.extend(["--holder", &holder, "--begins", "2020-01-01", "--ends", "2100-01-01"]);
        categories.iter().for_each(|category| all.extend(["--category", category]));
        self.json(&all)["permit"].as_str().unwrap().to_owned()
    }

    /// Commits to a roster for this year.
    fn commit(&self, staff: &str, out: &str) {
        let year = TimeMs(self.network.client(1).status().unwrap().time_ms).year();
        let (from, until) = (format!("{year}-01-01"), format!("{}-01-01", year + 1));
        let (node, key) = (self.network.address(1), self.hospital_key());
        self.json(&[
            "roster", "commit", staff, "--from", &from, "--until", &until, "--out", out, "--node", &node,
            "--key", &key,
        ]);
    }

    /// Asks the ledger; exit code, the answer's exact bytes.
    fn decide(&self, code: &str, request: &Value, more: &[&str]) -> (i32, String) {
        let path: PathBuf = self.folder().join("request.json");
        std::fs::write(&path, request.to_string()).unwrap();
        let (node, holder) = (self.network.address(1), self.network.participant(1).to_string());
        let anchor = self.network.file("anchor");
        let mut all = vec!["--json", "decide", "--code", code, "--custodian", &holder, "--node", &node];
        all.extend(["--anchor", anchor.to_str().unwrap(), "--request", path.to_str().unwrap()]);
        all.extend(more);
        let (exit, out, err) = self.run(&all);
        assert!(!out.is_empty(), "{err}");
        (exit, out)
    }

    /// The same with the vault.
    fn decided(&self, code: &str, request: &Value, more: &[&str]) -> (i32, String) {
        let vault = self.vault();
        let vault: Vec<&str> = vault.iter().map(String::as_str).collect();
        self.decide(code, request, &[&vault, more].concat())
    }

    fn clinician(&self, who: &str) -> Value {
        let holder = self.network.participant(1).to_string();
        json!({
            "custodian": holder,
            "actor": { "standing": "clinician", "participant": holder, "members": [who] },
            "purpose": "TREAT",
            "action": "read",
            "relationship": "encounter",
            "items": [{ "id": "Observation/17", "labels": ["N"] }],
        })
    }

    fn study(&self, permit: &str, category: &str) -> Value {
        json!({
            "custodian": self.network.participant(1).to_string(),
            "actor": { "standing": "data-user", "participant": RESEARCH },
            "purpose": "53-1-e",
            "action": "read",
            "permit": permit,
            "items": [{ "categories": [category] }],
        })
    }
}

fn said(answer: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let item = &answer["items"][0];
    format!("{}: {}", item["outcome"].as_str().unwrap(), item["ground"].as_str().unwrap())
}

fn obligations(answer: &str) -> Value {
    serde_json::from_str::<Value>(answer).unwrap()["obligations"].clone()
}

#[test]
fn the_same_block_gives_the_same_answer_whatever_happened_since() {
    let ward = Ward::open();
    let patient = "https://fhir.example/Patient/1";
    let rule = ward.put(patient, &["--permit", "--purpose", "TREAT"]);
    let code = ward.code(patient);
    let asked = ward.clinician("Practitioner/3");
    let key = ward.hospital_key();
    let gateway = ["--key", key.as_str()];

    let (exit, then) = ward.decided(&code, &asked, &gateway);
    assert_eq!((exit, said(&then).as_str()), (0, "permit: rule-permits"), "{then}");
    assert_eq!(obligations(&then), json!(["no-roster"]));
    let answer: Value = serde_json::from_str(&then).unwrap();
    let (height, time) = (answer["height"].to_string(), answer["time"].as_str().unwrap().to_owned());
    // Who has not the openings is not told: what is unknown never permits, and here nothing else does (R12).
    let (exit, sealed) = ward.decide(&code, &asked, &[]);
    assert_eq!((exit, said(&sealed).as_str()), (1, "deny: implicit-deny"));

    // Much happens: the rule ends, a guardian is named, a roster committed to.
    ward.desk(&["rule", "end", &rule]);
    let (exit, now) = ward.decided(&code, &asked, &gateway);
    assert_eq!((exit, said(&now).as_str()), (1, "deny: implicit-deny"));
    ward.desk(&[
        "delegation",
        "grant",
        "--patient",
        patient,
        "--delegate",
        "Erika Example",
        "--delegate-id",
        "RelatedPerson/mother",
        "--kind",
        "guardian",
        "--may",
        "see",
        "--ends-at",
        "2090-05-01",
    ]);
    let staff = ward.file("staff.json");
    std::fs::write(&staff, json!([{ "person": "Practitioner/3", "purposes": ["HPAYMT"] }]).to_string())
        .unwrap();
    let roster = ward.file("roster.json");
    ward.commit(&staff, &roster);

    // Asked again for the block, or for its time: the same bytes.
    let at_height = [&gateway[..], &["--at-height", &height]].concat();
    assert_eq!(ward.decided(&code, &asked, &at_height), (0, then.clone()));
    let at_time = [&gateway[..], &["--at", &time]].concat();
    assert_eq!(ward.decided(&code, &asked, &at_time), (0, then.clone()));

    // Under another policy the present is another, and the past is not.
    let mut policy = ward.network.client(1).policy().unwrap().policy;
    policy["version"] = json!(2);
    policy["decision"]["implicit"] = json!("all-normal");
    let act = json!({ "kind": "policy.set", "fields": { "policy": policy, "effective": 1 } });
    let acts = ward.file("policy.json");
    std::fs::write(&acts, act.to_string()).unwrap();
    ward.json(&["proposal", "open", "-f", &acts, "--node", &ward.network.address(1), "--key", &key]);
    // It begins with the next block.
    ward.put("https://fhir.example/Patient/2", &["--permit"]);
    let (exit, now) = ward.decided(&code, &asked, &gateway);
    assert_eq!((exit, said(&now).as_str()), (0, "permit: implicit-permit"), "{now}");
    assert_eq!(serde_json::from_str::<Value>(&now).unwrap()["policy_version"], 2);
    assert_eq!(ward.decided(&code, &asked, &at_height), (0, then.clone()));

    // The guardian, from the patient's own trail, and nobody else.
    let holder = ward.network.participant(1).to_string();
    let guardian = |who: &str, action: &str| {
        json!({
            "custodian": holder,
            "actor": { "standing": "representative", "participant": holder, "members": [who] },
            "purpose": "FAMRQT",
            "action": action,
            "items": [{ "id": "Observation/17" }],
        })
    };
    for (who, action, answer) in [
        ("RelatedPerson/mother", "read", "permit: representative"),
        ("RelatedPerson/mother", "update", "deny: outside-delegation"),
        ("RelatedPerson/uncle", "read", "deny: not-a-representative"),
    ] {
        assert_eq!(said(&ward.decided(&code, &guardian(who, action), &[]).1), answer, "{who} {action}");
    }
}

#[test]
fn a_roster_that_was_committed_to_decides_who_is_eligible() {
    let ward = Ward::open();
    let patient = "https://fhir.example/Patient/1";
    ward.put(patient, &["--permit", "--purpose", "TREAT"]);
    let (code, key) = (ward.code(patient), ward.hospital_key());
    let staff = ward.file("staff.json");
    let list = json!([
        { "person": "Practitioner/3", "purposes": ["TREAT"], "groups": ["Group/er"] },
        { "person": "Practitioner/4", "purposes": ["HPAYMT"] },
    ]);
    std::fs::write(&staff, list.to_string()).unwrap();
    let roster = ward.file("roster.json");
    ward.commit(&staff, &roster);
    let ask = |who: &str, more: &[&str]| ward.decided(&code, &ward.clinician(who), more).1;
    for (who, answer) in [
        ("Practitioner/3", "permit: rule-permits"),
        ("Practitioner/4", "deny: not-eligible: roster"),
        ("Practitioner/5", "deny: not-eligible: roster"),
    ] {
        assert_eq!(said(&ask(who, &["--roster", &roster])), answer, "{who}");
    }
    assert_eq!(obligations(&ask("Practitioner/3", &["--roster", &roster])), json!([]));
    // Nobody is kept out by a list that is not shown; the answer says that it was not.
    assert_eq!(said(&ask("Practitioner/5", &[])), "permit: rule-permits");
    assert_eq!(obligations(&ask("Practitioner/5", &[])), json!(["roster-not-seen"]));

    // With an access that shows its path, an auditor sees the same from the files alone.
    ward.desk(&[
        "access",
        "record",
        "--patient",
        patient,
        "--action",
        "read",
        "--purpose",
        "TREAT",
        "--who-id",
        "Practitioner/3",
        "--roster",
        &roster,
        "--relationship",
        "encounter",
        "--resource",
        "Observation/17",
        "--basis",
        "law",
        "--decided",
        "permit",
    ]);
    let (holder, node) = (ward.network.participant(1).to_string(), ward.network.address(1));
    let (own, institution) = (ward.file("own.custos"), ward.file("institution.custos"));
    ward.json(&["trail", "prove", "--code", &code, "--custodian", &holder, "--node", &node, "-o", &own]);
    let trail = TrailName::institution(&ward.network.participant(1)).key().to_string();
    ward.json(&["trail", "prove", &trail, "--node", &node, "--key", &key, "-o", &institution]);
    let vault = ward.vault();
    let vault: Vec<&str> = vault.iter().map(String::as_str).collect();
    let anchor = ward.network.file("anchor");
    let replay = ["replay", &own, &institution, "--anchor", anchor.to_str().unwrap()];
    let found = ward.json(&[&replay[..], &vault].concat());
    assert_eq!(found["accesses"][0]["finding"], "follows", "{found}");
    assert_eq!(found["accesses"][0]["answers"][0]["obligations"], json!([]), "{found}");
}

#[test]
fn permits_are_public_and_bind_by_when_somebody_opted_out() {
    let ward = Ward::open();
    let (before, after) = ("https://fhir.example/Patient/1", "https://fhir.example/Patient/2");
    let opted = ward.put(before, &["--opt-out", "secondary"]);
    ward.put(after, &["--permit", "--purpose", "TREAT"]);
    let permit = ward.permit(&["issue"], &["51-1-a"]);
    ward.put(after, &["--opt-out", "secondary"]);
    let (first, second) = (ward.code(before), ward.code(after));
    let study = ward.study(&permit, "14-1-e");

    let (exit, denied) = ward.decided(&first, &study, &[]);
    assert_eq!((exit, said(&denied).as_str()), (1, "deny: secondary-opt-out"));
    let (exit, permitted) = ward.decided(&second, &study, &[]);
    assert_eq!((exit, said(&permitted).as_str()), (0, "permit: permit"));
    let height = ward.height().to_string();

    // What an amendment adds counts as issued with it; the opt-out of the second patient binds that.
    ward.permit(&["amend", &permit], &["51-1-a", "51-1-f"]);
    let genomes = ward.study(&permit, "51-1-f");
    assert_eq!(said(&ward.decided(&second, &genomes, &[]).1), "deny: secondary-opt-out");
    assert_eq!(said(&ward.decided(&second, &study, &[]).1), "permit: permit");
    assert_eq!(said(&ward.decided(&second, &genomes, &["--at-height", &height]).1), "deny: outside-permit");
    // Lifted since: not denied for ever, and the past stays what it was.
    ward.desk(&["rule", "end", &opted]);
    assert_eq!(said(&ward.decided(&first, &study, &[]).1), "permit: permit");
    let then = ward.decided(&first, &study, &["--at-height", &height]).1;
    assert_eq!(said(&then), "deny: secondary-opt-out");
    // A permit that nobody issued: that is proven, not claimed.
    let other = ward.study(&"0".repeat(32), "14-1-e");
    assert_eq!(said(&ward.decided(&second, &other, &[]).1), "deny: no-permit");

    // Anybody reads permits, without a key.
    let node = ward.network.address(1);
    let listed = ward.json(&["permit", "list", "--node", &node]);
    assert_eq!(listed["permits"][0]["permit"], json!(permit));
    assert_eq!(listed["permits"].as_array().unwrap().len(), 1);
    assert_eq!(ward.json(&["permit", "list", "--node", &node, "--body", RESEARCH])["permits"], json!([]));
    let anchor = ward.network.file("anchor");
    let show = ["permit", "show", &permit, "--node", &node, "--anchor", anchor.to_str().unwrap()];
    let shown = ward.json(&show);
    assert_eq!(shown["versions"].as_array().unwrap().len(), 2);
    let since = |category: usize| shown["categories"][category]["since_record"].as_u64().unwrap();
    assert_eq!(shown["categories"][0]["name"], "51-1-a");
    assert!(since(0) < since(1), "{shown}");
    let words = ward.text(&show);
    assert!(words.contains("in force") && words.contains("These are all its terms"), "{words}");

    // An access under it, recorded and replayed from the files alone.
    ward.desk(&[
        "access",
        "record",
        "--patient",
        after,
        "--acting",
        RESEARCH,
        "--action",
        "read",
        "--category",
        "14-1-e",
        "--purpose",
        "53-1-e",
        "--who-id",
        "Practitioner/9",
        "--basis",
        "permit",
        "--cites",
        &permit,
        "--decided",
        "permit",
    ]);
    let holder = ward.network.participant(1).to_string();
    let (own, theirs, trail) =
        (ward.file("own.custos"), ward.file("theirs.custos"), ward.file("permit.custos"));
    let by_code = ["trail", "prove", "--code", &second, "--custodian", &holder, "--node", &node];
    ward.json(&[&by_code[..], &["-o", &own]].concat());
    ward.json(&[&by_code[..], &["--grantee", RESEARCH, "-o", &theirs]].concat());
    let key = shown["trail"].as_str().unwrap();
    // What was done under a permit is for its parties.
    let (exit, _, err) = ward.run(&["trail", "prove", key, "--node", &node, "-o", &trail]);
    assert_eq!(exit, 2, "{err}");
    ward.json(&["trail", "prove", key, "--node", &node, "--key", &ward.body_key, "-o", &trail]);
    let vault = ward.vault();
    let vault: Vec<&str> = vault.iter().map(String::as_str).collect();
    let replay = ["replay", &own, &theirs, &trail, "--anchor", anchor.to_str().unwrap()];
    let found = ward.json(&[&replay[..], &vault].concat());
    assert_eq!(found["accesses"][0]["finding"], "follows", "{found}");
    assert_eq!(found["accesses"][0]["answers"][0]["items"][0]["ground"], "permit");
}

//! The offline commands as a user meets them: files in, words and exit codes out.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use custos_proof::anchor::{Advance, Links};
use custos_proof::cbor::{Bytes, List, Wire as _};
use custos_proof::disclosure::Disclosure;
use custos_proof::file::Receipts;
use custos_proof::hash::Digest;
use custos_proof::merkle;
use custos_proof::trail::TrailName;
use serde_json::Value;
use support::{Chain, hospital, own, run, write};

mod support;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn json(arguments: &[&str]) -> (i32, Value) {
    let (code, out, _) = run(&[&["--json"], arguments].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}")))
}

#[test]
fn a_receipt_says_who_states_what_and_what_was_checked() {
    let (chain, items) = Chain::with_a_story(0);
    let folder = tempfile::tempdir().unwrap();
    let anchor = write(folder.path(), "anchor", &chain.anchor().to_bytes());
    let receipt = write(folder.path(), "receipt", &chain.receipt(&items[2]).to_bytes());
    let (code, out, _) = run(&["verify", text(&receipt), "--anchor", text(&anchor)]);
    assert_eq!(code, 0, "{out}");
    for words in [
        "VERIFIED",
        "hospital-1.example states that",
        "4 of 4 validators",
        "within its trust period of 90 days",
        "consistent with what is on the ledger",
        "sealed, not shown",
        "details and outcome sealed",
    ] {
        assert!(out.contains(words), "{words:?} is not in:\n{out}");
    }
    assert!(!out.contains("\u{1b}["), "no colour into a pipe");
}

#[test]
fn openings_are_shown_only_where_they_fit() {
    let (chain, items) = Chain::with_a_story(0);
    let folder = tempfile::tempdir().unwrap();
    let anchor = write(folder.path(), "anchor", &chain.anchor().to_bytes());
    let receipt = write(folder.path(), "receipt", &chain.receipt(&items[2]).to_bytes());
    let openings = write(folder.path(), "openings", &chain.all_openings().to_bytes());
    let (code, out, _) =
        run(&["verify", text(&receipt), "--anchor", text(&anchor), "--openings", text(&openings)]);
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("12 Mar 2026, 10:14 UTC: hospital-1.example states that somebody there read data"),
        "{out}"
    );
    assert!(!out.contains("sealed, not shown"));

    let mut forged = chain.all_openings();
    let changed = forged.openings.iter().cloned().map(|mut opening| {
        opening.value = Bytes::new(vec![0x82, 0, 2]).unwrap();
        opening
    });
    forged.openings = List::new(changed.collect()).unwrap();
    let forged = write(folder.path(), "forged", &forged.to_bytes());
    let (code, _, err) =
        run(&["verify", text(&receipt), "--anchor", text(&anchor), "--openings", text(&forged)]);
    assert_eq!(code, 1);
    assert!(err.contains("does not fit its seal"), "{err}");
}

#[test]
fn a_complete_trail_an_absence_and_a_disclosure_verify() {
    let (chain, items) = Chain::with_a_story(0);
    let folder = tempfile::tempdir().unwrap();
    let anchor = write(folder.path(), "anchor", &chain.anchor().to_bytes());
    let name = TrailName::subject(&hospital(), own());
    let trail = write(folder.path(), "trail", &chain.trail(&name).to_bytes());
    let (code, out, _) = run(&["verify", text(&trail), "--anchor", text(&anchor)]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains(&format!("a complete trail: all {} entries", items.len())), "{out}");
    assert!(out.contains("CONTRADICTED: the cited rule had been ended"), "{out}");
    assert!(out.contains("Not proven"), "{out}");

    let (code, report) = json(&["verify", text(&trail), "--anchor", text(&anchor)]);
    assert_eq!(code, 0);
    assert_eq!(
        (&report["outcome"], &report["complete"], &report["absent"]),
        (&"verified".into(), &true.into(), &false.into())
    );
    assert_eq!(report["entries"][4]["item"]["finding"], "contradicted");

    let nobody = TrailName::subject(&hospital(), Digest([9; 32]));
    let absence = write(folder.path(), "absence", &chain.trail(&nobody).to_bytes());
    let (code, out, _) = run(&["verify", text(&absence), "--anchor", text(&anchor)]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("an absence: nothing has ever been recorded on this trail"), "{out}");

    let disclosure = Disclosure {
        proof: Bytes::new(chain.trail(&name).to_bytes()).unwrap(),
        openings: chain.all_openings().openings,
    };
    let disclosed = write(folder.path(), "disclosure", &disclosure.to_bytes());
    let (code, out, _) = run(&["verify", text(&disclosed), "--anchor", text(&anchor)]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("16 of 16 sealed fields opened"), "{out}");

    let nested = Disclosure { proof: Bytes::new(disclosure.to_bytes()).unwrap(), openings: List::default() };
    let nested = write(folder.path(), "nested", &nested.to_bytes());
    assert_eq!(run(&["verify", text(&nested), "--anchor", text(&anchor)]).0, 2);
}

#[test]
fn a_part_of_a_trail_says_for_which_period_it_is_complete() {
    let (chain, _) = Chain::with_a_story(0);
    let folder = tempfile::tempdir().unwrap();
    let anchor = write(folder.path(), "anchor", &chain.anchor().to_bytes());
    // Five entries, one a minute from 10:01 on; the last block is the last one's.
    let whole = chain.trail(&TrailName::subject(&hospital(), own()));
    let part = |from: usize, to: usize| {
        let mut proof = whole.clone();
        let path = merkle::prove_range(&whole.leaves()[..], from as u64, to as u64, 5).unwrap();
        proof.begin = from as u64;
        proof.entries = List::new(whole.entries[from..to].to_vec()).unwrap();
        proof.range_path = List::new(path).unwrap();
        write(folder.path(), &format!("part-{from}-{to}"), &proof.to_bytes())
    };
    let minute = |time: &str| Value::from(format!("2026-03-12T10:{time}Z"));
    for (from, to, words, covers_from, covers_to) in [
        (
            1,
            4,
            "everything recorded from 12 Mar 2026, 10:02:01 UTC to 12 Mar 2026, 10:03:59 UTC",
            minute("02:00.001"),
            minute("03:59.999"),
        ),
        (
            2,
            5,
            "everything recorded from 12 Mar 2026, 10:03:01 UTC to 12 Mar 2026, 10:05:00 UTC",
            minute("03:00.001"),
            minute("05:00.000"),
        ),
        (
            0,
            3,
            "everything recorded from the beginning to 12 Mar 2026, 10:02:59 UTC",
            Value::from("1970-01-01T00:00:00.000Z"),
            minute("02:59.999"),
        ),
        (2, 3, "no second whole", Value::Null, Value::Null),
    ] {
        let file = part(from, to);
        let (code, out, err) = run(&["verify", text(&file), "--anchor", text(&anchor)]);
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.contains(words), "{words:?} is not in:\n{out}");
        let (_, report) = json(&["verify", text(&file), "--anchor", text(&anchor)]);
        assert_eq!(report["complete"], false);
        assert_eq!((&report["covers_from"], &report["covers_to"]), (&covers_from, &covers_to));
    }
}

#[test]
fn a_trail_that_lacks_an_entry_is_evidence() {
    let (chain, _) = Chain::with_a_story(0);
    let folder = tempfile::tempdir().unwrap();
    let anchor = write(folder.path(), "anchor", &chain.anchor().to_bytes());
    let mut proof = chain.trail(&TrailName::subject(&hospital(), own()));
    let mut entries = proof.entries.into_inner();
    entries.remove(2);
    proof.entries = List::new(entries).unwrap();
    let lacking = write(folder.path(), "lacking", &proof.to_bytes());
    let (code, out, err) = run(&["verify", text(&lacking), "--anchor", text(&anchor)]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("NOT VERIFIED"), "{err}");
}

#[test]
fn no_flipped_byte_of_a_receipt_is_ever_verified() {
    let (chain, items) = Chain::with_a_story(0);
    let folder = tempfile::tempdir().unwrap();
    let anchor = write(folder.path(), "anchor", &chain.anchor().to_bytes());
    let good = chain.receipt(&items[2]).to_bytes();
    // Every byte is flipped in the proof crate's own tests; here a sample meets the real program.
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let bad = write(folder.path(), "bad", &bad);
        let (code, out, err) = run(&["verify", text(&bad), "--anchor", text(&anchor)]);
        assert!(code == 1 || code == 2, "byte {at}: exit {code}\n{out}{err}");
        assert!(out.is_empty() && !err.is_empty() && !err.contains("panicked"), "byte {at}: {out}{err}");
    }
    let mut signature = good.clone();
    let envelope = chain.receipt(&items[2]).envelope.to_vec();
    let at = good.windows(envelope.len()).position(|window| window == &envelope[..]).unwrap()
        + envelope.len()
        - 40;
    signature[at] ^= 1;
    let bad = write(folder.path(), "bad", &signature);
    let (code, _, err) = run(&["verify", text(&bad), "--anchor", text(&anchor)]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("the author's signature does not verify"), "{err}");
}

#[test]
fn what_cannot_be_told_ends_with_2() {
    let (chain, items) = Chain::with_a_story(0);
    let (other, _) = Chain::with_a_story(10);
    let folder = tempfile::tempdir().unwrap();
    let anchor = write(folder.path(), "anchor", &chain.anchor().to_bytes());
    let receipt = write(folder.path(), "receipt", &chain.receipt(&items[2]).to_bytes());
    let fails = |arguments: &[&str], words: &str| {
        let (code, _, err) = run(&[&["verify", text(&receipt)], arguments].concat());
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(words), "{words:?} is not in {err}");
    };

    let of_another_chain = write(folder.path(), "other", &other.anchor().to_bytes());
    fails(&["--anchor", text(&of_another_chain)], "use the anchor of that network");

    let mut old = chain.anchor();
    old.time.0 -= 91 * 86_400_000;
    let old = write(folder.path(), "old", &old.to_bytes());
    fails(&["--anchor", text(&old)], "could not exclude a forgery by keys retired since");

    fails(&["--anchor", text(&anchor), "--not-older-than", "2026-03-13"], "older than asked for");
    fails(&["--anchor", text(&anchor), "--not-older-than", "yesterday"], "is no time");
    fails(&["--anchor", "/nonexistent"], "could not read");
    fails(&["--anchor", text(&receipt)], "is no usable anchor");

    let stranger = write(folder.path(), "stranger", b"hello");
    assert_eq!(run(&["verify", text(&stranger), "--anchor", text(&anchor)]).0, 2);
    assert_eq!(run(&["verify", text(&anchor), "--anchor", text(&anchor)]).0, 2);
    assert_eq!(run(&["verify"]).0, 2);
    assert_eq!(run(&["no-such-command"]).0, 2);

    let (code, report) = json(&["verify", text(&receipt), "--anchor", text(&old)]);
    assert_eq!(code, 2);
    assert_eq!(report["outcome"], "could-not-tell");
}

#[test]
fn a_genesis_is_an_anchor_and_several_receipts_are_verified_together() {
    let (chain, items) = Chain::with_a_story(0);
    let folder = tempfile::tempdir().unwrap();
    let genesis = write(folder.path(), "genesis", &chain.genesis.to_bytes());
    let receipts =
        Receipts { receipts: List::new(items.iter().map(|item| chain.receipt(item)).collect()).unwrap() };
    let file = write(folder.path(), "receipts", &receipts.to_bytes());
    let (code, report) = json(&["verify", text(&file), "--anchor", text(&genesis)]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["receipts"].as_array().unwrap().len(), items.len());
}

#[test]
fn keys_are_private_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.key");
    let (code, report) = json(&["keygen", "-o", text(&path)]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["public_key"].as_str().unwrap().len(), 64);
    assert_eq!(report["purpose"], "sign");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&path).unwrap();
    let (code, _, err) = run(&["keygen", "-o", text(&path)]);
    assert_eq!(code, 2);
    assert!(err.contains("not overwritten"), "{err}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(
        !run(&["keygen", "-o", text(&folder.path().join("b.key"))])
            .1
            .contains(std::str::from_utf8(&before).unwrap())
    );
}

#[test]
fn a_genesis_is_made_from_keys_here_and_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (file, purpose) in
        [("registrar.key", "sign"), ("a-sign.key", "sign"), ("a-consensus.key", "consensus")]
    {
        assert_eq!(run(&["keygen", "-o", text(&at(file)), "--purpose", purpose]).0, 0);
    }
    let (_, far) = json(&[
        "keygen",
        "-o",
        text(&at("far.key")),
        "--purpose",
        "transport",
        "--owner",
        "hospital-a.example",
    ]);
    let description = format!(
        r#"
        name = "Ward"
        registrar = "registrar.example"
        [[participants]]
        id = "registrar.example"
        roles = ["registrar"]
        jurisdiction = "DE"
        name = "Registrar"
        keys = [{{ file = "registrar.key" }}]
        [[participants]]
        id = "hospital-a.example"
        roles = ["custodian", "validator"]
        jurisdiction = "DE"
        name = "Hospital A"
        display_names = {{ de = "Krankenhaus A" }}
        power = 1
        keys = [
          {{ file = "a-sign.key" }},
          {{ file = "a-consensus.key" }},
          {{ public = "{}", purpose = "transport", possession = "{}" }},
        ]
        "#,
        far["public_key"].as_str().unwrap(),
        far["possession"].as_str().unwrap(),
    );
    let from = write(folder.path(), "network.toml", description.as_bytes());
    let (genesis, anchor) = (at("genesis.custos"), at("anchor.custos"));
    let (code, made) =
        json(&["genesis", "new", "--from", text(&from), "-o", text(&genesis), "--anchor", text(&anchor)]);
    assert_eq!(code, 0, "{made}");
    let (code, seen) = json(&["genesis", "inspect", text(&genesis)]);
    assert_eq!((code, &seen["chain"]), (0, &made["chain"]));
    assert_eq!(run(&["anchor", "show", text(&anchor)]).0, 0);
    assert_eq!(run(&["anchor", "show", text(&genesis)]).0, 0);

    let (code, _, err) = run(&["genesis", "new", "--from", text(&from), "-o", text(&genesis)]);
    assert_eq!(code, 2);
    assert!(err.contains("not overwritten"), "{err}");
    for (find, replace, words) in [
        ("registrar = \"registrar", "registrar = \"hospital-a", "has no registrar role"),
        ("roles = [\"registrar\"]", "roles = [\"king\"]", "unknown role"),
        ("power = 1", "power = 0", "cannot begin a chain"),
        ("name = \"Ward\"", "nom = \"Ward\"", "unknown field"),
        ("a-consensus.key", "a-sign.key", "is listed twice"),
    ] {
        let from = write(folder.path(), "bad.toml", description.replacen(find, replace, 1).as_bytes());
        let (code, _, err) = run(&["genesis", "new", "--from", text(&from), "-o", text(&at("bad.custos"))]);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(words), "{words:?} is not in {err}");
        assert!(!at("bad.custos").exists());
    }

    std::fs::set_permissions(at("a-sign.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, _, err) = run(&["genesis", "new", "--from", text(&from), "-o", text(&at("bad.custos"))]);
    assert_eq!(code, 2);
    assert!(err.contains("others may read it") && err.contains("chmod 600"), "{err}");
}

#[test]
fn help_is_words_on_standard_output() {
    let (code, out, _) = run(&["help", "verify"]);
    assert_eq!(code, 0);
    assert!(out.contains("Examples:") && out.contains("Exit codes:"), "{out}");
}

/// The story's own trail and its openings, as files.
fn story(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf, std::path::PathBuf) {
    let (chain, _) = Chain::with_a_story(0);
    let name = TrailName::subject(&hospital(), own());
    (
        write(folder, "anchor", &chain.anchor().to_bytes()),
        write(folder, "trail", &chain.trail(&name).to_bytes()),
        write(folder, "openings", &chain.all_openings().to_bytes()),
    )
}

#[test]
fn a_report_speaks_the_readers_language() {
    let folder = tempfile::tempdir().unwrap();
    let (anchor, trail, openings) = story(folder.path());
    let verify = ["verify", text(&trail), "--anchor", text(&anchor), "--openings", text(&openings)];
    let (code, german, _) = run(&[&verify[..], &["--lang", "de"]].concat());
    assert_eq!(code, 0, "{german}");
    for words in [
        "BESTÄTIGT eine vollständige Spur: alle 5 Einträge",
        "12. März 2026, 10:14 UTC: hospital-1.example gibt an, dass jemand dort Daten gelesen hat",
        "aufgrund der Einwilligung der betroffenen Person vom 12. März (Regel 1)",
        "WIDERSPRUCH: die angeführte Regel war schon beendet",
        "Nicht bewiesen",
    ] {
        assert!(german.contains(words), "{words:?} is not in:\n{german}");
    }
    // The locale decides when nobody says otherwise, and the flag before it.
    let with_locale = |arguments: &[&str], locale: &str| {
        let program = std::process::Command::new(env!("CARGO_BIN_EXE_custos"))
            .args(arguments)
            .env("LC_ALL", locale)
            .env_remove("CUSTOS_MESSAGES")
            .output()
            .unwrap();
        String::from_utf8(program.stdout).unwrap()
    };
    assert_eq!(with_locale(&verify, "de_AT.UTF-8"), german);
    assert!(with_locale(&verify, "xx_XX").starts_with("VERIFIED"));
    assert!(with_locale(&[&verify[..], &["--lang", "en"]].concat(), "de_DE.UTF-8").starts_with("VERIFIED"));
    // JSON keeps ISO 8601 and the words of the formats.
    let (_, report) = json(&[&verify[..], &["--lang", "de"]].concat());
    assert_eq!(report["entries"][4]["item"]["finding"], "contradicted");
    assert_eq!(report["entries"][4]["item"]["record"]["time"], "2026-03-12T10:05:00.000Z");
    assert!(report["entries"][2]["item"]["words"].as_str().unwrap().contains("gibt an, dass"));

    let (code, _, err) = run(&[&verify[..], &["--lang", "tlh"]].concat());
    assert_eq!(code, 2);
    assert!(err.contains("there are: de, en"), "{err}");
}

#[test]
fn a_language_of_ones_own_is_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (anchor, trail, _) = story(folder.path());
    let french = folder.path().join("messages/fr");
    std::fs::create_dir_all(&french).unwrap();
    write(&french, "trail.ftl", "verified = V\u{c9}RIFI\u{c9}\n".as_bytes());
    let messages = folder.path().join("messages");
    let verify =
        ["verify", text(&trail), "--anchor", text(&anchor), "--lang", "fr", "--messages", text(&messages)];
    let (code, out, _) = run(&verify);
    assert_eq!(code, 0, "{out}");
    assert!(out.starts_with("V\u{c9}RIFI\u{c9} a complete trail"), "what French lacks is English:\n{out}");
    write(&french, "broken.ftl", b"verified = { $\n");
    let (code, _, err) = run(&verify);
    assert_eq!(code, 2);
    assert!(err.contains("broken.ftl") && err.contains("not well formed"), "{err}");
    let (code, _, err) = run(&["anchor", "show", text(&anchor), "--messages", "/nonexistent"]);
    assert_eq!(code, 2, "{err}");
}

#[test]
fn an_anchor_older_than_its_trust_period_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let (anchor, trail, openings) = story(folder.path());
    // The story is of March 2026, long ago by any clock that runs this.
    let (code, report) = json(&["verify", text(&trail), "--anchor", text(&anchor)]);
    assert_eq!((code, &report["anchor_is_old"]), (0, &true.into()));
    let (_, _, err) = run(&["verify", text(&trail), "--anchor", text(&anchor)]);
    assert!(
        err.contains("the anchor is of 12 Mar 2026, 10:00 UTC") && err.contains("anchor update"),
        "{err}"
    );
    let (_, _, err) = run(&[
        "report",
        "ehds",
        text(&trail),
        "--anchor",
        text(&anchor),
        "--openings",
        text(&openings),
        "--lang",
        "de",
    ]);
    assert!(err.contains("Der Anker ist vom 12. M\u{e4}rz 2026"), "{err}");
}

#[test]
fn an_anchor_that_is_written_over_is_kept_and_one_that_is_too_old_is_not_moved() {
    let (chain, items) = Chain::with_a_story(0);
    let folder = tempfile::tempdir().unwrap();
    let receipt = chain.receipt(&items[2]);
    let advance = Advance {
        links: List::default(),
        header: receipt.header.clone(),
        certificate: receipt.certificate.clone(),
        next: chain.anchor().validators,
        witnessed: None,
    };
    let advance = write(folder.path(), "advance", &advance.to_bytes());
    let first = chain.anchor().to_bytes();
    let anchor = write(folder.path(), "anchor", &first);
    let kept = folder.path().join("anchor.0");

    let (code, report) = json(&["anchor", "update", text(&anchor), "--from", text(&advance)]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["height"], 5);
    assert_eq!(report["node_believed"], false);
    assert_eq!(report["kept"], text(&kept));
    assert_eq!(std::fs::read(&kept).unwrap(), first);
    // Moved to where it stands, it takes the place of nothing.
    let (code, report) = json(&["anchor", "update", text(&anchor), "--from", text(&advance)]);
    assert_eq!((code, &report["kept"]), (0, &Value::Null));
    let receipt = write(folder.path(), "receipt", &receipt.to_bytes());
    assert_eq!(run(&["verify", text(&receipt), "--anchor", text(&anchor)]).0, 0);

    let mut old = chain.anchor();
    old.time.0 -= 91 * 86_400_000;
    let old_bytes = old.to_bytes();
    let old = write(folder.path(), "old", &old_bytes);
    let (code, _, err) = run(&["anchor", "update", text(&old), "--from", text(&advance)]);
    assert_eq!(code, 2, "{err}");
    for words in ["the anchor was not moved", "90 days", "somebody you trust", "--believe-node"] {
        assert!(err.contains(words), "{words:?} is not in {err}");
    }
    assert_eq!(std::fs::read(&old).unwrap(), old_bytes);
    assert!(!folder.path().join("old.0").exists());
    // Whom to believe is a question about a node.
    let believing = ["anchor", "update", text(&old), "--from", text(&advance), "--believe-node"];
    assert_eq!(run(&believing).0, 2);
    assert_eq!(run(&["anchor", "update", text(&old), "--believe-node"]).0, 2);
    assert_eq!(std::fs::read(&old).unwrap(), old_bytes);
}

#[test]
fn links_go_with_a_proof_and_show_nothing_alone() {
    let (chain, items) = Chain::with_a_story(0);
    let folder = tempfile::tempdir().unwrap();
    let anchor = write(folder.path(), "anchor", &chain.anchor().to_bytes());
    let receipt = write(folder.path(), "receipt", &chain.receipt(&items[2]).to_bytes());
    let links = write(folder.path(), "links", &Links { links: List::default() }.to_bytes());
    let (code, out, _) = run(&["verify", text(&receipt), "--anchor", text(&anchor), "--links", text(&links)]);
    assert_eq!(code, 0, "{out}");
    let (code, _, err) = run(&["verify", text(&links), "--anchor", text(&anchor)]);
    assert_eq!(code, 2);
    assert!(err.contains("a file of links, to go with a proof"), "{err}");
}

#[test]
fn a_report_is_made_from_files_that_were_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let (anchor, trail, openings) = story(folder.path());
    let (table, page) = (folder.path().join("a.csv"), folder.path().join("a.html"));
    let ehds = [
        "report",
        "ehds",
        text(&trail),
        "--anchor",
        text(&anchor),
        "--openings",
        text(&openings),
        "--csv",
        text(&table),
        "--html",
        text(&page),
    ];
    let (code, report) = json(&ehds);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["entries"].as_array().unwrap().len(), 2);
    assert_eq!(report["entries"][0]["time"], "2026-03-12T10:14:00Z");
    assert_eq!(report["sources"][0]["complete"], true);
    assert_eq!(report["sources"][0]["entries"], 5);
    for path in [&table, &page] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "personal data");
    }
    assert!(std::fs::read_to_string(&page).unwrap().contains("CONTRADICTED: the cited rule had been ended"));
    let table = std::fs::read_to_string(&table).unwrap();
    assert!(table.lines().all(|line| !line.is_empty()) && table.ends_with("\r\n"));
    // Nothing is overwritten.
    let (code, _, err) = run(&ehds);
    assert_eq!(code, 2, "{err}");

    let (code, report) =
        json(&["report", "hipaa", text(&trail), "--anchor", text(&anchor), "--openings", text(&openings)]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["entries"], serde_json::json!([]), "what stays in the house is no disclosure");
    assert_eq!(report["left_out"]["use"], 2);

    // A receipt is no trail, and a trail that lacks an entry is evidence.
    let (chain, items) = Chain::with_a_story(0);
    let receipt = write(folder.path(), "receipt", &chain.receipt(&items[2]).to_bytes());
    assert_eq!(run(&["report", "ehds", text(&receipt), "--anchor", text(&anchor)]).0, 2);
    let mut lacking = chain.trail(&TrailName::subject(&hospital(), own()));
    let mut entries = lacking.entries.into_inner();
    entries.remove(2);
    lacking.entries = List::new(entries).unwrap();
    let lacking = write(folder.path(), "lacking", &lacking.to_bytes());
    assert_eq!(run(&["report", "ehds", text(&lacking), "--anchor", text(&anchor)]).0, 1);
    assert_eq!(run(&["report", "ehds", "--anchor", text(&anchor)]).0, 2);
}

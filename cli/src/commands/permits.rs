//! `custos permit list` and `show`: permits are public (EHDS, Art. 58), so anybody reads them, without a key.
//!
//! A list is what a node says. What `show` says of a permit is proven: its entries of the state map, and the receipts of
//! the items that state its terms.

use std::path::PathBuf;

use clap::Args;
use custos_api::blocking::Client;
use custos_api::permits::PermitAnswer;
use custos_decide::gather::PermitHistory;
use custos_proof::cbor::Wire as _;
use custos_proof::ids::{ParticipantId, Random16, TimeMs};
use custos_proof::kinds::permit::{Override, Terms};
use custos_proof::trail::TrailName;
use serde_json::{Value, json};

use crate::exit::{Exit, Failed, Outcome};
use crate::network::refused;
use crate::proven;
use crate::render::json as render;
use crate::render::table::table;
use crate::screen::Screen;
use crate::time;
use crate::trails::Ground;

/// List the data permits that were issued
///
/// Permits are public: no key is needed. The list is what the node says; `show` proves each.
#[derive(Debug, Args)]
#[command(name = "list")]
#[command(
    after_help = "Example:\n  custos permit list --node http://127.0.0.1:7700 --body access-body.example"
)]
pub(crate) struct List_ {
    /// The node's address, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
    /// Only those of this access body
    #[arg(long, value_name = "PARTICIPANT")]
    body: Option<ParticipantId>,
}

/// Show a data permit, verified
///
/// Every version of its terms, since which block each part of them holds, and whether it was revoked: from the state of the
/// network, and from the receipts of what was recorded. No key is needed.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 shown and verified, 1 the node's proofs contradict themselves, 2 there is no such permit, or it could not be told.\n\n\
    Example:\n  custos permit show 5a0e...c1 --node http://127.0.0.1:7700 --anchor anchor.custos"
)]
pub(crate) struct Show {
    /// The permit's id
    #[arg(value_name = "PERMIT")]
    permit: Random16,
    /// The node's address, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
    /// Verify from this anchor; without it the node's own genesis is believed
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
}

impl List_ {
    pub(super) fn run(&self, screen: &Screen) -> Outcome {
        let client = Client::new(&self.url).map_err(refused)?;
        let mut permits: Vec<PermitAnswer> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = client.permits(self.body.as_ref(), cursor.as_deref()).map_err(refused)?;
            permits.extend(page.permits);
            match page.next {
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                _ => break,
            }
        }
        let now = TimeMs(client.status().map_err(refused)?.time_ms);
        screen.result(
            |_| {
                let rows: Vec<Vec<String>> = permits.iter().map(|permit| row(permit, now)).collect();
                let head = ["permit", "body", "user", "purposes", "categories", "until", "state"];
                match rows.is_empty() {
                    true => "no permit was issued\n".into(),
                    false => format!("{}\n", table(&head, &rows)),
                }
            },
            || json!({ "permits": permits }),
        );
        Ok(Exit::Done)
    }
}

/// The terms that hold, as the node gives them.
fn terms(permit: &PermitAnswer) -> Option<Terms> {
    let given = custos_api::view::given(&permit.versions.last()?.terms).ok()?;
    Terms::from_given(&given).ok()
}

fn row(permit: &PermitAnswer, now: TimeMs) -> Vec<String> {
    let terms = terms(permit);
    let of = |words: &dyn Fn(&Terms) -> String| terms.as_ref().map(words).unwrap_or_default();
    vec![
        permit.permit.to_string(),
        permit.body.to_string(),
        of(&|terms| terms.user.to_string()),
        of(&|terms| terms.purposes.iter().map(|one| one.word()).collect::<Vec<_>>().join(", ")),
        of(&|terms| terms.categories.iter().map(|one| one.word()).collect::<Vec<_>>().join(", ")),
        of(&|terms| time::words(terms.ends)),
        of(&|terms| state(permit.revoked.is_some(), terms, now).to_owned()),
    ]
}

fn state(is_revoked: bool, terms: &Terms, now: TimeMs) -> &'static str {
    match () {
        () if is_revoked => "revoked",
        () if terms.ends <= now => "over",
        () if now < terms.begins => "to come",
        () => "in force",
    }
}

impl Show {
    pub(super) fn run(&self, screen: &Screen) -> Outcome {
        let client = Client::new(&self.url).map_err(refused)?;
        let ground = Ground::of(&client, self.anchor.as_ref())?;
        ground.warn(screen);
        let found = proven::permit(&client, &self.permit, &ground, screen.speaker())?;
        let history = found.ok_or_else(|| {
            Failed::unable(format!("it is proven that no permit {} was issued", self.permit))
                .hint("custos permit list shows those that were")
        })?;
        let now = TimeMs(client.status().map_err(refused)?.time_ms);
        let ground = ground.words(screen.speaker());
        screen.result(|_| words(&history, now, &ground), || document(&history, now));
        Ok(Exit::Done)
    }
}

fn words(history: &PermitHistory, now: TimeMs, ground: &str) -> String {
    let (Some(last), Some(permit)) = (history.versions.last(), history.as_of(history.known, now)) else {
        return String::new();
    };
    let terms = &last.terms;
    let mut text = format!("permit       {}\n", history.id);
    let mut line = |label: &str, words: String| text.push_str(&format!("{label:<13}{words}\n"));
    line("trail", TrailName::permit(&history.body, &history.id).key().to_string());
    line("issued by", history.body.to_string());
    line(
        "state",
        match permit.revoked {
            Some(height) => format!("revoked in block {height}"),
            None => state(false, terms, now).into(),
        },
    );
    line("user", terms.user.to_string());
    for (code, at) in &permit.purposes {
        line("purpose", format!("{}, since record {at}", &**code));
    }
    for (code, at) in &permit.categories {
        line("category", format!("{}, since record {at}", &**code));
    }
    for (holder, at) in &permit.holders {
        line("holder", format!("{holder}, since record {at}"));
    }
    if let Some(environment) = &terms.environment {
        line("environment", environment.to_string());
    }
    line("period", format!("{} to {}", time::words(terms.begins), time::words(terms.ends)));
    line("form", terms.form.word().into());
    line(
        "opt-outs",
        match terms.over_opt_out {
            Override::None => "hold: whoever opted out before is left out".into(),
            over => format!("are overridden: {}", over.word()),
        },
    );
    for (number, version) in (1..).zip(&history.versions) {
        let what = if number == 1 { "issued" } else { "amended" };
        line(what, format!("in block {}, record {}, item {}", version.since, version.position, version.item));
    }
    text.push_str(&format!("These are all its terms up to block {}. {ground}\n", history.known));
    text
}

fn document(history: &PermitHistory, now: TimeMs) -> Value {
    let permit = history.as_of(history.known, now);
    let place =
        |(name, at): (String, custos_proof::ids::LogIndex)| json!({ "name": name, "since_record": at.0 });
    let version = |version: &custos_decide::gather::Version| {
        json!({
            "item": version.item.to_string(),
            "height": version.since.0,
            "record": version.position.0,
            "terms": render::of(&version.terms),
        })
    };
    json!({
        "permit": history.id.to_string(),
        "body": history.body.to_string(),
        "trail": TrailName::permit(&history.body, &history.id).key().to_string(),
        "revoked": history.revoked.map(|height| height.0),
        "state": history.versions.last().map(|last| state(history.revoked.is_some(), &last.terms, now)),
        "versions": history.versions.iter().map(version).collect::<Vec<_>>(),
        "purposes": permit.iter().flat_map(|p| &p.purposes).map(|(code, at)| place((code.to_string(), *at))).collect::<Vec<_>>(),
        "categories": permit.iter().flat_map(|p| &p.categories).map(|(code, at)| place((code.to_string(), *at))).collect::<Vec<_>>(),
        "holders": permit.iter().flat_map(|p| &p.holders).map(|(id, at)| place((id.to_string(), *at))).collect::<Vec<_>>(),
        "known_up_to": history.known.0,
    })
}

//! `custos who-can-see`: the reverse question, from consents in files or from verified trails.

use std::path::PathBuf;

use clap::Args;
use custos_decide::gather::{self, Beside, Committed};
use custos_decide::listing::{self, OpenTrail};
use custos_decide::request::Item;
use custos_decide::visible::{self, Row, Who};
use custos_proof::ids::{Height, ParticipantId, TimeMs};
use custos_proof::sealed_values::{ActionKind, Coding, Describe as _, Moment, Party, RosterEntry, Token};
use serde_json::{Value, json};

use crate::decision::{PolicyArgs, known, words_of_item};
use crate::evidence::{Evidence, EvidenceArgs, Opened};
use crate::exit::{Exit, Failed, Outcome};
use crate::render::json as render;
use crate::roster::RosterFile;
use crate::screen::Screen;
use crate::time;

/// Say who can see data of a patient, what for, and why
///
/// Asks the deciding procedure for everybody whom the patient's rules name, for clinicians and staff whom they
/// do not name, for representatives, for data users whose permit's trail is among the files, for the members of
/// the custodian's roster where it is given, and for each purpose. The rules come from trail proofs with openings,
/// from the vault, or from FHIR Consents in files. Data is described by category, labels, author and date; what is not said is unknown, and
/// unknown data is reached by denials only.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 answered, 1 a file is evidence against itself, 2 rules are sealed or it could not be done.\n\n\
    Examples:\n  \
    custos who-can-see own.custos --anchor anchor.custos --vault vault --category 14-1-e\n  \
    custos who-can-see own.custos institution.custos permit.custos --roster roster.json --anchor anchor.custos --vault vault\n  \
    custos who-can-see --consent consent.json --custodian hospital-a.example --label PSY --at 2026-07-01"
)]
pub(crate) struct WhoCanSee {
    #[command(flatten)]
    evidence: EvidenceArgs,
    /// A FHIR R4 Consent instead of trails; may be repeated
    #[arg(long = "consent", value_name = "FILE", conflicts_with = "files")]
    consents: Vec<PathBuf>,
    /// Who holds the data; by default the custodian of the trails
    #[arg(long, value_name = "PARTICIPANT", required_unless_present = "files")]
    custodian: Option<ParticipantId>,
    /// A category of the data, such as 14-1-e (EHDS Art. 14(1)(e)); may be repeated
    #[arg(long = "category", value_name = "CODE", value_parser = code)]
    categories: Vec<Coding>,
    /// A label of the data, such as R or PSY; may be repeated
    #[arg(long = "label", value_name = "CODE", value_parser = code)]
    labels: Vec<Coding>,
    /// The data's own address, such as Observation/17
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    item: String,
    /// Who wrote the data, such as Practitioner/3
    #[arg(long, value_name = "ADDRESS")]
    author: Option<String>,
    /// Of which time the data is, such as 2022-06
    #[arg(long, value_name = "DATE", value_parser = crate::commands::rule::moment)]
    dated: Option<Moment>,
    /// What would be done
    #[arg(long, value_name = "ACTION", default_value = "read", value_parser = action)]
    action: ActionKind,
    /// The custodian's roster, as `custos roster commit --out` wrote it: each of its members is asked about, too
    #[arg(long, value_name = "FILE", requires = "files")]
    roster: Option<PathBuf>,
    /// As of which time; by default the time of the proof's block, or now
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    at: Option<TimeMs>,
    #[command(flatten)]
    policy: PolicyArgs,
}

impl WhoCanSee {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        let Evidence { opened, beside } = match self.evidence.is_empty() {
            true => Evidence { opened: Vec::new(), beside: Beside::default() },
            false => self.evidence.read(screen)?,
        };
        let custodian = match (&self.custodian, opened.first()) {
            (Some(custodian), _) => custodian.clone(),
            (None, Some(first)) => first.trail.name.owner.clone(),
            (None, None) => {
                return Err(Failed::unable("say who holds the data").hint("--custodian hospital-a.example"));
            }
        };
        let policy = self.policy.read()?;
        let newest = opened.iter().map(|one| &one.trail.header.header).max_by_key(|header| header.height);
        let height = newest.map_or(Height(0), |header| header.height);
        let at = self.at.or(newest.map(|header| header.time)).unwrap_or_else(time::now);
        let mut facts = self.policy.facts(&policy, &custodian, height, at);
        if opened.is_empty() {
            facts.rules = self.policy.consents(&self.consents, &custodian)?;
        } else {
            let trails: Vec<OpenTrail<'_>> = opened.iter().map(Opened::open).collect();
            let listing = listing::rules(&trails, &custodian, &custodian, height, facts.terminology);
            facts.rules = listing.rules;
            facts.missing_trails = listing.missing_trails + usize::from(!listing.is_complete);
            facts.representatives = gather::representatives(&facts.rules, height, at);
            let (known, old): (Vec<_>, Vec<_>) =
                beside.permits.iter().partition(|history| history.covers(height));
            facts.permits = known.iter().filter_map(|history| history.as_of(height, at)).collect();
            // A permit whose trail is proven of an earlier block may have been amended or revoked since.
            facts.missing_trails += old.len();
        }
        let staff = self.staff(&beside, &custodian, height, at, screen)?;
        let rows = visible::who_can_see(&facts, &custodian, &self.item()?, self.action, &staff);
        let unknown = custos_decide::consent::unknowns(&facts).len();
        screen.result(
            |_| words(&rows, unknown, at),
            || json!({ "at": at.to_string(), "height": height.0, "unknown": unknown, "rows": rows.iter().map(data).collect::<Vec<_>>() }),
        );
        Ok(if unknown == 0 { Exit::Done } else { Exit::Unable })
    }

    /// The entries of the custodian's roster, if they are the ones that it had bound itself to.
    fn staff(
        &self,
        beside: &Beside,
        custodian: &ParticipantId,
        height: Height,
        at: TimeMs,
        screen: &Screen,
    ) -> Outcome<Vec<RosterEntry>> {
        let Some(path) = &self.roster else { return Ok(Vec::new()) };
        let roster = RosterFile::committed(path)?;
        let history = beside.rosters.iter().find(|history| history.organisation == *custodian);
        match history.map_or(Committed::Unknown, |history| history.as_of(height, at)) {
            Committed::To(commitment) if commitment.root == roster.root() => Ok(roster.entries),
            Committed::To(_) => Err(Failed::against(format!(
                "{} is not the roster that {custodian} had bound itself to",
                path.display()
            ))),
            Committed::Nothing => {
                screen.warn(format!("{custodian} had bound itself to no roster: the list proves nothing."));
                Ok(roster.entries)
            }
            Committed::Unknown => Err(Failed::unable(format!(
                "what {custodian} had bound itself to at block {height} is not shown"
            ))
            .hint("name a proof of the institution's trail that reaches that block (custos trail prove)")),
        }
    }

    fn item(&self) -> Outcome<Item> {
        let author = match &self.author {
            None => None,
            Some(author) => {
                let reference =
                    Token::new(author).ok_or_else(|| Failed::unable(format!("{author:?} is no address")))?;
                Some(vec![Party { reference: Some(reference), ..Party::default() }])
            }
        };
        Ok(Item {
            id: self.item.clone(),
            categories: self.categories.clone(),
            labels: self.labels.clone(),
            authors: author,
            date: self.dated.clone(),
            ..Item::default()
        })
    }
}

fn code(text: &str) -> Result<Coding, String> {
    known(text).ok_or_else(|| format!("{text:?} is no code of the terminology (docs/spec/decide.md)"))
}

fn action(text: &str) -> Result<ActionKind, String> {
    ActionKind::from_word(text).ok_or_else(|| {
        let words: Vec<&str> = ActionKind::ALL.iter().map(|kind| kind.word()).collect();
        format!("the actions are {}", words.join(", "))
    })
}

fn who(who: &Who) -> String {
    match who {
        Who::Subject => "the patient".into(),
        Who::AnyClinician => "any clinician".into(),
        Who::AnyStaff => "any other staff".into(),
        Who::Named(party) => party.describe(),
        Who::InRole(role) => format!("whoever is {}", role.describe()),
        Who::Representative(party) => format!("{}, for the patient", party.describe()),
        Who::DataUser(user) => format!("{user}, under a permit"),
        Who::OnRoster(person) => format!("{}, on the roster", person.describe()),
    }
}

fn words(rows: &[Row], unknown: usize, at: TimeMs) -> String {
    let mut text = format!("as of {}\n", time::words(at));
    for row in rows {
        let answer: String = words_of_item(&row.answer).lines().map(|line| format!("    {line}\n")).collect();
        text.push_str(&format!("{}, for {}\n{answer}", who(&row.who), row.purpose.describe()));
    }
    if rows.is_empty() {
        text.push_str("nobody\n");
    }
    if unknown > 0 {
        text.push_str(&format!(
            "{unknown} things are sealed, missing or undecidable: what they say is not in this answer\n"
        ));
    }
    text
}

fn data(row: &Row) -> Value {
    json!({
        "who": who(&row.who),
        "purpose": render::of(&row.purpose),
        "answer": render::tree(&row.answer.view()),
    })
}

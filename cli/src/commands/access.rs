//! `custos access`: a statement that somebody accessed, or tried to access, a patient's data.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use custos_custodian::draft::{AccessEventDraft, AccessValues};
use custos_custodian::import::{self, Draft, Input, Organisations, Planning, Settings, Timing};
use custos_people::event::finding;
use custos_proof::cbor::List;
use custos_proof::ids::{Height, ParticipantId, Random16};
use custos_proof::kinds::access::{Basis, Retention};
use custos_proof::record::Finding;
use custos_proof::sealed_values::{
    Action, ActionKind, Agent, AgentKind, Agents, Answer, Concept, Concepts, Decision, Identifier,
    Justification, Moment, Outcome as Ending, OutcomeKind, Party, Prose, Purpose, Purposes, Relationship,
    RelationshipKind, Resource, Resources, Stated, Token, When,
};
use serde_json::json;

use crate::commands::correct::Correct;
use crate::commands::delegation::named;
use crate::commands::rule::{entered_here, moment, new_origin};
use crate::desk::{DeskArgs, PatientArgs};
use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::roster::RosterFile;
use crate::screen::Screen;
use crate::{time, words};

/// State that data was accessed
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  custos access record --help")]
pub(crate) enum Access {
    Record(Box<Record>),
    Correct(Box<Correct>),
}

impl Access {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Access::Record(command) => command.run(screen),
            Access::Correct(command) => command.run(screen),
        }
    }
}

/// Record one access to a patient's data
///
/// Who, what, when, why and how it ended is sealed; the ledger sees who holds the data, which
/// organisation acted, the ground, and the rule that is cited. It is never refused for what it says:
/// what the validators find to contradict it is recorded with it, and printed here.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos access record --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault \\\n    \
    --patient https://fhir.hospital.example/Patient/17 --action read --category \"laboratory results\" \\\n    \
    --who \"Dr. Adams\" --role physician --purpose TREAT --cites 5a0e...c1")]
pub(crate) struct Record {
    #[command(flatten)]
    desk: DeskArgs,
    #[command(flatten)]
    patient: PatientArgs,
    /// The organisation that acted; by default the custodian itself
    #[arg(long, value_name = "PARTICIPANT")]
    acting: Option<ParticipantId>,
    /// What was done: read, query, create, update, delete, export, import, execute
    #[arg(long, value_parser = action)]
    action: ActionKind,
    /// How it ended: served, denied, overridden, failed
    #[arg(long, default_value = "served", value_parser = outcome)]
    outcome: OutcomeKind,
    /// When; by default now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    when: Option<Moment>,
    /// What for, such as TREAT or 53-1-e (EHDS, Art. 53(1)); may be repeated
    #[arg(long = "purpose", value_name = "CODE", value_parser = words::purpose)]
    purposes: Vec<Concept>,
    /// Which category of data, such as 14-1-e or 51-1-a (EHDS, Art. 14, 51); may be repeated
    #[arg(long = "category", value_name = "CODE OR WORDS", value_parser = words::concept)]
    categories: Vec<Concept>,
    /// Which resource, by address; may be repeated
    #[arg(long = "resource", value_name = "ADDRESS", value_parser = resource)]
    resources: Vec<Resource>,
    /// Who acted
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Their address (Practitioner/3) or identifier (system|value)
    #[arg(long = "who-id", value_name = "ADDRESS", value_parser = named)]
    who_id: Option<Party>,
    /// The acting organisation's roster, as `custos roster commit --out` wrote it: the path to their entry is sealed
    /// with the event
    #[arg(long, value_name = "FILE", requires = "who_id")]
    roster: Option<PathBuf>,
    /// What was decided: permit, deny, indeterminate
    #[arg(long, value_name = "ANSWER", value_parser = answer)]
    decided: Option<Answer>,
    /// In which role
    #[arg(long, value_name = "CODE OR WORDS", value_parser = words::concept, requires = "who")]
    role: Option<Concept>,
    /// The care relationship: none, encounter, referral, appointment, team, "patient present", "on call"
    #[arg(long, value_parser = relationship)]
    relationship: Option<RelationshipKind>,
    /// Why an exception was needed, in words
    #[arg(long, value_name = "WORDS")]
    justification: Option<String>,
    /// The rule, permit or declaration under which it stood
    #[arg(long, value_name = "RULE")]
    cites: Option<Random16>,
    /// The ground: unknown, consent, law, permit, emergency, subject; by default consent when a rule is cited
    #[arg(long, value_parser = basis)]
    basis: Option<Basis>,
    /// The height of the head that the decider saw; by default the node's head
    #[arg(long, value_name = "HEIGHT")]
    at_height: Option<u64>,
    /// For how long it is kept, by the policy: short, standard, long
    #[arg(long, default_value = "standard", value_parser = words::retention)]
    retention: Retention,
}

impl Record {
    fn run(&self, screen: &Screen) -> Outcome {
        let mut desk = self.desk.open(screen)?;
        let mut organisations = Organisations::default();
        self.acting.iter().for_each(|id| organisations.add(id.as_str(), id.clone()));
        let timing = Timing::Live { at_height: self.at_height.map_or(desk.height, Height) };
        let retention = self.retention;
        let settings = Settings { organisations, timing, retention, ..Settings::history(desk.epoch) };
        let draft = AccessEventDraft {
            origin: new_origin()?,
            subject: self.patient.names(&desk.vault)?,
            organisations: self.acting.iter().map(party).collect(),
            basis: self.basis.unwrap_or(if self.cites.is_some() { Basis::Consent } else { Basis::Unknown }),
            cited: self.cites,
            cites: Vec::new(),
            values: self.values()?,
        };
        let input = Input { location: "command line".into(), draft: Draft::Event(Box::new(draft)) };
        let mut plan =
            import::plan(&mut desk.vault, vec![input], &settings).could_not(|| "seal the event")?;
        let item = match plan.dispositions.pop().map(|disposition| disposition.result) {
            Some(Planning::Planned(items) | Planning::Recorded(items)) => items.first().copied(),
            Some(Planning::Refused(refusal)) => return Err(Failed::unable(refusal.message)),
            None => None,
        };
        let item = item.ok_or_else(|| Failed::unable("nothing was planned"))?;
        let sent = desk.carry_out(plan, &settings, screen)?;
        if let Some(why) = sent.refused.get(&item) {
            return Err(Failed::unable(format!("the ledger refused it: {why}")));
        }
        let record = sent.recorded.get(&item).ok_or_else(|| Failed::unable("the node gave no receipt"))?;
        let entry =
            record.as_item().ok_or_else(|| Failed::unable("the node gave the receipt of another item"))?;
        let words = finding(&entry.verdict, screen.speaker());
        screen.result(
            |paint| {
                let words = if entry.verdict.finding == Finding::Contradicted {
                    paint.bad(&words)
                } else {
                    paint.good(&words)
                };
                format!(
                    "item     {item}\nstate    recorded in block {}, {}\nfinding  {words}\n",
                    record.height,
                    time::words(record.time)
                )
            },
            || {
                json!({
                    "item": item.to_string(),
                    "height": record.height.0,
                    "time": record.time.to_string(),
                    "finding": entry.verdict.finding.word(),
                    "codes": entry.verdict.codes.iter().map(|code| code.word()).collect::<Vec<_>>(),
                })
            },
        );
        Ok(Exit::Done)
    }

    fn values(&self) -> Outcome<AccessValues> {
        let when = self.when.clone().or_else(|| Moment::new(&time::now().to_string()));
        let purpose = |concept: &Concept| Purpose { concept: Some(concept.clone()), agent: None };
        let mut roles = Vec::new();
        roles.extend(self.role.clone());
        let is_named = self.who.is_some() || self.who_id.is_some();
        let mut agent = is_named.then(|| Agent {
            kind: Some(AgentKind::Person),
            roles: List::new(roles).unwrap_or_default(),
            requestor: Some(true),
            who: self.who_id.clone(),
            name: self.who.as_deref().and_then(Prose::new),
            ..Agent::default()
        });
        if let (Some(path), Some(who), Some(agent)) = (&self.roster, &self.who_id, &mut agent) {
            let (place, way) = RosterFile::committed(path)?
                .place(who)
                .ok_or_else(|| Failed::unable(format!("{} lists nobody of that address", path.display())))?;
            agent.roster = Some(place);
            agent.roster_path = way;
        }
        let justification = self
            .justification
            .as_deref()
            .map(|text| Justification { words: Prose::new(text), ..Justification::default() });
        Ok(AccessValues {
            action: Stated::Value(Action { kind: Some(self.action), ..Action::default() }),
            outcome: Stated::Value(Ending { kind: Some(self.outcome), ..Ending::default() }),
            when: Stated::Value(When { recorded: when, ..When::default() }),
            purpose: Stated::from_option(Purposes::new(self.purposes.iter().map(purpose).collect())),
            categories: Stated::from_option(Concepts::new(self.categories.clone())),
            resources: Stated::from_option(Resources::new(self.resources.clone())),
            agents: Stated::from_option(Agents::new(agent.into_iter().collect())),
            relationship: Stated::from_option(
                self.relationship.map(|kind| Relationship { kind: Some(kind), evidence: None }),
            ),
            justification: Stated::from_option(justification),
            decision: Stated::from_option(
                self.decided.map(|answer| Decision { answer: Some(answer), ..Decision::default() }),
            ),
            source: Stated::from_option(entered_here()),
            ..AccessValues::default()
        })
    }
}

fn party(id: &ParticipantId) -> Party {
    Party {
        identifier: Some(Identifier { value: Prose::new(id.as_str()), ..Identifier::default() }),
        ..Party::default()
    }
}

fn one_of<T>(words: &[&'static str], found: Option<T>) -> Result<T, String> {
    found.ok_or_else(|| format!("it is one of {}", words.join(", ")))
}

fn answer(text: &str) -> Result<Answer, String> {
    one_of(&Answer::ALL.iter().map(|kind| kind.word()).collect::<Vec<_>>(), Answer::from_word(text))
}

fn action(text: &str) -> Result<ActionKind, String> {
    one_of(&ActionKind::ALL.iter().map(|kind| kind.word()).collect::<Vec<_>>(), ActionKind::from_word(text))
}

fn outcome(text: &str) -> Result<OutcomeKind, String> {
    one_of(&OutcomeKind::ALL.iter().map(|kind| kind.word()).collect::<Vec<_>>(), OutcomeKind::from_word(text))
}

fn relationship(text: &str) -> Result<RelationshipKind, String> {
    one_of(
        &RelationshipKind::ALL.iter().map(|kind| kind.word()).collect::<Vec<_>>(),
        RelationshipKind::from_word(text),
    )
}

fn basis(text: &str) -> Result<Basis, String> {
    one_of(&Basis::ALL.iter().map(|kind| kind.word()).collect::<Vec<_>>(), Basis::from_word(text))
}

fn resource(text: &str) -> Result<Resource, String> {
    let reference = Token::new(text).ok_or_else(|| format!("{text:?} is no address"))?;
    Ok(Resource {
        what: Some(Party { reference: Some(reference), ..Party::default() }),
        ..Resource::default()
    })
}

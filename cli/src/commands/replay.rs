//! `custos replay`: whether recorded decisions follow from the rules that the trails listed then.

use clap::Args;
use custos_decide::listing::OpenTrail;
use custos_decide::replay::{self, Finding, Ground, Replayed};
use custos_proof::ids::{Height, TimeMs};
use serde_json::{Value, json};

use crate::decision::{PolicyArgs, words_of_item};
use crate::evidence::{EvidenceArgs, Opened};
use crate::exit::{Exit, Failed, Outcome};
use crate::render::json as render;
use crate::screen::Screen;
use crate::time;

/// Decide recorded accesses again, from a disclosure
///
/// For each access on the trails: the rules that the trails listed at the height which the decider saw,
/// opened from the disclosure or the vault, are asked again, and the answer is held against the decision that
/// was sealed, or against what was done. Each proof is verified first, each opening against its seal.
/// What the files do not show is said to be unknown, never assumed.
///
/// An access under a permit takes the permit's trail beside the subject's; whoever was on a roster is shown by the
/// institution's trail and the event's opening; a declared emergency by the verdict in the event's record, and
/// its time by the receipt of the declaration.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 every decision follows, 1 at least one contradicts the rules, 2 at least one cannot be told.\n\n\
    Examples:\n  \
    custos replay disclosure.custos --anchor anchor.custos\n  \
    custos replay own.custos lab.custos --openings openings.custos --anchor anchor.custos --policy policy.json\n  \
    custos replay own.custos research.custos permit.custos --openings openings.custos --anchor anchor.custos"
)]
pub(crate) struct Replay {
    #[command(flatten)]
    evidence: EvidenceArgs,
    #[command(flatten)]
    policy: PolicyArgs,
}

impl Replay {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        if self.evidence.is_empty() {
            return Err(Failed::unable("name the disclosure or trail proof to replay")
                .hint("custos replay disclosure.custos --anchor anchor.custos"));
        }
        let evidence = self.evidence.read(screen)?;
        let opened = &evidence.opened;
        let policy = self.policy.read()?;
        let custodian = &opened[0].trail.name.owner;
        let facts = self.policy.facts(&policy, custodian, Height(0), TimeMs(0));
        let ground = Ground { facts, beside: evidence.beside };
        let trails: Vec<OpenTrail<'_>> = opened.iter().map(Opened::open).collect();
        let replayed = replay::replay(&trails, &ground);
        let rows: Vec<Row<'_>> = replayed
            .iter()
            .map(|(trail, entry, replayed)| Row::of(&opened[*trail], *entry, replayed))
            .collect();
        screen.result(
            |_| match rows.is_empty() {
                true => "no access is recorded on these trails\n".into(),
                false => rows.iter().map(Row::words).collect(),
            },
            || json!({ "accesses": rows.iter().map(Row::json).collect::<Vec<_>>(), "policy_version": ground.facts.policy_version }),
        );
        Ok(replayed.iter().map(|(.., replayed)| exit(&replayed.finding)).fold(Exit::Done, worse))
    }
}

const fn exit(finding: &Finding) -> Exit {
    match finding {
        Finding::Follows | Finding::AgreesWithRules => Exit::Done,
        Finding::Contradicts { .. } | Finding::ServedAgainstRules => Exit::Against,
        Finding::CannotTell(_) => Exit::Unable,
    }
}

/// Evidence against weighs more than what cannot be told.
fn worse(one: Exit, other: Exit) -> Exit {
    match (one, other) {
        (Exit::Against, _) | (_, Exit::Against) => Exit::Against,
        (one, other) => one.max(other),
    }
}

struct Row<'a> {
    item: String,
    recorded: TimeMs,
    replayed: &'a Replayed,
}

impl<'a> Row<'a> {
    fn of(opened: &Opened, entry: usize, replayed: &'a Replayed) -> Self {
        let record = &opened.trail.entries[entry].record;
        let item = record.as_item().map(|entry| entry.item.to_string()).unwrap_or_default();
        Self { item, recorded: record.time, replayed }
    }

    fn says(&self) -> String {
        match &self.replayed.finding {
            Finding::Follows => "the sealed decision follows from the rules listed then".into(),
            Finding::AgreesWithRules => {
                "no decision is sealed; what was done agrees with the rules listed then".into()
            }
            Finding::Contradicts { stated } => {
                format!("the sealed decision is {stated}; the rules listed then say otherwise")
            }
            Finding::ServedAgainstRules => "data was served, and the rules listed then deny it".into(),
            Finding::CannotTell(why) => format!("cannot be told: {}", why.words()),
        }
    }

    fn words(&self) -> String {
        let answers = self.replayed.answers.iter().flat_map(|answer| &answer.items).map(words_of_item);
        let lines: String = answers
            .flat_map(|words| words.lines().map(|line| format!("    {line}\n")).collect::<Vec<_>>())
            .collect();
        format!("access {} recorded {}\n  {}\n{lines}", self.item, time::words(self.recorded), self.says())
    }

    fn json(&self) -> Value {
        let finding = match &self.replayed.finding {
            Finding::Follows => "follows",
            Finding::AgreesWithRules => "agrees-with-rules",
            Finding::Contradicts { .. } => "contradicts",
            Finding::ServedAgainstRules => "served-against-rules",
            Finding::CannotTell(_) => "cannot-tell",
        };
        json!({
            "item": self.item,
            "recorded": self.recorded.to_string(),
            "finding": finding,
            "says": self.says(),
            "answers": self.replayed.answers.iter().map(|answer| render::tree(&answer.view())).collect::<Vec<_>>(),
        })
    }
}

//! `custos access correct`: take back what was stated about an access.

use clap::Args;
use custos_proof::cbor::Wire as _;
use custos_proof::hash::ItemHash;
use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::item::Item;
use custos_proof::kinds::correct::{Correct as Corrected, Reason};
use custos_proof::kinds::{Class, Fields};
use custos_proof::sealed_values::{Prose, Replacement};

use crate::commands::emergency::stated;
use crate::commands::item::{NO_SEAL, record_by_hand, report};
use crate::desk::DeskArgs;
use crate::exit::{Failed, Outcome, While as _};
use crate::hand_in::random;
use crate::screen::Screen;

/// Take back what was stated about an access
///
/// Nothing is removed: readers see the prior struck out. An access that was recorded for the wrong
/// patient is recorded anew for the right one first; the pointer to it is sealed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos access correct 5a0e...c1 --reason subject --note \"charted for the wrong patient\" \\\n    \
    --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault")]
pub(crate) struct Correct {
    /// The access that was recorded: its item, as `custos access record` printed it
    #[arg(value_name = "ITEM")]
    item: ItemHash,
    #[command(flatten)]
    desk: DeskArgs,
    /// What was wrong: content, subject, duplicate, not-happened
    #[arg(long, value_parser = reason)]
    reason: Reason,
    /// The event that stands in its place: its event id
    #[arg(long, value_name = "EVENT")]
    replaced_by: Option<Random16>,
    /// Whose trail that event is in; by default the prior's custodian
    #[arg(long, value_name = "PARTICIPANT", requires = "replaced_by")]
    replaced_at: Option<ParticipantId>,
    /// More about it, in words
    #[arg(long, value_name = "WORDS")]
    note: Option<String>,
}

impl Correct {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        let mut desk = self.desk.open(screen)?;
        let stored = desk.vault.item(&self.item).could_not(|| "find the access in the vault")?;
        let item = Item::from_bytes(&stored.bytes).could_not(|| "read the access")?;
        let Fields::AccessEvent(prior) = item.fields else {
            return Err(Failed::unable("this item is no access.event"));
        };
        let custodian = self.replaced_at.clone().unwrap_or_else(|| prior.custodian.clone());
        let values = vec![
            stated(self.replaced_by.map(|event| Replacement { custodian, event })),
            stated(self.note.as_deref().and_then(Prose::<4096>::new)),
        ];
        let fields = Fields::AccessCorrect(Corrected {
            correction: Random16(random()?),
            prior: prior.event,
            custodian: prior.custodian,
            local_id: prior.local_id,
            acting: prior.acting,
            reason: self.reason,
            seal: NO_SEAL,
        });
        let record = record_by_hand(&mut desk, Class::Testimony, fields, Some(values), screen)?;
        report(&record, &[("prior", self.item.to_string())], screen)
    }
}

fn reason(text: &str) -> Result<Reason, String> {
    let words: Vec<_> = Reason::ALL.iter().map(|reason| reason.word()).collect();
    Reason::from_word(text).ok_or_else(|| format!("it is one of {}", words.join(", ")))
}

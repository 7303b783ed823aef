//! `custos permit`: an access body permits secondary use, changes what it permits, and ends it.
//!
//! Permits are public: nothing is sealed, no vault is needed, and anybody may read them ([`super::permits`]).

use std::path::PathBuf;

use clap::{Args, Subcommand};
use custos_proof::cbor::Set;
use custos_proof::hash::sha256;
use custos_proof::ids::{ParticipantId, Random16, TimeMs};
use custos_proof::kinds::permit::{
    Amend as Amended, Category, Form, Issue as Issued, Override, Purpose, Reason, Revoke as Revoked, Terms,
};
use custos_proof::kinds::{Class, Fields};

use crate::commands::item::report;
use crate::commands::permits;
use crate::commands::rule::moment;
use crate::exit::{Failed, Outcome};
use crate::files;
use crate::hand_in::{Hand, random};
use crate::screen::Screen;

/// List and show data permits; issue, amend and revoke them
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  custos permit issue --help")]
pub(crate) enum Permit {
    List(permits::List_),
    Show(permits::Show),
    Issue(Box<Issue>),
    Amend(Box<Amend>),
    Revoke(Revoke),
}

impl Permit {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Permit::List(command) => command.run(screen),
            Permit::Show(command) => command.run(screen),
            Permit::Issue(command) => command.run(screen),
            Permit::Amend(command) => command.run(screen),
            Permit::Revoke(command) => command.run(screen),
        }
    }
}

/// Whose name is signed, and where it is handed in.
#[derive(Debug, Args)]
struct Signing {
    /// The node to hand in to, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
    /// The access body's signing key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// What a permit permits.
#[derive(Debug, Args)]
struct TermsArgs {
    /// Who may use the data
    #[arg(long, value_name = "PARTICIPANT")]
    user: ParticipantId,
    /// For what (EHDS, Art. 53(1)): 53-1-a to 53-1-f; may be repeated
    #[arg(long = "purpose", value_name = "CODE", required = true, value_parser = purpose)]
    purposes: Vec<Purpose>,
    /// Which category of data (EHDS, Art. 51(1)): 51-1-a to 51-1-q; may be repeated
    #[arg(long = "category", value_name = "CODE", required = true, value_parser = category)]
    categories: Vec<Category>,
    /// Who gives the data; may be repeated
    #[arg(long = "holder", value_name = "PARTICIPANT", required = true)]
    holders: Vec<ParticipantId>,
    /// Who operates the secure environment
    #[arg(long, value_name = "PARTICIPANT")]
    environment: Option<ParticipantId>,
    /// The first instant at which it holds, such as 2027-01-01
    #[arg(long, value_name = "TIME", value_parser = instant)]
    begins: TimeMs,
    /// The first instant at which it no longer holds
    #[arg(long, value_name = "TIME", value_parser = instant)]
    ends: TimeMs,
    /// In which form: anonymised, pseudonymised
    #[arg(long, default_value = "pseudonymised", value_parser = form)]
    form: Form,
    /// Whether opt-outs are overridden, and on which ground: none, public-interest, important-research
    #[arg(long, default_value = "none", value_parser = over)]
    over_opt_out: Override,
    /// The published decision; its hash stands in the permit
    #[arg(long, value_name = "FILE")]
    decision: Option<PathBuf>,
}

/// Issue a permit
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos permit issue --node http://127.0.0.1:7700 --key body-sign.key --user institute.example \\\n    \
    --purpose 53-1-e --category 51-1-a --holder hospital-a.example --begins 2027-01-01 --ends 2028-01-01")]
pub(crate) struct Issue {
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    terms: TermsArgs,
}

/// Replace a permit's terms: all of them are stated anew
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos permit amend 5a0e...c1 --node http://127.0.0.1:7700 --key body-sign.key --user institute.example \\\n    \
    --purpose 53-1-e --category 51-1-a --category 51-1-f --holder hospital-a.example \\\n    \
    --begins 2027-01-01 --ends 2028-01-01")]
pub(crate) struct Amend {
    /// The permit's id
    #[arg(value_name = "PERMIT")]
    permit: Random16,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    terms: TermsArgs,
}

/// End a permit now
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  custos permit revoke 5a0e...c1 --reason breach --node http://127.0.0.1:7700 --key body-sign.key"
)]
pub(crate) struct Revoke {
    /// The permit's id
    #[arg(value_name = "PERMIT")]
    permit: Random16,
    #[command(flatten)]
    signing: Signing,
    /// Why: unspecified, breach, served, court, superseded, request
    #[arg(long, default_value = "unspecified", value_parser = reason)]
    reason: Reason,
}

impl Issue {
    fn run(&self, screen: &Screen) -> Outcome {
        let permit = Random16(random()?);
        let fields = Fields::PermitIssue(Issued { permit, terms: self.terms.terms()? });
        self.signing.hand_in(permit, fields, screen)
    }
}

impl Amend {
    fn run(&self, screen: &Screen) -> Outcome {
        let fields = Fields::PermitAmend(Amended { permit: self.permit, terms: self.terms.terms()? });
        self.signing.hand_in(self.permit, fields, screen)
    }
}

impl Revoke {
    fn run(&self, screen: &Screen) -> Outcome {
        let fields = Fields::PermitRevoke(Revoked { permit: self.permit, reason: self.reason });
        self.signing.hand_in(self.permit, fields, screen)
    }
}

impl Signing {
    fn hand_in(&self, permit: Random16, fields: Fields, screen: &Screen) -> Outcome {
        let hand = Hand::new(&self.url, &self.key)?;
        let records = hand.record(Class::Act, vec![fields])?;
        let record = records.first().ok_or_else(|| Failed::unable("the node gave no receipt"))?;
        report(record, &[("permit", permit.to_string())], screen)
    }
}

impl TermsArgs {
    fn terms(&self) -> Outcome<Terms> {
        let too_many = || Failed::unable("too many values for one permit; issue several");
        let decision =
            self.decision.as_ref().map(|path| files::read(path).map(|bytes| sha256(&bytes))).transpose()?;
        Ok(Terms {
            user: self.user.clone(),
            purposes: Set::new(self.purposes.clone()).ok_or_else(too_many)?,
            categories: Set::new(self.categories.clone()).ok_or_else(too_many)?,
            holders: Set::new(self.holders.clone()).ok_or_else(too_many)?,
            environment: self.environment.clone(),
            begins: self.begins,
            ends: self.ends,
            form: self.form,
            over_opt_out: self.over_opt_out,
            decision,
        })
    }
}

macro_rules! words_of {
    ($($name:ident: $type:ty;)*) => {$(
        fn $name(text: &str) -> Result<$type, String> {
            let words: Vec<_> = <$type>::ALL.iter().map(|value| value.word()).collect();
            <$type>::from_word(text).ok_or_else(|| format!("it is one of {}", words.join(", ")))
        }
    )*};
}
words_of! {
    purpose: Purpose;
    category: Category;
    form: Form;
    over: Override;
    reason: Reason;
}

/// The first instant of a date or time.
pub(crate) fn instant(text: &str) -> Result<TimeMs, String> {
    let first = moment(text)?.first_ms();
    u64::try_from(first).map(TimeMs).map_err(|_| format!("{text:?} is before 1970"))
}

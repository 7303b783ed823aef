//! `custos decide`: whether a request is permitted: by consents in files, without a node, or by what the ledger says.

use std::path::PathBuf;

use clap::Args;
use custos_decide::answer::{Answer, ProviderAnswer};
use custos_decide::request::Request;
use custos_proof::ids::{Height, TimeMs};
use custos_proof::sealed_values::Answer as Decided;
use serde_json::json;

use crate::decision::{self, PolicyArgs, document, in_file};
use crate::exit::{Exit, Failed, Outcome};
use crate::gathered::LedgerArgs;
use crate::render::json as render;
use crate::screen::Screen;
use crate::time;

/// Say whether a request is permitted by a patient's consents
///
/// Reads FHIR Consents and a request from files and asks the same procedure that a custodian's gateway
/// and an auditor ask. Where a consent is ambiguous it is refused, not guessed. Consents count as recorded in the
/// order in which they are named.
///
/// With a node and a patient's code the ledger is asked instead: rules, opt-outs and representatives from the
/// patient's trails, opened from the vault, the cited permit, the roster, the participants and the policy, all verified from the
/// anchor and all as of one block. Asked again for the same block, the answer has the same bytes.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 permitted (all or some of it), 1 denied, 2 it could not be decided or read.\n\n\
    Examples:\n  \
    custos decide --consent consent.json --request request.json --at 2026-07-01\n  \
    custos --json decide --policy policy.json --consent a.json --consent b.json --request request.json\n  \
    custos decide --code @code.txt --custodian hospital-a.example --node http://127.0.0.1:7700 --anchor anchor.custos \\\n    \
    --vault vault --request request.json --at-height 1200"
)]
pub(crate) struct Decide {
    #[command(flatten)]
    policy: PolicyArgs,
    /// A FHIR R4 Consent, a bundle, or a folder of them; may be repeated
    #[arg(long = "consent", value_name = "FILE")]
    consents: Vec<PathBuf>,
    /// The request as JSON
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// As of which time: a time, a date, or an age such as 30d; by default now, or the node's last block
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    at: Option<TimeMs>,
    /// Only what a provider's system may learn: what may be served, or that nothing is available
    #[arg(long)]
    provider: bool,
    #[command(flatten)]
    ledger: LedgerArgs,
}

impl Decide {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        let request =
            decision::request(&document(&self.request)?).map_err(|error| in_file(&self.request, &error))?;
        if self.ledger.is_given() {
            return self.ask_the_ledger(&request, screen);
        }
        let policy = self.policy.read()?;
        let at = self.at.unwrap_or_else(time::now);
        let mut facts = self.policy.facts(&policy, &request.custodian, Height(0), at);
        facts.rules = self.policy.consents(&self.consents, &request.custodian)?;
        let answer = custos_decide::decide(&facts, &request);
        Ok(self.show(&answer, &request, screen))
    }

    fn ask_the_ledger(&self, request: &Request, screen: &Screen) -> Outcome {
        if !self.consents.is_empty() || self.policy.is_given() {
            return Err(Failed::unable("the ledger has its own rules and policy")
                .hint("leave out --consent, --policy, --policy-version and --jurisdiction, or the node"));
        }
        if self.provider && !self.ledger.has_key() {
            return Err(Failed::unable("what a provider's system may serve depends on its roster")
                .hint("name a key of the acting organisation with --key"));
        }
        let base = self.policy.base(&request.custodian);
        let gathered = self.ledger.gather(request, &base, self.at, screen)?;
        let answer = custos_decide::decide(&gathered.facts(base), request);
        screen.talk(&gathered.ground);
        Ok(self.show(&answer, request, screen))
    }

    fn show(&self, answer: &Answer, request: &Request, screen: &Screen) -> Exit {
        match self.provider {
            false => screen.result(|_| decision::words(answer, request), || render::tree(&answer.view())),
            true => {
                let provided = answer.for_provider();
                screen.result(
                    |_| match &provided {
                        ProviderAnswer::NothingAvailable => "nothing available\n".into(),
                        ProviderAnswer::Items(items) => {
                            format!("{} of the items may be served\n", items.len())
                        }
                        ProviderAnswer::Listed(_) => {
                            "what the list permits may be served; --json shows it\n".into()
                        }
                    },
                    || match &provided {
                        ProviderAnswer::NothingAvailable => json!({ "available": false }),
                        ProviderAnswer::Items(items) => json!({ "available": true, "items": items }),
                        ProviderAnswer::Listed(list) => {
                            json!({ "available": true, "residual": render::tree(&list.view()) })
                        }
                    },
                );
            }
        }
        match answer.outcome {
            Decided::Permit => Exit::Done,
            Decided::Deny => Exit::Against,
            Decided::Indeterminate => Exit::Unable,
        }
    }
}

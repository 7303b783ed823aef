//! Which of a subject's trails is meant, as arguments: by the patient's code or by the trail's id.

use std::path::Path;

use clap::Args;
use custos_api::blocking::Client;
use custos_custodian::code::PatientCode;
use custos_people::catalogue::Speaker;
use custos_proof::hash::ChainId;
use custos_proof::ids::{ParticipantId, TimeMs};
use custos_proof::subject;
use custos_proof::trail::TrailName;

use crate::exit::{Failed, Outcome};
use crate::trails::Ground;
use crate::{files, proven};

/// A subject's trail by the patient's code.
#[derive(Debug, Clone, Args)]
pub(crate) struct ByCode {
    /// The patient's code, or @FILE to read it from a file (arguments can be seen by others on this machine)
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Who holds the patient's data
    #[arg(long, value_name = "PARTICIPANT", requires = "code")]
    pub(crate) custodian: Option<ParticipantId>,
    /// Whose accesses the trail lists; without it, the subject's own trail
    #[arg(long, value_name = "PARTICIPANT", requires = "code")]
    pub(crate) grantee: Option<ParticipantId>,
    /// The calendar year (UTC); by default that of the last block
    #[arg(long, value_name = "YEAR", requires = "code")]
    pub(crate) year: Option<u16>,
}

/// A trail, and what has to be shown to read it.
#[derive(Debug, Clone)]
pub(crate) struct Readable {
    /// The trail.
    pub(crate) name: TrailName,
    /// The reader's preimage.
    pub(crate) reader: [u8; 32],
}

/// A patient at a custodian in one year: all that the places of trails are computed from, but for the chain.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    code: PatientCode,
    /// Who holds the patient's data.
    pub(crate) custodian: ParticipantId,
    /// The calendar year.
    pub(crate) year: u16,
}

impl Subject {
    /// The patient's own trail, or the one for a grantee.
    pub(crate) fn trail(&self, chain: &ChainId, grantee: Option<&ParticipantId>) -> Readable {
        readable(&self.code, chain, &self.custodian, grantee, self.year)
    }

    /// The same patient in another year.
    pub(crate) fn in_year(&self, year: u16) -> Self {
        Self { year, ..self.clone() }
    }
}

impl ByCode {
    /// Who is meant, or `None` when no code was given.
    ///
    /// The year that is not named is that of the last block, *as verified*: a node that could choose it, or the
    /// chain, could truthfully prove that a trail which never was is empty.
    pub(crate) fn subject(&self, client: &Client, ground: &Ground, s: &Speaker) -> Outcome<Option<Subject>> {
        let Some(code) = &self.code else { return Ok(None) };
        let code = read_code(code)?;
        let custodian = self.custodian.clone().ok_or_else(|| {
            Failed::unable("a code is good at one custodian: say which")
                .hint("--custodian hospital-a.example")
        })?;
        let year = match self.year {
            Some(year) => year,
            None => year_of(proven::head(client, ground, s)?.time)?,
        };
        Ok(Some(Subject { code, custodian, year }))
    }
}

/// The trail of a patient for one grantee and year.
pub(crate) fn readable(
    code: &PatientCode,
    chain: &ChainId,
    custodian: &ParticipantId,
    grantee: Option<&ParticipantId>,
    year: u16,
) -> Readable {
    let secret = subject::epoch_secret(code.secret(), year);
    let local_id = subject::local_id(&secret, chain, custodian, grantee);
    Readable {
        name: TrailName::subject(custodian, local_id),
        reader: subject::reader_preimage(&secret, &local_id),
    }
}

/// The calendar year of an instant.
pub(crate) fn year_of(time: TimeMs) -> Outcome<u16> {
    u16::try_from(time.year()).map_err(|_| Failed::unable("the node's clock is beyond all calendars"))
}

/// A patient code as typed, or from a file.
pub(crate) fn read_code(text: &str) -> Outcome<PatientCode> {
    let text = match text.strip_prefix('@') {
        Some(path) => files::read_text(Path::new(path))?,
        None => text.to_owned(),
    };
    text.trim().parse().map_err(Failed::unable)
}

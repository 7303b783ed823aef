//! `permit.issue`, `.amend`, `.revoke`: a health data access body permits secondary use (EHDS, chapter IV).
//!
//! Acts, in the permit's own trail. Permits are public (EHDS, Art. 58): nothing in them is sealed and
//! nothing in them is about a subject. An amendment states all terms anew, so that what held at any
//! height can be read from one item; what it adds counts as issued then.

use crate::cbor::{Set, wire_enum, wire_struct};
use crate::hash::{Digest, sha256};
use crate::ids::{ParticipantId, Random16, TimeMs};

/// The most data holders that one permit names.
pub const MAX_HOLDERS: usize = 32;

/// The most amendments of one permit.
pub const MAX_AMENDMENTS: u32 = 255;

wire_enum! {
    /// For what data may be used (EHDS, Art. 53(1)); the words are the codes of the pinned terminology.
    pub enum Purpose {
        /// Public interest in public or occupational health.
        PublicHealth = 1, "53-1-a";
        /// Policy making and regulation.
        Policy = 2, "53-1-b";
        /// Official statistics.
        Statistics = 3, "53-1-c";
        /// Education and teaching.
        Education = 4, "53-1-d";
        /// Scientific research.
        Research = 5, "53-1-e";
        /// Better care and treatment, from the data of others.
        Care = 6, "53-1-f";
    }
}

wire_enum! {
    /// Which categories of data (EHDS, Art. 51(1)); the words are the codes of the pinned terminology.
    pub enum Category {
        /// Electronic health records.
        HealthRecords = 1, "51-1-a";
        /// Factors impacting health.
        Factors = 2, "51-1-b";
        /// Aggregated data on needs, resources and spending.
        Aggregates = 3, "51-1-c";
        /// Pathogens.
        Pathogens = 4, "51-1-d";
        /// Administrative data, dispensation and claims.
        Administrative = 5, "51-1-e";
        /// Genetic, epigenomic and genomic data.
        Genomic = 6, "51-1-f";
        /// Other molecular data.
        Molecular = 7, "51-1-g";
        /// Data of medical devices.
        Devices = 8, "51-1-h";
        /// Data of wellness applications.
        Wellness = 9, "51-1-i";
        /// Professionals who treated.
        Professionals = 10, "51-1-j";
        /// Population registries.
        PopulationRegistries = 11, "51-1-k";
        /// Medical and mortality registries.
        MedicalRegistries = 12, "51-1-l";
        /// Clinical trials and studies.
        Trials = 13, "51-1-m";
        /// Other data from medical devices.
        OtherDevices = 14, "51-1-n";
        /// Registries of medicinal products and devices.
        ProductRegistries = 15, "51-1-o";
        /// Cohorts, questionnaires and surveys.
        Cohorts = 16, "51-1-p";
        /// Biobanks.
        Biobanks = 17, "51-1-q";
    }
}

wire_enum! {
    /// In which form data is given.
    pub enum Form {
        /// Anonymised.
        Anonymised = 1, "anonymised";
        /// Pseudonymised.
        Pseudonymised = 2, "pseudonymised";
    }
}

wire_enum! {
    /// On which ground a permit reaches people who opted out (EHDS, Art. 71(4)).
    pub enum Override {
        /// It does not: opt-outs hold.
        None = 0, "none";
        /// A law of the member state for an important public interest.
        PublicInterest = 1, "public-interest";
        /// Scientific research for important reasons of public interest.
        ImportantResearch = 2, "important-research";
    }
}

wire_enum! {
    /// Why a permit ends before its time.
    pub enum Reason {
        /// No reason is given.
        Unspecified = 0, "unspecified";
        /// Its terms were broken.
        Breach = 1, "breach";
        /// What it was for is done.
        Served = 2, "served";
        /// By order of a court.
        Court = 3, "court";
        /// Another permit takes its place.
        Superseded = 4, "superseded";
        /// At the data user's wish.
        Request = 5, "request";
    }
}

wire_struct! {
    /// What a permit permits.
    pub struct Terms {
        /// Who may use the data.
        pub user: ParticipantId,
        /// For what; at least one.
        pub purposes: Set<Purpose, 6>,
        /// Which categories; at least one.
        pub categories: Set<Category, 17>,
        /// Who gives the data; at least one.
        pub holders: Set<ParticipantId, MAX_HOLDERS>,
        /// Who operates the secure environment, if it is a participant.
        pub environment: Option<ParticipantId>,
        /// The first instant at which it holds.
        pub begins: TimeMs,
        /// The first instant at which it no longer holds.
        pub ends: TimeMs,
        /// In which form.
        pub form: Form,
        /// Whether opt-outs are overridden, and on which ground.
        pub over_opt_out: Override,
        /// SHA-256 of the published decision.
        pub decision: Option<Digest>,
    }
}

wire_struct! {
    /// A permit begins.
    pub struct Issue {
        /// The permit's id, new on this ledger: what events cite.
        pub permit: Random16,
        /// What it permits.
        pub terms: Terms,
    }
}

wire_struct! {
    /// A permit's terms are replaced.
    pub struct Amend {
        /// Which.
        pub permit: Random16,
        /// All terms, anew.
        pub terms: Terms,
    }
}

wire_struct! {
    /// A permit ends now.
    pub struct Revoke {
        /// Which.
        pub permit: Random16,
        /// Why.
        pub reason: Reason,
    }
}

/// The local id of a permit's trail, whose owner is the access body: SHA-256 of the permit's id.
#[must_use]
pub fn local_id(permit: &Random16) -> Digest {
    sha256(&permit.0)
}

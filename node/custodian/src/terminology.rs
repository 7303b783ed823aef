//! Which purposes of use are part of which: as much as intake needs to see that a nested rule widens its root.
//!
//! The part of HL7's v3-ActReason below PurposeOfUse that consents name in practice. What is not
//! listed here is part of nothing but itself, so that an unknown code is refused, not guessed.
//!
//! Deliberately absent: the closures that decide access. Those are pinned by hash in the policy,
//! are generated from the code system itself, and have other rules for permits and denials.

use custos_proof::sealed_values::Coding;

const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

/// Child and parent.
const PURPOSES: &[(&str, &str)] = &[
    ("ETREAT", "TREAT"),
    ("BTG", "ETREAT"),
    ("CAREMGT", "TREAT"),
    ("CLINTRL", "TREAT"),
    ("POPHLTH", "TREAT"),
    ("COC", "TREAT"),
    ("CLMATTCH", "HPAYMT"),
    ("COVAUTH", "HPAYMT"),
    ("COVERAGE", "HPAYMT"),
    ("ELIGDTRM", "HPAYMT"),
    ("HCLMAPP", "HPAYMT"),
    ("RECORDMGT", "HOPERAT"),
    ("HACCRED", "HOPERAT"),
    ("HCOMPL", "HOPERAT"),
    ("HDIRECT", "HOPERAT"),
    ("HQUALIMP", "HOPERAT"),
    ("HSYSADMIN", "HOPERAT"),
    ("HTEST", "HOPERAT"),
    ("HTRAIN", "HOPERAT"),
    ("HLEGAL", "HOPERAT"),
    ("FRAUD", "HOPERAT"),
    ("MILCDM", "HOPERAT"),
    ("DONAT", "HOPERAT"),
    ("PATADMIN", "HOPERAT"),
    ("PATSFTY", "HOPERAT"),
    ("PERFMSR", "HOPERAT"),
    ("PATRQT", "PurposeOfUse"),
    ("FAMRQT", "PATRQT"),
    ("PWATRNY", "PATRQT"),
    ("SUPNWK", "PATRQT"),
    ("BIORCH", "HRESCH"),
    ("CLINTRCH", "HRESCH"),
    ("DSRCH", "HRESCH"),
    ("POARCH", "HRESCH"),
    ("TRANSRCH", "HRESCH"),
    ("THREAT", "PUBHLTH"),
    ("DISASTER", "PUBHLTH"),
    ("TREAT", "PurposeOfUse"),
    ("HPAYMT", "PurposeOfUse"),
    ("HOPERAT", "PurposeOfUse"),
    ("HRESCH", "PurposeOfUse"),
    ("PUBHLTH", "PurposeOfUse"),
    ("HMARKT", "PurposeOfUse"),
];

/// Whether `purpose` is `whole` or a part of it.
#[must_use]
pub(crate) fn is_within(purpose: &Coding, whole: &Coding) -> bool {
    if purpose.system == whole.system && purpose.code == whole.code {
        return true;
    }
    if purpose.system.as_deref() != Some(ACT_REASON) || whole.system.as_deref() != Some(ACT_REASON) {
        return false;
    }
    let mut code = &*purpose.code;
    // Each step goes one level up a table without cycles.
    for _ in 0..PURPOSES.len() {
        match PURPOSES.iter().find(|(child, _)| *child == code) {
            Some((_, parent)) if *parent == &*whole.code => return true,
            Some((_, parent)) => code = parent,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_proof::sealed_values::Token;

    fn purpose(code: &str) -> Coding {
        Coding { system: Token::new(ACT_REASON), code: Token::new(code).unwrap(), display: None }
    }

    #[test]
    fn break_glass_is_emergency_treatment_is_treatment() {
        assert!(is_within(&purpose("BTG"), &purpose("TREAT")));
        assert!(is_within(&purpose("TREAT"), &purpose("TREAT")));
        assert!(!is_within(&purpose("TREAT"), &purpose("BTG")));
        assert!(!is_within(&purpose("HRESCH"), &purpose("TREAT")));
        assert!(!is_within(&purpose("NOSUCH"), &purpose("TREAT")));
        assert!(!is_within(&Coding { system: None, ..purpose("BTG") }, &purpose("TREAT")));
    }
}

//! Which purposes of use are part of which: as much as intake needs to see that a nested rule widens its root.
//!
//! The table is the one that decisions pin by hash (`custos_decide::terminology`). A nested rule may
//! name anything below the root's purpose, the codes that a permission reaches only by name included;
//! a code that the table lacks is part of nothing but itself, so it is refused, not guessed.

use custos_decide::terminology::{Reach, Terminology};
use custos_proof::sealed_values::Coding;

/// Whether `purpose` is `whole` or a part of it.
#[must_use]
pub(crate) fn is_within(purpose: &Coding, whole: &Coding) -> bool {
    Terminology::shipped().reaches(whole, purpose, Reach::Full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_decide::terminology::ACT_REASON;
    use custos_proof::sealed_values::Token;

    fn purpose(code: &str) -> Coding {
        Coding { system: Token::new(ACT_REASON), code: Token::new(code).unwrap(), display: None }
    }

    #[test]
    fn break_glass_is_emergency_treatment_is_treatment() {
        assert!(is_within(&purpose("BTG"), &purpose("TREAT")));
        assert!(is_within(&purpose("TREAT"), &purpose("TREAT")));
        assert!(is_within(&purpose("CLINTRL"), &purpose("TREAT")));
        assert!(!is_within(&purpose("TREAT"), &purpose("BTG")));
        assert!(!is_within(&purpose("HRESCH"), &purpose("TREAT")));
        assert!(!is_within(&purpose("NOSUCH"), &purpose("TREAT")));
        assert!(!is_within(&Coding { system: None, ..purpose("BTG") }, &purpose("TREAT")));
    }
}

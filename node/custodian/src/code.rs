//! The patient code: the secret that custodian and patient share, as a string that can be printed.
//!
//! Whoever has the code can find every trail that the custodian keeps for this patient and read
//! them without an account, so it is handed over like a key: on paper, in an envelope. It is the
//! 32 bytes `k` of DESIGN section 4 in bech32m (BIP 350): `custos1`, a version symbol, 52 symbols,
//! 6 symbols of checksum, shown in groups of four. Any four wrong symbols are noticed, and so is
//! every pair swapped; reading ignores case, spaces and dashes.
//!
//! What is derived from `k` (local ids, reader preimages) is [`custos_proof::subject`], because
//! the patient's verifier derives it too.
//!
//! Deliberately absent: correcting a mistyped code. The error names the place instead.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// The part before the data.
const PREFIX: &str = "custos";
/// The symbols of bech32, by value.
const SYMBOLS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// The version symbol of codes of this form.
const VERSION: u8 = 0;
/// Version, 256 bits in 52 symbols, checksum.
const LENGTH: usize = 1 + 52 + CHECKSUM;
const CHECKSUM: usize = 6;
/// What the checksum of a bech32m string comes to.
const BECH32M: u32 = 0x2bc8_30a3;
/// Longer input than any code with separators is not looked at.
const MAX_INPUT: usize = 256;

/// The secret `k` of one patient at one custodian.
#[derive(Clone, PartialEq, Eq)]
pub struct PatientCode([u8; 32]);

impl PatientCode {
    /// The code of a secret.
    #[must_use]
    pub const fn new(k: [u8; 32]) -> Self {
        Self(k)
    }

    /// The secret.
    #[must_use]
    pub const fn secret(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Never shows the secret.
impl fmt::Debug for PatientCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientCode(..)")
    }
}

/// `custos1-qxxx-xxxx-...`
impl fmt::Display for PatientCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut symbols = vec![VERSION];
        symbols.extend(to_symbols(&self.0));
        symbols.extend(checksum(&symbols));
        write!(f, "{PREFIX}1")?;
        for group in symbols.chunks(4) {
            f.write_str("-")?;
            for symbol in group {
                write!(f, "{}", char::from(SYMBOLS[usize::from(*symbol & 31)]))?;
            }
        }
        Ok(())
    }
}

/// Why a text is not a patient code. Positions count the characters after `custos1`, from 1, without dashes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CodeError {
    /// It does not begin like a code.
    #[error("a patient code begins with custos1")]
    Prefix,
    /// A character that codes do not have.
    #[error("character {position} is {found:?}, which does not occur in patient codes{}", hint(*.found))]
    Character {
        /// Which, from 1.
        position: usize,
        /// What stands there.
        found: char,
    },
    /// Characters are missing, or there are too many.
    #[error("a patient code has {LENGTH} characters after custos1, this one has {found}")]
    Length {
        /// How many there are.
        found: usize,
    },
    /// The checksum does not fit.
    #[error("the patient code is mistyped{}", .position.map(|p| format!(": look at character {p}")).unwrap_or_default())]
    Mistyped {
        /// The one place where another character would repair it, if there is exactly one.
        position: Option<usize>,
    },
    /// A code of a later form.
    #[error("this patient code has a form that this version of custos does not know")]
    Version,
}

fn hint(found: char) -> &'static str {
    match found {
        'o' => " (is it a zero?)",
        'i' | '1' => " (is it the letter l?)",
        'b' => " (is it an 8 or a 6?)",
        _ => "",
    }
}

impl FromStr for PatientCode {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let characters: Vec<char> = text
            .chars()
            .take(MAX_INPUT)
            .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '\u{2010}'..='\u{2015}'))
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let (head, data) = characters.split_at_checked(PREFIX.len() + 1).ok_or(CodeError::Prefix)?;
        if !head.iter().copied().eq(PREFIX.chars().chain(['1'])) {
            return Err(CodeError::Prefix);
        }
        let symbols = (1..)
            .zip(data)
            .map(|(position, found)| value(*found).ok_or(CodeError::Character { position, found: *found }));
        let symbols: Vec<u8> = symbols.collect::<Result<_, _>>()?;
        if symbols.len() != LENGTH {
            return Err(CodeError::Length { found: symbols.len() });
        }
        if polymod(&symbols) != BECH32M {
            return Err(CodeError::Mistyped { position: suspect(&symbols) });
        }
        match from_symbols(&symbols[1..LENGTH - CHECKSUM]) {
            Some(k) if symbols[0] == VERSION => Ok(Self(k)),
            _ => Err(CodeError::Version),
        }
    }
}

fn value(c: char) -> Option<u8> {
    (0u8..).zip(SYMBOLS).find(|(_, symbol)| char::from(**symbol) == c).map(|(value, _)| value)
}

/// The only position at which another symbol makes the checksum fit.
fn suspect(symbols: &[u8]) -> Option<usize> {
    let repairs = |at: &usize| {
        (0..32).any(|symbol| {
            let mut other = symbols.to_vec();
            other[*at] = symbol;
            polymod(&other) == BECH32M
        })
    };
    let mut places = (0..symbols.len()).filter(repairs);
    let place = places.next()?;
    places.next().is_none().then_some(place + 1)
}

/// 256 bits as 52 symbols, most significant first, padded with four zero bits.
fn to_symbols(k: &[u8; 32]) -> Vec<u8> {
    let bit = |n: usize| k.get(n / 8).map_or(0, |byte| byte >> (7 - n % 8) & 1);
    (0..52).map(|symbol| (0..5).fold(0, |value, n| value << 1 | bit(symbol * 5 + n))).collect()
}

/// The 256 bits, if the padding is zero.
fn from_symbols(symbols: &[u8]) -> Option<[u8; 32]> {
    let bit = |n: usize| symbols.get(n / 5).map_or(0, |symbol| symbol >> (4 - n % 5) & 1);
    let mut k = [0; 32];
    for (at, byte) in k.iter_mut().enumerate() {
        *byte = (0..8).fold(0, |value, n| value << 1 | bit(at * 8 + n));
    }
    (256..260).all(|n| bit(n) == 0).then_some(k)
}

fn checksum(symbols: &[u8]) -> [u8; CHECKSUM] {
    let mut padded = symbols.to_vec();
    padded.extend([0; CHECKSUM]);
    let sum = polymod(&padded) ^ BECH32M;
    core::array::from_fn(|n| (sum >> (5 * (CHECKSUM - 1 - n)) & 31) as u8)
}

/// BIP 173: the BCH checksum over the expanded prefix and the symbols.
fn polymod(symbols: &[u8]) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let high = PREFIX.bytes().map(|c| c >> 5);
    let low = PREFIX.bytes().map(|c| c & 31);
    high.chain([0]).chain(low).chain(symbols.iter().copied()).fold(1, |sum, symbol| {
        let mixed = (sum & 0x01ff_ffff) << 5 ^ u32::from(symbol);
        (0..)
            .zip(GENERATOR)
            .filter(|(n, _)| sum >> (25 + n) & 1 == 1)
            .fold(mixed, |mixed, (_, generator)| mixed ^ generator)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// From an independent bech32m encoder (BIP 350's reference code in Python) over version 0 and k = 00 01 .. 1f.
    const COUNTING: &str = "custos1qqqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9ccrydpk8qarc0shf35rn";

    fn counting() -> PatientCode {
        PatientCode::new(core::array::from_fn(|n| n as u8))
    }

    #[test]
    fn a_code_is_what_another_encoder_makes_of_it() {
        assert_eq!(counting().to_string().replace('-', ""), COUNTING);
        assert_eq!(COUNTING.parse(), Ok(counting()));
    }

    #[test]
    fn reading_ignores_case_spaces_and_dashes() {
        let code = counting().to_string();
        for spelling in [
            code.to_uppercase(),
            code.replace('-', " "),
            code.replace('-', "\n"),
            code.replace('-', "\u{2013}"),
            format!("  {code} "),
        ] {
            assert_eq!(spelling.parse(), Ok(counting()), "{spelling}");
        }
    }

    #[test]
    fn errors_name_the_place() {
        assert_eq!("".parse::<PatientCode>(), Err(CodeError::Prefix));
        assert_eq!("custos".parse::<PatientCode>(), Err(CodeError::Prefix));
        assert_eq!("bitcoin1qqq".parse::<PatientCode>(), Err(CodeError::Prefix));
        assert_eq!(
            "custos1-qo".parse::<PatientCode>(),
            Err(CodeError::Character { position: 2, found: 'o' })
        );
        assert_eq!("custos1-qq".parse::<PatientCode>(), Err(CodeError::Length { found: 2 }));
        let doubled = format!("{0}{0}", counting()).replace("-custos1", "");
        assert!(doubled.parse::<PatientCode>().is_err());
        assert!("x".repeat(1 << 20).parse::<PatientCode>().is_err());
        assert!(CodeError::Character { position: 2, found: 'o' }.to_string().contains("zero"));
    }

    #[test]
    fn the_secret_is_not_in_debug_output() {
        assert_eq!(format!("{:?}", counting()), "PatientCode(..)");
    }

    proptest! {
        #[test]
        fn every_secret_survives_printing(k: [u8; 32]) {
            let code = PatientCode::new(k);
            prop_assert_eq!(code.to_string().parse::<PatientCode>(), Ok(code));
        }

        #[test]
        fn one_wrong_character_is_always_noticed_and_placed(k: [u8; 32], at in 0..LENGTH, by in 1u8..32) {
            let text = PatientCode::new(k).to_string().replace('-', "");
            let (head, data) = text.split_at(7);
            let mut symbols: Vec<u8> = data.chars().map(|c| value(c).unwrap()).collect();
            symbols[at] = (symbols[at] + by) % 32;
            let wrong: String = symbols.iter().map(|s| char::from(SYMBOLS[usize::from(*s)])).collect();
            prop_assert_eq!(format!("{head}{wrong}").parse::<PatientCode>(), Err(CodeError::Mistyped { position: Some(at + 1) }));
        }

        #[test]
        fn neighbours_swapped_are_always_noticed(k: [u8; 32], at in 7usize..7 + LENGTH - 1) {
            let text = PatientCode::new(k).to_string().replace('-', "");
            let mut characters: Vec<char> = text.chars().collect();
            prop_assume!(characters[at] != characters[at + 1]);
            characters.swap(at, at + 1);
            let wrong: String = characters.into_iter().collect();
            let noticed = matches!(wrong.parse::<PatientCode>(), Err(CodeError::Mistyped { .. }));
            prop_assert!(noticed);
        }

        #[test]
        fn no_text_panics(text in ".{0,300}") {
            let _ = text.parse::<PatientCode>();
            let _ = format!("custos1{text}").parse::<PatientCode>();
        }
    }
}

//! Deterministic CBOR (RFC 8949, section 4.2.1) with exactly one accepted spelling per value.
//!
//! Two parties must never disagree about what signed bytes say, so the reader refuses everything
//! that the profile of `docs/spec/cbor.md` does not produce: longer-than-needed heads, indefinite
//! lengths, floats, null, undefined, tags, repeated or unsorted map keys, and trailing bytes.
//! Absence is an empty array where a fixed structure has room for an optional value.
//!
//! Writing is `minicbor`'s job; reading is ours, because general decoders accept what the profile
//! forbids. There is no generic value tree here: foreign bytes are read into types that know their
//! bounds. [`View`] is a typed value as a tree for people and JSON; [`crate::given`] is the way back.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Deref;

use minicbor::Encoder;
use thiserror::Error;

use crate::given::{Form, Given, GivenError, number_words};

/// The deepest nesting that any format of the profile may have.
pub const MAX_DEPTH: usize = 16;

/// A value with one deterministic CBOR spelling.
pub trait Wire: Sized {
    /// Appends the value.
    fn write(&self, w: &mut Writer);

    /// Reads one value and leaves the reader behind it.
    ///
    /// # Errors
    /// Any spelling but the deterministic one, and any value outside the type's bounds.
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// The value as people and JSON see it.
    fn view(&self) -> View;

    /// The value that a person wrote: the way back from [`Wire::view`].
    ///
    /// # Errors
    /// The place, and what belongs there. Formats that only programs write (headers, proofs) take nothing.
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        Err(GivenError::expected(Self::form().is, given))
    }

    /// How a person writes the value.
    fn form() -> Form {
        Form::unwritten()
    }

    /// The deterministic encoding.
    fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.write(&mut w);
        w.into_bytes()
    }

    /// Reads a value that fills `bytes` completely.
    ///
    /// # Errors
    /// As [`Wire::read`], and [`DecodeError::Trailing`].
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let value = Self::read(&mut r)?;
        r.finish()?;
        Ok(value)
    }
}

/// Why bytes were refused. Offsets count from the start of the innermost byte string being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The input ends inside a value.
    #[error("the input ends early, at byte {at}")]
    Truncated {
        /// Where.
        at: usize,
    },
    /// A value is followed by more bytes.
    #[error("{count} bytes follow the value")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// Another type of value was expected here.
    #[error("unexpected CBOR item at byte {at}: expected {expected}")]
    Unexpected {
        /// Where.
        at: usize,
        /// What belongs here.
        expected: &'static str,
    },
    /// A number or length is not in its shortest form, or has an indefinite length.
    #[error("not the shortest encoding, at byte {at}")]
    NotShortest {
        /// Where.
        at: usize,
    },
    /// Members of a set or keys of a map are not strictly ascending.
    #[error("not in strictly ascending order, at byte {at}")]
    NotSorted {
        /// Where.
        at: usize,
    },
    /// A value is outside the bounds of its field.
    #[error("{what} is out of bounds, at byte {at}")]
    OutOfBounds {
        /// Where.
        at: usize,
        /// Which field or type.
        what: &'static str,
    },
}

/// Appends deterministic CBOR to a buffer.
#[derive(Debug)]
pub struct Writer(Encoder<Vec<u8>>);

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

/// Writing to a `Vec` cannot fail; `minicbor` carries the possibility in its types.
macro_rules! infallible {
    ($e:expr) => {
        $e.expect("because writing to a Vec cannot fail");
    };
}

impl Writer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self(Encoder::new(Vec::with_capacity(256)))
    }

    /// The head of an array of `n` values.
    pub fn array(&mut self, n: usize) {
        infallible!(self.0.array(n as u64));
    }

    /// The head of a map of `n` pairs. The caller MUST write keys in ascending order.
    pub fn map(&mut self, n: usize) {
        infallible!(self.0.map(n as u64));
    }

    /// An unsigned integer.
    pub fn u64(&mut self, value: u64) {
        infallible!(self.0.u64(value));
    }

    /// An integer.
    pub fn i64(&mut self, value: i64) {
        infallible!(self.0.i64(value));
    }

    /// A byte string.
    pub fn bytes(&mut self, value: &[u8]) {
        infallible!(self.0.bytes(value));
    }

    /// A text string.
    pub fn text(&mut self, value: &str) {
        infallible!(self.0.str(value));
    }

    /// `true` or `false`.
    pub fn bool(&mut self, value: bool) {
        infallible!(self.0.bool(value));
    }

    /// The head of a tagged value. Only COSE_Sign1 (tag 18) has one.
    pub fn tag(&mut self, tag: u64) {
        infallible!(self.0.tag(minicbor::data::Tag::new(tag)));
    }

    /// Appends bytes that are already deterministic CBOR.
    pub fn raw(&mut self, encoded: &[u8]) {
        self.0.writer_mut().extend_from_slice(encoded);
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_writer()
    }
}

/// Reads deterministic CBOR and refuses every other spelling.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the start of `input`.
    #[must_use]
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Whether all input has been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == self.input.len()
    }

    /// The bytes read since `start`, an earlier [`Reader::position`].
    #[must_use]
    pub fn since(&self, start: usize) -> &'a [u8] {
        self.input.get(start..self.at).unwrap_or(&[])
    }

    /// The bytes that were not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or(&[])
    }

    /// Ends reading.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] when bytes are left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.input.len() - self.at {
            0 => Ok(()),
            count => Err(DecodeError::Trailing { count }),
        }
    }

    /// An array of exactly `n` values.
    ///
    /// # Errors
    /// Another type or length.
    pub fn array(&mut self, n: usize) -> Result<(), DecodeError> {
        let at = self.at;
        match self.array_up_to(n)? {
            len if len == n => Ok(()),
            _ => Err(DecodeError::OutOfBounds { at, what: "array length" }),
        }
    }

    /// An array of at most `max` values; the length.
    ///
    /// # Errors
    /// Another type, or more values.
    pub fn array_up_to(&mut self, max: usize) -> Result<usize, DecodeError> {
        self.length(4, max, "array")
    }

    /// A map of at most `max` pairs; the number of pairs.
    ///
    /// # Errors
    /// Another type, or more pairs.
    pub fn map_up_to(&mut self, max: usize) -> Result<usize, DecodeError> {
        self.length(5, max, "map")
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// Another type.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.expect_major(0, "unsigned integer")
    }

    /// An unsigned integer of at most `max`.
    ///
    /// # Errors
    /// Another type, or a larger number.
    pub fn u64_up_to(&mut self, max: u64, what: &'static str) -> Result<u64, DecodeError> {
        let at = self.at;
        match self.u64()? {
            value if value <= max => Ok(value),
            _ => Err(DecodeError::OutOfBounds { at, what }),
        }
    }

    /// An integer within the range of `i64`.
    ///
    /// # Errors
    /// Another type, or out of range.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        let at = self.at;
        let (major, argument) = self.head()?;
        let value = i64::try_from(argument).map_err(|_| DecodeError::OutOfBounds { at, what: "integer" })?;
        match major {
            0 => Ok(value),
            1 => Ok(-1 - value),
            _ => Err(DecodeError::Unexpected { at, expected: "integer" }),
        }
    }

    /// A byte string of at most `max` bytes.
    ///
    /// # Errors
    /// Another type, or longer.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], DecodeError> {
        let len = self.length(2, max, "byte string")?;
        self.take(len)
    }

    /// A byte string of exactly `N` bytes.
    ///
    /// # Errors
    /// Another type or length.
    pub fn bytes_fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let at = self.at;
        self.bytes(N)?.try_into().map_err(|_| DecodeError::OutOfBounds { at, what: "byte string length" })
    }

    /// A text string of at most `max` bytes of printable ASCII.
    ///
    /// # Errors
    /// Another type, longer, or another character.
    pub fn ascii(&mut self, max: usize) -> Result<&'a str, DecodeError> {
        let at = self.at;
        let text = self.utf8(max)?;
        if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            Ok(text)
        } else {
            Err(DecodeError::OutOfBounds { at, what: "ASCII text" })
        }
    }

    /// A text string of at most `max` bytes of UTF-8 without control characters.
    ///
    /// # Errors
    /// Another type, longer, not UTF-8, or with a control character.
    pub fn utf8(&mut self, max: usize) -> Result<&'a str, DecodeError> {
        let at = self.at;
        let len = self.length(3, max, "text string")?;
        core::str::from_utf8(self.take(len)?)
            .ok()
            .filter(|text| !text.chars().any(char::is_control))
            .ok_or(DecodeError::OutOfBounds { at, what: "text" })
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// Another type.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        let at = self.at;
        match self.head()? {
            (7, 20) => Ok(false),
            (7, 21) => Ok(true),
            _ => Err(DecodeError::Unexpected { at, expected: "true or false" }),
        }
    }

    /// The head of a value with tag `tag`.
    ///
    /// # Errors
    /// Another type or tag.
    pub fn tag(&mut self, tag: u64) -> Result<(), DecodeError> {
        let at = self.at;
        match self.head()? {
            (6, found) if found == tag => Ok(()),
            _ => Err(DecodeError::Unexpected { at, expected: "tag" }),
        }
    }

    /// Passes over one value of any shape that the profile allows and returns its bytes.
    ///
    /// # Errors
    /// Anything outside the profile, map keys out of order and nesting beyond [`MAX_DEPTH`] included.
    pub fn any(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = self.at;
        self.pass(0)?;
        Ok(self.since(start))
    }

    fn pass(&mut self, depth: usize) -> Result<(), DecodeError> {
        let at = self.at;
        if depth >= MAX_DEPTH {
            return Err(DecodeError::OutOfBounds { at, what: "nesting" });
        }
        let (major, argument) = self.head()?;
        let len = usize::try_from(argument).unwrap_or(usize::MAX);
        match major {
            0 | 1 if argument <= i64::MAX as u64 || major == 0 => Ok(()),
            2 => self.take(len).map(drop),
            3 => core::str::from_utf8(self.take(len)?)
                .map(drop)
                .map_err(|_| DecodeError::OutOfBounds { at, what: "text" }),
            4 => (0..argument).try_for_each(|_| self.pass(depth + 1)),
            5 => {
                let mut previous: &[u8] = &[];
                for _ in 0..argument {
                    let key_at = self.at;
                    self.pass(depth + 1)?;
                    let key = self.since(key_at);
                    if key <= previous {
                        return Err(DecodeError::NotSorted { at: key_at });
                    }
                    previous = key;
                    self.pass(depth + 1)?;
                }
                Ok(())
            }
            7 if argument == 20 || argument == 21 => Ok(()),
            _ => Err(DecodeError::Unexpected { at, expected: "a value of the profile" }),
        }
    }

    fn expect_major(&mut self, major: u8, expected: &'static str) -> Result<u64, DecodeError> {
        let at = self.at;
        match self.head()? {
            (found, argument) if found == major => Ok(argument),
            _ => Err(DecodeError::Unexpected { at, expected }),
        }
    }

    fn length(&mut self, major: u8, max: usize, what: &'static str) -> Result<usize, DecodeError> {
        let at = self.at;
        let len = self.expect_major(major, what)?;
        usize::try_from(len).ok().filter(|len| *len <= max).ok_or(DecodeError::OutOfBounds { at, what })
    }

    /// The major type and argument of the next value, in their shortest form only.
    fn head(&mut self) -> Result<(u8, u64), DecodeError> {
        let at = self.at;
        let first = self.take(1)?[0];
        let (major, info) = (first >> 5, first & 0x1f);
        let (argument, least) = match info {
            0..=23 => (u64::from(info), 0),
            24 => (self.big_endian(1)?, 24),
            25 => (self.big_endian(2)?, 1 << 8),
            26 => (self.big_endian(4)?, 1 << 16),
            27 => (self.big_endian(8)?, 1 << 32),
            _ => return Err(DecodeError::NotShortest { at }),
        };
        // Simple values and floats: only the one-byte forms false and true are in the profile.
        if major == 7 && info >= 24 {
            return Err(DecodeError::Unexpected { at, expected: "a value of the profile" });
        }
        if argument < least {
            return Err(DecodeError::NotShortest { at });
        }
        Ok((major, argument))
    }

    fn big_endian(&mut self, n: usize) -> Result<u64, DecodeError> {
        Ok(self.take(n)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.input.len());
        match end {
            Some(end) => {
                let taken = &self.input[self.at..end];
                self.at = end;
                Ok(taken)
            }
            None => Err(DecodeError::Truncated { at: self.input.len() }),
        }
    }
}

/// A typed value as a tree: what `--json` prints and what people read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// Nothing: an optional value that is absent.
    Absent,
    /// A number.
    Number(i128),
    /// `true` or `false`.
    Bool(bool),
    /// Text; hashes and identifiers in hexadecimal.
    Text(String),
    /// An instant: Unix milliseconds, UTC.
    Time(u64),
    /// Several values.
    List(Vec<View>),
    /// Named values, in the order of the format.
    Fields(Vec<(&'static str, View)>),
}

/// At most `MAX` values of one type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
    /// The list, unless it is too long.
    #[must_use]
    pub fn new(values: Vec<T>) -> Option<Self> {
        (values.len() <= MAX).then_some(Self(values))
    }

    /// The values.
    #[must_use]
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Wire, const MAX: usize> Wire for List<T, MAX> {
    fn write(&self, w: &mut Writer) {
        w.array(self.0.len());
        self.0.iter().for_each(|value| value.write(w));
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = r.array_up_to(MAX)?;
        (0..len).map(|_| T::read(r)).collect::<Result<_, _>>().map(Self)
    }
    fn view(&self) -> View {
        View::List(self.0.iter().map(Wire::view).collect())
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        read_list(given, MAX).map(Self)
    }
    fn form() -> Form {
        list_form::<T>(MAX, "")
    }
}

/// At most `MAX` different values of one type, strictly ascending.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set<T, const MAX: usize>(Vec<T>);

impl<T: Ord, const MAX: usize> Set<T, MAX> {
    /// The set of these values, unless there are too many.
    #[must_use]
    pub fn new(mut values: Vec<T>) -> Option<Self> {
        values.sort();
        values.dedup();
        (values.len() <= MAX).then_some(Self(values))
    }
}

impl<T, const MAX: usize> Default for Set<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> Deref for Set<T, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Wire + Ord, const MAX: usize> Wire for Set<T, MAX> {
    fn write(&self, w: &mut Writer) {
        w.array(self.0.len());
        self.0.iter().for_each(|value| value.write(w));
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = r.array_up_to(MAX)?;
        let mut values: Vec<T> = Vec::new();
        for _ in 0..len {
            let at = r.position();
            let value = T::read(r)?;
            if values.last().is_some_and(|last| *last >= value) {
                return Err(DecodeError::NotSorted { at });
            }
            values.push(value);
        }
        Ok(Self(values))
    }
    fn view(&self) -> View {
        View::List(self.0.iter().map(Wire::view).collect())
    }
    /// In any order; each value once.
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        let mut values: Vec<T> = read_list(given, MAX)?;
        values.sort();
        match values.windows(2).any(|pair| pair[0] == pair[1]) {
            true => Err(GivenError::expected("each value once", given)),
            false => Ok(Self(values)),
        }
    }
    fn form() -> Form {
        list_form::<T>(MAX, " different")
    }
}

/// Reads at most `max` values; nothing at all is an empty list.
fn read_list<T: Wire>(given: &Given, max: usize) -> Result<Vec<T>, GivenError> {
    let read =
        |(index, value)| T::from_given(value).map_err(|error| error.within(&alloc::format!("{index}")));
    match given {
        Given::Nothing => Ok(Vec::new()),
        given => given.list(max)?.iter().enumerate().map(read).collect(),
    }
}

fn list_form<T: Wire>(max: usize, different: &str) -> Form {
    let each = T::form();
    Form {
        is: alloc::format!("a list of at most {max}{different}; each {}", each.is),
        sample: View::List(Vec::new()),
        parts: each.parts,
        is_optional: true,
    }
}

/// A byte string of at most `MAX` bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> Bytes<MAX> {
    /// The byte string, unless it is too long.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() <= MAX).then_some(Self(bytes))
    }
}

impl<const MAX: usize> Deref for Bytes<MAX> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> Wire for Bytes<MAX> {
    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.bytes(MAX).map(|bytes| Self(bytes.to_vec()))
    }
    fn view(&self) -> View {
        View::Text(self.0.iter().map(|b| alloc::format!("{b:02x}")).collect())
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        let expected = bytes_words(MAX);
        given.parse(&expected, |text| {
            let digits = text.as_bytes();
            let lower = digits.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
            if digits.len() > 2 * MAX || digits.len() % 2 != 0 || !lower {
                return None;
            }
            let pairs = (0..digits.len()).step_by(2);
            pairs.map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok()).collect::<Option<_>>().map(Self)
        })
    }
    fn form() -> Form {
        Form::of(bytes_words(MAX), View::Text(String::new()))
    }
}

fn bytes_words(max: usize) -> String {
    alloc::format!("lower-case hexadecimal digits, two for each of at most {max} bytes")
}

fn text_words(max: usize, characters: &str) -> String {
    alloc::format!("text of at most {max} bytes of {characters}")
}

/// Text of at most `MAX` bytes of printable ASCII: addresses, codes, never prose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ascii<const MAX: usize>(String);

impl<const MAX: usize> Ascii<MAX> {
    /// The text, unless it is too long or has another character.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (text.len() <= MAX && text.bytes().all(|b| (0x20..0x7f).contains(&b))).then(|| Self(text.into()))
    }
}

impl<const MAX: usize> Deref for Ascii<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Wire for Ascii<MAX> {
    fn write(&self, w: &mut Writer) {
        w.text(&self.0);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.ascii(MAX).map(|text| Self(text.into()))
    }
    fn view(&self) -> View {
        View::Text(self.0.clone())
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        given.parse(&text_words(MAX, "ASCII"), Self::new)
    }
    fn form() -> Form {
        Form::of(text_words(MAX, "ASCII"), View::Text(String::new()))
    }
}

/// Text of at most `MAX` bytes of UTF-8 without control characters: names of organisations, sealed text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// The text, unless it is too long or has a control character.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (text.len() <= MAX && !text.chars().any(char::is_control)).then(|| Self(text.into()))
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Wire for Text<MAX> {
    fn write(&self, w: &mut Writer) {
        w.text(&self.0);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.utf8(MAX).map(|text| Self(text.into()))
    }
    fn view(&self) -> View {
        View::Text(self.0.clone())
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        given.parse(&text_words(MAX, "UTF-8 without line breaks"), Self::new)
    }
    fn form() -> Form {
        Form::of(text_words(MAX, "UTF-8 without line breaks"), View::Text(String::new()))
    }
}

/// An optional value in a fixed structure: an array of none or one.
impl<T: Wire> Wire for Option<T> {
    fn write(&self, w: &mut Writer) {
        w.array(usize::from(self.is_some()));
        if let Some(value) = self {
            value.write(w);
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match r.array_up_to(1)? {
            0 => Ok(None),
            _ => T::read(r).map(Some),
        }
    }
    fn view(&self) -> View {
        self.as_ref().map_or(View::Absent, Wire::view)
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        match given {
            Given::Nothing => Ok(None),
            given => T::from_given(given).map(Some),
        }
    }
    fn form() -> Form {
        T::form().optional()
    }
}

macro_rules! wire_unsigned {
    ($($t:ty),*) => {$(
        impl Wire for $t {
            fn write(&self, w: &mut Writer) {
                w.u64(u64::from(*self));
            }
            fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let at = r.position();
                <$t>::try_from(r.u64()?).map_err(|_| DecodeError::OutOfBounds { at, what: stringify!($t) })
            }
            fn view(&self) -> View {
                View::Number(i128::from(*self))
            }
            fn from_given(given: &Given) -> Result<Self, GivenError> {
                let most = i128::from(<$t>::MAX);
                let number = given.number(0, most)?;
                <$t>::try_from(number).map_err(|_| GivenError::expected(number_words(0, most), given))
            }
            fn form() -> Form {
                Form::of(number_words(0, i128::from(<$t>::MAX)), View::Number(1))
            }
        }
    )*};
}
wire_unsigned!(u8, u16, u32, u64);

impl Wire for bool {
    fn write(&self, w: &mut Writer) {
        w.bool(*self);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.bool()
    }
    fn view(&self) -> View {
        View::Bool(*self)
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        match given {
            Given::Bool(value) => Ok(*value),
            given => Err(GivenError::expected("true or false", given)),
        }
    }
    fn form() -> Form {
        Form::of("true or false", View::Bool(false))
    }
}

/// Defines a structure whose wire form is the array of its fields, in order; with `= N`, the number
/// `N` (a leaf's type constant) or a text (a file's type) stands before them.
macro_rules! wire_struct {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(= $constant:literal)? {
            $( $(#[doc = $doc:expr])* pub $field:ident : $type:ty ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $( $(#[doc = $doc])* pub $field: $type, )*
        }

        impl $crate::cbor::Wire for $name {
            fn write(&self, w: &mut $crate::cbor::Writer) {
                w.array(0 $( + $crate::cbor::one(&$constant) )? $( + $crate::cbor::one(stringify!($field)) )*);
                $( $crate::cbor::Constant::put(&$constant, w); )?
                $( $crate::cbor::Wire::write(&self.$field, w); )*
            }
            fn read(r: &mut $crate::cbor::Reader<'_>) -> Result<Self, $crate::cbor::DecodeError> {
                r.array(0 $( + $crate::cbor::one(&$constant) )? $( + $crate::cbor::one(stringify!($field)) )*)?;
                $( $crate::cbor::Constant::expect(&$constant, r)?; )?
                Ok(Self { $( $field: $crate::cbor::Wire::read(r)?, )* })
            }
            fn view(&self) -> $crate::cbor::View {
                $crate::cbor::View::Fields(alloc::vec![
                    $( (stringify!($field), $crate::cbor::Wire::view(&self.$field)), )*
                ])
            }
            fn from_given(given: &$crate::given::Given) -> Result<Self, $crate::given::GivenError> {
                let named = given.fields(&[$( stringify!($field) ),*])?;
                Ok(Self { $( $field: named.field(stringify!($field), $crate::cbor::Wire::from_given)?, )* })
            }
            fn form() -> $crate::given::Form {
                $crate::given::Form::structure(alloc::vec![$( $crate::given::Part {
                    name: stringify!($field),
                    doc: &[$( $doc ),*],
                    form: <$type as $crate::cbor::Wire>::form,
                } ),*])
            }
        }
    };
}
pub(crate) use wire_struct;

/// Counts one: the array length of a [`wire_struct`] is a sum of these.
pub(crate) const fn one<T: ?Sized>(_: &T) -> usize {
    1
}

/// A constant at the head of a structure.
pub(crate) trait Constant {
    fn put(&self, w: &mut Writer);
    fn expect(&self, r: &mut Reader<'_>) -> Result<(), DecodeError>;
}

impl Constant for u64 {
    fn put(&self, w: &mut Writer) {
        w.u64(*self);
    }
    fn expect(&self, r: &mut Reader<'_>) -> Result<(), DecodeError> {
        let at = r.position();
        match r.u64()? {
            found if found == *self => Ok(()),
            _ => Err(DecodeError::Unexpected { at, expected: "another type constant" }),
        }
    }
}

impl Constant for &str {
    fn put(&self, w: &mut Writer) {
        w.text(self);
    }
    fn expect(&self, r: &mut Reader<'_>) -> Result<(), DecodeError> {
        let at = r.position();
        match r.ascii(64)? {
            found if found == *self => Ok(()),
            _ => Err(DecodeError::Unexpected { at, expected: "another file type" }),
        }
    }
}

/// Defines an enumeration whose wire form is a small number and whose name for people is a word.
macro_rules! wire_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$vmeta:meta])* $variant:ident = $number:literal, $word:literal; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[$vmeta])* $variant = $number, )*
        }

        impl $name {
            /// Every value, in the order of the numbers.
            pub const ALL: &'static [$name] = &[$( $name::$variant, )*];

            /// The number on the wire.
            #[must_use]
            pub const fn number(self) -> u64 {
                self as u64
            }

            /// The word that people and JSON use.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $( $name::$variant => $word, )*
                }
            }

            /// The value that a word names.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.word() == word)
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl $crate::cbor::Wire for $name {
            fn write(&self, w: &mut $crate::cbor::Writer) {
                w.u64(self.number());
            }
            fn read(r: &mut $crate::cbor::Reader<'_>) -> Result<Self, $crate::cbor::DecodeError> {
                let at = r.position();
                match r.u64()? {
                    $( $number => Ok($name::$variant), )*
                    _ => Err($crate::cbor::DecodeError::OutOfBounds { at, what: stringify!($name) }),
                }
            }
            fn view(&self) -> $crate::cbor::View {
                $crate::cbor::View::Text(self.word().into())
            }
            fn from_given(given: &$crate::given::Given) -> Result<Self, $crate::given::GivenError> {
                given.parse(&<Self as $crate::cbor::Wire>::form().is, Self::from_word)
            }
            fn form() -> $crate::given::Form {
                let words: alloc::vec::Vec<&str> = Self::ALL.iter().map(|value| value.word()).collect();
                let sample = words.first().copied().unwrap_or_default();
                $crate::given::Form::of(
                    alloc::format!("one of: {}", words.join(", ")),
                    $crate::cbor::View::Text(sample.into()),
                )
            }
        }
    };
}
pub(crate) use wire_enum;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn longer_than_needed_heads_are_refused() {
        for bytes in [
            &[0x18, 0x17][..],
            &[0x19, 0x00, 0xff],
            &[0x1a, 0, 0, 0xff, 0xff],
            &[0x1b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(u64::from_bytes(bytes), Err(DecodeError::NotShortest { at: 0 }));
        }
        assert_eq!(u64::from_bytes(&[0x18, 0x18]), Ok(24));
    }

    #[test]
    fn values_outside_the_profile_are_refused() {
        let outside: [&[u8]; 9] = [
            &[0xf6],       // null
            &[0xf7],       // undefined
            &[0xf9, 0, 0], // float
            &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x9f, 0xff],                   // indefinite array
            &[0x5f, 0xff],                   // indefinite byte string
            &[0xc2, 0x41, 0x01],             // bignum
            &[0xf8, 0x14],                   // false in two bytes
            &[0xa2, 0x02, 0x00, 0x01, 0x00], // map keys out of order
        ];
        for bytes in outside {
            assert!(Reader::new(bytes).any().is_err(), "{bytes:02x?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let mut deep = vec![0x81; MAX_DEPTH - 1];
        deep.push(0x00);
        assert!(Reader::new(&deep).any().is_ok());
        deep.insert(0, 0x81);
        assert!(Reader::new(&deep).any().is_err());
    }

    #[test]
    fn a_huge_length_allocates_nothing() {
        assert!(List::<u64, 8>::from_bytes(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(Bytes::<8>::from_bytes(&[0x5a, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn sets_are_strictly_ascending() {
        assert!(Set::<u64, 4>::from_bytes(&[0x82, 1, 2]).is_ok());
        assert_eq!(Set::<u64, 4>::from_bytes(&[0x82, 2, 1]), Err(DecodeError::NotSorted { at: 2 }));
        assert_eq!(Set::<u64, 4>::from_bytes(&[0x82, 1, 1]), Err(DecodeError::NotSorted { at: 2 }));
    }
}

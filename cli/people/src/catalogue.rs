//! The message catalogue: every sentence that people read, by language.
//!
//! A language is a folder of Fluent files (`messages/de/*.ftl`). English and German are compiled in;
//! a folder given at run time adds languages or replaces single messages. What a language lacks is
//! said in English, and a test holds that the compiled languages lack nothing.
//!
//! Every text that goes into a message is cleaned of control and direction characters first, because
//! most of it comes from foreign documents. Fluent's own isolation marks are off: terminals print
//! them as garbage, and the cleaning removes what they guard against.
//!
//! Deliberately absent: number and date formats of a platform. Dates are messages too (see [`crate::date`]).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use fluent_syntax::ast;
use thiserror::Error;
use unic_langid::LanguageIdentifier;

use crate::clean::clean;

/// The files that are compiled in: language, content.
const COMPILED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/messages.rs"));

/// The language that every other falls back to.
pub const FALLBACK: &str = "en";

/// The longest message file, in bytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// The most message files that are read beside the compiled ones.
pub const MAX_FILES: usize = 256;

/// Why messages cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CatalogueError {
    /// The language is none that there are messages for.
    #[error("there are no messages in language {wanted:?}; there are: {known}")]
    UnknownLanguage {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// The folder's name is no language.
    #[error("{name:?} is no language tag; name the folder as BCP 47 says, such as fr or pt-BR")]
    NotALanguage {
        /// The name.
        name: String,
    },
    /// A file that Fluent does not read.
    #[error("a message file of language {language} is not well formed, at byte {at}: {error}")]
    Form {
        /// Of which language.
        language: String,
        /// Where.
        at: usize,
        /// What is wrong.
        error: String,
    },
    /// Beyond a bound.
    #[error("{what}; the bounds are {MAX_FILES} files of at most {MAX_FILE_BYTES} bytes")]
    TooMuch {
        /// Of what.
        what: &'static str,
    },
}

/// The message files of all languages: those compiled in, and those added.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// Language, in the spelling of its tag, to its files; later ones win.
    files: BTreeMap<String, Vec<Cow<'static, str>>>,
}

impl Default for Catalogue {
    fn default() -> Self {
        let mut files: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (language, text) in COMPILED {
            files.entry((*language).to_owned()).or_default().push(Cow::Borrowed(*text));
        }
        Self { files }
    }
}

impl Catalogue {
    /// Adds a file of a language, new or known. Its messages take the place of those before.
    ///
    /// # Errors
    /// [`CatalogueError`]: the name is no language, the file is too long, or Fluent does not read it.
    pub fn add(&mut self, language: &str, text: String) -> Result<(), CatalogueError> {
        let tag: LanguageIdentifier = language
            .parse()
            .map_err(|_| CatalogueError::NotALanguage { name: clean(language).into_owned() })?;
        if text.len() > MAX_FILE_BYTES {
            return Err(CatalogueError::TooMuch { what: "a message file is too long" });
        }
        if self.files.values().map(Vec::len).sum::<usize>() >= MAX_FILES + COMPILED.len() {
            return Err(CatalogueError::TooMuch { what: "there are too many message files" });
        }
        resource(language, &text)?;
        self.files.entry(tag.to_string()).or_default().push(Cow::Owned(text));
        Ok(())
    }

    /// The languages that there are messages for.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// A speaker of the language that a person asked for by tag: `de`, `de-AT`, `pt-BR`.
    ///
    /// # Errors
    /// [`CatalogueError::UnknownLanguage`] when there are no messages in it.
    pub fn speaker(&self, language: &str) -> Result<Speaker, CatalogueError> {
        let found = self.closest(language).ok_or_else(|| CatalogueError::UnknownLanguage {
            wanted: clean(language).into_owned(),
            known: self.languages().collect::<Vec<_>>().join(", "),
        })?;
        self.speaker_of(found)
    }

    /// A speaker of the language of a POSIX locale (`de_DE.UTF-8`); English when there is none or it is not known.
    ///
    /// # Errors
    /// [`CatalogueError::Form`], if compiled files were broken.
    pub fn speaker_for_locale(&self, locale: Option<&str>) -> Result<Speaker, CatalogueError> {
        let tag = locale.unwrap_or_default().split(['.', '@']).next().unwrap_or_default().replace('_', "-");
        self.speaker_of(self.closest(&tag).unwrap_or(FALLBACK))
    }

    /// The language itself, or the one without its region.
    fn closest(&self, language: &str) -> Option<&str> {
        let tag: LanguageIdentifier = language.parse().ok()?;
        let exact = tag.to_string();
        let bare = tag.language.as_str();
        let find = |wanted: &str| self.files.keys().find(|known| *known == wanted).map(String::as_str);
        find(&exact).or_else(|| find(bare))
    }

    fn speaker_of(&self, language: &str) -> Result<Speaker, CatalogueError> {
        let mut bundles = vec![self.bundle(language)?];
        if language != FALLBACK {
            bundles.push(self.bundle(FALLBACK)?);
        }
        Ok(Speaker { language: language.to_owned(), bundles })
    }

    fn bundle(&self, language: &str) -> Result<FluentBundle<FluentResource>, CatalogueError> {
        let tag: LanguageIdentifier =
            language.parse().map_err(|_| CatalogueError::NotALanguage { name: language.to_owned() })?;
        let mut bundle = FluentBundle::new_concurrent(vec![tag]);
        bundle.set_use_isolating(false);
        for text in self.files.get(language).into_iter().flatten() {
            bundle.add_resource_overriding(resource(language, text)?);
        }
        Ok(bundle)
    }

    /// Every message of a language with the variables that it names; attributes are `message.attribute`.
    #[must_use]
    pub fn messages(&self, language: &str) -> BTreeMap<String, BTreeSet<String>> {
        let mut messages = BTreeMap::new();
        for text in self.files.get(language).into_iter().flatten() {
            let Ok(resource) = resource(language, text) else { continue };
            for entry in resource.entries() {
                let ast::Entry::Message(message) = entry else { continue };
                let mut add = |id: String, pattern: &ast::Pattern<&str>| {
                    let mut variables = BTreeSet::new();
                    pattern_variables(pattern, &mut variables);
                    messages.insert(id, variables);
                };
                if let Some(pattern) = &message.value {
                    add(message.id.name.to_owned(), pattern);
                }
                for attribute in &message.attributes {
                    add(format!("{}.{}", message.id.name, attribute.id.name), &attribute.value);
                }
            }
        }
        messages
    }
}

fn resource(language: &str, text: &str) -> Result<FluentResource, CatalogueError> {
    FluentResource::try_new(text.to_owned()).map_err(|(_, errors)| {
        let first = errors.first();
        CatalogueError::Form {
            language: clean(language).into_owned(),
            at: first.map_or(0, |error| error.pos.start),
            error: first.map_or_else(String::new, |error| error.kind.to_string()),
        }
    })
}

fn pattern_variables(pattern: &ast::Pattern<&str>, variables: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        if let ast::PatternElement::Placeable { expression } = element {
            expression_variables(expression, variables);
        }
    }
}

fn expression_variables(expression: &ast::Expression<&str>, variables: &mut BTreeSet<String>) {
    match expression {
        ast::Expression::Inline(inline) => inline_variables(inline, variables),
        ast::Expression::Select { selector, variants } => {
            inline_variables(selector, variables);
            variants.iter().for_each(|variant| pattern_variables(&variant.value, variables));
        }
    }
}

fn inline_variables(inline: &ast::InlineExpression<&str>, variables: &mut BTreeSet<String>) {
    match inline {
        ast::InlineExpression::VariableReference { id } => {
            variables.insert(id.name.to_owned());
        }
        ast::InlineExpression::Placeable { expression } => expression_variables(expression, variables),
        _ => {}
    }
}

/// What goes into a message in the place of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument<'a> {
    /// Words; cleaned when they are said.
    Text(Cow<'a, str>),
    /// A count, which may select a plural.
    Number(u64),
}

impl<'a> From<&'a str> for Argument<'a> {
    fn from(text: &'a str) -> Self {
        Argument::Text(Cow::Borrowed(text))
    }
}
impl<'a> From<&'a String> for Argument<'a> {
    fn from(text: &'a String) -> Self {
        Argument::Text(Cow::Borrowed(text))
    }
}
impl From<String> for Argument<'_> {
    fn from(text: String) -> Self {
        Argument::Text(Cow::Owned(text))
    }
}
impl<'a> From<Cow<'a, str>> for Argument<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Argument::Text(text)
    }
}
impl From<u64> for Argument<'_> {
    fn from(number: u64) -> Self {
        Argument::Number(number)
    }
}
impl From<u32> for Argument<'_> {
    fn from(number: u32) -> Self {
        Argument::Number(number.into())
    }
}
impl From<usize> for Argument<'_> {
    fn from(number: usize) -> Self {
        Argument::Number(number as u64)
    }
}

/// One language, with English behind it.
pub struct Speaker {
    language: String,
    /// The language's own messages, then those of [`FALLBACK`].
    bundles: Vec<FluentBundle<FluentResource>>,
}

impl fmt::Debug for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Speaker").field("language", &self.language).finish_non_exhaustive()
    }
}

impl Speaker {
    /// The language's tag.
    #[must_use]
    pub fn language(&self) -> &str {
        &self.language
    }

    /// A message, or `None` when no language has it. Use [`say!`](crate::say), which checks nothing more but reads better.
    #[must_use]
    pub fn message(&self, id: &str, arguments: &[(&'static str, Argument<'_>)]) -> Option<String> {
        let values: FluentArgs<'_> = arguments
            .iter()
            .map(|(name, argument)| {
                let value = match argument {
                    Argument::Text(text) => FluentValue::from(clean(text).into_owned()),
                    Argument::Number(number) => FluentValue::from(*number),
                };
                (*name, value)
            })
            .collect();
        self.bundles.iter().find_map(|bundle| formatted(bundle, id, &values))
    }

    /// A message; its id when there is none, which the tests exclude for the compiled languages.
    #[must_use]
    pub fn say(&self, id: &str, arguments: &[(&'static str, Argument<'_>)]) -> String {
        self.message(id, arguments).unwrap_or_else(|| id.to_owned())
    }

    /// "a, b and c".
    #[must_use]
    pub fn all_of<S: AsRef<str>>(&self, parts: &[S]) -> String {
        self.joined(parts, "list-and")
    }

    /// "a, b or c".
    #[must_use]
    pub fn any_of<S: AsRef<str>>(&self, parts: &[S]) -> String {
        self.joined(parts, "list-or")
    }

    /// "a; b; c".
    #[must_use]
    pub fn listed<S: AsRef<str>>(&self, parts: &[S]) -> String {
        let mut parts = parts.iter().map(|part| part.as_ref().to_owned());
        let first = parts.next().unwrap_or_default();
        parts.fold(first, |list, next| crate::say!(self, "list-also", list = list, next = next))
    }

    fn joined<S: AsRef<str>>(&self, parts: &[S], last_id: &str) -> String {
        let Some((last, rest)) = parts.split_last() else { return String::new() };
        let Some((first, rest)) = rest.split_first() else { return last.as_ref().to_owned() };
        let list = rest.iter().fold(first.as_ref().to_owned(), |list, next| {
            crate::say!(self, "list-more", list = list, next = next.as_ref())
        });
        self.say(last_id, &[("list", list.into()), ("next", last.as_ref().into())])
    }
}

fn formatted(bundle: &FluentBundle<FluentResource>, id: &str, values: &FluentArgs<'_>) -> Option<String> {
    let (name, attribute) = id.split_once('.').map_or((id, None), |(name, part)| (name, Some(part)));
    let message = bundle.get_message(name)?;
    let pattern = match attribute {
        None => message.value()?,
        Some(attribute) => message.get_attribute(attribute)?.value(),
    };
    let mut errors = Vec::new();
    let text = bundle.format_pattern(pattern, Some(values), &mut errors).into_owned();
    // A translation that names what is not there is passed over for the language behind it.
    errors.is_empty().then_some(text)
}

/// A message of the catalogue with its variables: `say!(speaker, "withheld", time = t)`.
///
/// The id MUST be a literal: the test that no message is missing or unused reads the source.
#[macro_export]
macro_rules! say {
    ($speaker:expr, $id:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $speaker.say($id, &[$( (stringify!($name), $crate::catalogue::Argument::from($value)) ),*])
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_flag_or_the_locale_or_english() {
        let catalogue = Catalogue::default();
        for (tag, language) in [("de", "de"), ("de-AT", "de"), ("en", "en"), ("EN-us", "en")] {
            assert_eq!(catalogue.speaker(tag).unwrap().language(), language, "{tag}");
        }
        for refused in ["", "klingon language", "zz", "../../etc"] {
            let error = catalogue.speaker(refused).unwrap_err();
            assert!(error.to_string().contains("there are: de, en"), "{error}");
        }
        for (locale, language) in [
            (Some("de_DE.UTF-8"), "de"),
            (Some("de_CH@euro"), "de"),
            (Some("C.UTF-8"), "en"),
            (Some("POSIX"), "en"),
            (Some("xx_YY"), "en"),
            (Some("\u{0}"), "en"),
            (None, "en"),
        ] {
            assert_eq!(catalogue.speaker_for_locale(locale).unwrap().language(), language, "{locale:?}");
        }
    }

    #[test]
    fn a_language_is_added_without_code_and_what_it_lacks_is_english() {
        let mut catalogue = Catalogue::default();
        catalogue.add("fr", "list-and = { $list } et { $next }\nlist-or = { $nobody }\n".into()).unwrap();
        let french = catalogue.speaker("fr-CA").unwrap();
        assert_eq!(french.all_of(&["a", "b"]), "a et b");
        assert_eq!(french.any_of(&["a", "b"]), "a or b", "a broken translation is passed over");
        assert_eq!(french.listed(&["a", "b"]), "a; b");
        catalogue.add("de", "list-and = { $list } & { $next }\n".into()).unwrap();
        assert_eq!(catalogue.speaker("de").unwrap().all_of(&["a", "b", "c"]), "a, b & c");
    }

    #[test]
    fn files_that_are_no_messages_are_refused() {
        let mut catalogue = Catalogue::default();
        let form = catalogue.add("fr", "a = { $b\n".into()).unwrap_err();
        assert!(matches!(form, CatalogueError::Form { .. }), "{form}");
        assert!(matches!(catalogue.add("../x", String::new()), Err(CatalogueError::NotALanguage { .. })));
        let long = "#".repeat(MAX_FILE_BYTES + 1);
        assert!(matches!(catalogue.add("fr", long), Err(CatalogueError::TooMuch { .. })));
        for _ in 0..MAX_FILES {
            catalogue.add("fr", String::new()).unwrap();
        }
        assert!(matches!(catalogue.add("fr", String::new()), Err(CatalogueError::TooMuch { .. })));
    }

    #[test]
    fn what_goes_into_a_message_is_cleaned_and_not_marked() {
        let english = Catalogue::default().speaker("en").unwrap();
        assert_eq!(english.all_of(&["a\u{202e}b\u{1b}[2J", "c"]), "a b [2J and c");
        assert_eq!(english.say("no-such-message", &[]), "no-such-message");
    }
}

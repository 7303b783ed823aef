//! In which language a run speaks to its reader, and where its messages come from.
//!
//! `--lang`, else the locale of the environment (`LC_ALL`, `LC_MESSAGES`, `LANG`, as POSIX orders
//! them), else English. A folder of one's own messages, `LANGUAGE/*.ftl`, is named by `--messages` or
//! `CUSTOS_MESSAGES`; it adds languages, and its messages go before those compiled in.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use custos_people::catalogue::{Catalogue, FALLBACK, MAX_FILES, Speaker};

use crate::exit::{Failed, Outcome, While as _};
use crate::files;

/// The environment's name for the folder of messages.
const MESSAGES: &str = "CUSTOS_MESSAGES";

/// The language, as arguments of every command.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Language {
    /// The language of what people read: en, de, or one of --messages; by default that of LC_ALL or LANG
    #[arg(long, global = true, value_name = "LANGUAGE")]
    lang: Option<String>,
    /// A folder of messages of your own, LANGUAGE/*.ftl; by default that of CUSTOS_MESSAGES
    #[arg(long, global = true, value_name = "DIR")]
    messages: Option<PathBuf>,
}

impl Language {
    /// Whoever speaks to the reader.
    pub(crate) fn speaker(&self) -> Outcome<Speaker> {
        let mut catalogue = Catalogue::default();
        let folder = self.messages.clone().or_else(|| set(MESSAGES).map(PathBuf::from));
        if let Some(folder) = &folder {
            add(&mut catalogue, folder)?;
        }
        let chosen = match &self.lang {
            Some(language) => catalogue.speaker(language),
            None => catalogue.speaker_for_locale(locale().as_deref()),
        };
        chosen.map_err(|error| {
            Failed::unable(error).hint("--lang en, or --messages with a folder of that language")
        })
    }
}

/// English, for a failure that comes before the language is known.
pub(crate) fn english() -> Speaker {
    Catalogue::default().speaker(FALLBACK).expect("because the compiled English messages are tested")
}

fn locale() -> Option<String> {
    ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set)
}

/// A variable of the environment that is set and not empty.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Adds a folder: one folder per language in it, each with message files.
fn add(catalogue: &mut Catalogue, folder: &Path) -> Outcome<()> {
    let languages: Vec<PathBuf> = listed(folder)?.into_iter().filter(|path| path.is_dir()).collect();
    if languages.is_empty() {
        return Err(Failed::unable(format!("{} holds no folder of a language", folder.display()))
            .hint("put the files into folders named by language: fr/trail.ftl"));
    }
    for path in languages {
        let language = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for file in listed(&path)?.into_iter().filter(|file| file.extension().is_some_and(|e| e == "ftl")) {
            let text = files::read_text(&file)?;
            catalogue
                .add(&language, text)
                .map_err(|error| Failed::unable(format!("{}: {error}", file.display())))?;
        }
    }
    Ok(())
}

/// What a folder holds, by name; not more of it than can be used.
fn listed(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).could_not(|| format!("read the folder {}", folder.display()))?;
    let mut paths = entries
        .take(MAX_FILES)
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .could_not(|| format!("read the folder {}", folder.display()))?;
    paths.sort();
    Ok(paths)
}

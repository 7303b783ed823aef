//! Follows files of NDJSON: one resource per line, each file by what it is and not by its name.
//!
//! A file is known by device and inode, and by a fingerprint over its beginning. How far it was read
//! is written into the spool with the document itself, in one frame: a line is never taken twice, and
//! never passed over, whenever the feed was killed.
//!
//! ```text
//!   rename   the old file, found beside the new one by its inode, is read to its end first
//!   truncate shorter than what was read, or another beginning: read from the start
//!   growth   a last line without its end waits for it, until the file was renamed away
//!   gone     counted; as a gap if it was known to be longer than what was read
//! ```
//!
//! What is refused stays in its file: the status page names file and byte.
//!
//! Deliberately absent: compressed files, and notifications by the kernel: looking is as good on
//! network file systems, where there are none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use custos_proof::hash::Digest;
use sha2::{Digest as _, Sha256};

use crate::config::TailSection;
use crate::document::Document;
use crate::intake::Intake;
use crate::serve::{Stop, stopped};
use crate::spool::frame::{FileId, Frame, MAX_FILES, Mark};
use crate::spooler::{Entry, Refused};

const INPUT: &str = "tail";
/// How much of a file's beginning its fingerprint covers.
const HEAD: u64 = 1024;
/// How much is read at a time, beyond one line.
const CHUNK: usize = 512 * 1024;
/// The most lines that are accepted together.
const TOGETHER: usize = 256;

/// Follows a file or folder until the feed stops.
pub async fn follow(intake: Intake, section: TailSection, stop: Stop) {
    let marks = intake.spooler().holdings().borrow().marks.clone();
    let own = marks.into_iter().filter(|mark| mark.file.input == section.name);
    let marks = own.map(|mark| (mark.file.clone(), mark)).collect();
    let mut follower = Follower { intake, section, marks, seen: BTreeMap::new() };
    loop {
        let more = match follower.look(&stop).await {
            Ok(more) => more,
            Err(Refused::Stopping) => return,
            // Full or broken: what was not taken stands in the file, and is read again.
            Err(_) => false,
        };
        let pause = Duration::from_millis(if more { 0 } else { follower.section.poll_ms });
        tokio::select! {
            () = stopped(stop.clone()) => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

struct Follower {
    intake: Intake,
    section: TailSection,
    /// How far files were read, as the spool has it.
    marks: BTreeMap<FileId, Mark>,
    /// How long files were when they were last looked at.
    seen: BTreeMap<FileId, u64>,
}

/// A file that is there.
#[derive(Debug, Clone)]
struct Found {
    id: FileId,
    path: PathBuf,
    /// Whether nothing will be appended to it any more, as far as its name tells.
    is_old: bool,
}

/// A line, and where the next one begins.
struct Line {
    end: u64,
    text: Result<Vec<u8>, ()>,
}

impl Follower {
    /// Looks at all files once. Gives back whether there may be more to read at once.
    async fn look(&mut self, stop: &Stop) -> Result<bool, Refused> {
        let section = self.section.clone();
        let known: BTreeSet<FileId> = self.marks.keys().cloned().collect();
        let found = blocking({
            let known = known.clone();
            move || discover(&section, &known)
        })
        .await?;
        let files = match found {
            Ok(files) => files,
            Err(error) => {
                let path = self.section.path.display();
                tracing::debug!(%path, %error, "cannot be looked at; it may not be there yet");
                self.intake.counters().count(INPUT, "unreadable", "");
                return Ok(false);
            }
        };
        let mut more = false;
        for file in &files {
            if *stop.borrow() {
                return Err(Refused::Stopping);
            }
            more |= self.read(file).await?;
        }
        self.forget_gone(&known, &files).await?;
        Ok(more)
    }

    /// Takes the next lines of a file.
    async fn read(&mut self, file: &Found) -> Result<bool, Refused> {
        let mark = self.marks.get(&file.id).cloned();
        let (path, is_old, max_line) = (file.path.clone(), file.is_old, self.section.max_line_bytes);
        let read = blocking(move || chunk(&path, mark.as_ref(), is_old, max_line)).await?;
        let Chunk { lines, length, head, restarted, more } = match read {
            Ok(chunk) => chunk,
            Err(error) => {
                self.intake.counters().count(INPUT, "unreadable", "");
                tracing::warn!(path = %file.path.display(), %error, "cannot be read");
                return Ok(false);
            }
        };
        self.seen.insert(file.id.clone(), length);
        if restarted {
            self.intake.counters().count(INPUT, "restarted", "truncated-or-replaced");
            tracing::warn!(path = %file.path.display(), "truncated or replaced; read from the start");
        }
        if lines.is_empty() {
            return Ok(false);
        }
        let entries = self.entries(file, lines, &head).await?;
        let last = entries.iter().rev().find_map(|entry| match entry {
            Entry::Read(mark) => Some(mark.clone()),
            Entry::Document(offer) => offer.mark.clone(),
        });
        self.intake.accept(INPUT, entries).await?;
        self.marks.extend(last.map(|mark| (file.id.clone(), mark)));
        Ok(more)
    }

    /// What the lines came to. The place in the file goes with the last document of each line.
    async fn entries(&self, file: &Found, lines: Vec<Line>, head: &[u8]) -> Result<Vec<Entry>, Refused> {
        let path = file.path.display().to_string();
        let name = path.clone();
        let read = self
            .intake
            .read(move |reader| {
                let read = |line: Line| {
                    let documents = line.text.map(|text| match text.trim_ascii() {
                        [] => Vec::new(),
                        text => reader.fhir(&name, text),
                    });
                    (line.end, documents)
                };
                lines.into_iter().map(read).collect::<Vec<(u64, Result<Vec<Document>, ()>)>>()
            })
            .await?;
        let mut entries = Vec::new();
        for (end, documents) in read {
            let head_bytes = end.min(head.len() as u64);
            let mark = Mark {
                file: file.id.clone(),
                offset: end,
                head_bytes,
                head: Digest(Sha256::digest(&head[..head_bytes as usize]).into()),
                path: path.chars().take(1024).collect(),
            };
            let place = || format!("{path}, line that ends at byte {end}");
            let Ok(documents) = documents else {
                self.intake.counters().refuse(INPUT, place(), "too-long-line", "line".into());
                entries.push(Entry::Read(mark));
                continue;
            };
            let mut offers = Vec::new();
            for document in documents {
                if let Err(refusal) = &document.result {
                    let element = refusal.element.clone();
                    self.intake.counters().refuse(INPUT, place(), refusal.code.word(), element);
                }
                offers.extend(self.intake.offer(document, None));
            }
            match offers.last_mut() {
                Some(last) => last.mark = Some(mark),
                None => entries.push(Entry::Read(mark)),
            }
            entries.extend(offers.into_iter().map(Entry::Document));
        }
        Ok(entries)
    }

    async fn forget_gone(&mut self, known: &BTreeSet<FileId>, files: &[Found]) -> Result<(), Refused> {
        for id in known.iter().filter(|id| !files.iter().any(|file| file.id == **id)) {
            let read = self.marks.get(id).map_or(0, |mark| mark.offset);
            match self.seen.remove(id) {
                Some(length) if length > read => {
                    let name = self.marks.get(id).map_or("", |mark| mark.path.as_str());
                    let place = format!("{name}, {} bytes", length - read);
                    self.intake.counters().refuse(INPUT, place, "gone-before-read", "file".into());
                }
                Some(_) => self.intake.counters().count(INPUT, "gone", "read-whole"),
                None => self.intake.counters().count(INPUT, "gone", "while-the-feed-was-down"),
            }
            self.intake.spooler().note(Frame::Gone(id.clone())).await?;
            self.marks.remove(id);
        }
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Refused::Stopping)
}

/// The files to read: those that were renamed away first, in the order of their names.
fn discover(section: &TailSection, known: &BTreeSet<FileId>) -> io::Result<Vec<Found>> {
    let id_of = |metadata: &fs::Metadata| FileId {
        input: section.name.clone(),
        device: metadata.dev(),
        inode: metadata.ino(),
    };
    let target = fs::metadata(&section.path);
    let is_folder = target.as_ref().is_ok_and(fs::Metadata::is_dir);
    let folder = if is_folder { &*section.path } else { section.path.parent().unwrap_or(Path::new(".")) };
    let mut old = Vec::new();
    let mut current = Vec::new();
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    entries.sort();
    for path in entries {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if !metadata.is_file() {
            continue;
        }
        let id = id_of(&metadata);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_wanted = if is_folder { name.ends_with(&section.suffix) } else { path == section.path };
        match (is_wanted, known.contains(&id)) {
            (true, _) => current.push(Found { id, path, is_old: false }),
            (false, true) => old.push(Found { id, path, is_old: true }),
            (false, false) => {}
        }
    }
    // A link that is named is meant; one inside a folder may lead anywhere.
    if let Ok(metadata) = target
        && !is_folder
        && current.is_empty()
    {
        current.push(Found { id: id_of(&metadata), path: section.path.clone(), is_old: false });
    }
    old.extend(current);
    old.truncate(MAX_FILES);
    Ok(old)
}

struct Chunk {
    lines: Vec<Line>,
    /// The file's length.
    length: u64,
    /// The file's beginning.
    head: Vec<u8>,
    /// Whether it is read from its start again.
    restarted: bool,
    /// Whether there may be more.
    more: bool,
}

/// The next lines of a file, from the mark on if it is still the same file.
fn chunk(path: &Path, mark: Option<&Mark>, is_old: bool, max_line: usize) -> io::Result<Chunk> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut head = Vec::new();
    (&file).take(HEAD).read_to_end(&mut head)?;
    let is_same = mark.is_none_or(|mark| {
        let covered = usize::try_from(mark.head_bytes).ok().and_then(|bytes| head.get(..bytes));
        length >= mark.offset && covered.is_some_and(|bytes| Sha256::digest(bytes)[..] == mark.head.0)
    });
    let restarted = !is_same;
    let start = mark.filter(|_| is_same).map_or(0, |mark| mark.offset);
    let mut bytes = vec![0; CHUNK.max(max_line + 1)];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], start + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    let is_end = start + filled as u64 >= length;
    let mut lines = Vec::new();
    let mut at = 0;
    while lines.len() < TOGETHER {
        let rest = &bytes[at..];
        let (text, size) = match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&rest[..end], end + 1),
            None if is_end && is_old && !rest.is_empty() => (rest, rest.len()),
            None if rest.len() > max_line => {
                // Longer than any line: its end is looked for without keeping it.
                if let Some(end) = end_of_line(&file, start + at as u64)? {
                    lines.push(Line { end, text: Err(()) });
                }
                return Ok(Chunk { more: !lines.is_empty(), lines, length, head, restarted });
            }
            None => break,
        };
        let text = if text.len() > max_line { Err(()) } else { Ok(text.to_vec()) };
        at += size;
        lines.push(Line { end: start + at as u64, text });
    }
    let more = !lines.is_empty() && (start + at as u64) < length;
    Ok(Chunk { lines, length, head, restarted, more })
}

/// Where the line that begins at `start` ends, its line break included.
fn end_of_line(file: &File, start: u64) -> io::Result<Option<u64>> {
    let mut buffer = vec![0; 64 * 1024];
    let mut at = start;
    loop {
        match file.read_at(&mut buffer, at)? {
            0 => return Ok(None),
            read => match buffer[..read].iter().position(|byte| *byte == b'\n') {
                Some(end) => return Ok(Some(at + end as u64 + 1)),
                None => at += read as u64,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(chunk: &Chunk) -> Vec<(u64, Option<String>)> {
        let text = |line: &Line| line.text.as_ref().ok().map(|text| String::from_utf8(text.clone()).unwrap());
        chunk.lines.iter().map(|line| (line.end, text(line))).collect()
    }

    fn mark(path: &Path, offset: u64) -> Mark {
        let head = fs::read(path).unwrap();
        let head_bytes = offset.min(HEAD).min(head.len() as u64);
        Mark {
            file: FileId { input: "x".into(), device: 0, inode: 0 },
            offset,
            head_bytes,
            head: Digest(Sha256::digest(&head[..head_bytes as usize]).into()),
            path: String::new(),
        }
    }

    #[test]
    fn lines_are_taken_when_they_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson");
        fs::write(&path, "one\n\ntwo\nthr").unwrap();
        let first = chunk(&path, None, false, 100).unwrap();
        assert_eq!(
            texts(&first),
            [(4, Some("one".into())), (5, Some(String::new())), (9, Some("two".into()))]
        );
        let at = mark(&path, 9);
        assert!(chunk(&path, Some(&at), false, 100).unwrap().lines.is_empty());
        let renamed = chunk(&path, Some(&at), true, 100).unwrap();
        assert_eq!(texts(&renamed), [(12, Some("thr".into()))], "nobody will end this line");
        fs::write(&path, "one\n\ntwo\nthree\n").unwrap();
        assert_eq!(texts(&chunk(&path, Some(&at), false, 100).unwrap()), [(15, Some("three".into()))]);
    }

    #[test]
    fn a_file_that_was_truncated_or_replaced_is_read_from_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson");
        fs::write(&path, "one\ntwo\n").unwrap();
        let at = mark(&path, 8);
        for (content, expected) in [
            ("new\n", (4, Some("new".to_owned()))),
            ("other and longer than before\n", (29, Some("other and longer than before".to_owned()))),
        ] {
            fs::write(&path, content).unwrap();
            let chunk = chunk(&path, Some(&at), false, 100).unwrap();
            assert!(chunk.restarted);
            assert_eq!(texts(&chunk), [expected]);
        }
    }

    #[test]
    fn a_line_of_any_length_is_passed_over_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson");
        let long = "x".repeat(3 * CHUNK);
        fs::write(&path, format!("{long}\nnext\n")).unwrap();
        let end = long.len() as u64 + 1;
        let first = chunk(&path, None, false, 1024).unwrap();
        assert_eq!(texts(&first), [(end, None)]);
        let then = chunk(&path, Some(&mark(&path, end)), false, 1024).unwrap();
        assert_eq!(texts(&then), [(end + 5, Some("next".into()))]);
    }
}

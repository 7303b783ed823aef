//! The operator's door: a socket in the data directory, for what only this machine may ask of a node.
//!
//! One line is asked, one line is answered. Whoever may open the socket (its mode is 0600) may read the
//! data directory anyway; nothing here is reached over a network, and nothing changes the ledger.
//!
//! ```text
//! checkpoint    a copy of the database, its table files linked         -> done <folder>
//! ```
//!
//! Deliberately absent: sending a snapshot. The node links files, which takes a moment; reading,
//! hashing and writing them is done by the command that asked, in its own process.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use custos_store::Store;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::chain::Chain;

/// The socket, in the data directory.
const SOCKET: &str = "door.sock";
/// The folder of copies, in the data directory.
const COPIES: &str = "checkpoints";
/// The longest line.
const MAX_LINE: u64 = 4096;
/// The most copies that lie around: whoever asked for one removes it.
const MAX_COPIES: usize = 4;
/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(60);

/// The node could not be asked.
#[derive(Debug, Error)]
pub enum DoorError {
    /// Nobody answers.
    #[error("the node that has {0} open does not answer at its door: {1}; is it a node of this version?")]
    Closed(PathBuf, io::Error),
    /// It did not do it.
    #[error("the node did not make a copy: {0}")]
    Refused(String),
}

/// A copy of a database that a running node made; removed when it goes.
#[derive(Debug)]
pub struct LinkedCopy(PathBuf);

impl LinkedCopy {
    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0
    }
}

impl Drop for LinkedCopy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Asks the node that runs on `data_dir` for a copy of its database.
///
/// # Errors
/// [`DoorError`].
pub fn copy(data_dir: &Path) -> Result<LinkedCopy, DoorError> {
    let closed = |error| DoorError::Closed(data_dir.to_owned(), error);
    let mut stream = UnixStream::connect(data_dir.join(SOCKET)).map_err(closed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(closed)?;
    stream.write_all(b"checkpoint\n").map_err(closed)?;
    let mut line = String::new();
    BufReader::new(io::Read::take(&stream, MAX_LINE)).read_line(&mut line).map_err(closed)?;
    match line.trim_end().split_once(' ') {
        Some(("done", folder)) => Ok(LinkedCopy(folder.into())),
        Some((_, why)) => Err(DoorError::Refused(why.to_owned())),
        None => Err(DoorError::Refused("its answer cannot be understood".into())),
    }
}

/// Whether a node runs on `data_dir`.
#[must_use]
pub fn is_open(data_dir: &Path) -> bool {
    UnixStream::connect(data_dir.join(SOCKET)).is_ok()
}

/// Opens the door. What earlier runs left behind is removed. A node runs without one where no socket can be, for
/// instance because the directory's name is too long for it.
pub(crate) fn open(data_dir: &Path) -> Option<UnixListener> {
    try_open(data_dir)
        .inspect_err(|error| warn!(%error, "no door: snapshots can be made only while this node is stopped"))
        .ok()
}

fn try_open(data_dir: &Path) -> io::Result<UnixListener> {
    let copies = data_dir.join(COPIES);
    if copies.exists() {
        fs::remove_dir_all(&copies)?;
    }
    let socket = data_dir.join(SOCKET);
    match fs::remove_file(&socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&socket)?;
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers at the door until the node stops. One after the other: a copy holds up commits for a moment.
pub(crate) async fn answer(
    listener: Option<UnixListener>,
    chain: Arc<Chain>,
    data_dir: PathBuf,
    mut stopping: watch::Receiver<bool>,
) {
    let Some(listener) = listener else { return };
    let mut number = 0u64;
    loop {
        let stream = tokio::select! {
            () = async { let _ = stopping.wait_for(|stop| *stop).await; } => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "the door");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        number += 1;
        let asked = tokio::time::timeout(PATIENCE, one(stream, &chain, &data_dir, number)).await;
        if let Ok(Err(error)) = asked {
            warn!(%error, "the door");
        }
    }
}

async fn one(
    mut stream: tokio::net::UnixStream,
    chain: &Arc<Chain>,
    data_dir: &Path,
    number: u64,
) -> io::Result<()> {
    let (from, mut to) = stream.split();
    let mut line = String::new();
    tokio::io::BufReader::new(from.take(MAX_LINE)).read_line(&mut line).await?;
    let answer = match line.trim_end() {
        "checkpoint" => {
            let folder = std::path::absolute(data_dir.join(COPIES))?.join(number.to_string());
            let chain = Arc::clone(chain);
            let made =
                tokio::task::spawn_blocking(move || checkpoint(chain.store(), &folder).map(|()| folder));
            match made.await.map_err(io::Error::other)? {
                Ok(folder) => format!("done {}", folder.display()),
                Err(why) => format!("failed {}", why.replace('\n', " ")),
            }
        }
        _ => "failed this door knows one word: checkpoint".to_owned(),
    };
    to.write_all(answer.as_bytes()).await?;
    to.write_all(b"\n").await
}

fn checkpoint(store: &Store, folder: &Path) -> Result<(), String> {
    let copies = folder.parent().ok_or("the data directory has no name")?;
    fs::create_dir_all(copies).map_err(|error| error.to_string())?;
    let there = fs::read_dir(copies).map_err(|error| error.to_string())?.count();
    if there >= MAX_COPIES {
        return Err(format!("{there} copies lie in {} already; remove them", copies.display()));
    }
    let height = store.checkpoint(folder).map_err(|error| error.to_string())?;
    info!(height = height.0, folder = %folder.display(), "a copy of the database was asked for and made");
    Ok(())
}

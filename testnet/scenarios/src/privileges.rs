//! What this process may do on this machine: mount, trace. Stories that need more say so and are skipped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Skipped;

/// A file system in memory, of a fixed size; gone when dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of `megabytes` at `at`, which is made.
    ///
    /// # Errors
    /// [`Skipped`] when this process may not mount.
    pub fn mount(at: &Path, megabytes: u64) -> Result<Self, Skipped> {
        std::fs::create_dir_all(at).map_err(|error| Skipped(format!("{}: {error}", at.display())))?;
        let options = format!("size={megabytes}m,mode=0700");
        mount(&["-t", "tmpfs", "-o", &options, "custos-scenario"], at)?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

/// A folder that cannot be written to, whoever tries; writable again when dropped.
#[derive(Debug)]
pub struct ReadOnly(PathBuf);

impl ReadOnly {
    /// Mounts the folder over itself, read-only.
    ///
    /// # Errors
    /// [`Skipped`] when this process may not mount.
    pub fn mount(folder: &Path) -> Result<Self, Skipped> {
        let from = folder.to_string_lossy().into_owned();
        mount(&["--bind", &from], folder)?;
        let read_only = Self(folder.to_owned());
        mount(&["-o", "remount,bind,ro"], folder)?;
        Ok(read_only)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

fn mount(arguments: &[&str], at: &Path) -> Result<(), Skipped> {
    let output = Command::new("mount").args(arguments).arg(at).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Skipped(format!("this user may not mount file systems here: {words}")))
        }
        Err(error) => Err(Skipped(format!("there is no `mount`: {error}"))),
    }
}

fn unmount(at: &Path) {
    // Lazily: what still has a file open there loses nothing but the name.
    let _ = Command::new("umount").arg("-l").arg(at).stderr(Stdio::null()).status();
}

/// Whether system calls of other processes can be made to fail.
///
/// # Errors
/// [`Skipped`] with what to type.
pub fn can_inject() -> Result<(), Skipped> {
    let status = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO", "-o", "/dev/null", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Skipped("strace is here and may not trace other processes".into())),
        Err(_) => Err(Skipped("strace is not here; type: apt-get install -y strace".into())),
    }
}

//! A wrong clock for one node, from outside it: `clock.c`, compiled on the spot and loaded with the process.
//!
//! The node knows nothing of this. No configuration key can make a clock lie, in a test network or
//! elsewhere; what is tested is the program that runs in a hospital.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Skipped;

/// The library, compiled.
#[derive(Debug)]
pub struct WrongClocks {
    folder: PathBuf,
    library: PathBuf,
}

impl WrongClocks {
    /// Compiles the library into a folder.
    ///
    /// # Errors
    /// [`Skipped`] when this machine has no C compiler, or no `LD_PRELOAD`.
    pub fn compile(folder: &Path) -> Result<Self, Skipped> {
        if !cfg!(target_os = "linux") {
            return Err(Skipped("clocks are made wrong with LD_PRELOAD, which is Linux'".into()));
        }
        let library = folder.join("clock.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/clock.c");
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source)
            .output()
            .map_err(|error| Skipped(format!("there is no C compiler: {error}")))?;
        match output.status.success() {
            true => Ok(Self { folder: folder.to_owned(), library }),
            false => Err(Skipped(format!(
                "the clock library does not compile: {}",
                String::from_utf8_lossy(&output.stderr)
            ))),
        }
    }

    /// Sets how far a node's clock is off; it jumps at once if the node runs with [`Self::environment`].
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn set(&self, node: usize, offset_ms: i64) {
        use std::io::Write as _;
        // Written in place: the node has this very file in its memory.
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.file(node))
            .expect("because the folder is ours");
        file.write_all(&offset_ms.to_ne_bytes()).expect("because the folder is ours");
    }

    /// What a node is started with. [`Self::set`] comes first.
    #[must_use]
    pub fn environment(&self, node: usize) -> [(&'static str, String); 2] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("CUSTOS_CLOCK_FILE", self.file(node).display().to_string()),
        ]
    }

    fn file(&self, node: usize) -> PathBuf {
        self.folder.join(format!("clock-{node}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_the_wrong_time() {
        let folder = tempfile::tempdir().unwrap();
        let Ok(clocks) = WrongClocks::compile(folder.path()) else { return };
        let year = |offset_ms: i64| {
            clocks.set(1, offset_ms);
            let output =
                Command::new("date").args(["-u", "+%s"]).envs(clocks.environment(1)).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().parse::<i64>().unwrap()
        };
        let (right, wrong) = (year(0), year(-86_400_500));
        assert!((right - wrong - 86_400).abs() <= 2, "{right} {wrong}");
    }
}

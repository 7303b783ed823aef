//! Lists the message files that are compiled in: `messages/LANGUAGE/*.ftl`, so that a language is a folder and no code.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=messages");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("messages");
    let mut lines = String::from("&[\n");
    for language in sorted(&root)? {
        let files =
            sorted(&language)?.into_iter().filter(|file| file.extension().is_some_and(|e| e == "ftl"));
        let name = language.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for file in files {
            println!("cargo:rerun-if-changed={}", file.display());
            lines.push_str(&format!("({name:?}, include_str!({:?})),\n", file.display().to_string()));
        }
    }
    lines.push_str("]\n");
    fs::write(PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("messages.rs"), lines)
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths =
        fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

//! The committed test vectors are those that the code makes: a format cannot change unnoticed.

#[path = "../examples/vectors/main.rs"]
mod vectors;

#[test]
fn committed_vectors_are_what_the_code_makes() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/spec/vectors");
    for (name, text) in vectors::all() {
        let committed = std::fs::read_to_string(directory.join(name)).unwrap_or_default();
        assert!(
            committed == text,
            "docs/spec/vectors/{name} differs: run `cargo run -p custos-state --example vectors`, and if a format changed on purpose, say so in docs/spec"
        );
    }
}

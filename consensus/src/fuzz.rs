//! An entrance for fuzzing: the file of a body, as a crash or a bad disk could leave it.
//!
//! The form of these files is private to this crate, and stays so; `testnet/fuzz` asks here what
//! becomes of bytes. Deliberately absent: the directory, whose stories are tests of `bodies`.

use custos_proof::hash::{BlockId, sha256};
use custos_proof::ids::Height;

use crate::StoredBody;
use crate::bodies::{parse, write};

/// Reads bytes as a body's file, and once more with the checksum that they should have.
///
/// # Errors
/// When neither is one.
///
/// # Panics
/// When a body that was read is written otherwise.
pub fn body(bytes: &[u8]) -> Result<(), String> {
    let mut found = false;
    for file in [bytes.to_vec(), [bytes, &sha256(bytes).0].concat()] {
        if let Some(body) = parse(file.clone()) {
            assert_eq!(write(&body), file, "a body has another spelling");
            found = true;
        }
    }
    if found { Ok(()) } else { Err("no body".into()) }
}

/// Files as they are written, and one without its checksum.
#[must_use]
pub fn bodies() -> Vec<Vec<u8>> {
    let body = |own, block: &[u8]| {
        write(&StoredBody {
            height: Height(7),
            block_id: BlockId([9; 32]),
            own,
            block: block.to_vec().into(),
        })
    };
    let mut without = body(true, b"a block");
    without.truncate(without.len() - 32);
    vec![body(true, b"a block"), body(false, b""), without]
}

//! What this machine can do at most, alone: signatures, hashes, one synced write.
//!
//! A rate is worth little without them, because the next machine has others.

use std::time::{Duration, Instant};

use custos_proof::batch::verify_batch;
use custos_proof::keys::{Signature, Signer as _, verify_zip215};
use serde_json::{Value, json};

use crate::exit::{Outcome, While as _};
use crate::keyfile::KeyFile;

/// How long a limit of the machine is measured.
const LIMIT: Duration = Duration::from_millis(400);

/// What one machine can do at most, alone.
pub(super) struct MachineLimits {
    pub(super) verify_single_us: f64,
    pub(super) verify_batch_us: f64,
    pub(super) sign_us: f64,
    pub(super) hash_mb_s: f64,
    pub(super) synced_write_ms: f64,
}

impl MachineLimits {
    /// Measures them; takes about two seconds.
    pub(super) fn measure(key: &KeyFile) -> Outcome<Self> {
        // As long as the Sig_structure of an ordinary submission.
        let messages: Vec<[u8; 256]> = (0..64u8).map(|n| [n; 256]).collect();
        let public = key.public_key();
        let signatures: Vec<Signature> = messages
            .iter()
            .map(|message| key.sign(message))
            .collect::<Result<_, _>>()
            .could_not(|| "sign")?;
        let signed: Vec<_> = messages
            .iter()
            .zip(&signatures)
            .map(|(message, signature)| (public, &message[..], *signature))
            .collect();
        let single = micros_each(64, || {
            signed.iter().all(|(key, message, signature)| verify_zip215(key, message, signature))
        });
        let batch = micros_each(64, || verify_batch(&signed).into_iter().all(|valid| valid));
        let sign = micros_each(64, || messages.iter().all(|message| key.sign(message).is_ok()));
        let megabyte = vec![7; 1 << 20];
        let hash =
            micros_each(1, || custos_proof::hash::sha256(&megabyte).0[0] < u8::MAX || megabyte.len() > 1);
        Ok(Self {
            verify_single_us: single,
            verify_batch_us: batch,
            sign_us: sign,
            hash_mb_s: 1e6 / hash,
            synced_write_ms: synced_write_ms()?,
        })
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "verify_single_us": self.verify_single_us,
            "verify_batch_us": self.verify_batch_us,
            "sign_us": self.sign_us,
            "sha256_mb_s": self.hash_mb_s,
            "synced_write_ms": self.synced_write_ms,
            "single_verify_per_second": 1e6 / self.verify_single_us,
        })
    }
}

/// The time of one of `count` equal steps that `work` makes, over a while.
fn micros_each(count: usize, work: impl Fn() -> bool) -> f64 {
    let started = Instant::now();
    let mut rounds = 0;
    while started.elapsed() < LIMIT {
        assert!(work(), "because what is measured here is known to hold");
        rounds += count;
    }
    started.elapsed().as_secs_f64() * 1e6 / rounds as f64
}

/// The median time of an appended and synced 4 KiB write to the system's folder for temporary files.
fn synced_write_ms() -> Outcome<f64> {
    use std::io::Write as _;
    let path = std::env::temp_dir().join(format!("custos-bench-{}", std::process::id()));
    let mut times = Vec::new();
    let mut file = std::fs::File::create(&path).could_not(|| "measure the disk")?;
    for _ in 0..50 {
        let started = Instant::now();
        file.write_all(&[7; 4096]).and_then(|()| file.sync_data()).could_not(|| "measure the disk")?;
        times.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    let _ = std::fs::remove_file(&path);
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().unwrap_or(f64::NAN))
}

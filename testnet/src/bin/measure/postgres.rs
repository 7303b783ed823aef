//! What an institution would use instead: PostgreSQL with a hash-chained audit table, on the same
//! machine and disk, in the same run.
//!
//! Each event is a row with the hash of the row before it, appended by one statement under a lock of
//! the chain's head; every commit is synchronous, alone or with one or three synchronous standbys. That
//! is a fair alternative for durability and order. It checks no signature, needs one operator to be
//! trusted, and a superuser can rewrite the chain: the page says so.
//!
//! The server is Debian's, in a folder of its own on a Unix socket; nothing of an installed cluster is
//! touched. Without its programs the measurement says that it was skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Outcome;

/// Bytes of an event, about as many as a signed submission of ours.
const EVENT_BYTES: usize = 368;
/// Connections that append.
const CLIENTS: &str = "16";
const SETUP: &str = "
CREATE TABLE audit (place bigint PRIMARY KEY, at timestamptz NOT NULL, event bytea NOT NULL, hash bytea NOT NULL);
CREATE TABLE head (one boolean PRIMARY KEY, place bigint NOT NULL, hash bytea NOT NULL);
INSERT INTO head VALUES (true, 0, sha256(''));
CREATE FUNCTION append(n int, bytes int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE i bigint; h bytea; e bytea;
BEGIN
  SELECT place, hash INTO i, h FROM head FOR UPDATE;
  FOR k IN 1..n LOOP
    e := decode(repeat(md5(random()::text), bytes / 16), 'hex');
    i := i + 1;
    h := sha256(h || e);
    INSERT INTO audit VALUES (i, now(), e, h);
  END LOOP;
  UPDATE head SET place = i, hash = h;
END $$;";

/// Events per second: alone, with one and with three synchronous standbys, at 1 and at 100 events per commit.
pub(crate) fn measure(seconds: u64) -> Outcome<Value> {
    let programs = programs().ok_or(
        "skipped: PostgreSQL's programs are not here; `apt-get install postgresql` brings them (`make bench` does so as root)",
    )?;
    let cluster = Cluster::begin(programs)?;
    let mut rows = Vec::new();
    for standbys in [0usize, 1, 3] {
        cluster.standbys(standbys)?;
        for each in [1, 100] {
            let events = cluster.appended(each, seconds)?;
            eprintln!("postgresql, {standbys} standbys, {each} per commit: {events:.0} events per second");
            rows.push(json!({ "standbys": standbys, "per_commit": each, "events_per_second": events }));
        }
    }
    Ok(json!({ "version": cluster.version()?, "event_bytes": EVENT_BYTES, "rows": rows }))
}

/// The folder with the newest server's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| {
            ["initdb", "pg_ctl", "pgbench", "pg_basebackup", "psql"].iter().all(|p| bin.join(p).is_file())
        })
        .collect();
    found.sort();
    found.pop()
}

/// A primary and its standbys; stopped and removed when dropped.
struct Cluster {
    programs: PathBuf,
    dir: PathBuf,
    /// The server refuses to run as root.
    other_user: bool,
}

impl Cluster {
    fn begin(programs: PathBuf) -> Outcome<Self> {
        let other_user =
            fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
        let dir = std::env::temp_dir().join(format!("custos-bench-postgres-{}", std::process::id()));
        let cluster = Self { programs, dir, other_user };
        let mut mkdir = cluster.as_server("/bin/mkdir");
        run(mkdir.arg("-p").arg(&cluster.dir))?;
        let primary = cluster.data(0);
        run(cluster
            .program("initdb")
            .args(["--auth=trust", "--no-locale", "-E", "UTF8", "-D"])
            .arg(&primary))?;
        cluster.start(0)?;
        cluster.sql(SETUP)?;
        Ok(cluster)
    }

    fn data(&self, number: usize) -> PathBuf {
        self.dir.join(format!("data-{number}"))
    }

    /// A command as the user that owns the server's files.
    fn as_server(&self, program: impl AsRef<Path>) -> Command {
        let program = program.as_ref();
        let mut command = match self.other_user {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        command.current_dir("/");
        command
    }

    fn program(&self, name: &str) -> Command {
        self.as_server(self.programs.join(name))
    }

    fn start(&self, number: usize) -> Outcome<()> {
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c port={} -c max_wal_senders=8 -c max_connections=60",
            self.dir.display(),
            5433 + number
        );
        let log = self.dir.join(format!("log-{number}"));
        let mut command = self.program("pg_ctl");
        command.arg("-D").arg(self.data(number)).arg("-l").arg(log).args(["-w", "-o", &options, "start"]);
        // What a server inherits it keeps open: its output goes to its log, not into a pipe of ours.
        let status =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status()?;
        status.success().then_some(()).ok_or_else(|| format!("server {number} did not start").into())
    }

    fn connection(&self, command: &mut Command) {
        command.arg("-h").arg(&self.dir).args(["-p", "5433"]);
    }

    fn sql(&self, text: &str) -> Outcome<String> {
        let mut command = self.program("psql");
        self.connection(&mut command);
        run(command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", text]))
    }

    fn version(&self) -> Outcome<String> {
        Ok(self.sql("SHOW server_version")?.trim().to_owned())
    }

    /// Makes standbys until there are `wanted`, and has every commit wait for all of them.
    fn standbys(&self, wanted: usize) -> Outcome<()> {
        for number in 1..=wanted {
            if self.data(number).exists() {
                continue;
            }
            let mut command = self.program("pg_basebackup");
            let primary = format!("host={} port=5433 application_name=s{number}", self.dir.display());
            run(command.args(["-R", "-c", "fast", "-d", &primary, "-D"]).arg(self.data(number)))?;
            self.start(number)?;
        }
        let names: Vec<String> = (1..=wanted).map(|number| format!("s{number}")).collect();
        let names = match wanted {
            0 => String::new(),
            _ => format!("FIRST {wanted} ({})", names.join(", ")),
        };
        self.sql(&format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"))?;
        self.sql("SELECT pg_reload_conf()")?;
        let begun = Instant::now();
        let waiting = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        while self.sql(waiting)?.trim() != wanted.to_string() {
            if begun.elapsed() > Duration::from_secs(30) {
                return Err(format!("{wanted} standbys do not become synchronous").into());
            }
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn appended(&self, each: usize, seconds: u64) -> Outcome<f64> {
        let script = self.dir.join(format!("append-{each}.sql"));
        let write = format!("echo 'SELECT append({each}, {EVENT_BYTES});' > '{}'", script.display());
        run(self.as_server("/bin/sh").args(["-c", &write]))?;
        let mut command = self.program("pgbench");
        self.connection(&mut command);
        let seconds = seconds.to_string();
        command.args(["-n", "-M", "prepared", "-c", CLIENTS, "-j", "2", "-T", &seconds, "-f"]).arg(&script);
        let text = run(command.arg("postgres"))?;
        let per_second = text
            .lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse::<f64>().ok());
        Ok(per_second.ok_or_else(|| format!("pgbench said no rate:\n{text}"))? * each as f64)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for number in (0..4).filter(|number| self.data(*number).exists()) {
            let _ = run(self.program("pg_ctl").arg("-D").arg(self.data(number)).args([
                "-m",
                "immediate",
                "stop",
            ]));
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn run(command: &mut Command) -> Outcome<String> {
    let output = command.output()?;
    if !output.status.success() {
        let talk = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} ended with {}: {talk}", output.status).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

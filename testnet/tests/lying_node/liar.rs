//! The liar: passes requests on to a node, remembers its answers, and gives others.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use custos_api::problem::Problem;
use serde_json::Value;

/// An answer as it goes over the line, without what is said anew for each connection.
#[derive(Clone)]
pub(crate) struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    /// A node's refusal.
    pub(crate) fn refusal(status: u16, code: &str) -> Self {
        let problem = Problem::new(status, code, "this node does not take it");
        let head = format!("HTTP/1.1 {status} Refused\r\ncontent-type: application/problem+json\r\n");
        Self { head, body: serde_json::to_vec(&problem).unwrap() }
    }
}

type OfPath = dyn Fn(&str) -> String + Send + Sync;
type OfAnswer = dyn Fn(&str, Value) -> Value + Send + Sync;
type Instead = dyn Fn(&str) -> Option<Answer> + Send + Sync;

/// What is changed on the way: the path that is asked for, the answer to a path, or who answers. What is asked reads
/// `GET /path?query`.
#[derive(Clone)]
pub(crate) struct Lie {
    path: Arc<OfPath>,
    answer: Arc<OfAnswer>,
    instead: Arc<Instead>,
}

impl Lie {
    pub(crate) fn none() -> Self {
        Self {
            path: Arc::new(str::to_owned),
            answer: Arc::new(|_, answer| answer),
            instead: Arc::new(|_| None),
        }
    }

    pub(crate) fn of_path(path: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self { path: Arc::new(path), ..Self::none() }
    }

    /// Answers in JSON to paths that begin so.
    pub(crate) fn of_answer(
        begins: &'static str,
        change: impl Fn(&mut Value) + Send + Sync + 'static,
    ) -> Self {
        let answer = move |path: &str, mut answer: Value| {
            if path.starts_with(begins) {
                change(&mut answer);
            }
            answer
        };
        Self { answer: Arc::new(answer), ..Self::none() }
    }

    /// Answers without the node's knowledge.
    pub(crate) fn instead(answer: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self { instead: Arc::new(answer), ..Self::none() }
    }
}

/// A liar before a node; it lies until the test ends.
pub(crate) struct Liar {
    pub(crate) address: String,
    lie: Arc<Mutex<Lie>>,
    heard: Arc<Mutex<Vec<(String, Answer)>>>,
    told: Arc<AtomicUsize>,
}

impl Liar {
    /// Honest at first.
    pub(crate) fn before(node: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let liar = Self {
            address,
            lie: Arc::new(Mutex::new(Lie::none())),
            heard: Arc::default(),
            told: Arc::default(),
        };
        let node = node.strip_prefix("http://").unwrap().to_owned();
        let (lie, heard, told) = (liar.lie.clone(), liar.heard.clone(), liar.told.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (node, lie) = (node.clone(), lie.lock().unwrap().clone());
                let (heard, told) = (heard.clone(), told.clone());
                // A client that hung up has its reasons.
                thread::spawn(move || pass_on(client, &node, &lie, &heard, &told));
            }
        });
        liar
    }

    pub(crate) fn tells(&self, lie: Lie) {
        *self.lie.lock().unwrap() = lie;
        self.told.store(0, Ordering::SeqCst);
    }

    /// How many answers were its own since it began with this lie.
    pub(crate) fn told(&self) -> usize {
        self.told.load(Ordering::SeqCst)
    }

    /// What was asked so far, and what the node answered.
    pub(crate) fn heard(&self) -> Vec<(String, Answer)> {
        self.heard.lock().unwrap().clone()
    }

    /// The node's last answer to what begins so.
    pub(crate) fn last(&self, begins: &str) -> Answer {
        let heard = self.heard();
        heard.into_iter().rev().find(|(asked, _)| asked.starts_with(begins)).unwrap().1
    }
}

/// What a command with --json says of how it ended.
pub(crate) fn outcome(said: &str) -> String {
    let said: Value = serde_json::from_str(said).unwrap();
    said["outcome"].as_str().unwrap_or_default().to_owned()
}

/// One request, and its answer.
fn pass_on(
    mut client: TcpStream,
    node: &str,
    lie: &Lie,
    heard: &Mutex<Vec<(String, Answer)>>,
    told: &AtomicUsize,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let (request, headers) = head.split_once("\r\n").unwrap();
    let mut body = vec![0; length(headers)];
    client.read_exact(&mut body)?;
    let (method, rest) = request.split_once(' ').unwrap();
    let path = rest.split(' ').next().unwrap();
    let asked = format!("{method} {path}");
    let answer = match (lie.instead)(&asked) {
        Some(answer) => {
            told.fetch_add(1, Ordering::SeqCst);
            answer
        }
        None => {
            let request = format!("{method} {} HTTP/1.1\r\nconnection: close\r\n", (lie.path)(path));
            let answer = ask(node, &format!("{request}{}", without(headers)), &body)?;
            heard.lock().unwrap().push((asked, answer.clone()));
            // Proofs are CBOR, and stay as they are.
            match serde_json::from_slice(&answer.body) {
                Ok(json) => Answer { body: serde_json::to_vec(&(lie.answer)(path, json)).unwrap(), ..answer },
                Err(_) => answer,
            }
        }
    };
    let length = answer.body.len();
    write!(client, "{}content-length: {length}\r\nconnection: close\r\n\r\n", answer.head)?;
    client.write_all(&answer.body)
}

/// What a node answers to a request, whose head lacks the length of the body.
fn ask(node: &str, head: &str, body: &[u8]) -> io::Result<Answer> {
    let mut node = TcpStream::connect(node)?;
    let end = head.strip_suffix("\r\n").unwrap();
    write!(node, "{end}content-length: {}\r\n\r\n", body.len())?;
    node.write_all(body)?;
    let mut answer = Vec::new();
    node.read_to_end(&mut answer)?;
    let end =
        answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8(answer[..end + 2].to_vec()).unwrap();
    Ok(Answer { head: without(&head), body: answer[end + 4..].to_vec() })
}

/// Header lines without those that are said anew.
fn without(headers: &str) -> String {
    let kept = headers.split_inclusive("\r\n").filter(|line| {
        let line = line.to_ascii_lowercase();
        !line.starts_with("connection:") && !line.starts_with("content-length:")
    });
    kept.collect()
}

fn length(headers: &str) -> usize {
    let of = |line: &str| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok();
    headers.lines().find_map(of).unwrap_or(0)
}

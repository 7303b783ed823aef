//! What happened, as a hash over everything and as lines for people.

use super::*;

impl Sim {
    pub(super) fn note(&mut self, number: u64, event: &Event) {
        let (kind, a, b): (u8, usize, usize) = match event {
            Event::Frame { to, from, .. } => (1, *to, *from),
            Event::Wake { node, .. } => (2, *node, 0),
            Event::Work => (3, 0, 0),
            Event::Retry(_) => (4, 0, 0),
            Event::Fault => (5, 0, 0),
            Event::Heal(_) => (6, 0, 0),
            Event::Restart(node) => (7, *node, 0),
            Event::Loss => (8, 0, 0),
        };
        self.hasher.update([kind, u8::try_from(a).unwrap_or(255), u8::try_from(b).unwrap_or(255)]);
        self.hasher.update(self.now.to_le_bytes());
        self.hasher.update(number.to_le_bytes());
        match event {
            Event::Frame { frame: Frame::Consensus(bytes) | Frame::Liveness(bytes), .. } => {
                self.hasher.update(bytes);
            }
            Event::Frame { frame: Frame::Part(part), .. } => self.hasher.update(part.block_id.0),
            Event::Frame { frame: Frame::Submission(bytes), .. } => self.hasher.update(bytes),
            _ => {}
        }
        if let Some(text) = self.describe(event) {
            self.remember(|| text);
        }
    }

    pub(super) fn describe(&self, event: &Event) -> Option<String> {
        Some(match event {
            Event::Frame { to, from, frame, .. } => {
                let what = match frame {
                    Frame::Consensus(bytes) => told(read_consensus(bytes)),
                    Frame::Liveness(bytes) => format!("again {}", told(read_liveness(bytes))),
                    Frame::Part(part) => {
                        format!("part of {} for {}/{}", short(&part.block_id.0), part.height, part.round)
                    }
                    Frame::Status(_) | Frame::Submission(_) if !self.options.trace => return None,
                    Frame::Status(height) => format!("is at {height}"),
                    Frame::Submission(bytes) => format!("submission of {} bytes", bytes.len()),
                    Frame::Request(_, first, last) => format!("asks for {first} to {last}"),
                    Frame::Response(_, blocks) => format!("sends {} decided blocks", blocks.len()),
                };
                format!("{} -> {}: {what}", self.name(*from), self.name(*to))
            }
            Event::Wake { node, wake: wake @ Wake::Timer(..), .. } => {
                format!("{}: {wake:?}", self.name(*node))
            }
            Event::Heal(fault) => format!("healed: {fault:?}"),
            Event::Restart(node) => format!("{} starts", self.name(*node)),
            _ => return None,
        })
    }

    pub(super) fn remember(&mut self, text: impl FnOnce() -> String) {
        let line = format!("{:>8} ms  {}", self.now, text());
        if self.options.trace {
            eprintln!("{line}");
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(line);
    }
}

fn told(says: Option<custos_engine::core::Spoken>) -> String {
    says.map_or_else(
        || "something".into(),
        |says| {
            let block = says.block.map_or_else(|| "nil".into(), |block| short(&block.0));
            format!("{:?} {}/{} {block}", says.kind, says.height, says.round)
        },
    )
}

fn short(bytes: &[u8]) -> String {
    bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

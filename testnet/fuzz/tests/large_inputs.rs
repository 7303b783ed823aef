//! Inputs of a mebibyte, made to cost: no decoder takes much more memory or time than they are long.
//!
//! One test in a process of its own, because what it reads (`/proc`) is of the whole process. Time is
//! that of the processor, so that a busy machine changes nothing.

#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

use custos_fuzz::mutate::MAX_INPUT_BYTES;
use custos_fuzz::{corpus, targets};

/// How much the process may grow for one input. JSON is the costliest: a value takes about a hundred bytes.
const MAX_GROWTH_KIB: u64 = 320 * 1024;

/// Processor time for one input. Linear readers take milliseconds; quadratic ones would take minutes.
const MAX_SECONDS: f64 = 10.0;

fn repeated(part: &[u8]) -> Vec<u8> {
    part.iter().copied().cycle().take(MAX_INPUT_BYTES).collect()
}

/// Inputs that cost a careless reader most.
fn costly() -> Vec<(&'static str, Vec<u8>)> {
    let nested = |open: &str, close: &str| {
        let depth = MAX_INPUT_BYTES / (open.len() + close.len());
        [open.repeat(depth), close.repeat(depth)].concat().into_bytes()
    };
    vec![
        ("zeros", repeated(&[0])),
        ("ones", repeated(&[0xff])),
        ("nested CBOR arrays", repeated(&[0x81])),
        ("CBOR arrays of 2^32 members", repeated(&[0x9a, 0xff, 0xff, 0xff, 0xff])),
        ("CBOR texts of 2^63 bytes", repeated(&[0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ("CBOR small numbers", [&[0x9a, 0x00, 0x0f, 0xff, 0xf0][..], &repeated(&[0x01])].concat()),
        ("nested JSON arrays", nested("[", "]")),
        ("nested JSON objects", nested("{\"a\":", "}")),
        ("JSON zeros", [b"[".to_vec(), repeated(b"0,"), b"0]".to_vec()].concat()),
        ("JSON objects", [b"[".to_vec(), repeated(b"{\"a\":{}},"), b"0]".to_vec()].concat()),
        ("JSON backslashes", [b"\"".to_vec(), repeated(b"\\\\"), b"\"".to_vec()].concat()),
        ("JSON, one bundle of many entries", {
            let entry = b"{\"resource\":{\"resourceType\":\"Patient\",\"id\":\"a\",\"identifier\":[{\"value\":\"b\"}]}},";
            let count = MAX_INPUT_BYTES / entry.len();
            [
                &b"{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":["[..],
                &entry.repeat(count),
                b"{}]}",
            ]
            .concat()
        }),
        ("nested XML", nested("<a>", "</a>")),
        (
            "XML entities",
            [b"<AuditMessage>".to_vec(), repeated(b"&lt;"), b"</AuditMessage>".to_vec()].concat(),
        ),
        ("XML attributes", [b"<AuditMessage".to_vec(), repeated(b" a=\"b\""), b"/>".to_vec()].concat()),
        (
            "XML siblings",
            [b"<AuditMessage>".to_vec(), repeated(b"<a/>"), b"</AuditMessage>".to_vec()].concat(),
        ),
        ("TOML tables", repeated(b"[[a.b]]\n")),
        ("TOML dotted keys", [repeated(b"a."), b"a=1".to_vec()].concat()),
        ("TOML nested arrays", [b"a=".to_vec(), nested("[", "]")].concat()),
        ("syslog data", [b"1048000 <13>1 - - - - - ".to_vec(), repeated(b"[a b=\"\\\"\"]")].concat()),
        ("spool marks", [b"custosF1".to_vec(), repeated(&[0xf3, 0xed, 0xc5, 0x01, 0, 0, 1, 0])].concat()),
        ("colons and quotes", repeated(b"\":\"")),
        ("semicolons", repeated(b";a=b")),
        ("lines", repeated(b"date=ge2026\n")),
    ]
}

#[test]
fn a_mebibyte_costs_no_decoder_much() {
    let inputs = costly();
    for target in targets::all() {
        let seeds = corpus::of(&target);
        // A seed again and again gets further than any pattern.
        let long = seeds.iter().filter(|seed| !seed.is_empty()).max_by_key(|seed| seed.len());
        let own = long.map(|seed| ("a seed, repeated", repeated(seed)));
        for (name, input) in inputs.iter().chain(own.iter()) {
            // Targets whose first byte chooses are asked for every choice.
            for choice in [None].into_iter().chain((0..8u8).map(Some)) {
                let input = match choice {
                    None => input.clone(),
                    Some(choice) => [&[choice], &input[..]].concat(),
                };
                std::fs::write("/proc/self/clear_refs", "5").unwrap();
                let (before, begun) = (peak_kib(), processor_seconds());
                let _ = (target.run)(&input);
                let (grown, took) = (peak_kib().saturating_sub(before), processor_seconds() - begun);
                assert!(grown < MAX_GROWTH_KIB, "{}: {name} ({choice:?}): {grown} KiB", target.name);
                assert!(took < MAX_SECONDS, "{}: {name} ({choice:?}): {took:.1} s", target.name);
                if !matches!(
                    target.name,
                    "api_answer"
                        | "engine_message"
                        | "frame"
                        | "sealed_field"
                        | "snapshot"
                        | "store_log"
                        | "store_row"
                        | "verify"
                ) {
                    break;
                }
            }
        }
    }
}

/// The most memory since `clear_refs` was told to forget.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What this thread has used: the first number, in nanoseconds.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}

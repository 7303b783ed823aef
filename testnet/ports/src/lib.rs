//! Loopback ports for networks that run on one machine, free now and still free when they are used.
//!
//! A port that the kernel chose (`bind` to port 0) lies in the range from which it also serves outgoing
//! connections. Between the moment it is found and the moment a process listens on it, any connection
//! on the machine may be given it, and a validator that was killed may find its port taken. So these
//! ports lie below that range. Two processes look in different places, and one process is never
//! given a port twice.
//!
//! Deliberately absent: ports for anything but loopback, and a promise against a program that is told
//! to listen on the very same port.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// The lowest port handed out: below it stand well-known services.
const LOWEST: u16 = 12_000;
/// Where Linux begins to serve outgoing connections, unless it was told otherwise.
const EPHEMERAL: u16 = 32_768;
/// How far apart the first ports of two processes with neighbouring numbers lie.
const STRIDE: u32 = 32;

/// How many ports this process has tried.
static TRIED: AtomicU32 = AtomicU32::new(0);

/// A port of 127.0.0.1 on which nothing listens.
///
/// # Errors
/// When every port of the range is in use.
pub fn free() -> io::Result<u16> {
    let end = ephemeral_start().filter(|start| *start > LOWEST + 1_000).unwrap_or(EPHEMERAL);
    let range = u32::from(end - LOWEST);
    let first = std::process::id().wrapping_mul(STRIDE);
    for _ in 0..range {
        let offset = first.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)) % range;
        let port = LOWEST + u16::try_from(offset).unwrap_or_default();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, format!("every port from {LOWEST} to {end} is in use")))
}

/// The first port that the kernel gives to outgoing connections, where it says so.
fn ephemeral_start() -> Option<u16> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn ports_differ_are_free_and_lie_below_those_of_outgoing_connections() {
        let ports: Vec<u16> = (0..200).map(|_| free().unwrap()).collect();
        let held: Vec<_> =
            ports.iter().map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).unwrap()).collect();
        assert_eq!(held.len(), ports.len(), "one of them was given twice");
        let outgoing = ephemeral_start().unwrap_or(EPHEMERAL);
        assert!(ports.iter().all(|port| (LOWEST..outgoing).contains(port)), "{ports:?}");
    }

    #[test]
    fn a_port_in_use_is_passed_over() {
        // The first that nobody else holds; then it is ours, and it is in use.
        let held = loop {
            let next = free().unwrap() + 1;
            match TcpListener::bind((Ipv4Addr::LOCALHOST, next)) {
                Ok(held) => break held,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse),
            }
        };
        let port = held.local_addr().unwrap().port();
        assert!((0..20).all(|_| free().unwrap() != port));
    }
}

//! A wire on which everything vanishes: no end of a connection is ever told, whatever was still to be sent stays
//! unsent, and what connects anew finds the wire whole.
//!
//! The wire is a proxy that stops reading. By then so much is under way that the kernels' buffers are full: a close
//! that waits for its last bytes to go out would wait for ever.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::time::Duration;

use custos_network::{Channel, Config, Inbound, MAX_PART_BYTES, Network, local_key, start};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Longer than a silent connection is believed, a dial may fail and be tried again, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(90);

async fn node(seed: u8, peer: u8, address: Option<String>) -> (Network, Inbound) {
    let peer = local_key(&[peer; 32]).unwrap();
    start(Config {
        seed: [seed; 32],
        listen: "/ip4/127.0.0.1/tcp/0".into(),
        chain: [0xcd; 32],
        addresses: address.map(|address| (peer, address)).into_iter().collect(),
        allowed: BTreeSet::from([peer]),
    })
    .await
    .unwrap()
}

/// A wire to a port; when told, what is connected then stands still for ever.
async fn wire(port: u16) -> (u16, watch::Sender<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = listener.local_addr().unwrap().port();
    let (cut, cuts) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut dialer, _)) = listener.accept().await {
            let mut cuts = cuts.clone();
            cuts.mark_unchanged();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut dialer, &mut far) => {}
                    _ = cuts.changed() => std::future::pending().await,
                }
            });
        }
    });
    (near, cut)
}

async fn hears(inbound: &mut Inbound, from: &Network, word: &[u8]) {
    let heard = async {
        loop {
            from.broadcast(Channel::Liveness, word);
            let frame = timeout(Duration::from_millis(200), inbound.votes.recv()).await;
            if frame.is_ok_and(|frame| frame.unwrap().payload[..] == *word) {
                return;
            }
        }
    };
    timeout(PATIENCE, heard).await.expect("it is not heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_whose_packets_vanished_hear_each_other_again() {
    let (listens, mut at_listener) = node(1, 2, None).await;
    let port: u16 = listens.listening()[0].rsplit('/').next().unwrap().parse().unwrap();
    let (near, cut) = wire(port).await;
    let (dials, mut at_dialer) = node(2, 1, Some(format!("/ip4/127.0.0.1/tcp/{near}"))).await;
    hears(&mut at_listener, &dials, b"before").await;
    hears(&mut at_dialer, &listens, b"before").await;

    cut.send_modify(|cuts| *cuts += 1);
    // More than any buffer between the two holds.
    let part = vec![0; MAX_PART_BYTES];
    for _ in 0..200 {
        dials.broadcast(Channel::Parts, &part);
        listens.broadcast(Channel::Parts, &part);
        sleep(Duration::from_millis(10)).await;
    }
    hears(&mut at_listener, &dials, b"after").await;
    hears(&mut at_dialer, &listens, b"after").await;
}

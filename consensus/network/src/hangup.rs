//! A connection that is given up is gone at once, whatever of it was still to be sent.
//!
//! libp2p closes a connection by sending what is queued, then a goodbye, and reports the end when that is done. To a
//! peer whose packets vanish it is not done before the kernel gives up, a quarter of an hour later: until then the
//! connection counts as one, the peer is not dialed, and a node whose wire was mended stays out. So a connection that
//! closes gets the chance to say goodbye as far as the kernel takes it now, and is dropped.
//!
//! Nothing is lost by it that was not lost anyway: what closes here is stopped, broken, silent or charged with a breach.

use std::pin::Pin;
use std::task::{Context, Poll};

use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};

/// A multiplexed connection that closes without waiting for its peer.
pub(crate) struct HangsUp<M>(pub(crate) M);

impl<M: StreamMuxer + Unpin> StreamMuxer for HangsUp<M> {
    type Substream = M::Substream;
    type Error = M::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<M::Substream, M::Error>> {
        Pin::new(&mut self.0).poll_inbound(cx)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<M::Substream, M::Error>> {
        Pin::new(&mut self.0).poll_outbound(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        match Pin::new(&mut self.0).poll_close(cx) {
            Poll::Ready(closed) => Poll::Ready(closed),
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, M::Error>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

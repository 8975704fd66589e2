//! Takes frames from a byte stream.
//!
//! The buffer grows with what has arrived, never with what was announced: beyond 64 KiB it holds
//! at most twice the bytes received. A connection that has delivered a large frame has earned a
//! buffer of that size at once for the next one, so a steady producer is not copied twice.

use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use crate::budget::{Admission, Lease};
use crate::close::CloseReason;
use crate::limits::{EARNED_BYTES, FIRST_READ_BYTES, FREE_BYTES, KEPT_BUFFER_BYTES};

/// Bytes of the size before each frame.
const SIZE_BYTES: usize = 4;

/// A whole frame, without its size.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    /// The frame's share of the process budget.
    pub(crate) lease: Lease,
    pub(crate) first_byte: Instant,
    pub(crate) received: Instant,
}

/// The receiving half of a connection.
pub(crate) struct Input {
    buffer: BytesMut,
    max_request_bytes: usize,
    /// Size of the frame at the front of the buffer, once its four bytes are there and checked.
    announced: Option<usize>,
    /// Largest frame that this connection has delivered lately; halves with each smaller one.
    earned: usize,
    /// Largest capacity that the buffer had.
    allocated: usize,
    lease: Lease,
    admission: Admission,
    first_byte: Instant,
    /// Slowness of the unfinished frame counts from here.
    slow_since: Instant,
    last_read: Instant,
    received_bytes: u64,
}

impl Input {
    pub(crate) fn new(max_request_bytes: usize, lease: Lease) -> Self {
        let now = Instant::now();
        Self {
            buffer: BytesMut::new(),
            max_request_bytes,
            announced: None,
            earned: 0,
            allocated: 0,
            lease,
            admission: Admission::default(),
            first_byte: now,
            slow_since: now,
            last_read: now,
            received_bytes: 0,
        }
    }

    /// The next frame. Fails with the reason to close the connection for.
    pub(crate) fn poll_frame<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Result<Frame, CloseReason>> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Poll::Ready(Ok(frame));
            }
            if self.admission.poll(cx, &mut self.lease).is_pending() {
                return Poll::Pending;
            }
            match self.poll_fill(cx, stream) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(self.end())),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(CloseReason::Read(error))),
            }
        }
    }

    /// Instant of the last read that brought something.
    pub(crate) fn last_read(&self) -> Instant {
        self.last_read
    }

    /// Bytes received since the connection was opened.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Bytes of a frame that is not whole yet, and since when the peer owes the rest.
    pub(crate) fn unfinished(&self) -> Option<(usize, Instant)> {
        (!self.buffer.is_empty()).then(|| (self.buffer.len(), self.slow_since))
    }

    /// Whole frames in the buffer, counted up to `most`.
    pub(crate) fn whole_frames(&self, most: usize) -> u16 {
        let mut rest = &self.buffer[..];
        let mut count = 0;
        while usize::from(count) < most
            && let Some((size, after)) = rest.split_first_chunk::<SIZE_BYTES>()
            && let Ok(size) = usize::try_from(i32::from_be_bytes(*size))
            && let Some(behind) = after.get(size..)
        {
            rest = behind;
            count += 1;
        }
        count
    }

    /// Whether reading waits for the process budget.
    pub(crate) fn waits_for_budget(&self) -> bool {
        self.admission.is_waiting()
    }

    /// Time before `now`, in which this side did not read, is not the peer's slowness.
    pub(crate) fn resume(&mut self, now: Instant) {
        self.slow_since = self.slow_since.max(now);
    }

    /// Gives an empty buffer back to the system.
    pub(crate) fn trim(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.allocated = 0;
        }
    }

    fn take_frame(&mut self) -> Result<Option<Frame>, CloseReason> {
        let Some(size) = self.announced_size()? else { return Ok(None) };
        if self.buffer.len() < SIZE_BYTES + size {
            return Ok(None);
        }
        let _size = self.buffer.split_to(SIZE_BYTES);
        let bytes = self.buffer.split_to(size).freeze();
        self.announced = None;
        self.earned = size.max(self.earned / 2).min(EARNED_BYTES);
        self.lease.set(size);
        let lease = self.lease.take();
        let frame = Frame { bytes, lease, first_byte: self.first_byte, received: self.last_read };
        // Whatever lies behind came with the same read.
        self.first_byte = self.last_read;
        self.slow_since = self.last_read;
        self.shrink();
        Ok(Some(frame))
    }

    fn announced_size(&mut self) -> Result<Option<usize>, CloseReason> {
        if self.announced.is_some() {
            return Ok(self.announced);
        }
        let Some(bytes) = self.buffer.first_chunk::<SIZE_BYTES>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*bytes);
        let size = usize::try_from(announced)
            .ok()
            .filter(|size| *size > 0)
            .ok_or(CloseReason::InvalidSize(announced))?;
        if size > self.max_request_bytes {
            return Err(CloseReason::TooLarge { size, limit: self.max_request_bytes });
        }
        self.announced = Some(size);
        Ok(self.announced)
    }

    /// One read into the buffer; 0 bytes mean that the peer has closed its end.
    fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<std::io::Result<usize>> {
        self.make_room();
        let read = pin!(stream.read_buf(&mut self.buffer)).poll(cx);
        if let Poll::Ready(Ok(count)) = &read
            && *count > 0
        {
            self.last_read = Instant::now();
            self.received_bytes += *count as u64;
            if self.buffer.len() == *count {
                self.first_byte = self.last_read;
                self.slow_since = self.last_read;
            }
            // Small frames are counted when they are whole.
            if self.buffer.len() > FREE_BYTES {
                self.lease.set(self.buffer.len());
            }
        }
        read
    }

    /// Makes room for the next read: the rest of the frame, as far as what has arrived allows it.
    fn make_room(&mut self) {
        let held = self.buffer.len();
        let earned = self.earned.saturating_add(SIZE_BYTES);
        let (wanted, needed) = match self.announced {
            Some(size) => {
                let allowed = (2 * held).max(earned).max(FREE_BYTES);
                let wanted = (size + SIZE_BYTES).min(allowed).saturating_sub(held).max(1);
                // Growing doubles the buffer: before it is full, it would run ahead of the bytes.
                (wanted, wanted.min(FIRST_READ_BYTES))
            }
            None => {
                let wanted = earned.clamp(FIRST_READ_BYTES, KEPT_BUFFER_BYTES);
                (wanted, wanted)
            }
        };
        if self.buffer.capacity() - held < needed {
            self.buffer.reserve(wanted);
            self.allocated = self.allocated.max(self.buffer.capacity());
        }
    }

    /// Lets go of an empty buffer that is much larger than what comes now.
    fn shrink(&mut self) {
        let fitting = (4 * self.earned).clamp(FREE_BYTES, KEPT_BUFFER_BYTES);
        if self.buffer.is_empty() && self.allocated > fitting {
            self.trim();
        }
    }

    fn end(&self) -> CloseReason {
        match self.buffer.len() {
            0 => CloseReason::PeerClosed,
            received => CloseReason::Truncated { received },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use proptest::prelude::*;

    use super::*;
    use crate::budget::Budget;

    fn input(max: usize) -> Input {
        Input::new(max, Lease::new(Budget::new(usize::MAX)))
    }

    fn poll(input: &mut Input, mut bytes: &[u8]) -> Vec<Result<Bytes, &'static str>> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut found = Vec::new();
        loop {
            match input.poll_frame(&mut cx, &mut bytes) {
                Poll::Ready(Ok(frame)) => found.push(Ok(frame.bytes)),
                Poll::Ready(Err(reason)) => {
                    found.push(Err(reason.label()));
                    return found;
                }
                Poll::Pending => return found,
            }
        }
    }

    #[test]
    fn sizes_are_checked_before_anything_is_allocated() {
        let cases: [(&[u8], &str); 6] = [
            (&i32::MAX.to_be_bytes(), "too_large"),
            (&1001_i32.to_be_bytes(), "too_large"),
            (&(-1_i32).to_be_bytes(), "invalid_size"),
            (&i32::MIN.to_be_bytes(), "invalid_size"),
            (&0_i32.to_be_bytes(), "invalid_size"),
            (b"GET / HTTP/1.1\r\n", "too_large"),
        ];
        for (bytes, label) in cases {
            let mut input = input(1000);
            assert_eq!(poll(&mut input, bytes), [Err(label)], "{bytes:?}");
            assert!(input.buffer.capacity() <= FREE_BYTES);
        }
    }

    #[test]
    fn a_stream_may_end_only_between_frames() {
        let whole = [&3_i32.to_be_bytes()[..], b"abc"].concat();
        assert_eq!(poll(&mut input(10), &whole), [Ok("abc".into()), Err("peer_closed")]);
        for end in 1..whole.len() {
            assert_eq!(poll(&mut input(10), &whole[..end]), [Err("truncated")], "{end}");
        }
    }

    #[test]
    fn the_buffer_follows_what_arrives() {
        let mut input = input(100 << 20);
        let mut cx = Context::from_waker(Waker::noop());
        let size = 50_usize << 20;
        let mut sent = 0;
        let prefix = i32::try_from(size).unwrap().to_be_bytes();
        let mut pieces = vec![prefix.to_vec()];
        pieces.extend(std::iter::repeat_n(vec![7; 10_240], size / 10_240));
        for piece in pieces {
            let (mut near, mut far) = tokio::io::duplex(piece.len());
            assert!(
                pin!(tokio::io::AsyncWriteExt::write_all(&mut far, &piece))
                    .poll(&mut cx)
                    .is_ready()
            );
            sent += piece.len();
            let done = input.poll_frame(&mut cx, &mut near).is_ready();
            assert!(input.buffer.capacity() <= 2 * sent + FREE_BYTES, "{sent}");
            if done {
                break;
            }
        }
        assert_eq!(input.earned, EARNED_BYTES);
        assert_eq!(input.buffer.capacity(), 0, "large buffers are not kept");
    }

    proptest! {
        #[test]
        fn frames_come_out_however_the_stream_is_cut(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..3000), 1..20),
            cuts in prop::collection::vec(1..5000_usize, 1..50),
        ) {
            let stream: Vec<u8> = frames.iter().flat_map(|frame| {
                let mut bytes = i32::try_from(frame.len()).unwrap().to_be_bytes().to_vec();
                bytes.extend_from_slice(frame);
                bytes
            }).collect();
            let (mut near, mut far) = tokio::io::duplex(stream.len());
            let mut cx = Context::from_waker(Waker::noop());
            let mut input = input(3000);
            let mut found = Vec::new();
            let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                let write = pin!(tokio::io::AsyncWriteExt::write_all(&mut far, piece)).poll(&mut cx);
                prop_assert!(write.is_ready());
                rest = after;
                while let Poll::Ready(frame) = input.poll_frame(&mut cx, &mut near) {
                    found.push(frame.unwrap().bytes.to_vec());
                }
            }
            prop_assert_eq!(found, frames);
        }
    }
}

//! Replies in flight: what waits, what is ready, and the order in which it leaves.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::budget::Lease;
use crate::close::CloseReason;
use crate::cold::ColdReads;
use crate::connection::Connection;
use crate::handler::{Completed, Later, Reply, ReplyChunk, Timestamps};
use crate::limits::WRITE_TURN_BYTES;
use crate::send::{poll_send, poll_send_file};

/// Pieces that one call sends at most.
const MAX_SLICES: usize = 16;

/// Bytes of the size before each reply.
const SIZE_BYTES: u64 = 4;

/// The sending half of a connection.
pub(crate) struct Output<T> {
    slots: VecDeque<Slot<T>>,
    waiting: usize,
    held_bytes: usize,
    last_write: Instant,
    cold_reads: ColdReads,
}

/// What is known of a request when its reply joins the queue.
pub(crate) struct Ticket {
    pub(crate) timestamps: Timestamps,
    pub(crate) request_bytes: usize,
    /// The request's share of the process budget, and later the reply's too.
    pub(crate) lease: Lease,
}

struct Slot<T> {
    ticket: Ticket,
    stage: Stage<T>,
}

enum Stage<T> {
    Waiting(Later<T>),
    Ready(Outgoing<T>),
}

/// A reply on its way, and how far it got.
struct Outgoing<T> {
    reply: Reply<T>,
    size: [u8; 4],
    /// Bytes of the size that have left.
    size_sent: usize,
    /// The piece that leaves next, and how much of it has left.
    chunk: usize,
    chunk_sent: u64,
    total: u64,
    begun: bool,
}

/// What the handler's side has to do after replies became ready or left.
pub(crate) trait Events<T> {
    /// A reply became ready that mutes the connection.
    fn mute(&mut self, throttle: Duration);
    /// The last byte of a reply has left.
    fn sent(&mut self, done: Completed<T>);
}

impl<T> Output<T> {
    pub(crate) fn new() -> Self {
        let (last_write, cold_reads) = (Instant::now(), ColdReads::default());
        Self { slots: VecDeque::new(), waiting: 0, held_bytes: 0, last_write, cold_reads }
    }

    /// Requests that have no complete answer yet.
    pub(crate) fn in_flight(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of requests and replies that are held in memory.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Whether the next byte depends on the peer alone.
    pub(crate) fn is_blocked_by_peer(&self) -> bool {
        matches!(self.slots.front(), Some(Slot { stage: Stage::Ready(_), .. }))
    }

    /// Instant of the last write that the kernel took.
    pub(crate) fn last_write(&self) -> Instant {
        self.last_write
    }

    /// Replies that are ready and have not begun to leave.
    pub(crate) fn queued(&self) -> u16 {
        let waits = |slot: &&Slot<T>| matches!(&slot.stage, Stage::Ready(it) if !it.begun);
        u16::try_from(self.slots.iter().filter(waits).count()).unwrap_or(u16::MAX)
    }

    /// Gives the room of an empty queue back.
    pub(crate) fn trim(&mut self) {
        if self.slots.is_empty() {
            self.slots = VecDeque::new();
        }
    }

    /// Adds a reply that waits.
    pub(crate) fn push_later(&mut self, ticket: Ticket, later: Later<T>) {
        self.held_bytes += ticket.lease.bytes();
        self.waiting += 1;
        self.slots.push_back(Slot { ticket, stage: Stage::Waiting(later) });
    }

    /// Adds a reply that is ready.
    pub(crate) fn push_ready(
        &mut self,
        mut ticket: Ticket,
        reply: Reply<T>,
    ) -> Result<(), CloseReason> {
        let outgoing = Outgoing::new(reply, &mut ticket)?;
        self.held_bytes += ticket.lease.bytes();
        self.slots.push_back(Slot { ticket, stage: Stage::Ready(outgoing) });
        Ok(())
    }

    /// Gives every waiting reply its turn.
    pub(crate) fn poll_waiting(
        &mut self,
        cx: &mut Context<'_>,
        events: &mut impl Events<T>,
    ) -> Result<(), CloseReason> {
        if self.waiting == 0 {
            return Ok(());
        }
        for slot in &mut self.slots {
            let Stage::Waiting(later) = &mut slot.stage else { continue };
            let Poll::Ready(reply) = later.as_mut().poll(cx) else { continue };
            slot.ticket.timestamps.reply_ready = Instant::now();
            if !reply.throttle.is_zero() {
                events.mute(reply.throttle);
            }
            let before = slot.ticket.lease.bytes();
            slot.stage = Stage::Ready(Outgoing::new(reply, &mut slot.ticket)?);
            self.held_bytes += slot.ticket.lease.bytes() - before;
            self.waiting -= 1;
        }
        Ok(())
    }

    /// Writes what is ready, in order, until the socket is full or the next reply waits.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        stream: &TcpStream,
        connection: &Arc<Connection>,
        events: &mut impl Events<T>,
    ) -> Result<(), CloseReason> {
        let mut turn = 0;
        while self.is_blocked_by_peer() {
            if turn >= WRITE_TURN_BYTES {
                cx.waker().wake_by_ref();
                return Ok(());
            }
            self.mark_begun();
            let Poll::Ready(sent) = self.poll_step(cx, stream) else { return Ok(()) };
            let sent = sent?;
            turn += sent;
            self.last_write = Instant::now();
            self.advance(sent, connection, events)?;
        }
        Ok(())
    }

    fn mark_begun(&mut self) {
        if let Some(Slot { ticket, stage: Stage::Ready(outgoing) }) = self.slots.front_mut()
            && !outgoing.begun
        {
            outgoing.begun = true;
            ticket.timestamps.write_begin = Instant::now();
        }
    }

    fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
        stream: &TcpStream,
    ) -> Poll<Result<u64, CloseReason>> {
        if let Some(Slot { stage: Stage::Ready(front), .. }) = self.slots.front()
            && let Some((ReplyChunk::File { file, offset, len, disk }, done)) = front.next_piece()
        {
            let (offset, rest) = (offset + done, len - done);
            if let Some(disk) = disk {
                ready!(self.cold_reads.poll(cx, disk, file, offset, rest));
            }
            return poll_send_file(cx, stream, file, offset, rest).map(|sent| match sent {
                Ok(0) => Err(CloseReason::FileTooShort { missing: rest }),
                Ok(sent) => Ok(sent as u64),
                Err(error) => Err(file_or_socket(error)),
            });
        }
        let (slices, more) = self.gather();
        poll_send(cx, stream, &slices, more)
            .map(|sent| sent.map(|sent| sent as u64).map_err(CloseReason::Write))
    }

    /// The bytes in memory that leave next; whether a file follows directly.
    fn gather(&self) -> (SmallVec<[IoSlice<'_>; MAX_SLICES]>, bool) {
        let mut slices = SmallVec::new();
        for slot in &self.slots {
            let Stage::Ready(outgoing) = &slot.stage else { break };
            slices.extend(outgoing.size_rest().map(IoSlice::new));
            for (index, chunk) in outgoing.chunks_left() {
                let ReplyChunk::Bytes(bytes) = chunk else { return (slices, true) };
                if slices.len() >= MAX_SLICES {
                    return (slices, false);
                }
                let done = if index == outgoing.chunk { outgoing.chunk_sent } else { 0 };
                let rest = bytes.get(usize::try_from(done).unwrap_or(usize::MAX)..);
                slices.extend(rest.filter(|rest| !rest.is_empty()).map(IoSlice::new));
            }
            if slices.len() + 1 >= MAX_SLICES {
                break;
            }
        }
        (slices, false)
    }

    /// `sent` more bytes have left.
    fn advance(
        &mut self,
        mut sent: u64,
        connection: &Arc<Connection>,
        events: &mut impl Events<T>,
    ) -> Result<(), CloseReason> {
        loop {
            let Some(Slot { stage: Stage::Ready(front), .. }) = self.slots.front_mut() else {
                return Ok(());
            };
            sent = front.advance(sent);
            if !front.is_done() {
                return Ok(());
            }
            let Some(Slot { ticket, stage: Stage::Ready(done) }) = self.slots.pop_front() else {
                return Ok(());
            };
            self.held_bytes -= ticket.lease.bytes();
            let mut timestamps = ticket.timestamps;
            timestamps.write_end = self.last_write;
            if !done.begun {
                // It left in one call with the reply before it.
                timestamps.write_begin = self.last_write;
            }
            events.sent(Completed {
                connection: connection.clone(),
                tag: done.reply.tag,
                request_bytes: ticket.request_bytes,
                reply_bytes: done.total - SIZE_BYTES,
                throttle: done.reply.throttle,
                timestamps,
            });
            if let Some(reason) = done.reply.then_close {
                return Err(reason);
            }
        }
    }
}

impl<T> Outgoing<T> {
    fn new(reply: Reply<T>, ticket: &mut Ticket) -> Result<Self, CloseReason> {
        let len: u64 = reply.chunks.iter().map(ReplyChunk::len).sum();
        let size = i32::try_from(len).map_err(|_| CloseReason::ReplyTooLarge(len))?.to_be_bytes();
        let in_memory: usize = reply.chunks.iter().map(bytes_in_memory).sum();
        ticket.lease.set(ticket.lease.bytes() + in_memory);
        let total = len + SIZE_BYTES;
        let (size_sent, chunk, chunk_sent) = (0, 0, 0);
        Ok(Self { reply, size, size_sent, chunk, chunk_sent, total, begun: false })
    }

    fn size_rest(&self) -> Option<&[u8]> {
        self.size.get(self.size_sent..).filter(|rest| !rest.is_empty())
    }

    fn chunks_left(&self) -> impl Iterator<Item = (usize, &ReplyChunk)> {
        self.reply.chunks.iter().enumerate().skip(self.chunk)
    }

    /// The piece that leaves next and how much of it has left; `None` while the size is due.
    fn next_piece(&self) -> Option<(&ReplyChunk, u64)> {
        if self.size_rest().is_some() {
            return None;
        }
        self.reply.chunks.get(self.chunk).map(|chunk| (chunk, self.chunk_sent))
    }

    /// Takes what belongs to this reply of `sent` bytes; the rest belongs to the next.
    fn advance(&mut self, mut sent: u64) -> u64 {
        let of_size = sent.min(self.size_rest().map_or(0, <[u8]>::len) as u64);
        self.size_sent += usize::try_from(of_size).unwrap_or(0);
        sent -= of_size;
        while let Some(chunk) = self.reply.chunks.get(self.chunk) {
            let rest = chunk.len() - self.chunk_sent;
            if sent < rest {
                self.chunk_sent += sent;
                return 0;
            }
            sent -= rest;
            self.chunk += 1;
            self.chunk_sent = 0;
        }
        sent
    }

    fn is_done(&self) -> bool {
        self.size_rest().is_none() && self.chunk >= self.reply.chunks.len()
    }
}

fn bytes_in_memory(chunk: &ReplyChunk) -> usize {
    match chunk {
        ReplyChunk::Bytes(bytes) => bytes.len(),
        ReplyChunk::File { .. } => 0,
    }
}

/// sendfile fails for either end; EIO and the like come from the file.
fn file_or_socket(error: std::io::Error) -> CloseReason {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut};
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut => CloseReason::Write(error),
        _ => CloseReason::File(error),
    }
}

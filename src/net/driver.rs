//! The task of one connection: reads a frame, lets it take effect, writes what is ready.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::budget::{Budget, Lease};
use crate::close::CloseReason;
use crate::connection::{Connection, Order};
use crate::deadline::{Alarm, Situation, review};
use crate::handler::{Completed, Handler, Outcome, Request, Timestamps};
use crate::input::{Frame, Input};
use crate::limits::{Limits, MAX_IN_FLIGHT, SLOW_REQUEST_GRACE, TRIM_AFTER};
use crate::metrics::{ProcessorMetrics, ServerMetrics};
use crate::output::{Events, Output, Ticket};

/// Everything that one connection's task owns.
pub(crate) struct Driver<T> {
    stream: TcpStream,
    connection: Arc<Connection>,
    limits: Limits,
    processor: Arc<ProcessorMetrics>,
    server: Arc<ServerMetrics>,
    input: Input,
    output: Output<T>,
    alarm: Alarm,
    muted_until: Option<Instant>,
    /// Whether the last look would have taken bytes from the peer.
    reading: bool,
    /// Last time that this side began to read again.
    resumed: Instant,
    trimmed: bool,
    counted_in: u64,
    /// What the queue gauges hold of this connection.
    queued: Queued,
}

/// What waits on a connection: whole requests in the buffer, ready replies behind others.
#[derive(Clone, Copy, Default, PartialEq)]
struct Queued {
    requests: u16,
    replies: u16,
}

impl<T: Send + 'static> Driver<T> {
    pub(crate) fn new(
        stream: TcpStream,
        connection: Arc<Connection>,
        limits: Limits,
        budget: Arc<Budget>,
        processor: Arc<ProcessorMetrics>,
        server: Arc<ServerMetrics>,
    ) -> Self {
        let now = Instant::now();
        let alarm = Alarm::new(now + limits.max_idle);
        Self {
            input: Input::new(limits.max_request_bytes, Lease::new(budget)),
            output: Output::new(),
            stream,
            connection,
            limits,
            processor,
            server,
            alarm,
            muted_until: None,
            reading: true,
            resumed: now,
            trimmed: true,
            counted_in: 0,
            queued: Queued::default(),
        }
    }

    /// Serves the connection until it ends.
    pub(crate) async fn run<H: Handler<Tag = T>>(&mut self, handler: &H) -> CloseReason {
        loop {
            let frame = match std::future::poll_fn(|cx| self.poll_next(cx, handler)).await {
                Ok(frame) => frame,
                Err(reason) => break reason,
            };
            if let Err(reason) = self.serve(frame, handler).await {
                break reason;
            }
            // A flood of small requests in one buffer leaves the other connections their turn.
            tokio::task::coop::consume_budget().await;
        }
    }

    /// Lets one request take effect and queues its reply.
    async fn serve<H: Handler<Tag = T>>(
        &mut self,
        frame: Frame,
        handler: &H,
    ) -> Result<(), CloseReason> {
        let Frame { bytes, lease, first_byte, received } = frame;
        let request_bytes = bytes.len();
        self.processor.received.record(on_wire(request_bytes as u64));
        self.processor.network_io.record(1.0);
        let mut timestamps = Timestamps::begin(first_byte, received, Instant::now());
        let connection = self.connection.clone();
        connection.touch(received);
        let outcome = {
            let request = Request { connection, frame: bytes, timestamps };
            let mut handling = pin!(handler.handle(request));
            std::future::poll_fn(|cx| self.poll_handling(cx, handler, handling.as_mut())).await?
        };
        let now = Instant::now();
        timestamps.handle_end = now;
        timestamps.reply_ready = now;
        self.input.resume(now);
        let ticket = Ticket { timestamps, request_bytes, lease };
        match outcome {
            Outcome::Reply(reply) => {
                self.mute(now, reply.throttle);
                self.output.push_ready(ticket, reply)?;
            }
            Outcome::Later(later) => self.output.push_later(ticket, later),
            Outcome::Silent { tag, throttle } => {
                self.mute(now, throttle);
                timestamps.write_begin = now;
                timestamps.write_end = now;
                handler.sent(Completed {
                    connection: self.connection.clone(),
                    tag,
                    request_bytes,
                    reply_bytes: 0,
                    throttle,
                    timestamps,
                });
            }
            Outcome::Close(reason) => return Err(reason),
        }
        Ok(())
    }

    /// The handler's turn; replies of earlier requests go on meanwhile.
    fn poll_handling<H: Handler<Tag = T>>(
        &mut self,
        cx: &mut Context<'_>,
        handler: &H,
        handling: Pin<&mut impl Future<Output = Outcome<T>>>,
    ) -> Poll<Result<Outcome<T>, CloseReason>> {
        if let Poll::Ready(outcome) = handling.poll(cx) {
            return Poll::Ready(Ok(outcome));
        }
        self.reading = false;
        if let Some(reason) = self.ordered_to_close(cx) {
            return Poll::Ready(Err(reason));
        }
        if let Err(reason) = self.poll_output(cx, handler).and_then(|()| self.poll_alarm(cx)) {
            return Poll::Ready(Err(reason));
        }
        self.show_queues();
        Poll::Pending
    }

    /// Writes what is ready and waits for the next frame.
    fn poll_next<H: Handler<Tag = T>>(
        &mut self,
        cx: &mut Context<'_>,
        handler: &H,
    ) -> Poll<Result<Frame, CloseReason>> {
        let order = self.connection.follow(cx.waker());
        match order {
            Order::Close => return Poll::Ready(Err(CloseReason::Asked)),
            Order::Evict => return Poll::Ready(Err(CloseReason::Evicted)),
            Order::Run | Order::Finish => {}
        }
        if let Err(reason) = self.poll_output(cx, handler) {
            return Poll::Ready(Err(reason));
        }
        if order == Order::Finish && self.output.in_flight() == 0 {
            return Poll::Ready(Err(CloseReason::Stopped));
        }
        if order == Order::Run && self.may_read() {
            let frame = self.input.poll_frame(cx, &mut self.stream);
            self.count_input();
            if frame.is_ready() {
                return frame;
            }
        } else {
            self.reading = false;
            if let Some(reason) = self.peer_has_left(cx) {
                return Poll::Ready(Err(reason));
            }
        }
        if let Err(reason) = self.poll_alarm(cx) {
            return Poll::Ready(Err(reason));
        }
        self.show_queues();
        Poll::Pending
    }

    /// Brings the queue gauges up to date. Called only where the task comes to rest, so a request
    /// that is answered at once costs nothing here.
    fn show_queues(&mut self) {
        let requests = self.input.whole_frames(MAX_IN_FLIGHT);
        self.set_queues(Queued { requests, replies: self.output.queued() });
    }

    fn set_queues(&mut self, now: Queued) {
        if now == self.queued {
            return;
        }
        let requests = f64::from(now.requests) - f64::from(self.queued.requests);
        let replies = f64::from(now.replies) - f64::from(self.queued.replies);
        self.server.request_queue.increment(requests);
        self.server.response_queue.increment(replies);
        self.processor.response_queue.increment(replies);
        self.queued = now;
    }

    /// How the peer ended the connection while nothing is read from it: its waits are then
    /// pointless. Requests that have arrived still take effect, so they hide the end until they are
    /// read.
    fn peer_has_left(&self, cx: &mut Context<'_>) -> Option<CloseReason> {
        if self.input.unfinished().is_some() {
            return None;
        }
        let mut byte = [0];
        match self.stream.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Ok(0)) => Some(CloseReason::PeerClosed),
            // Told once: whoever looks away now is not woken again.
            Poll::Ready(Err(error)) => Some(CloseReason::Read(error)),
            Poll::Ready(Ok(_)) | Poll::Pending => None,
        }
    }

    fn ordered_to_close(&self, cx: &Context<'_>) -> Option<CloseReason> {
        match self.connection.follow(cx.waker()) {
            Order::Close => Some(CloseReason::Asked),
            Order::Evict => Some(CloseReason::Evicted),
            Order::Run | Order::Finish => None,
        }
    }

    fn poll_output<H: Handler<Tag = T>>(
        &mut self,
        cx: &mut Context<'_>,
        handler: &H,
    ) -> Result<(), CloseReason> {
        if self.output.in_flight() == 0 {
            return Ok(());
        }
        let mut after = After { handler, processor: &self.processor, throttle: Duration::ZERO };
        let done = self
            .output
            .poll_waiting(cx, &mut after)
            .and_then(|()| self.output.poll_write(cx, &self.stream, &self.connection, &mut after));
        let throttle = after.throttle;
        if !throttle.is_zero() {
            self.mute(Instant::now(), throttle);
        }
        done
    }

    /// Whether the limits leave room for another request; a mute that is over is lifted.
    fn may_read(&mut self) -> bool {
        let room = self.output.in_flight() == 0
            || (self.output.in_flight() < MAX_IN_FLIGHT
                && self.output.held_bytes() < self.limits.connection_bytes);
        if !room {
            return false;
        }
        if self.muted_until.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        self.muted_until = None;
        if !self.reading {
            self.reading = true;
            self.resumed = Instant::now();
            self.input.resume(self.resumed);
        }
        true
    }

    fn mute(&mut self, now: Instant, throttle: Duration) {
        if throttle.is_zero() {
            return;
        }
        let until = (now + throttle).max(self.muted_until.unwrap_or(now));
        self.muted_until = Some(until);
        self.alarm.no_later_than(until);
    }

    fn count_input(&mut self) {
        let received = self.input.received_bytes();
        if received == self.counted_in {
            return;
        }
        self.counted_in = received;
        if self.trimmed {
            self.trimmed = false;
            self.alarm.no_later_than(self.input.last_read() + TRIM_AFTER);
        }
        if let Some((_, since)) = self.input.unfinished() {
            self.alarm.no_later_than(since + SLOW_REQUEST_GRACE);
        }
    }

    /// Closes, trims or wakes the connection when its time has come.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        while self.alarm.poll(cx).is_ready() {
            let now = Instant::now();
            let verdict = review(&self.situation(now), self.limits.max_idle)?;
            if verdict.trim && !self.trimmed {
                self.trimmed = true;
                self.input.trim();
                self.output.trim();
            }
            if self.muted_until.is_some_and(|until| until <= now) {
                // Reading goes on with the next look.
                self.muted_until = None;
                cx.waker().wake_by_ref();
            }
            self.alarm.set(verdict.look_again.max(now + Duration::from_millis(1)));
        }
        Ok(())
    }

    fn situation(&self, now: Instant) -> Situation {
        let last_activity = self.input.last_read().max(self.output.last_write()).max(self.resumed);
        Situation {
            now,
            last_activity,
            unfinished: self.input.unfinished(),
            reading: self.reading && !self.input.waits_for_budget(),
            answers_due: self.output.in_flight() > 0,
            blocked_by_peer: self.output.is_blocked_by_peer(),
            muted_until: self.muted_until,
        }
    }
}

impl<T> Drop for Driver<T> {
    fn drop(&mut self) {
        self.server.request_queue.decrement(f64::from(self.queued.requests));
        self.server.response_queue.decrement(f64::from(self.queued.replies));
        self.processor.response_queue.decrement(f64::from(self.queued.replies));
    }
}

/// Size of a message with the four bytes of its size.
#[expect(clippy::cast_precision_loss, reason = "below 2^32")]
fn on_wire(bytes: u64) -> f64 {
    (bytes + 4) as f64
}

/// Gathers what replies ask for while they are polled.
struct After<'a, H> {
    handler: &'a H,
    processor: &'a ProcessorMetrics,
    throttle: Duration,
}

impl<H: Handler> Events<H::Tag> for After<'_, H> {
    fn mute(&mut self, throttle: Duration) {
        self.throttle = self.throttle.max(throttle);
    }

    fn sent(&mut self, done: Completed<H::Tag>) {
        self.processor.sent.record(on_wire(done.reply_bytes));
        self.processor.network_io.record(1.0);
        self.handler.sent(done);
    }
}

//! The system calls that bring a reply to the socket.

use std::fs::File;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::limits::SENDFILE_SLICE_BYTES;

/// Sends what the kernel takes of `slices`; `more` tells it that a file follows at once, so that
/// it need not send a small packet of its own (`MSG_MORE`).
pub(crate) fn poll_send(
    cx: &mut Context<'_>,
    stream: &TcpStream,
    slices: &[IoSlice<'_>],
    more: bool,
) -> Poll<io::Result<usize>> {
    let flags = SendFlags::NOSIGNAL | if more { SendFlags::MORE } else { SendFlags::empty() };
    poll_try(cx, stream, || {
        let mut control = SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(stream, slices, &mut control, flags)?)
    })
}

/// Sends what the kernel takes of one slice of `file`; 0 means that the file ends at `offset`.
pub(crate) fn poll_send_file(
    cx: &mut Context<'_>,
    stream: &TcpStream,
    file: &File,
    offset: u64,
    len: u64,
) -> Poll<io::Result<usize>> {
    let slice = usize::try_from(len.min(SENDFILE_SLICE_BYTES)).unwrap_or(usize::MAX);
    poll_try(cx, stream, || {
        let mut position = offset;
        Ok(rustix::fs::sendfile(stream, file, Some(&mut position), slice)?)
    })
}

/// Tries `operation` until it succeeds, or the socket is full and the task will be woken.
fn poll_try(
    cx: &mut Context<'_>,
    stream: &TcpStream,
    mut operation: impl FnMut() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        match stream.try_io(Interest::WRITABLE, &mut operation) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return Poll::Ready(done),
        }
    }
}

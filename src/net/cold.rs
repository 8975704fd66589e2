//! Brings parts of files that are not in memory there, off the threads that serve connections:
//! sendfile would wait for the disk, and every other connection of that thread with it.

use std::fs::File;
use std::io::IoSliceMut;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pharos_base::DiskPool;
use rustix::io::{Errno, ReadWriteFlags};

use crate::limits::SENDFILE_SLICE_BYTES;

/// Bytes that one read of a cold part takes.
const READ_BYTES: usize = 64 * 1024;

/// Looks whether a part is in memory, and has it read by the pool if not.
#[derive(Default)]
pub(crate) struct ColdReads {
    job: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// The file and the end of the part that was read last.
    warmed: (usize, u64),
}

impl ColdReads {
    /// Ready when sending the slice at `offset` will not wait for the disk, as far as that can be
    /// known: memory may be reclaimed at any moment, and then sendfile waits after all.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        disk: &Arc<DiskPool>,
        file: &Arc<File>,
        offset: u64,
        len: u64,
    ) -> Poll<()> {
        let (this, end) = (Arc::as_ptr(file).addr(), offset + len.min(SENDFILE_SLICE_BYTES));
        loop {
            if let Some(job) = &mut self.job {
                ready!(job.as_mut().poll(cx));
                self.job = None;
                self.warmed = (this, end);
            }
            let (warmed, until) = self.warmed;
            if (warmed == this && offset < until) || is_in_memory(file, offset, end) {
                return Poll::Ready(());
            }
            let (disk, file) = (disk.clone(), file.clone());
            self.job = Some(Box::pin(async move {
                let _ = disk.run(move || read_through(&file, offset, end)).await;
            }));
        }
    }
}

/// Whether the first and the last byte can be read without waiting. Where the file system cannot
/// tell, yes.
fn is_in_memory(file: &File, offset: u64, end: u64) -> bool {
    let mut byte = [0];
    [end.saturating_sub(1), offset].into_iter().all(|at| {
        let mut slices = [IoSliceMut::new(&mut byte)];
        let read = rustix::io::preadv2(file, &mut slices, at, ReadWriteFlags::NOWAIT);
        read != Err(Errno::AGAIN)
    })
}

/// Reads the part and forgets it: the kernel does not. Errors show when it is sent.
fn read_through(file: &File, mut offset: u64, end: u64) {
    let mut scratch = vec![0; READ_BYTES];
    while offset < end {
        match file.read_at(&mut scratch, offset) {
            Ok(count) if count > 0 => offset += count as u64,
            _ => return,
        }
    }
}

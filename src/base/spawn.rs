//! Where work runs: the data plane, the control plane, and a bounded pool per log directory for
//! whatever may wait for a disk. Rooms get these, never a runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// The three places. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Spawners {
    /// Connections, appends, fetches.
    pub data: Handle,
    /// Quorum, heartbeats, admin HTTP, scrapes, timers.
    pub control: Handle,
    /// One pool per log directory, in the order of `log.dirs`.
    pub disks: Arc<[DiskPool]>,
}

impl Spawners {
    /// Everything on one runtime, with one pool for each of `directories`: for tests and tools.
    pub fn on(runtime: &Handle, directories: usize) -> Self {
        let pool = |_| DiskPool::new(runtime.clone(), DISK_THREADS, DISK_QUEUE_LIMIT);
        Self {
            data: runtime.clone(),
            control: runtime.clone(),
            disks: (0..directories).map(pool).collect(),
        }
    }
}

/// Threads that one log directory may occupy.
pub const DISK_THREADS: usize = 8;

/// Jobs that may wait for a thread of one log directory.
pub const DISK_QUEUE_LIMIT: usize = 10_000;

/// Runs what blocks, some at a time, the rest waiting in order. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct DiskPool {
    runtime: Handle,
    threads: Arc<Semaphore>,
    jobs: Arc<AtomicUsize>,
    limit: usize,
}

/// Why a job gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DiskPoolError {
    /// Too many jobs wait.
    #[error("the disk pool is full: {limit} jobs wait")]
    Full {
        /// The limit in jobs.
        limit: usize,
    },
    /// The job panicked, or the runtime is going down.
    #[error("the job on the disk pool did not end")]
    Lost,
}

impl DiskPool {
    /// A pool on the blocking threads of `runtime`: `threads` jobs at a time, `limit` in all.
    pub fn new(runtime: Handle, threads: usize, limit: usize) -> Self {
        let threads = Arc::new(Semaphore::new(threads.clamp(1, Semaphore::MAX_PERMITS)));
        Self { runtime, threads, jobs: Arc::default(), limit }
    }

    /// Runs a job that may block and waits for its result. A caller that stops waiting leaves a
    /// job that has begun to run to its end, and takes back one that has not.
    ///
    /// # Errors
    /// When too many jobs wait, or when the job panicked.
    pub async fn run<T, F>(&self, job: F) -> Result<T, DiskPoolError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let counted = Counted::new(&self.jobs);
        if self.jobs.load(Ordering::Relaxed) > self.limit {
            return Err(DiskPoolError::Full { limit: self.limit });
        }
        let lost = DiskPoolError::Lost;
        let thread = self.threads.clone().acquire_owned().await.map_err(|_| lost)?;
        let work = move || {
            let result = job();
            drop((thread, counted));
            result
        };
        self.runtime.spawn_blocking(work).await.map_err(|_| lost)
    }

    /// Jobs that run or wait.
    pub fn jobs(&self) -> usize {
        self.jobs.load(Ordering::Relaxed)
    }
}

/// Counts a job for as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(jobs: &Arc<AtomicUsize>) -> Self {
        jobs.fetch_add(1, Ordering::Relaxed);
        Self(jobs.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn jobs_beyond_the_threads_wait_and_beyond_the_limit_are_refused() {
        let pool = DiskPool::new(Handle::current(), 1, 2);
        let (release, blocked) = mpsc::channel::<()>();
        let (started, has_started) = tokio::sync::oneshot::channel();
        let first = tokio::spawn({
            let pool = pool.clone();
            async move {
                pool.run(move || {
                    let _ = started.send(());
                    blocked.recv().is_ok()
                })
                .await
            }
        });
        has_started.await.unwrap();
        let waiting = pool.run(|| 2);
        tokio::pin!(waiting);
        assert!(futures_pending(waiting.as_mut()).await);
        assert_eq!(pool.jobs(), 2);
        assert_eq!(pool.run(|| 3).await, Err(DiskPoolError::Full { limit: 2 }));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(true));
        assert_eq!(waiting.await, Ok(2));
        assert_eq!(pool.jobs(), 0);
    }

    #[tokio::test]
    async fn a_panicking_job_frees_its_thread() {
        let pool = DiskPool::new(Handle::current(), 1, 2);
        assert_eq!(pool.run(|| -> i32 { panic!("bad sector") }).await, Err(DiskPoolError::Lost));
        assert_eq!(pool.run(|| 1).await, Ok(1));
    }

    /// Polls once and says whether the future still waits.
    async fn futures_pending<F: Future + Unpin>(mut future: F) -> bool {
        std::future::poll_fn(|context| {
            let pending = std::pin::Pin::new(&mut future).poll(context).is_pending();
            std::task::Poll::Ready(pending)
        })
        .await
    }
}

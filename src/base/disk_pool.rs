//! The threads of one log directory that may wait for its disk, and the jobs that wait for them. A
//! disk that stands still holds up its own jobs and nobody else.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Semaphore, oneshot};

/// Threads that one log directory may occupy.
pub const DISK_THREADS: usize = 8;

/// Jobs of [`DiskPool::run`] that one log directory takes at a time; who comes later waits for its
/// turn outside of the queue.
pub const DISK_QUEUE_LIMIT: usize = 10_000;

type Job = Box<dyn FnOnce() + Send>;

/// A few threads that run what may wait for a disk, in order. They start with the first jobs, and
/// end when the pool is dropped and the queue is empty.
pub struct DiskPool {
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
}

struct Shared {
    queue: Mutex<Queue>,
    ready: Condvar,
    max_threads: usize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl DiskPool {
    /// A pool of at most `max_threads` threads, at least one, that takes `limit` jobs of
    /// [`Self::run`] at a time.
    pub fn new(max_threads: usize, limit: usize) -> Self {
        let max_threads = max_threads.max(1);
        let (queue, ready) = (Mutex::default(), Condvar::new());
        let room = Arc::new(Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS)));
        Self { shared: Arc::new(Shared { queue, ready, max_threads }), room }
    }

    /// Runs `job` on one of the threads. Nothing limits these jobs but whoever asks for them: they
    /// must not be as many as clients like.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.shared.queue.lock();
        queue.jobs.push_back(Box::new(job));
        if queue.idle < queue.jobs.len() && queue.threads < self.shared.max_threads {
            let shared = self.shared.clone();
            match thread::Builder::new().name("disk".into()).spawn(move || shared.work()) {
                Ok(_) => queue.threads += 1,
                Err(error) if queue.threads == 0 => {
                    tracing::error!(%error, "cannot start a disk thread; waiting work is done here");
                    drop(queue);
                    return self.shared.drain();
                }
                Err(_) => {}
            }
        }
        drop(queue);
        self.shared.ready.notify_one();
    }

    /// Runs `job` on one of the threads and waits for what it returns; `None` if it panicked. A
    /// caller that stops waiting leaves a job that has begun to run to its end, and takes back one
    /// that has not.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let place = self.room.clone().acquire_owned().await.ok()?;
        let (sender, receiver) = oneshot::channel();
        self.spawn(move || {
            if !sender.is_closed() {
                let _ = sender.send(job());
            }
            drop(place);
        });
        receiver.await.ok()
    }
}

impl Shared {
    fn work(&self) {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                // A panic in one job must not take the thread from the others.
                let _ = catch_unwind(AssertUnwindSafe(job));
                queue = self.queue.lock();
            } else if queue.closed {
                queue.threads -= 1;
                return;
            } else {
                queue.idle += 1;
                self.ready.wait(&mut queue);
                queue.idle -= 1;
            }
        }
    }

    fn drain(&self) {
        loop {
            let Some(job) = self.queue.lock().jobs.pop_front() else { return };
            job();
        }
    }
}

impl Drop for DiskPool {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.ready.notify_all();
    }
}

impl fmt::Debug for DiskPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.shared.queue.lock();
        write!(f, "DiskPool({} threads, {} waiting)", queue.threads, queue.jobs.len())
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::Poll;

    use super::*;

    /// A pool whose only thread is held until the sender is used or dropped.
    async fn held(limit: usize) -> (DiskPool, mpsc::Sender<()>) {
        let pool = DiskPool::new(1, limit);
        let (release, held) = mpsc::channel();
        let (begun, has_begun) = oneshot::channel();
        pool.spawn(move || {
            let _ = begun.send(());
            let _ = held.recv();
        });
        has_begun.await.unwrap();
        (pool, release)
    }

    /// Polls once and says whether the future still waits.
    async fn waits<F: Future + Unpin>(future: &mut F) -> bool {
        let mut future = std::pin::Pin::new(future);
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
    }

    #[tokio::test]
    async fn jobs_beyond_the_threads_wait_and_beyond_the_limit_stay_outside() {
        let (pool, release) = held(2).await;
        let (mut first, mut second, mut third) =
            (pin!(pool.run(|| 1)), pin!(pool.run(|| 2)), pin!(pool.run(|| 3)));
        assert!(waits(&mut first).await && waits(&mut second).await && waits(&mut third).await);
        assert_eq!(format!("{pool:?}"), "DiskPool(1 threads, 2 waiting)");
        drop(release);
        assert_eq!((first.await, second.await, third.await), (Some(1), Some(2), Some(3)));
    }

    #[tokio::test]
    async fn a_job_that_nobody_waits_for_is_not_begun() {
        let (pool, release) = held(1).await;
        let (sender, receiver) = mpsc::channel();
        {
            let mut left = pin!(pool.run(move || sender.send(())));
            assert!(waits(&mut left).await);
        }
        drop(release);
        assert_eq!(pool.run(|| 2).await, Some(2));
        assert!(receiver.recv().is_err(), "it ran");
    }

    #[tokio::test]
    async fn a_panicking_job_frees_its_thread() {
        let pool = DiskPool::new(1, 1);
        assert_eq!(pool.run(|| -> i32 { panic!("bad sector") }).await, None);
        assert_eq!(pool.run(|| 1).await, Some(1));
    }
}

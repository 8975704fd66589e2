//! Keeps the tasks of a process: each has a name, none ends unnoticed, and they stop in order.
//!
//! Tasks belong to stages. Stopping cancels the stage that was made last first and waits for its
//! tasks before it turns to the one before, all under one deadline.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;

/// Any error of a task.
pub type TaskError = Box<dyn Error + Send + Sync>;

/// A task that ended when it should not have.
#[derive(Debug)]
pub struct TaskFailure {
    /// Name of the task.
    pub task: &'static str,
    /// How it ended.
    pub reason: FailureReason,
}

/// How a task ended when it should not have.
#[derive(Debug)]
pub enum FailureReason {
    /// It returned an error.
    Error(TaskError),
    /// It panicked, with these words.
    Panic(String),
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            FailureReason::Error(error) => write!(f, "task {} failed: {error}", self.task),
            FailureReason::Panic(words) => write!(f, "task {} panicked: {words}", self.task),
        }
    }
}

impl Error for TaskFailure {}

/// Keeps all tasks of a process or of a node. Cloning is cheap and clones agree.
#[derive(Clone, Default)]
pub struct Supervisor(Arc<Shared>);

#[derive(Default)]
struct Shared {
    stages: Mutex<Vec<Stage>>,
    failures: Failures,
}

#[derive(Clone, Default)]
struct Failures(Arc<FailuresInner>);

#[derive(Default)]
struct FailuresInner {
    /// At most [`FAILURES_KEPT`] of them.
    kept: Mutex<Vec<TaskFailure>>,
    changed: Notify,
}

/// Failures that wait to be looked at; later ones are only logged by whoever sees these.
const FAILURES_KEPT: usize = 64;

impl Failures {
    fn add(&self, failure: TaskFailure) {
        let mut kept = self.0.kept.lock();
        if kept.len() < FAILURES_KEPT {
            kept.push(failure);
        }
        drop(kept);
        self.0.changed.notify_one();
    }
}

/// Tasks that stop together. Cloning is cheap and clones agree.
#[derive(Clone)]
pub struct Stage(Arc<StageInner>);

struct StageInner {
    cancel: CancellationToken,
    running: Mutex<Vec<Running>>,
    failures: Failures,
}

struct Running {
    name: &'static str,
    /// Ends when the watcher has seen the task's end.
    watcher: JoinHandle<()>,
    task: AbortHandle,
}

impl Supervisor {
    /// Keeps nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new stage, which stops before all that were made earlier.
    pub fn stage(&self) -> Stage {
        let stage = Stage(Arc::new(StageInner {
            cancel: CancellationToken::new(),
            running: Mutex::default(),
            failures: self.0.failures.clone(),
        }));
        self.0.stages.lock().push(stage.clone());
        stage
    }

    /// Waits for the next task that fails. One caller at a time sees each failure.
    pub async fn failure(&self) -> TaskFailure {
        let FailuresInner { kept, changed } = &*self.0.failures.0;
        loop {
            if let Some(failure) = pop_first(&mut kept.lock()) {
                return failure;
            }
            changed.notified().await;
        }
    }

    /// Stops all stages, the last one first. What still runs at the deadline is aborted.
    ///
    /// Returns the names of the tasks that had to be aborted.
    pub async fn stop(&self, deadline: Duration) -> Vec<&'static str> {
        let end = tokio::time::Instant::now() + deadline;
        let mut late = Vec::new();
        loop {
            let Some(stage) = self.0.stages.lock().pop() else { return late };
            late.extend(stage.stop(end).await);
        }
    }
}

fn pop_first(list: &mut Vec<TaskFailure>) -> Option<TaskFailure> {
    (!list.is_empty()).then(|| list.remove(0))
}

impl Stage {
    /// Fires when the stage stops; a task that waits listens to it.
    pub fn cancelled(&self) -> CancellationToken {
        self.0.cancel.clone()
    }

    /// Starts a task on a runtime. Its error or panic is seen by [`Supervisor::failure`].
    pub fn spawn<F>(&self, runtime: &Handle, name: &'static str, future: F)
    where
        F: Future<Output = Result<(), TaskError>> + Send + 'static,
    {
        let failures = self.0.failures.clone();
        let task = runtime.spawn(future);
        let abort = task.abort_handle();
        let watcher = runtime.spawn(async move {
            let reason = match task.await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => FailureReason::Error(error),
                Err(end) if end.is_panic() => {
                    FailureReason::Panic(panic_words(end.into_panic().as_ref()))
                }
                Err(_) => return,
            };
            failures.add(TaskFailure { task: name, reason });
        });
        let mut running = self.0.running.lock();
        running.retain(|running| !running.watcher.is_finished());
        running.push(Running { name, watcher, task: abort });
    }

    /// Tasks that run.
    pub fn len(&self) -> usize {
        self.0.running.lock().iter().filter(|running| !running.watcher.is_finished()).count()
    }

    /// Whether no task runs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    async fn stop(&self, end: tokio::time::Instant) -> Vec<&'static str> {
        self.0.cancel.cancel();
        let mut late = Vec::new();
        let running = std::mem::take(&mut *self.0.running.lock());
        for Running { name, mut watcher, task } in running {
            if tokio::time::timeout_at(end, &mut watcher).await.is_err() {
                task.abort();
                late.push(name);
            }
        }
        late
    }
}

/// What a panic said.
fn panic_words(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_and_a_panicked_task_are_seen() {
        let supervisor = Supervisor::new();
        let stage = supervisor.stage();
        stage.spawn(&Handle::current(), "quiet", async { Ok(()) });
        stage.spawn(&Handle::current(), "broken", async { Err("no disk".into()) });
        assert_eq!(supervisor.failure().await.to_string(), "task broken failed: no disk");
        stage.spawn(&Handle::current(), "clumsy", async { panic!("fell over") });
        assert_eq!(supervisor.failure().await.to_string(), "task clumsy panicked: fell over");
    }

    #[tokio::test]
    async fn stages_stop_from_the_last_to_the_first() {
        let supervisor = Supervisor::new();
        let order = Arc::new(Mutex::new(Vec::new()));
        for name in ["storage", "net"] {
            let stage = supervisor.stage();
            let (cancelled, order) = (stage.cancelled(), order.clone());
            stage.spawn(&Handle::current(), name, async move {
                cancelled.cancelled().await;
                tokio::task::yield_now().await;
                order.lock().push(name);
                Ok(())
            });
        }
        assert_eq!(supervisor.stop(Duration::from_secs(60)).await, Vec::<&str>::new());
        assert_eq!(*order.lock(), ["net", "storage"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_listen_is_aborted_at_the_deadline() {
        let supervisor = Supervisor::new();
        let stage = supervisor.stage();
        stage.spawn(&Handle::current(), "deaf", std::future::pending());
        assert_eq!(stage.len(), 1);
        assert_eq!(supervisor.stop(Duration::from_secs(5)).await, ["deaf"]);
    }
}

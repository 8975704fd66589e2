//! Work that must not be noticed by requests: a thread that yields to all others.

use std::io;
use std::thread;

use tokio::sync::oneshot;

/// By how much the scheduler prefers others: a third of what they get where all want the processor.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// Runs `work` on a thread of its own, which gives way to those that answer requests. What comes
/// back ends without a value when `work` panics. Whoever calls bounds how much runs at once.
///
/// # Errors
/// When the system has no thread left.
pub fn in_background<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (done, result) = oneshot::channel();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        give_way();
        // Nobody may wait any more.
        let _ = done.send(work());
    })?;
    Ok(result)
}

/// A thread that may not do so works as any other.
#[cfg(target_os = "linux")]
fn give_way() {
    // Of the calling thread alone: Linux keeps it by thread.
    let Ok(before) = rustix::process::getpriority_process(None) else { return };
    let _ = rustix::process::setpriority_process(None, before + NICENESS);
}

/// Elsewhere the priority is the whole process'.
#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_result_comes_back_and_a_panic_is_told() {
        assert_eq!(in_background("sum", || 1 + 1).unwrap().await, Ok(2));
        let panicked = in_background::<()>("panic", || std::panic::resume_unwind(Box::new(())));
        assert!(panicked.unwrap().await.is_err());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_its_own_thread_gives_way() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let before = priority();
        let there = in_background("nice", priority).unwrap().await.unwrap();
        assert_eq!(there, (before + NICENESS).min(19));
        assert_eq!(priority(), before);
    }
}

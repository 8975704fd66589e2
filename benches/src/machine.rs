//! What the machine is, which cores do what, and what a process has used.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, Pid, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Processor and kernel in one line.
pub(crate) fn describe() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name\t: "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let cores = cores();
    format!("{cores} cores {}, Linux {}, load {load}", model.unwrap_or("?"), kernel.trim())
}

fn cores() -> usize {
    fs::read_to_string("/proc/cpuinfo")
        .map_or(1, |text| text.lines().filter(|line| line.starts_with("processor")).count())
}

/// Where a thread, and what it starts, may run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// The first core: whatever is measured per core.
    Server,
    /// The other cores: whatever makes load.
    Load,
    /// Every core.
    Anywhere,
}

/// Puts the calling thread to `place`; a machine with one core has only one.
pub(crate) fn stay(place: Place) {
    let cores = cores();
    let mut set = CpuSet::new();
    for core in 0..cores {
        let take = match place {
            Place::Server => core == 0,
            Place::Load => core > 0,
            Place::Anywhere => true,
        };
        if take || cores == 1 {
            set.set(core);
        }
    }
    // A machine that forbids it measures without.
    let _ = sched_setaffinity(None, &set);
}

/// Runs `act` on a thread at `place`.
pub(crate) fn at<T: Send>(place: Place, act: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
    thread::scope(|scope| {
        let handle = scope.spawn(|| {
            stay(place);
            act()
        });
        handle.join().map_err(|_| anyhow::anyhow!("a measuring thread panicked"))
    })
}

/// Wall and processor time of something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

/// Measures the calling thread.
pub(crate) struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { wall: Instant::now(), cpu: thread_cpu() }
    }

    pub(crate) fn stop(&self) -> Cost {
        Cost {
            wall: self.wall.elapsed().as_secs_f64(),
            cpu: thread_cpu().saturating_sub(self.cpu).as_secs_f64(),
        }
    }
}

fn thread_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Processor seconds that all threads of a process have used, those that have ended too; to a tick
/// of 10 ms.
#[expect(clippy::cast_precision_loss, reason = "ticks below 2^53")]
pub(crate) fn process_cpu(pid: u32) -> f64 {
    /// Where user and system time stand behind the name, which may hold blanks.
    const TIMES: std::ops::Range<usize> = 11..13;
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let behind_name = text.rsplit_once(") ").map_or("", |it| it.1);
    let fields: Vec<&str> = behind_name.split(' ').collect();
    let ticks =
        fields.get(TIMES).unwrap_or_default().iter().filter_map(|it| it.parse::<u64>().ok());
    ticks.sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Resident bytes of a process.
pub(crate) fn resident(pid: u32) -> f64 {
    status_kib(pid, "VmRSS:") * 1024.0
}

fn status_kib(pid: u32, key: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0.0)
}

/// Sends a signal by number.
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

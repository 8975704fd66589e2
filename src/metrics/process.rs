//! `process_*`: the figures that Prometheus' client libraries show of any process, read from
//! `/proc` on each scrape. Elsewhere than on Linux they read 0.

use std::fs;

use crate::catalog::native as rows;
use crate::registry::{Registered, Registry};

/// Clock ticks of `/proc/self/stat`; 100 a second on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Registers them.
pub(crate) fn register(registry: &Registry) -> Vec<Registered<()>> {
    let start = start_seconds().unwrap_or(0.0);
    vec![
        registry.family(&rows::PROCESS_CPU_SECONDS_TOTAL).gauge_fn(&[], || or_zero(cpu_seconds())),
        registry.family(&rows::PROCESS_OPEN_FDS).gauge_fn(&[], || or_zero(open_fds())),
        registry.family(&rows::PROCESS_MAX_FDS).gauge_fn(&[], || or_zero(max_fds())),
        registry
            .family(&rows::PROCESS_VIRTUAL_MEMORY_BYTES)
            .gauge_fn(&[], || or_zero(status_bytes("VmSize:"))),
        registry
            .family(&rows::PROCESS_RESIDENT_MEMORY_BYTES)
            .gauge_fn(&[], || or_zero(status_bytes("VmRSS:"))),
        registry.family(&rows::PROCESS_START_TIME_SECONDS).gauge_fn(&[], move || start),
    ]
}

fn or_zero(number: Option<f64>) -> f64 {
    number.unwrap_or(0.0)
}

/// The n-th field of `/proc/self/stat`, counted from 1 as proc(5) does.
fn stat(n: usize) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in brackets that may hold blanks.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(n.checked_sub(3)?)?.parse().ok()
}

fn cpu_seconds() -> Option<f64> {
    Some((stat(14)? + stat(15)?) / TICKS_PER_SECOND)
}

#[expect(clippy::cast_precision_loss, reason = "a count of files")]
fn open_fds() -> Option<f64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as f64)
}

fn max_fds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn status_bytes(key: &str) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? * 1024.0)
}

fn start_seconds() -> Option<f64> {
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
    Some(boot + stat(22)? / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn figures_are_plausible() {
        assert!(status_bytes("VmRSS:").unwrap() > 1e6);
        assert!(status_bytes("VmSize:").unwrap() >= status_bytes("VmRSS:").unwrap());
        assert!(open_fds().unwrap() >= 3.0 && max_fds().unwrap() >= open_fds().unwrap());
        assert!(cpu_seconds().unwrap() >= 0.0);
        assert!(start_seconds().unwrap() > 1.6e9);
    }
}

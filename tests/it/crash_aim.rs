//! Moments at which a broker is killed. Each row says what announces the moment, and what it leaves
//! that no other moment does: only that counts as met.
//!
//! A moment may last no longer than a look at it. So at each sign the broker is stopped, and then
//! looked at while it stands still: it is killed as it stands if the moment is there, and goes on if
//! it is not.

use std::ffi::CStr;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::crash::Progress;
use crate::crash_disk as disk;
use crate::crash_topics::PARTITIONS;
use crate::crash_writers::{COMPACTED, IDEMPOTENT, LARGE, SYNCED, Sequence};
use crate::start_process::{Guard, HANG_GUARD, Starting};

/// How often it is looked whether a process that starts is up.
const GLANCE: Duration = Duration::from_millis(5);
/// Signs of one moment at which the process is stopped, at most; then the moment was missed.
const MAX_STOPS: usize = 300;

/// What there is to aim at besides the process.
pub struct Target<'a> {
    /// The broker's log directory.
    pub data: &'a Path,
    /// What its clients were told.
    pub progress: &'a Progress,
}

/// What the broker is doing when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// A batch is written in part.
    Append,
    /// A segment is sealed, the next one not begun.
    Roll,
    /// A segment is being synced.
    Flush,
    /// One sync is waited for by several producers.
    GroupCommit,
    /// The cleaner writes its copy.
    CleanerCopy,
    /// The copy takes the place of what it was made of.
    CleanerSwap,
    /// Some partitions of a topic are made, others not yet.
    TopicCreate,
    /// Some partitions of a topic are gone, others not yet.
    TopicDelete,
    /// A snapshot of the metadata is written.
    MetadataSnapshot,
    /// A start makes indexes anew.
    IndexRebuild,
    /// A start looks through the logs.
    Recovery,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Append,
        Self::Roll,
        Self::Flush,
        Self::GroupCommit,
        Self::CleanerCopy,
        Self::CleanerSwap,
        Self::TopicCreate,
        Self::TopicDelete,
        Self::MetadataSnapshot,
        Self::IndexRebuild,
        Self::Recovery,
    ];

    /// Whether it is a moment of a start.
    pub fn is_of_start(self) -> bool {
        matches!(self, Self::IndexRebuild | Self::Recovery)
    }

    /// How many signs of it there are at least, mostly: fewer are let pass before one counts.
    pub fn signs(self) -> u32 {
        match self {
            Self::TopicCreate | Self::TopicDelete => PARTITIONS.unsigned_abs(),
            Self::IndexRebuild => 3,
            Self::Recovery => 30,
            _ => 1,
        }
    }

    /// Waits for the moment after `skipped` signs of it in a broker that works, and kills it: whether
    /// that met the moment.
    pub fn strike(self, process: &mut Guard, target: &Target, mut skipped: u32) -> bool {
        let data = target.data;
        if self == Self::Append {
            return strike_in_write(process, &data.join(format!("{LARGE}-0")));
        }
        let met = match self {
            Self::Flush => {
                let wanted = |path: &str| !path.contains(SYNCED) && !path.contains(METADATA);
                hunt_sync(process, wanted, || true)
            }
            Self::GroupCommit => {
                let log = data.join(format!("{SYNCED}-0"));
                let several = || target.progress.waiting(&disk::written(&log)) > 1;
                hunt_sync(process, |path| path.contains(SYNCED), several)
            }
            _ => {
                let watch = self.watch(data);
                hunt(process, || watch.wait(&mut skipped, || false), || self.is_on_disk(data))
            }
        };
        process.strike();
        process.bury();
        met
    }

    /// Waits for the moment after `skipped` signs of it in a process that starts, and kills it:
    /// whether that met the moment. `watch` was made before the process.
    pub fn strike_start(self, mut start: Starting, watch: &Watch, mut skipped: u32) -> bool {
        let recovers = || !start.log().contains("recovered logs after an unclean stop");
        let met = hunt(
            start.process(),
            || watch.wait(&mut skipped, || start.is_ready()),
            || recovers() && (self == Self::Recovery || self.is_on_disk(&watch.data)),
        );
        start.kill();
        met
    }

    /// Makes a watch for the signs of the moment.
    pub fn watch(self, data: &Path) -> Watch {
        Watch::on(data, self.names())
    }

    fn names(self) -> Signs {
        let made = WatchFlags::CREATE | WatchFlags::MOVED_TO;
        let of = |dirs, flags, ending| Signs { dirs, flags, beginning: "", ending };
        match self {
            Self::Roll => of(Dirs::Of(IDEMPOTENT), made, ".snapshot"),
            Self::CleanerCopy => of(Dirs::Of(COMPACTED), made, ".cleaned"),
            Self::CleanerSwap => of(Dirs::Of(COMPACTED), made, ".swap"),
            Self::TopicCreate => {
                Signs { beginning: "changing-", ..of(Dirs::Home, WatchFlags::CREATE, "") }
            }
            Self::TopicDelete => of(Dirs::Home, WatchFlags::MOVED_TO, "-delete"),
            Self::MetadataSnapshot => of(Dirs::Of(METADATA), made, ".part"),
            Self::IndexRebuild => of(Dirs::Of(IDEMPOTENT), WatchFlags::MODIFY, "index"),
            Self::Append | Self::Flush | Self::GroupCommit | Self::Recovery => {
                of(Dirs::All, WatchFlags::OPEN, ".log")
            }
        }
    }

    fn is_on_disk(self, data: &Path) -> bool {
        let partition = |topic: &str| data.join(format!("{topic}-0"));
        match self {
            Self::Append => disk::is_torn(&partition(LARGE), Sequence::large_batch_bytes()),
            Self::Roll => {
                [0, 1].iter().any(|p| disk::is_rolling(&data.join(format!("{IDEMPOTENT}-{p}"))))
            }
            Self::CleanerCopy => disk::has_ending(&partition(COMPACTED), ".cleaned"),
            Self::CleanerSwap => disk::has_ending(&partition(COMPACTED), ".swap"),
            Self::TopicCreate => disk::is_half_made(data),
            Self::TopicDelete => disk::is_half_deleted(data),
            Self::MetadataSnapshot => disk::has_ending(&partition(METADATA), ".part"),
            Self::IndexRebuild => {
                [0, 1].iter().any(|p| disk::is_rebuilding(&data.join(format!("{IDEMPOTENT}-{p}"))))
            }
            Self::Flush | Self::GroupCommit | Self::Recovery => false,
        }
    }
}

const METADATA: &str = "__cluster_metadata";

/// Where signs are looked for.
enum Dirs {
    /// In the log directory itself.
    Home,
    /// In the partitions of one topic.
    Of(&'static str),
    /// In all partitions.
    All,
}

struct Signs {
    dirs: Dirs,
    flags: WatchFlags,
    beginning: &'static str,
    ending: &'static str,
}

/// Waits for names that are made, renamed or written.
pub struct Watch {
    data: PathBuf,
    inotify: OwnedFd,
    signs: Signs,
}

impl Watch {
    fn on(data: &Path, signs: Signs) -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        for dir in disk::dirs(data) {
            let name = dir.file_name().unwrap().to_str().unwrap();
            let topic = name.rsplit_once('-').map_or("", |(topic, _)| topic);
            let watched = match signs.dirs {
                Dirs::Home => false,
                Dirs::Of(wanted) => topic == wanted,
                Dirs::All => true,
            };
            if watched {
                inotify::add_watch(&inotify, &dir, signs.flags).unwrap();
            }
        }
        if let Dirs::Home = signs.dirs {
            inotify::add_watch(&inotify, data, signs.flags).unwrap();
        }
        Self { data: data.to_path_buf(), inotify, signs }
    }

    /// Waits until the sign after `skipped` others is seen, or `ended` says that none will come.
    fn wait(&self, skipped: &mut u32, ended: impl Fn() -> bool) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            #[allow(deprecated, reason = "its successor is unsafe; this descriptor outlives it")]
            let news = AsyncFd::with_interest(self.inotify.as_fd(), Interest::READABLE).unwrap();
            let began = Instant::now();
            loop {
                if let Ok(readable) = tokio::time::timeout(GLANCE, news.readable()).await {
                    readable.unwrap().clear_ready();
                }
                if self.is_seen(skipped) {
                    return true;
                }
                if ended() {
                    return false;
                }
                assert!(began.elapsed() < HANG_GUARD, "no {:?} came", self.signs.ending);
            }
        })
    }

    /// Looks through the news until the sign that is wanted; `skipped` counts those before it down.
    fn is_seen(&self, skipped: &mut u32) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.inotify, &mut buffer);
        loop {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return false,
                Err(error) => panic!("inotify: {error}"),
            };
            let lost = event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            assert!(!lost, "more news than the kernel keeps");
            let name = event.file_name().map(CStr::to_bytes).unwrap_or_default();
            let is_sign = name.starts_with(self.signs.beginning.as_bytes())
                && name.ends_with(self.signs.ending.as_bytes());
            if is_sign && *skipped == 0 {
                return true;
            }
            *skipped -= u32::from(is_sign);
        }
    }
}

/// Kills the process while the newest segment of `dir` ends within a batch.
fn strike_in_write(process: &mut Guard, dir: &Path) -> bool {
    let batch = Sequence::large_batch_bytes();
    let began = Instant::now();
    while !disk::is_torn(dir, batch) {
        assert!(began.elapsed() < HANG_GUARD, "no write was met");
    }
    process.strike();
    process.bury();
    disk::is_torn(dir, batch)
}

/// Stops the process at each sign that comes until the moment is there: whether it is. The process
/// then stands still in it.
fn hunt(process: &Guard, mut sign: impl FnMut() -> bool, is_there: impl Fn() -> bool) -> bool {
    for stop in 0..MAX_STOPS {
        if !sign() {
            return false;
        }
        process.stop();
        if is_there() {
            println!("  stopped {} times", stop + 1);
            return true;
        }
        process.resume();
    }
    false
}

/// Hunts for a thread that syncs a segment whose path is `wanted`, when `also` holds. Its call has
/// not come back to it when the process stands still.
fn hunt_sync(process: &Guard, wanted: impl Fn(&str) -> bool, also: impl Fn() -> bool) -> bool {
    let home = PathBuf::from(format!("/proc/{}", process.id()));
    let syncs = || is_syncing(&home, |path| path.ends_with(".log") && wanted(path));
    let sign = || {
        let began = Instant::now();
        while !syncs() {
            assert!(began.elapsed() < HANG_GUARD, "no sync was met");
        }
        true
    };
    hunt(process, sign, || syncs() && also())
}

/// Whether a thread of a process syncs a wanted file.
fn is_syncing(process: &Path, wanted: impl Fn(&str) -> bool) -> bool {
    let Ok(threads) = fs::read_dir(process.join("task")) else { return false };
    threads.flatten().any(|thread| {
        // A thread that ended meanwhile has none.
        let text = fs::read_to_string(thread.path().join("syscall")).unwrap_or_default();
        let mut words = text.split_ascii_whitespace();
        if words.next() != Some(FDATASYNC) {
            return false;
        }
        let file = words.next().and_then(|word| word.strip_prefix("0x"));
        let file = file.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap();
        let target = fs::read_link(process.join(format!("fd/{file}")));
        target.is_ok_and(|target| target.to_str().is_some_and(&wanted))
    })
}

/// Number of the system call.
const FDATASYNC: &str = if cfg!(target_arch = "x86_64") { "75" } else { "83" };

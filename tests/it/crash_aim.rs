//! Moments at which a broker is killed. Each row says how the moment is seen from outside while it
//! lasts, and what then lies on the disk that no other moment leaves: only that counts as met.

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

use crate::crash_disk as disk;
use crate::crash_writers::{COMPACTED, IDEMPOTENT, LARGE, SYNCED, Sequence};
use crate::start_process::{Guard, HANG_GUARD, Starting};

/// How often it is looked whether a process that starts is up.
const GLANCE: Duration = Duration::from_millis(5);

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

    /// Waits for the moment in a broker that works, and kills it: whether that met the moment. Of
    /// moments with many signs, some are `skipped`.
    /// `GroupCommit` is met only if the records of several producers were waiting.
    pub fn strike(self, process: &mut Guard, data: &Path, skipped: u32) -> bool {
        match self {
            Self::Append => strike_in_write(process, &data.join(format!("{LARGE}-0"))),
            Self::Flush => strike_in_sync(process, |path| {
                path.contains(".log") && !path.contains(SYNCED) && !path.contains(METADATA)
            }),
            Self::GroupCommit => {
                strike_in_sync(process, |path| path.contains(SYNCED) && path.contains(".log"))
            }
            _ => {
                let watch = Watch::on(data, self.names());
                let one_of_many = matches!(self, Self::TopicCreate | Self::TopicDelete);
                watch.wait(if one_of_many { skipped } else { 0 }, || false);
                process.strike();
                process.bury();
                self.is_on_disk(data)
            }
        }
    }

    /// Waits for the `skipped`-th sign of the moment in a process that starts, and kills it: whether
    /// that met the moment. `watch` was made before the process.
    pub fn strike_start(self, mut start: Starting, watch: Watch, skipped: u32) -> bool {
        let seen = watch.wait(skipped, || start.is_ready());
        start.process().strike();
        start.process().bury();
        let recovered = start.log().contains("recovered logs after an unclean stop");
        seen && !recovered && (self == Self::Recovery || self.is_on_disk(&watch.data))
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
    fn wait(&self, mut skipped: u32, ended: impl Fn() -> bool) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            #[allow(deprecated, reason = "its successor is unsafe; this descriptor outlives it")]
            let news = AsyncFd::with_interest(self.inotify.as_fd(), Interest::READABLE).unwrap();
            let began = Instant::now();
            loop {
                if let Ok(readable) = tokio::time::timeout(GLANCE, news.readable()).await {
                    readable.unwrap().clear_ready();
                }
                if self.is_seen(&mut skipped) {
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

/// Kills the process while one of its threads syncs a file whose path is `wanted`; whether the
/// thread was still at it after the blow.
fn strike_in_sync(process: &mut Guard, wanted: impl Fn(&str) -> bool) -> bool {
    let home = PathBuf::from(format!("/proc/{}", process.id()));
    let began = Instant::now();
    let call = loop {
        if let Some(found) = syncing(&home, &wanted) {
            break found;
        }
        assert!(began.elapsed() < HANG_GUARD, "no sync was met");
    };
    process.strike();
    let still = fs::read_to_string(&call.0).is_ok_and(|text| text == call.1);
    process.bury();
    still
}

/// The thread that syncs a wanted file: the file that tells its system call, and what that said.
fn syncing(process: &Path, wanted: impl Fn(&str) -> bool) -> Option<(PathBuf, String)> {
    for thread in fs::read_dir(process.join("task")).ok()? {
        let path = thread.ok()?.path().join("syscall");
        // A thread that ended meanwhile has none.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let mut words = text.split_ascii_whitespace();
        if words.next() != Some(FDATASYNC) {
            continue;
        }
        let file = words.next().and_then(|word| word.strip_prefix("0x"));
        let file = file.and_then(|digits| u32::from_str_radix(digits, 16).ok())?;
        let target = fs::read_link(process.join(format!("fd/{file}")));
        if target.is_ok_and(|target| target.to_str().is_some_and(&wanted)) {
            return Some((path, text));
        }
    }
    None
}

/// Number of the system call.
const FDATASYNC: &str = if cfg!(target_arch = "x86_64") { "75" } else { "83" };

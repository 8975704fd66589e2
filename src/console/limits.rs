//! Named limits of the console.

use std::time::Duration;

/// Time between the start of a node and the first look at the rules. Meters tick after 5 s, and
/// read as if all were busy before.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_secs(6);
/// Time between two looks at whether anybody watches the node.
pub(crate) const WATCHER_PAUSE: Duration = Duration::from_millis(250);
/// A look is followed by a pause of this many times its CPU time: half a percent of a core.
pub(crate) const PAUSE_PER_LOOK: u32 = 200;
/// Longest pause, in times of the one that is configured ...
pub(crate) const LONGEST_PAUSE: u32 = 4;
/// ... and longest pause that is not configured.
pub(crate) const LONGEST_STRETCHED: Duration = Duration::from_secs(120);
/// Rates of charts are taken over this time, or over so many of the longest pauses.
pub(crate) const CHART_WINDOW: Duration = Duration::from_secs(120);
pub(crate) const CHART_WINDOW_PAUSES: u32 = 2;

/// Answers that cost work, made at the same time; further ones wait.
pub(crate) const MAX_WORKING: usize = 2;
/// Alerts in an answer; more are counted.
pub(crate) const MAX_ALERTS: usize = 500;
/// Rows of a list in an answer; more are counted.
pub(crate) const MAX_ROWS: usize = 10_000;
/// Partitions of one group or topic in an answer, the worst first; more are counted.
pub(crate) const MAX_PARTITIONS: usize = 1_000;
/// Partitions that take too much, in an answer, the worst first; more are counted.
pub(crate) const MAX_SKEWED: usize = 200;
/// Hot keys in an answer, the hottest first; more are counted.
pub(crate) const MAX_HOT_KEYS: usize = 200;
/// Series of one chart, the largest first.
pub(crate) const MAX_LINES: usize = 12;
/// Beans in an answer; more are counted.
pub(crate) const MAX_BEANS: usize = 200;
/// Rules that are tried, in bytes.
pub(crate) const MAX_TRIED_BYTES: usize = 16 * 1024;
/// Beans of one kind that rules are tried on.
pub(crate) const TRIED_BEANS_OF_A_ROW: usize = 50;
/// Lines of the page that tried rules make.
pub(crate) const MAX_TRIED_LINES: usize = 200;
/// Work of a thread that rules are tried for ...
pub(crate) const TRYING: Duration = Duration::from_secs(2);
/// ... and how long they are tried at most, however busy the machine is.
pub(crate) const LONGEST_TRYING: Duration = Duration::from_secs(30);
/// Kinds of series that one name is explained as.
pub(crate) const MAX_EXPLAINED: usize = 40;
/// Browsers that are told of changes at the same time; others ask from time to time.
pub(crate) const MAX_STREAMS: usize = 32;
/// Longest name that is asked for, in bytes: that of any string of Kafka's protocol.
pub(crate) const MAX_NAME: usize = 32_767;
/// Over how long rates of partitions are taken, in ms.
pub(crate) const RATE_MS: i64 = 5 * 60 * 1000;
/// How far back charts go, in ms.
pub(crate) const CHART_MS: i64 = 60 * 60 * 1000;

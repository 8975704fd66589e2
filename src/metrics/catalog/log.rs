//! `kafka.log` and `kafka.utils`: logs, log directories, the cleaner.

use super::{meter, rows, timer};
use crate::row::{BeanRow, Shape};
use crate::value::ValueType;

rows! {
    LOG_SIZE = Shape::Gauge(ValueType::Long), "kafka.log:type=Log,name=Size,topic={topic},partition={partition}", "bytes", "Bytes on disk of one partition log.", "UnifiedLog";
    LOG_NUM_LOG_SEGMENTS = Shape::Gauge(ValueType::Int), "kafka.log:type=Log,name=NumLogSegments,topic={topic},partition={partition}", "segments", "Segments of one partition log.", "UnifiedLog";
    LOG_LOG_START_OFFSET = Shape::Gauge(ValueType::Long), "kafka.log:type=Log,name=LogStartOffset,topic={topic},partition={partition}", "offset", "First offset kept.", "UnifiedLog";
    LOG_LOG_END_OFFSET = Shape::Gauge(ValueType::Long), "kafka.log:type=Log,name=LogEndOffset,topic={topic},partition={partition}", "offset", "Next offset to be written.", "UnifiedLog";
    LOG_MANAGER_OFFLINE_LOG_DIRECTORY_COUNT = Shape::Gauge(ValueType::Int), "kafka.log:type=LogManager,name=OfflineLogDirectoryCount", "directories", "Log directories taken offline.", "LogManager";
    LOG_MANAGER_LOG_DIRECTORY_OFFLINE = Shape::Gauge(ValueType::Int), "kafka.log:type=LogManager,name=LogDirectoryOffline,logDirectory={logDirectory}", "0/1", "1 when this log directory is offline; the value is JMX-quoted because of the slashes.", "LogManager";
    LOG_MANAGER_REMAINING_LOGS_TO_RECOVER = Shape::Gauge(ValueType::Int), "kafka.log:type=LogManager,name=remainingLogsToRecover,dir={dir}", "logs", "Logs still to recover at start-up (only while recovery runs).", "LogManager";
    LOG_MANAGER_REMAINING_SEGMENTS_TO_RECOVER = Shape::Gauge(ValueType::Int), "kafka.log:type=LogManager,name=remainingSegmentsToRecover,dir={dir},threadNum={threadNum}", "segments", "Segments still to recover by one recovery thread.", "LogManager";
    LOG_CLEANER_MAX_BUFFER_UTILIZATION_PERCENT = Shape::Gauge(ValueType::Int), "kafka.log:type=LogCleaner,name=max-buffer-utilization-percent", "%", "Highest cleaner buffer utilisation in the last run.", "LogCleaner";
    LOG_CLEANER_CLEANER_RECOPY_PERCENT = Shape::Gauge(ValueType::Int), "kafka.log:type=LogCleaner,name=cleaner-recopy-percent", "%", "Bytes written over bytes read in the last cleaning.", "LogCleaner";
    LOG_CLEANER_MAX_CLEAN_TIME_SECS = Shape::Gauge(ValueType::Int), "kafka.log:type=LogCleaner,name=max-clean-time-secs", "s", "Longest last cleaning over the cleaner threads.", "LogCleaner";
    LOG_CLEANER_MAX_COMPACTION_DELAY_SECS = Shape::Gauge(ValueType::Int), "kafka.log:type=LogCleaner,name=max-compaction-delay-secs", "s", "Longest delay past the maximum compaction lag.", "LogCleaner";
    LOG_CLEANER_DEAD_THREAD_COUNT = Shape::Gauge(ValueType::Int), "kafka.log:type=LogCleaner,name=DeadThreadCount", "threads", "Cleaner threads that died.", "LogCleaner";
    LOG_CLEANER_MANAGER_UNCLEANABLE_PARTITIONS_COUNT = Shape::Gauge(ValueType::Int), "kafka.log:type=LogCleanerManager,name=uncleanable-partitions-count,logDirectory={logDirectory}", "partitions", "Partitions marked uncleanable in one directory.", "LogCleanerManager";
    LOG_CLEANER_MANAGER_UNCLEANABLE_BYTES = Shape::Gauge(ValueType::Int), "kafka.log:type=LogCleanerManager,name=uncleanable-bytes,logDirectory={logDirectory}", "bytes", "Bytes in uncleanable partitions of one directory.", "LogCleanerManager";
    LOG_CLEANER_MANAGER_MAX_DIRTY_PERCENT = Shape::Gauge(ValueType::Int), "kafka.log:type=LogCleanerManager,name=max-dirty-percent", "%", "Dirtiest log ratio.", "LogCleanerManager";
    LOG_CLEANER_MANAGER_TIME_SINCE_LAST_RUN_MS = Shape::Gauge(ValueType::Long), "kafka.log:type=LogCleanerManager,name=time-since-last-run-ms", "ms", "Time since the cleaner last ran.", "LogCleanerManager";
    LOG_FLUSH_STATS_LOG_FLUSH_RATE_AND_TIME_MS = timer("calls"), "kafka.log:type=LogFlushStats,name=LogFlushRateAndTimeMs", "ms", "Rate and duration of log flushes (fsync).", "LogSegment";
    THROTTLER_CLEANER_IO = meter("bytes"), "kafka.utils:type=Throttler,name=cleaner-io", "bytes", "Bytes passing the log-cleaner I/O throttler.", "Throttler";
    LOG_RETENTION_SIZE_IN_PERCENT = Shape::Gauge(ValueType::Int), "kafka.log:type=Log,name=RetentionSizeInPercent,topic={topic},partition={partition}", "percent", "Size of the log against retention.bytes; 0 without a size limit.", "UnifiedLog";
    LOG_MANAGER_CORDONED_LOG_DIRECTORY_COUNT = Shape::Gauge(ValueType::Int), "kafka.log:type=LogManager,name=CordonedLogDirectoryCount", "directories", "Log directories cordoned (no new replicas).", "UnifiedLog";
    LOG_MANAGER_LOG_DIRECTORY_CORDONED = Shape::Gauge(ValueType::Int), "kafka.log:type=LogManager,name=LogDirectoryCordoned,logDirectory={logDirectory}", "boolean", "1 when this log directory is cordoned.", "UnifiedLog";
}

//! The log of a partition: segments, indexes, producer state, retention, cleaning and recovery.

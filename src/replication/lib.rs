//! Partition state: ISR, high watermark, epochs and delayed operations.

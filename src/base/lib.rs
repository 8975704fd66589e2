//! Newtypes, clock, bounded queues, task supervision and size and duration parsing.

//! Groups and offsets as pure state machines over a log.

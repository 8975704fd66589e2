//! Instruments, beans, catalogue, rule engine and exposition.

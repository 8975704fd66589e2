//! Lag on a simulated clock over real logs.

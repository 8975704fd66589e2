//! One row per configuration key, and the files, environment and flags that feed the rows.

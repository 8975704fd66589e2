//! Rows of a client metrics subscription (KIP-714).

use crate::row::resource_rows;
use crate::value::List;

resource_rows! {
    /// Milliseconds between two pushes of a client's metrics.
    INTERVAL_MS: i32 = key("interval.ms").default("300000").between(100, 3_600_000);
    /// Which clients are asked, as name=pattern, each of which must match.
    MATCH: List = key("match").default("").client_match();
    /// Prefixes of the names of the metrics that are asked for; `*` means all.
    METRICS: List = key("metrics").default("");
}

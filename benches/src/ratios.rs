//! One file a ratio, or a pair that comes from one measurement.

pub(crate) mod agent;
pub(crate) mod blind;
pub(crate) mod compressed;
pub(crate) mod consume;
pub(crate) mod flush;
pub(crate) mod keys;
pub(crate) mod latency;
pub(crate) mod memory;
pub(crate) mod produce;
pub(crate) mod requests;
pub(crate) mod scrape;
pub(crate) mod start;
pub(crate) mod traced;

use crate::Plan;
use crate::broker::{Broker, Start};
use crate::machine::Place;

/// Partitions of the topic that large transfers go to.
const PARTITIONS: i32 = 16;

/// A fresh broker on the first core.
fn fresh(plan: &Plan, name: &str) -> anyhow::Result<Broker> {
    Broker::start(&Start {
        binary: &plan.binary,
        directory: plan.directory.join(name),
        overrides: &[],
        place: Place::Server,
    })
}

//! The catalogue: one row per template of beans, one file per area of JMX names, and the rows of
//! native families. Code registers nothing that has no row here.

pub mod broker_topics;
pub mod cluster;
pub mod controller;
pub mod coordinator;
pub mod log;
pub mod native;
pub mod network;
pub mod node;
pub mod quotas;
pub mod replicas;
pub mod requests;
pub mod sockets;

use crate::native::FamilyRow;
use crate::row::{BeanRow, RateUnit, Shape};

/// Declares the rows of a file and the list of them.
macro_rules! rows {
    ($($name:ident = $shape:expr, $template:literal, $unit:literal, $meaning:literal, $source:literal;)*) => {
        $(
            #[doc = $meaning]
            pub static $name: BeanRow = BeanRow {
                template: $template,
                shape: $shape,
                unit: $unit,
                meaning: $meaning,
                source: $source,
            };
        )*

        /// The rows of this file.
        pub static ROWS: &[&BeanRow] = &[$(&$name),*];
    };
}
use rows;

const fn meter(event: &'static str) -> Shape {
    Shape::Meter { event, rate_unit: RateUnit::Seconds }
}

/// A meter whose events are nanoseconds of idle time, so that its rates are shares.
const fn idle_meter(event: &'static str) -> Shape {
    Shape::Meter { event, rate_unit: RateUnit::Nanoseconds }
}

const fn timer(event: &'static str) -> Shape {
    Shape::Timer { event }
}

/// Every row.
pub fn rows_of_beans() -> impl Iterator<Item = &'static BeanRow> {
    [
        broker_topics::ROWS,
        cluster::ROWS,
        controller::ROWS,
        coordinator::ROWS,
        log::ROWS,
        network::ROWS,
        node::ROWS,
        quotas::ROWS,
        replicas::ROWS,
        requests::ROWS,
        sockets::ROWS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Every native family.
pub fn rows_of_families() -> impl Iterator<Item = &'static FamilyRow> {
    native::FAMILIES.iter().copied()
}

//! Instruments, beans, catalogue, rule engine and exposition: one truth under several names.
//!
//! An instrument lives beside the code that moves it; a bean reads instruments under Kafka's
//! name; a rule set turns beans into series; a page writes series. Nothing here knows what is
//! being counted: subsystems register with a [`Registry`].

mod bean;
mod bean_counts;
pub mod catalog;
mod docs;
mod exposition;
#[cfg(test)]
mod golden;
mod instruments;
mod native;
mod object_name;
mod process;
mod registry;
mod row;
pub mod rules;
pub mod truth;
mod value;

pub use bean::{Attributes, Bean, Callback, Scratch};
pub use bean_counts::BeanCounts;
pub use docs::markdown;
pub use exposition::{
    Attempt, AttemptLimits, Decided, Format, MAX_LABEL_VALUE, Pages, PagesOptions, accepts_gzip,
    attempt, bound_text, gzip, label_text, negotiate, only_families,
};
pub use instruments::{
    BLIND, GaugeCell, Histogram, Histograms, Meter, NativeHistogram, Rates, SampleWindows,
    SampledRate, Sensor, Snapshot, Text, Timer, TokenBucket,
};
pub use metrics::{Counter, Gauge};
pub use native::{Family, FamilyKind, FamilyRow, OTHER, Owner};
pub use object_name::{ObjectName, ObjectNameError, push_tag_value};
pub use registry::{Registered, Registry};
pub use row::{AttributeInfo, AttributeRow, BeanRow, Origin, RateUnit, Shape, Stat};
pub use rules::{Generation, RuleError, RuleSet};
pub use value::{Value, ValueType};

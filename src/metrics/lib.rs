//! Instruments, beans, catalogue, rule engine and exposition: one truth under several names.
//!
//! An instrument lives beside the code that moves it; a bean reads instruments under Kafka's
//! name; a rule set turns beans into series; a page writes series. Nothing here knows what is
//! being counted: subsystems register with a [`Registry`].

#![allow(dead_code)]

mod bean;
pub mod catalog;
mod instruments;
mod native;
mod object_name;
mod registry;
mod row;
mod value;

pub use bean::{Attributes, Bean, Callback, Scratch};
pub use instruments::{GaugeCell, Histogram, Meter, Rates, Sensor, Snapshot, Text, Timer};
pub use metrics::{Counter, Gauge, Histogram as NativeHistogram};
pub use native::{Family, FamilyKind, FamilyRow, OTHER, Owner};
pub use object_name::{ObjectName, ObjectNameError, push_tag_value};
pub use registry::{Registered, Registry};
pub use row::{AttributeInfo, AttributeRow, BeanRow, Origin, RateUnit, Shape, Stat};
pub use value::{Value, ValueType};

//! What a row says of its key. A row is a constant: no text is parsed before a value is asked for.

use std::marker::PhantomData;

use crate::check::Check;
use crate::value::Typed;

/// Everything that is known about one configuration key.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Kafka's name of the key, or ours.
    pub name: &'static str,
    /// Type of the value.
    pub kind: Kind,
    /// Value of a key that is not given.
    pub default: Default,
    /// What a value must fulfil beyond its type.
    pub check: Check,
    /// Weight in the documentation.
    pub importance: Importance,
    /// Hidden from DescribeConfigs and from the documentation.
    pub internal: bool,
    /// Whether the value may change while the broker runs.
    pub update: Update,
    /// Other broker keys that give the value, in falling priority.
    pub synonyms: &'static [&'static str],
    /// Broker keys that supply the default of a topic's or group's key, in falling priority.
    pub suppliers: &'static [Supplier],
    /// What giving a value does.
    pub effect: Effect,
    /// What the key means, in one sentence.
    pub doc: &'static str,
}

/// Type of a value, by the names of Kafka's `ConfigDef.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// 32-bit integer.
    Int,
    /// 16-bit integer.
    Short,
    /// 64-bit integer.
    Long,
    /// Floating point number.
    Double,
    /// Entries separated by commas.
    List,
    /// Name of a Java class.
    Class,
    /// Text that is never shown.
    Password,
}

impl Kind {
    /// Number of the type in DescribeConfigs (`DescribeConfigsResponse.ConfigType`).
    pub fn id(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }

    /// Kafka's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Int => "int",
            Self::Short => "short",
            Self::Long => "long",
            Self::Double => "double",
            Self::List => "list",
            Self::Class => "class",
            Self::Password => "password",
        }
    }
}

/// Value of a key that is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// None: loading derives a value or refuses to go on.
    Required,
    /// The key then has no value.
    Null,
    /// The text of the value.
    Text(&'static str),
}

impl Default {
    /// The text of the default, if it has one.
    pub fn text(self) -> Option<&'static str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Required | Self::Null => None,
        }
    }
}

/// Weight of a key in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// Looked at by every operator.
    High,
    /// Looked at when something is tuned.
    Medium,
    /// Rarely looked at.
    Low,
}

impl Importance {
    /// The word used in the documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// Whether and where a broker key may change while the broker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Only by a restart.
    ReadOnly,
    /// For one broker, not as a default of the cluster.
    PerBroker,
    /// For one broker or for all.
    ClusterWide,
}

impl Update {
    /// Kafka's word for the mode.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::PerBroker => "per-broker",
            Self::ClusterWide => "cluster-wide",
        }
    }
}

/// What giving a key a value does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The value acts.
    Honoured,
    /// The value is accepted and shown, and changes nothing, for the named reason.
    NoMeaning(&'static str),
    /// Any value but the default is refused, since it asks for something that is not there.
    Refused {
        /// What is not there.
        absent: &'static str,
        /// Values that ask for nothing and pass beside the default.
        harmless: &'static [&'static str],
    },
}

/// A broker key that supplies a default, and the factor that turns its value into ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supplier {
    /// Name of the broker key.
    pub name: &'static str,
    /// What its value is multiplied by.
    pub factor: i64,
}

/// A supplier whose value is taken as it is.
pub(crate) const fn same(name: &'static str) -> Supplier {
    Supplier { name, factor: 1 }
}

/// A supplier that counts minutes where the key counts milliseconds.
pub(crate) const fn minutes(name: &'static str) -> Supplier {
    Supplier { name, factor: 60_000 }
}

/// A supplier that counts hours where the key counts milliseconds.
pub(crate) const fn hours(name: &'static str) -> Supplier {
    Supplier { name, factor: 3_600_000 }
}

impl Row {
    /// Whether the value is a secret.
    pub const fn sensitive(&self) -> bool {
        matches!(self.kind, Kind::Password)
    }

    pub(crate) const fn default(mut self, text: &'static str) -> Self {
        self.default = Default::Text(text);
        self
    }

    pub(crate) const fn at_least(self, least: i64) -> Self {
        self.between(least, i64::MAX)
    }

    pub(crate) const fn between(mut self, least: i64, most: i64) -> Self {
        self.check = Check::Integers { least, most, also: None };
        self
    }

    pub(crate) const fn between_or(mut self, least: i64, most: i64, also: i64) -> Self {
        self.check = Check::Integers { least, most, also: Some(also) };
        self
    }

    pub(crate) const fn within(mut self, least: f64, most: f64) -> Self {
        self.check = Check::Numbers { least, most };
        self
    }

    pub(crate) const fn one_of(mut self, values: &'static [&'static str]) -> Self {
        self.check = Check::OneOf { values, ignore_case: false };
        self
    }

    pub(crate) const fn one_of_ignoring_case(mut self, values: &'static [&'static str]) -> Self {
        self.check = Check::OneOf { values, ignore_case: true };
        self
    }

    pub(crate) const fn non_empty(mut self) -> Self {
        self.check = Check::NonEmpty;
        self
    }

    pub(crate) const fn throttled_replicas(mut self) -> Self {
        self.check = Check::ThrottledReplicas;
        self
    }

    pub(crate) const fn offset_reset(mut self) -> Self {
        self.check = Check::OffsetReset;
        self
    }

    pub(crate) const fn client_match(mut self) -> Self {
        self.check = Check::ClientMatch;
        self
    }

    pub(crate) const fn topics(mut self) -> Self {
        self.check = Check::Topics;
        self
    }

    pub(crate) const fn high(mut self) -> Self {
        self.importance = Importance::High;
        self
    }

    pub(crate) const fn low(mut self) -> Self {
        self.importance = Importance::Low;
        self
    }

    pub(crate) const fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    pub(crate) const fn per_broker(mut self) -> Self {
        self.update = Update::PerBroker;
        self
    }

    pub(crate) const fn cluster_wide(mut self) -> Self {
        self.update = Update::ClusterWide;
        self
    }

    pub(crate) const fn synonyms(mut self, names: &'static [&'static str]) -> Self {
        self.synonyms = names;
        self
    }

    pub(crate) const fn supplied_by(mut self, suppliers: &'static [Supplier]) -> Self {
        self.suppliers = suppliers;
        self
    }

    pub(crate) const fn no_meaning(mut self, why: &'static str) -> Self {
        self.effect = Effect::NoMeaning(why);
        self
    }

    pub(crate) const fn refused(
        mut self,
        absent: &'static str,
        harmless: &'static [&'static str],
    ) -> Self {
        self.effect = Effect::Refused { absent, harmless };
        self
    }

    pub(crate) const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc.trim_ascii_start();
        self
    }

    /// Fixes the type to that of `T`, so that row and reader cannot disagree.
    pub(crate) const fn typed<T: Typed>(mut self) -> Self {
        self.kind = T::KIND;
        if !T::NULLABLE && matches!(self.default, Default::Null) {
            self.default = Default::Required;
        }
        self
    }
}

/// The beginning of a row; its type is given by [`Row::typed`].
pub(crate) const fn key(name: &'static str) -> Row {
    Row {
        name,
        kind: Kind::String,
        default: Default::Null,
        check: Check::Any,
        importance: Importance::Medium,
        internal: false,
        update: Update::ReadOnly,
        synonyms: &[],
        suppliers: &[],
        effect: Effect::Honoured,
        doc: "",
    }
}

/// A broker row together with the Rust type of its value: the only way to read a value.
#[derive(Debug)]
pub struct Key<T> {
    /// The row itself.
    pub row: Row,
    value: PhantomData<fn() -> T>,
}

impl<T: Typed> Key<T> {
    pub(crate) const fn new(row: Row) -> Self {
        Self { row: row.typed::<T>(), value: PhantomData }
    }
}

/// Declares broker rows as [`Key`]s, and the list of all of them. The documentation comment is the
/// row's documentation.
macro_rules! broker_rows {
    ($( #[doc = $doc:literal] $name:ident : $type:ty = $row:expr; )*) => {
        #[allow(unused_imports, reason = "not every table starts a row in each way")]
        use crate::row::{Key, Row, key};

        $( #[doc = $doc] pub static $name: Key<$type> = Key::new($row.doc($doc)); )*

        pub(super) static ALL: &[&Row] = &[$( &$name.row ),*];
    };
}

/// Declares rows of a topic, group or subscription: read through the struct that resolves them.
macro_rules! resource_rows {
    ($( #[doc = $doc:literal] $name:ident : $type:ty = $row:expr; )*) => {
        #[allow(unused_imports, reason = "not every table has suppliers")]
        use crate::row::{Row, hours, key, minutes, same};

        $( #[doc = $doc] pub static $name: Row = $row.doc($doc).typed::<$type>(); )*

        /// Every row of this table, by name.
        pub static ALL: &[&Row] = &[$( &$name ),*];
    };
}

pub(crate) use {broker_rows, resource_rows};

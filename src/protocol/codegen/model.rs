//! What the tables say, as data.

/// Versions from the first to the last; no last means "up to the newest".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub min: i16,
    pub max: i16,
}

impl Range {
    pub fn overlap(self, other: Self) -> Option<Self> {
        let both = Self { min: self.min.max(other.min), max: self.max.min(other.max) };
        (both.min <= both.max).then_some(both)
    }

    /// The condition on `v` under which a version of `all` lies in this range; `None` when all do.
    pub fn condition(self, all: Self) -> Option<String> {
        let Some(both) = self.overlap(all) else { return Some("false".into()) };
        match (both.min > all.min, both.max < all.max) {
            (false, false) => None,
            (true, false) => Some(format!("v >= {}", both.min)),
            (false, true) => Some(format!("v <= {}", both.max)),
            (true, true) => Some(format!("({}..={}).contains(&v)", both.min, both.max)),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Spec {
    pub apis: Vec<Api>,
    pub messages: Vec<Message>,
}

#[derive(Clone, Debug)]
pub struct Api {
    pub key: i16,
    pub name: String,
    pub broker: bool,
    pub controller: bool,
    pub cluster_action: bool,
    pub forwardable: bool,
    pub latest_version_unstable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Request,
    Response,
    Header,
    Record,
    Key,
    Value,
}

#[derive(Clone, Debug)]
pub struct Message {
    pub kind: Kind,
    pub name: String,
    pub api_key: Option<i16>,
    pub id: Option<i16>,
    pub versions: Option<Range>,
    pub flexible: Option<Range>,
    /// Which version of the header goes before which versions of the body.
    pub headers: Vec<(i16, Range)>,
    /// The message itself first, then the structs in it.
    pub structs: Vec<Struct>,
}

#[derive(Clone, Debug)]
pub struct Struct {
    pub name: String,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Bool,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub ty: Type,
    pub versions: Range,
    pub nullable: Option<Range>,
    pub default: Option<String>,
    pub tag: Option<u32>,
    pub ignorable: bool,
    pub inflexible: bool,
}

impl Message {
    pub fn find(&self, name: &str) -> Option<&Struct> {
        self.structs.iter().find(|s| s.name == name)
    }

    /// Whether a struct holds numbers only: then it is its own view.
    pub fn is_plain(&self, name: &str) -> bool {
        self.find(name).is_some_and(|s| {
            s.fields.iter().all(|field| match &field.ty {
                Type::String | Type::Bytes | Type::Records | Type::Array(_) => false,
                Type::Struct(inner) => self.is_plain(inner),
                _ => true,
            })
        })
    }

    /// Whether a struct, or one in it, has a field of type records.
    pub fn has_records(&self, ty: &Type) -> bool {
        match ty {
            Type::Records => true,
            Type::Array(inner) => self.has_records(inner),
            Type::Struct(name) => self
                .find(name)
                .is_some_and(|s| s.fields.iter().any(|field| self.has_records(&field.ty))),
            _ => false,
        }
    }
}

//! The truth of beans: which test moves an attribute by a known amount and reads it back.
//!
//! A test claims what an act does to attributes, acts, and sees whether the beans say so:
//!
//! ```ignore
//! let truth = truth!(&registry);
//! let claims = truth.claims([by(&rows::BYTES_IN_PER_SEC, &[], "Count", 70.0)]);
//! produce_seventy_bytes();
//! claims.hold();
//! ```
//!
//! `catalog/truth.tsv` names the test of every attribute. It cannot name a test that does not prove
//! what it is named for: each test compares what it proved with its lines, both ways, when it ends;
//! what has no line fails the test of the catalogue; and what names no test fails
//! `tests/it/truth.rs`. `UPDATE=1` writes the lines of the tests that run.

mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::registry::{Registry, fill};
use crate::row::{BeanRow, Shape};
use crate::value::Value;

pub use table::{Proof, Standing, TABLE, Table, feeds, kind_of, tests_of_families};

/// Longest wait for other threads to do what was claimed: a guard against hanging.
const HANG_GUARD: Duration = Duration::from_secs(30);

/// What a test sets out to prove. Name it by [`truth!`](crate::truth!), which tells it the test.
#[derive(Debug)]
pub struct Truth {
    registry: Registry,
    test: &'static str,
    table: PathBuf,
    proven: Mutex<BTreeSet<(String, String)>>,
}

/// What an act will do to one attribute.
#[derive(Debug)]
pub struct Claim {
    row: &'static BeanRow,
    bean: String,
    attribute: &'static str,
    change: Change,
    of_kind: bool,
}

#[derive(Debug)]
enum Change {
    By(f64),
    To(f64),
    Says(String),
}

/// Claims, and what the beans said before the act.
#[derive(Debug)]
#[must_use = "claims that are not held prove nothing"]
pub struct Claims<'a> {
    truth: &'a Truth,
    claims: Vec<(Claim, Option<Value>)>,
}

/// The attribute grows by `amount`; a bean that is not there yet counts as 0.
pub fn by(
    row: &'static BeanRow,
    tags: &[(&str, &str)],
    attribute: &'static str,
    amount: f64,
) -> Claim {
    Claim::new(row, tags, attribute, Change::By(amount))
}

/// The attribute comes to be `value`, which it is not now.
pub fn to(
    row: &'static BeanRow,
    tags: &[(&str, &str)],
    attribute: &'static str,
    value: f64,
) -> Claim {
    Claim::new(row, tags, attribute, Change::To(value))
}

/// The attribute comes to say `text`, which it does not now.
pub fn says(
    row: &'static BeanRow,
    tags: &[(&str, &str)],
    attribute: &'static str,
    text: &str,
) -> Claim {
    Claim::new(row, tags, attribute, Change::Says(text.to_owned()))
}

impl Claim {
    fn new(
        row: &'static BeanRow,
        tags: &[(&str, &str)],
        attribute: &'static str,
        change: Change,
    ) -> Self {
        Self { row, bean: fill(row, tags), attribute, change, of_kind: false }
    }

    /// Proves the figure for every bean of this kind of instrument.
    #[must_use]
    pub fn of_kind(self) -> Self {
        Self { of_kind: true, ..self }
    }

    fn holds(&self, before: Option<&Value>, now: Option<&Value>) -> bool {
        let number = |value: Option<&Value>| value.and_then(Value::as_f64);
        match (&self.change, now) {
            (Change::By(amount), Some(_)) => {
                let before = number(before).filter(|number| !number.is_nan()).unwrap_or(0.0);
                number(now).is_some_and(|now| close(now, before + amount))
            }
            (Change::To(value), _) => number(now).is_some_and(|now| close(now, *value)),
            (Change::Says(text), Some(Value::Text(now))) => **now == **text,
            _ => false,
        }
    }

    /// What the table calls it: bean or kind, and attribute or figure.
    fn subject(&self) -> (String, String) {
        if !self.of_kind {
            return (self.row.template.to_owned(), self.attribute.to_owned());
        }
        let figure = match self.row.shape {
            Shape::Attributes(rows) => {
                let row = rows.iter().find(|row| row.name == self.attribute);
                row.map_or("", |row| row.from.figure())
            }
            _ => self.attribute,
        };
        (kind_of(self.row).to_owned(), figure.to_owned())
    }
}

/// Equal but for the rounding of a sum.
fn close(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

impl Truth {
    /// For the test of this name; `manifest` is where its crate lies.
    pub fn of_test(registry: &Registry, test: &'static str, manifest: &str) -> Self {
        Self {
            registry: registry.clone(),
            test: test.trim_end_matches("::here").trim_end_matches("::{{closure}}"),
            table: Table::path(Path::new(manifest)),
            proven: Mutex::default(),
        }
    }

    /// Takes note of what the beans say now. A claim that holds already proves nothing and fails.
    pub fn claims(&self, claims: impl IntoIterator<Item = Claim>) -> Claims<'_> {
        let mut noted = Vec::new();
        for claim in claims {
            let before = self.registry.read(&claim.bean, claim.attribute);
            assert!(
                !claim.holds(before.as_ref(), before.as_ref()),
                "{} {} is {before:?} before anything is done",
                claim.bean,
                claim.attribute
            );
            noted.push((claim, before));
        }
        Claims { truth: self, claims: noted }
    }

    /// What the catalogue's file says of this test, and what it should say.
    fn settle(&self) -> Result<(), String> {
        let proven = self.proven.lock();
        if std::env::var_os("UPDATE").is_some() {
            return Table::update(&self.table, self.test, &proven).map_err(|it| it.to_string());
        }
        let text = std::fs::read_to_string(&self.table).map_err(|it| it.to_string())?;
        let table = Table::parse(&text)?;
        for (subject, attribute) in &*proven {
            if !matches!(table.standing(subject, attribute), Some(Standing::Test(_))) {
                return Err(format!("{subject} {attribute} has no line: UPDATE=1 writes it"));
            }
        }
        let mine = table.lines().filter(|line| line.standing == Standing::Test(self.test));
        for line in mine {
            if !proven.contains(&(line.subject.to_owned(), line.attribute.to_owned())) {
                let (subject, attribute) = (line.subject, line.attribute);
                return Err(format!("{subject} {attribute} is not proven by {}", self.test));
            }
        }
        Ok(())
    }
}

impl Drop for Truth {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let settled = self.settle();
            assert!(settled.is_ok(), "{}: {settled:?}", self.table.display());
        }
    }
}

impl Claims<'_> {
    /// Whether all have come true.
    pub fn are_true(&self) -> bool {
        self.claims
            .iter()
            .all(|(claim, before)| claim.holds(before.as_ref(), self.now(claim).as_ref()))
    }

    /// Asserts that all have come true, and takes them as proven.
    pub fn hold(self) {
        for (claim, before) in &self.claims {
            let now = self.now(claim);
            assert!(
                claim.holds(before.as_ref(), now.as_ref()),
                "{} {} was {before:?}, is {now:?}, should have moved {:?}",
                claim.bean,
                claim.attribute,
                claim.change
            );
        }
        let subjects = self.claims.iter().map(|(claim, _)| claim.subject());
        self.truth.proven.lock().extend(subjects);
    }

    /// Waits until other threads have made them true, then as [`Claims::hold`].
    pub fn wait(self) {
        let began = Instant::now();
        while !self.are_true() && began.elapsed() < HANG_GUARD {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        self.hold();
    }

    fn now(&self, claim: &Claim) -> Option<Value> {
        self.truth.registry.read(&claim.bean, claim.attribute)
    }
}

/// A [`Truth`] that knows which test it stands in.
#[macro_export]
macro_rules! truth {
    ($registry:expr) => {{
        fn here() {}
        fn name<T>(_: T) -> &'static str {
            std::any::type_name::<T>()
        }
        $crate::truth::Truth::of_test($registry, name(here), env!("CARGO_MANIFEST_DIR"))
    }};
}

#[cfg(test)]
mod tests;

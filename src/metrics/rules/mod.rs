//! The language of jmx_exporter's rule files: patterns over beans that make names and labels.
//!
//! A rule runs when a bean appears, not when it is scraped, unless its pattern looks at a value.

mod beans_page;
mod check;
mod config;
pub(crate) mod dump;
pub(crate) mod evaluate;
mod http_server;
mod keys;
mod lines;
mod name_pattern;
pub(crate) mod names;
mod pattern;
mod prefilter;
mod reason;
mod selection;
mod survey;
mod template;
mod variables;
mod yaml;

pub use check::{Checked, Class, Finding, Renamed, check};
pub use config::{Generation, RuleError, RuleSet};
pub(crate) use config::{Kind, utf16};
pub use dump::{DumpError, MAX_DUMP};
pub use http_server::{BasicUser, HttpServer, Ssl, SslIdentity, SslStore};
pub(crate) use pattern::Stop;
pub use survey::Lineage;
pub use yaml::MAX_FILE;

use std::sync::Arc;

use crate::exposition::{Collector, Format, Origin, render_rules};

/// The rule sets that are compiled in, by file name.
pub const BUILT_IN: [(&str, &str); 2] = [
    ("default.yml", include_str!("../../../prometheus/jmx/default.yml")),
    ("confluent.yml", include_str!("../../../prometheus/jmx/confluent.yml")),
];

/// What [`eval`] makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The exposition, as on the first scrape.
    pub text: String,
    /// Samples dropped, `reason: count` each.
    pub dropped: Vec<String>,
    /// What the rule file says in vain.
    pub warnings: Vec<String>,
}

/// Why there is nothing to print.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The rule file is refused.
    #[error(transparent)]
    Rules(#[from] RuleError),
    /// The bean dump is refused.
    #[error(transparent)]
    Dump(#[from] DumpError),
}

/// The exposition that a rule file makes of a bean dump: `pharos rules eval`.
///
/// # Errors
/// When the rule file or the dump is refused.
pub fn eval(
    yaml: &str,
    file: &str,
    dump: &str,
    generation: Generation,
) -> Result<Evaluation, EvalError> {
    let mut collector = collect(yaml, file, dump, generation)?;
    let warnings = collector.rules().warnings().to_vec();
    let (page, dropped) = render_rules(&mut collector, Format::Text, false);
    let dropped = dropped.iter().map(|(reason, n)| format!("{}: {n}", reason.name())).collect();
    let text = String::from_utf8_lossy(&page).into_owned();
    Ok(Evaluation { text, dropped, warnings })
}

/// [`eval`] in any format, or as on the second scrape, which in 1.x tells of the first.
#[cfg(test)]
pub(crate) fn eval_as(
    (yaml, file): (&str, &str),
    dump: &str,
    generation: Generation,
    format: Format,
    second: bool,
) -> Result<Vec<u8>, EvalError> {
    let mut collector = collect(yaml, file, dump, generation)?;
    Ok(render_rules(&mut collector, format, second).0)
}

fn collect(
    yaml: &str,
    file: &str,
    dump: &str,
    generation: Generation,
) -> Result<Collector, EvalError> {
    let rules = RuleSet::parse(yaml, file, generation)?;
    let mut collector = Collector::new(Arc::new(rules));
    for (bean, id) in dump::read(dump)?.into_iter().zip(0_u64..) {
        collector.add(id, Origin::Dump(Arc::new(bean)));
    }
    Ok(collector)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Nothing that comes in a file panics.
        #[test]
        fn any_text_is_read_or_refused(
            pattern in "\\PC{0,40}",
            class in "[\\[\\]\\\\(){}|*+?^$.<>=!:a-z0-9&,-]{0,30}",
            name in "[\\\\${}a-z0-9]{0,12}",
            dump in "\\PC{0,40}",
        ) {
            for pattern in [&pattern, &class] {
                let quoted = pattern.replace('\'', "''");
                let name = name.replace('\'', "''");
                let yaml = format!("rules:\n- pattern: '{quoted}'\n  name: 'x{name}'\n");
                let line = "kafka.x:type=Y,a=\"b,c\"\tv\tjava.lang.Long\t1\t\td\n";
                let _ = eval(&yaml, "f.yml", line, Generation::V1);
            }
            let _ = RuleSet::parse(&pattern, "f.yml", Generation::V0);
            let _ = dump::read(&dump);
            let _ = dump::read(&format!("{{{dump}"));
            let _ = dump::read(&format!("{{\"beans\":{{\"a:b=c\":{{\"d\":{{\"type\":\"double\",\"value\":{dump}}}}}}}}}"));
            let _ = dump::read(&format!("a:b=c\tv\tjavax.management.openmbean.TabularData\t{dump}"));
        }
    }
}

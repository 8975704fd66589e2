//! What holds for every row.

use std::collections::HashSet;

use crate::broker::default_value;
use crate::*;

fn every_table() -> Vec<&'static Row> {
    let tables =
        [rows::topic::ALL, rows::group::ALL, rows::client_metrics::ALL, rows::throttle::ALL];
    rows::broker().iter().copied().chain(tables.into_iter().flatten().copied()).collect()
}

#[test]
fn names_are_unique_and_documented() {
    let mut names = HashSet::new();
    for row in rows::broker() {
        assert!(names.insert(row.name), "{} twice", row.name);
    }
    for row in every_table() {
        assert!(row.doc.ends_with('.') && row.doc.len() > 10, "{}: {:?}", row.name, row.doc);
    }
}

#[test]
fn every_default_passes_its_own_check() {
    for row in every_table() {
        let value = default_value(row);
        let value = value.unwrap_or_else(|| panic!("{} has a default of another type", row.name));
        assert!(row.check.passes(&value), "{} refuses its default {value:?}", row.name);
        if let (Default::Text(text), false) = (row.default, row.sensitive()) {
            assert_eq!(value.shown().as_deref(), Some(text), "{}", row.name);
        }
    }
}

#[test]
fn synonyms_and_suppliers_are_broker_keys() {
    for row in every_table() {
        let named = row.suppliers.iter().map(|supplier| supplier.name);
        for name in row.synonyms.iter().copied().chain(named) {
            assert!(rows::broker_row(name).is_some(), "{} names {name}", row.name);
        }
    }
}

/// A text that cannot be a value of the row; `None` where every text is one.
fn malformed(row: &Row) -> Vec<String> {
    let mut texts: Vec<String> = match row.kind {
        Kind::Boolean => vec!["maybe", "", "1"],
        Kind::Int | Kind::Short | Kind::Long => {
            vec!["x", "", "1.5", "99999999999999999999", "-99999999999999999999"]
        }
        Kind::Double => vec!["x", "", "NaN"],
        Kind::String | Kind::List | Kind::Class | Kind::Password => vec![],
    }
    .into_iter()
    .map(str::to_owned)
    .collect();
    match row.check {
        Check::Integers { least, most, also } => {
            let outside = [least.checked_sub(1), most.checked_add(1)].into_iter().flatten();
            texts.extend(outside.filter(|n| Some(*n) != also).map(|n| n.to_string()));
        }
        Check::Numbers { least, most } => {
            texts.extend([(least - 0.5).to_string(), (most + 0.5).to_string()]);
        }
        Check::OneOf { .. } => texts.push("nonsense".to_owned()),
        Check::NonEmpty if row.kind == Kind::List => texts.push("a,,b".to_owned()),
        Check::Topics => texts.extend(["a,b c", "..", "a,,b"].map(str::to_owned)),
        _ => {}
    }
    texts
}

#[test]
fn a_malformed_value_of_any_key_is_refused_in_one_line() {
    for row in rows::broker() {
        for text in malformed(row) {
            let sources = Sources::new(Mode::Server).overrides([&*format!("{}={text}", row.name)]);
            let error = BrokerConfig::load(sources.unwrap())
                .expect_err(&format!("{}={text} passed", row.name))
                .to_string();
            assert!(
                error.starts_with(&format!("--override: {}={text}: expected ", row.name)),
                "{error}"
            );
            assert!(!error.contains('\n'), "{error}");
        }
    }
}

#[test]
fn the_default_of_any_key_is_accepted_when_it_is_written_out() {
    for row in rows::broker() {
        let Default::Text(text) = row.default else { continue };
        let argument = format!("{}={text}", row.name);
        let sources = Sources::new(Mode::Server).overrides([&*argument]).unwrap();
        let (config, warnings) = BrokerConfig::load(sources).unwrap_or_else(|e| panic!("{e}"));
        if row.name != "broker.id" {
            assert_eq!(config.value(row).shown().as_deref(), Some(text), "{}", row.name);
        }
        let quiet = !matches!(row.effect, Effect::NoMeaning(_));
        let idle = warnings.iter().any(|warning| matches!(warning, Warning::NoMeaning(_)));
        assert_eq!(idle, !quiet, "{}: {warnings:?}", row.name);
    }
}

#[test]
fn what_asks_for_something_absent_is_refused_by_name() {
    for row in rows::broker() {
        let Effect::Refused { absent, .. } = row.effect else { continue };
        let value = match row.kind {
            Kind::Boolean if row.default == Default::Text("true") => "false",
            Kind::Boolean => "true",
            Kind::Int | Kind::Short | Kind::Long => "7",
            Kind::Double => "0.125",
            _ => match row.check {
                Check::OneOf { values, .. } => {
                    values.iter().find(|v| Default::Text(v) != row.default).unwrap()
                }
                _ => "something",
            },
        };
        let error = BrokerConfig::defaults(&[&format!("{}={value}", row.name)])
            .expect_err(row.name)
            .to_string();
        assert!(error.contains(row.name) && error.contains(absent), "{error}");
        assert_eq!(error.contains(value), !row.sensitive(), "{error}");
    }
}

//! Which limit holds for whom, of one kind of quota: the order of precedence of Kafka
//! (`ClientQuotaManager.DefaultQuotaCallback`).

use std::collections::HashMap;
use std::sync::Arc;

use pharos_metadata::image::{QuotaEntity, QuotaName};

/// A client as quotas know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// Who it is.
    pub user: Arc<str>,
    /// What it calls itself.
    pub client_id: Arc<str>,
}

/// Whom a limit is shared by, as beans are tagged: those with this user, this client id, or both.
/// What is empty does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tags {
    /// The user, or empty.
    pub user: Arc<str>,
    /// The client id, or empty.
    pub client_id: Arc<str>,
}

/// Which combinations have had limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shapes(u8);

impl Shapes {
    const NONE: Self = Self(0);
    const CLIENT_ID: Self = Self(1);
    const USER: Self = Self(2);
    const BOTH: Self = Self(4);
}

/// The limits of one kind.
#[derive(Debug, Default)]
pub struct LimitTable {
    limits: HashMap<QuotaEntity, f64>,
    /// Only grows, as in Kafka: beans stay as they are when a limit goes away again.
    shapes: Shapes,
}

impl LimitTable {
    /// The limit set on exactly this entity.
    pub fn get(&self, entity: &QuotaEntity) -> Option<f64> {
        self.limits.get(entity).copied()
    }

    /// Sets a limit or takes it away.
    pub fn set(&mut self, entity: &QuotaEntity, limit: Option<f64>) {
        let shape = match (&entity.user, &entity.client_id) {
            (Some(_), Some(_)) => Shapes::BOTH,
            (Some(_), None) => Shapes::USER,
            (None, Some(_)) => Shapes::CLIENT_ID,
            (None, None) => Shapes::NONE,
        };
        self.shapes.0 |= shape.0;
        match limit {
            Some(limit) => drop(self.limits.insert(entity.clone(), limit)),
            None => drop(self.limits.remove(entity)),
        }
    }

    /// Whose limit a client shares.
    pub fn tags(&self, client: &Client) -> Tags {
        let empty = || Arc::from("");
        let Client { user, client_id } = client.clone();
        match self.shapes {
            Shapes::NONE | Shapes::CLIENT_ID => Tags { user: empty(), client_id },
            Shapes::USER => Tags { user, client_id: empty() },
            Shapes::BOTH => Tags { user, client_id },
            _ => {
                let own_user = || named(&user);
                let own_id = || named(&client_id);
                let levels = [
                    (own_user(), own_id()),
                    (own_user(), default()),
                    (own_user(), None),
                    (default(), own_id()),
                    (default(), default()),
                    (default(), None),
                ];
                let level = levels.into_iter().find(|(user, client_id)| {
                    self.limits.contains_key(&entity(user.clone(), client_id.clone()))
                });
                match level {
                    Some((_, Some(_))) => Tags { user, client_id },
                    Some((_, None)) => Tags { user, client_id: empty() },
                    None => Tags { user: empty(), client_id },
                }
            }
        }
    }

    /// The limit of those that share `tags`.
    pub fn limit(&self, tags: &Tags) -> Option<f64> {
        let levels = match (tags.user.is_empty(), tags.client_id.is_empty()) {
            (false, false) => vec![
                (named(&tags.user), named(&tags.client_id)),
                (named(&tags.user), default()),
                (default(), named(&tags.client_id)),
                (default(), default()),
            ],
            (false, true) => vec![(named(&tags.user), None), (default(), None)],
            (true, false) => vec![(None, named(&tags.client_id)), (None, default())],
            (true, true) => Vec::new(),
        };
        levels.into_iter().find_map(|(user, client_id)| self.get(&entity(user, client_id)))
    }
}

fn named(name: &Arc<str>) -> Option<QuotaName> {
    Some(QuotaName::Named(name.clone()))
}

fn default() -> Option<QuotaName> {
    Some(QuotaName::Default)
}

fn entity(user: Option<QuotaName>, client_id: Option<QuotaName>) -> QuotaEntity {
    QuotaEntity { user, client_id, ip: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a/c`, `*/c`, `a/`, `/*`: user and client id, `*` for the default, nothing for neither.
    fn parse(text: &str) -> QuotaEntity {
        let (user, client_id) = text.split_once('/').unwrap();
        let part = |text: &str| match text {
            "" => None,
            "*" => default(),
            name => named(&name.into()),
        };
        entity(part(user), part(client_id))
    }

    fn check(limits: &[(&str, f64)], expected: &[(&str, &str, Option<f64>)]) {
        let mut table = LimitTable::default();
        for (entity, limit) in limits {
            table.set(&parse(entity), Some(*limit));
        }
        for (client, tags, limit) in expected {
            let (user, client_id) = client.split_once('/').unwrap();
            let client = Client { user: user.into(), client_id: client_id.into() };
            let found = table.tags(&client);
            assert_eq!(format!("{}/{}", found.user, found.client_id), *tags, "{client:?}");
            assert_eq!(table.limit(&found), *limit, "{client:?}");
        }
    }

    #[test]
    fn the_most_specific_limit_holds() {
        let all = [
            ("a/c", 1.0),
            ("a/*", 2.0),
            ("a/", 3.0),
            ("*/c", 4.0),
            ("*/*", 5.0),
            ("*/", 6.0),
            ("/c", 7.0),
            ("/*", 8.0),
        ];
        check(&all, &[("a/c", "a/c", Some(1.0)), ("a/d", "a/d", Some(2.0))]);
        check(&all[2..], &[("a/c", "a/", Some(3.0)), ("b/c", "b/c", Some(4.0))]);
        check(&all[3..], &[("a/c", "a/c", Some(4.0)), ("a/d", "a/d", Some(5.0))]);
        check(&all[5..], &[("a/c", "a/", Some(6.0)), ("a/", "a/", Some(6.0))]);
        check(&all[6..], &[("a/c", "/c", Some(7.0)), ("a/d", "/d", Some(8.0))]);
        check(&[], &[("a/c", "/c", None)]);
    }

    #[test]
    fn one_level_alone_decides_the_tags() {
        check(&[("a/", 1.0)], &[("a/c", "a/", Some(1.0)), ("b/c", "b/", None)]);
        check(&[("a/c", 1.0)], &[("a/c", "a/c", Some(1.0)), ("b/d", "b/d", None)]);
        check(&[("/c", 1.0)], &[("a/c", "/c", Some(1.0)), ("a/d", "/d", None)]);
        check(&[("a/", 1.0), ("/c", 2.0)], &[("a/c", "a/", Some(1.0)), ("b/d", "/d", None)]);
    }

    #[test]
    fn what_was_limited_once_keeps_its_tags() {
        let mut table = LimitTable::default();
        table.set(&parse("a/"), Some(1.0));
        table.set(&parse("a/"), None);
        let client = Client { user: "a".into(), client_id: "c".into() };
        let tags = table.tags(&client);
        assert_eq!((&*tags.user, &*tags.client_id, table.limit(&tags)), ("a", "", None));
    }
}

//! Client quotas: whom a limit is for, and how high it is (KIP-546).

use std::collections::BTreeMap;
use std::sync::Arc;

use pharos_protocol::messages::ClientQuotaRecord;
use pharos_protocol::messages::client_quota_record::EntityData;

use super::{ApplyError, MetadataDelta, MetadataImage};
use crate::record::MetadataRecord;

/// Name of the part of an entity that is a user.
pub const USER: &str = "user";
/// Name of the part of an entity that is a client id.
pub const CLIENT_ID: &str = "client-id";
/// Name of the part of an entity that is an address.
pub const IP: &str = "ip";

/// Who is meant by one part of an entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaName {
    /// Everyone without an entry of their own.
    Default,
    /// The one of this name.
    Named(Arc<str>),
}

impl QuotaName {
    /// From the wire, where the default has no name.
    pub fn from_wire(name: Option<&str>) -> Self {
        name.map_or(Self::Default, |name| Self::Named(name.into()))
    }

    /// As on the wire.
    pub fn to_wire(&self) -> Option<&str> {
        match self {
            Self::Default => None,
            Self::Named(name) => Some(name),
        }
    }
}

/// Whom limits are for: a user, a client id, both together, or an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaEntity {
    /// The user.
    pub user: Option<QuotaName>,
    /// What the client calls itself.
    pub client_id: Option<QuotaName>,
    /// The address, or a name that has one.
    pub ip: Option<QuotaName>,
}

impl QuotaEntity {
    /// The entity of these types and names; of a type that comes twice the last name counts, as in
    /// Kafka's map.
    ///
    /// # Errors
    /// The first type that is none.
    pub fn from_parts<'a>(
        parts: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Self, &'a str> {
        let mut entity = Self::default();
        for (kind, name) in parts {
            let part = match kind {
                USER => &mut entity.user,
                CLIENT_ID => &mut entity.client_id,
                IP => &mut entity.ip,
                unknown => return Err(unknown),
            };
            *part = Some(QuotaName::from_wire(name));
        }
        Ok(entity)
    }

    /// Its parts, in the order of Kafka's answers.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &QuotaName)> {
        [(CLIENT_ID, &self.client_id), (USER, &self.user), (IP, &self.ip)]
            .into_iter()
            .filter_map(|(kind, name)| Some((kind, name.as_ref()?)))
    }

    /// The part of that type.
    pub fn part(&self, kind: &str) -> Option<&QuotaName> {
        self.parts().find(|(have, _)| *have == kind).map(|(_, name)| name)
    }
}

/// The limits of one entity, by Kafka's keys.
pub type QuotaMap = BTreeMap<Arc<str>, f64>;

impl MetadataImage {
    /// The limits of one entity; `None` when it has none.
    pub fn quota(&self, entity: &QuotaEntity) -> Option<&Arc<QuotaMap>> {
        self.quotas.get(entity)
    }

    /// All entities that have limits.
    pub fn quotas(&self) -> impl Iterator<Item = (&QuotaEntity, &Arc<QuotaMap>)> {
        self.quotas.iter()
    }

    pub(super) fn set_quota(
        &mut self,
        record: &ClientQuotaRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        let parts =
            record.entity.iter().map(|part| (&*part.entity_type, part.entity_name.as_deref()));
        let entity = QuotaEntity::from_parts(parts)
            .map_err(|kind| ApplyError::UnknownQuotaEntity(kind.to_owned()))?;
        let limits = self.quotas.get(&entity).map(|limits| (**limits).clone());
        let mut limits = limits.unwrap_or_default();
        if record.remove {
            limits.remove(&*record.key);
        } else {
            limits.insert(record.key.as_str().into(), record.value);
        }
        if limits.is_empty() {
            self.quotas.remove(&entity);
        } else {
            self.quotas.insert(entity.clone(), Arc::new(limits));
        }
        delta.quotas_changed.insert(entity);
        Ok(())
    }
}

/// The record that sets a limit of an entity, or with `None` takes it away.
pub(crate) fn quota_record(entity: &QuotaEntity, key: &str, value: Option<f64>) -> MetadataRecord {
    let parts = entity.parts().map(|(kind, name)| EntityData {
        entity_type: kind.to_owned(),
        entity_name: name.to_wire().map(str::to_owned),
    });
    MetadataRecord::ClientQuota(ClientQuotaRecord {
        entity: parts.collect(),
        key: key.to_owned(),
        value: value.unwrap_or_default(),
        remove: value.is_none(),
    })
}

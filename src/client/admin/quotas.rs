//! Client quotas: limits of users, client ids and addresses (KIP-546), and which SCRAM credentials
//! users have (KIP-554).

use pharos_protocol::ErrorCode;
use pharos_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use pharos_protocol::messages::describe_client_quotas_request::ComponentData;
use pharos_protocol::messages::describe_user_scram_credentials_request::UserName;
use pharos_protocol::messages::{
    AlterClientQuotasRequest, DescribeClientQuotasRequest, DescribeUserScramCredentialsRequest,
};

use super::Admin;
use crate::cluster::Target;
use crate::error::{ClientError, Result};

/// The types of what carries quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaKind {
    /// A user.
    User,
    /// What a client calls itself.
    ClientId,
    /// An address.
    Ip,
}

impl QuotaKind {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::ClientId => "client-id",
            Self::Ip => "ip",
        }
    }
}

/// Whom limits are for: types and names; no name is the default of the type.
pub type QuotaEntity = Vec<(QuotaKind, Option<String>)>;

/// What one part of an entity must be like to be described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaMatch {
    /// This name.
    Exact(String),
    /// The default.
    Default,
    /// Any.
    Any,
}

/// An entity and its limits, by key.
pub type DescribedQuota = (QuotaEntity, Vec<(String, f64)>);

/// Mechanism and iterations of a user's SCRAM credentials.
pub type ScramCredentials = (String, Result<Vec<(&'static str, i32)>>);

impl Admin {
    /// The quotas of the entities that have these parts and, when `strict`, no others; sorted.
    ///
    /// # Errors
    /// When it is refused or nobody answers in time.
    pub async fn describe_client_quotas(
        &self,
        filter: &[(QuotaKind, QuotaMatch)],
        strict: bool,
    ) -> Result<Vec<DescribedQuota>> {
        let component = |(kind, wanted): &(QuotaKind, QuotaMatch)| {
            let (match_type, match_) = match wanted {
                QuotaMatch::Exact(name) => (0, Some(name.clone())),
                QuotaMatch::Default => (1, None),
                QuotaMatch::Any => (2, None),
            };
            ComponentData { entity_type: kind.name().to_owned(), match_type, match_ }
        };
        let request = DescribeClientQuotasRequest {
            components: filter.iter().map(component).collect(),
            strict,
        };
        let response =
            self.cluster.call_retrying("describing client quotas", Target::Any, &request).await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        let entries = response.entries.unwrap_or_default().into_iter().map(|entry| {
            let mut entity: QuotaEntity = entry
                .entity
                .into_iter()
                .filter_map(|part| Some((kind_of(&part.entity_type)?, part.entity_name)))
                .collect();
            entity.sort();
            let mut values: Vec<_> =
                entry.values.into_iter().map(|value| (value.key, value.value)).collect();
            values.sort_by(|a, b| a.0.cmp(&b.0));
            (entity, values)
        });
        let mut entries: Vec<DescribedQuota> = entries.collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }

    /// Sets limits of one entity; `None` takes a limit away.
    ///
    /// # Errors
    /// When it is refused or nobody answers in time.
    pub async fn alter_client_quotas(
        &self,
        entity: &QuotaEntity,
        changes: &[(String, Option<f64>)],
    ) -> Result<()> {
        let parts = entity.iter().map(|(kind, name)| EntityData {
            entity_type: kind.name().to_owned(),
            entity_name: name.clone(),
        });
        let ops = changes.iter().map(|(key, value)| OpData {
            key: key.clone(),
            value: value.unwrap_or_default(),
            remove: value.is_none(),
        });
        let entry = EntryData { entity: parts.collect(), ops: ops.collect() };
        let request = AlterClientQuotasRequest { entries: vec![entry], validate_only: false };
        let response =
            self.cluster.call_retrying("altering client quotas", Target::Any, &request).await?;
        response.entries.iter().try_for_each(|entry| {
            ClientError::check(entry.error_code, entry.error_message.as_deref())
        })
    }

    /// The SCRAM credentials of these users, or of all when none is named. Users without any are
    /// left out, and a cluster that does not know the question has none.
    ///
    /// # Errors
    /// When it is refused or nobody answers in time.
    pub async fn describe_scram_credentials(
        &self,
        users: &[String],
    ) -> Result<Vec<ScramCredentials>> {
        if self.features().await?.range(DESCRIBE_SCRAM).is_none() {
            return Ok(Vec::new());
        }
        let named = users.iter().map(|name| UserName { name: name.clone() }).collect();
        let request =
            DescribeUserScramCredentialsRequest { users: (!users.is_empty()).then_some(named) };
        let what = "describing SCRAM credentials";
        let response = self.cluster.call_retrying(what, Target::Any, &request).await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        let known = response
            .results
            .into_iter()
            .filter(|result| result.error_code != ErrorCode::ResourceNotFound.code());
        let credentials = known.map(|result| {
            let checked = ClientError::check(result.error_code, result.error_message.as_deref());
            let infos = result.credential_infos.into_iter();
            let infos = infos.map(|info| (mechanism(info.mechanism), info.iterations)).collect();
            (result.user, checked.map(|()| infos))
        });
        Ok(credentials.collect())
    }
}

/// Key of DescribeUserScramCredentials.
const DESCRIBE_SCRAM: i16 = 50;

fn kind_of(name: &str) -> Option<QuotaKind> {
    [QuotaKind::User, QuotaKind::ClientId, QuotaKind::Ip].into_iter().find(|it| it.name() == name)
}

fn mechanism(code: i8) -> &'static str {
    match code {
        1 => "SCRAM-SHA-256",
        2 => "SCRAM-SHA-512",
        _ => "UNKNOWN",
    }
}

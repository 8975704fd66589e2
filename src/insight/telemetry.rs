//! Client telemetry (KIP-714): what clients are asked for, and what they push.
//!
//! It owns subscriptions, the instances that were heard of, and the series of what they pushed. A
//! state machine: it is given the time and the facts of the connection, and answers at once.
//! Errors come in Kafka's order (`org.apache.kafka.server.ClientMetricsManager`).

mod instance;
mod name;
mod otlp;
mod series;
mod subscription;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use pharos_base::TopicId;
use pharos_config::ClientMetricsConfig;
use pharos_metrics::catalog::{native, node};
use pharos_metrics::{Attributes, Counter, Family, Gauge, Registered, Registry, Sensor};
use pharos_protocol::ErrorCode;
use pharos_protocol::compression::{Codec, CompressionError, decompress};
use pharos_protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequestRef,
    PushTelemetryResponse,
};

use self::instance::Instance;
use self::series::{ClientSeries, Pusher, label};
pub use self::subscription::ClientFacts;
use self::subscription::{Subscription, wanted};

/// Client instances that are remembered; then the one that was silent longest is forgotten.
const MAX_INSTANCES: usize = 16_384;
/// Codecs that clients may use, the best first.
const CODECS: [Codec; 4] = [Codec::Zstd, Codec::Lz4, Codec::Gzip, Codec::Snappy];

/// Answers GetTelemetrySubscriptions and PushTelemetry, and shows what was pushed.
#[derive(Debug)]
pub struct ClientTelemetry {
    max_bytes: i32,
    state: Mutex<State>,
    series: Mutex<ClientSeries>,
    outcomes: Vec<(ErrorCode, Registered<Counter>)>,
    bean: Registered<Attributes>,
    unknown_subscriptions: Sensor,
}

#[derive(Debug)]
struct State {
    subscriptions: Vec<Arc<Subscription>>,
    /// Grows with each change of the subscriptions.
    version: u64,
    instances: HashMap<TopicId, Known>,
    /// The instances by when they were last heard of.
    silence: BTreeSet<(i64, TopicId)>,
    software: Software,
    count: Gauge,
}

/// An instance and the software that it runs.
#[derive(Debug)]
struct Known {
    instance: Instance,
    software: NameAndVersion,
}

type NameAndVersion = (Arc<str>, Arc<str>);

/// Instances by name and version of their software.
#[derive(Debug)]
struct Software {
    family: Family,
    counts: HashMap<NameAndVersion, (Registered<Gauge>, usize)>,
}

impl ClientTelemetry {
    /// Nobody is asked for anything before [`Self::set_subscriptions`]. `max_bytes` is
    /// `telemetry.max.bytes`: of a push as it comes, and again of what it decompresses to.
    pub fn new(registry: &Registry, max_bytes: i32) -> Self {
        let bean = registry.attributes(&node::CLIENT_METRICS, &[]);
        let pushes = registry.family(&native::PHAROS_TELEMETRY_PUSHES_TOTAL);
        let outcomes =
            OUTCOMES.iter().map(|(error, name)| (*error, pushes.counter(&[name]))).collect();
        let state = State {
            subscriptions: Vec::new(),
            version: 0,
            instances: HashMap::new(),
            silence: BTreeSet::new(),
            software: Software {
                family: registry.family(&native::PHAROS_CLIENT_INSTANCES),
                counts: HashMap::new(),
            },
            count: bean.gauge("instance-count"),
        };
        Self {
            max_bytes,
            state: Mutex::new(state),
            series: Mutex::new(ClientSeries::new(registry)),
            outcomes,
            unknown_subscriptions: bean.sensor("unknown-subscription-request"),
            bean,
        }
    }

    /// Other subscriptions from now on: all that have configuration.
    pub fn set_subscriptions(&self, configs: impl IntoIterator<Item = ClientMetricsConfig>) {
        let subscriptions =
            configs.into_iter().map(|config| Arc::new(Subscription::new(config))).collect();
        let mut state = self.state.lock();
        state.subscriptions = subscriptions;
        state.version += 1;
    }

    /// Answers GetTelemetrySubscriptions.
    pub fn get_subscriptions(
        &self,
        now_ms: i64,
        client: &ClientFacts<'_>,
        request: &GetTelemetrySubscriptionsRequest,
    ) -> GetTelemetrySubscriptionsResponse {
        let mut state = self.state.lock();
        let id = match request.client_instance_id {
            TopicId::ZERO => TopicId::random(),
            known => known,
        };
        let instance = state.instance(now_ms, id, client);
        if let Err(error) = instance.get(now_ms) {
            return GetTelemetrySubscriptionsResponse {
                error_code: error.code(),
                ..GetTelemetrySubscriptionsResponse::default()
            };
        }
        let wanted = &instance.wanted;
        GetTelemetrySubscriptionsResponse {
            client_instance_id: id,
            subscription_id: wanted.id,
            accepted_compression_types: CODECS.map(|codec| codec.id().cast_signed()).to_vec(),
            push_interval_ms: wanted.interval_ms,
            telemetry_max_bytes: self.max_bytes,
            delta_temporality: true,
            requested_metrics: wanted.metrics.clone(),
            ..GetTelemetrySubscriptionsResponse::default()
        }
    }

    /// Answers PushTelemetry and takes in what it brings.
    pub fn push(
        &self,
        now_ms: i64,
        client: &ClientFacts<'_>,
        request: &PushTelemetryRequestRef<'_>,
    ) -> PushTelemetryResponse {
        let result = self.accept(now_ms, client, request);
        let error = result.err().unwrap_or(ErrorCode::None);
        if let Some((_, counter)) = self.outcomes.iter().find(|(of, _)| *of == error) {
            counter.increment(1);
        }
        if error == ErrorCode::UnknownSubscriptionId {
            self.unknown_subscriptions.record(1.0);
        }
        PushTelemetryResponse { throttle_time_ms: 0, error_code: error.code() }
    }

    fn accept(
        &self,
        now_ms: i64,
        client: &ClientFacts<'_>,
        request: &PushTelemetryRequestRef<'_>,
    ) -> Result<(), ErrorCode> {
        let id = request.client_instance_id;
        // Kafka keeps 0 and 1 for itself (`Uuid.RESERVED`).
        if id.0.as_u128() <= 1 {
            return Err(ErrorCode::InvalidRequest);
        }
        let max_bytes = usize::try_from(self.max_bytes).unwrap_or(0);
        let (codec, interval_ms) = {
            let mut state = self.state.lock();
            let instance = state.instance(now_ms, id, client);
            (instance.push(now_ms, request, max_bytes)?, instance.wanted.interval_ms)
        };
        let client_id = Arc::from(label(client.client_id));
        let pusher = Pusher { instance: id, client_id, now_ms, interval_ms };
        let result = self.take(&pusher, codec, request.metrics);
        if let Some(known) = self.state.lock().instances.get_mut(&id) {
            return known.instance.done(result);
        }
        result
    }

    /// Takes in the figures of a push: all, or none when its bytes are broken.
    fn take(&self, pusher: &Pusher, codec: Codec, metrics: &[u8]) -> Result<(), ErrorCode> {
        if metrics.is_empty() {
            return Ok(());
        }
        let limit = u64::try_from(self.max_bytes).unwrap_or(0);
        let opened = decompress(codec, metrics, limit).map_err(|error| match error {
            CompressionError::OutputLimit { .. } => ErrorCode::TelemetryTooLarge,
            CompressionError::Malformed { .. } | CompressionError::Compress { .. } => {
                ErrorCode::InvalidRecord
            }
        })?;
        otlp::samples(&opened, &mut |_| {}).map_err(|error| {
            tracing::debug!(instance = %pusher.instance, %error, "client telemetry is broken");
            ErrorCode::InvalidRecord
        })?;
        let mut series = self.series.lock();
        otlp::samples(&opened, &mut |sample| series.take(pusher, &sample))
            .map_err(|_| ErrorCode::InvalidRecord)
    }

    /// Forgets instances and series that were silent for too long. Called about once a second.
    pub fn expire(&self, now_ms: i64) {
        self.series.lock().expire(now_ms);
        let mut state = self.state.lock();
        let silent = |known: &Known| known.instance.expires_ms() <= now_ms;
        let gone: Vec<_> =
            state.instances.iter().filter(|(_, known)| silent(known)).map(|(id, _)| *id).collect();
        for id in gone {
            state.forget(id);
        }
    }

    /// Its bean, `kafka.server:type=client-metrics`.
    pub fn bean(&self) -> &Attributes {
        &self.bean
    }
}

/// Outcomes of a push and their label values.
const OUTCOMES: [(ErrorCode, &str); 7] = [
    (ErrorCode::None, "ok"),
    (ErrorCode::InvalidRequest, "invalid_request"),
    (ErrorCode::ThrottlingQuotaExceeded, "throttled"),
    (ErrorCode::UnknownSubscriptionId, "unknown_subscription"),
    (ErrorCode::UnsupportedCompressionType, "unsupported_compression"),
    (ErrorCode::TelemetryTooLarge, "too_large"),
    (ErrorCode::InvalidRecord, "invalid_record"),
];

impl State {
    /// The instance `id`, made anew when it is not known or the subscriptions have changed.
    fn instance(&mut self, now_ms: i64, id: TopicId, client: &ClientFacts<'_>) -> &mut Instance {
        let version = self.version;
        let is_current =
            self.instances.get(&id).is_some_and(|known| known.instance.version == version);
        let (name, release) = (label(client.software_name), label(client.software_version));
        if !is_current {
            self.forget(id);
            if self.instances.len() >= MAX_INSTANCES
                && let Some((_, silent)) = self.silence.first().copied()
            {
                self.forget(silent);
            }
            self.software.move_by(name, release, true);
        }
        let wanted = || wanted(&self.subscriptions, id, client);
        let known = self.instances.entry(id).or_insert_with(|| Known {
            instance: Instance::new(wanted(), version, now_ms),
            software: (name.into(), release.into()),
        });
        self.silence.remove(&(known.instance.last_seen_ms, id));
        self.silence.insert((now_ms, id));
        known.instance.last_seen_ms = now_ms;
        if !is_current {
            self.count.increment(1.0);
        }
        &mut known.instance
    }

    fn forget(&mut self, id: TopicId) {
        if let Some(known) = self.instances.remove(&id) {
            self.silence.remove(&(known.instance.last_seen_ms, id));
            let (name, version) = known.software;
            self.software.move_by(&name, &version, false);
            self.count.decrement(1.0);
        }
    }
}

impl Software {
    /// Counts one instance more or less.
    fn move_by(&mut self, name: &str, version: &str, more: bool) {
        let key: NameAndVersion = (name.into(), version.into());
        let family = &self.family;
        let (gauge, count) =
            self.counts.entry(key.clone()).or_insert_with(|| (family.gauge(&[name, version]), 0));
        *count = if more { *count + 1 } else { count.saturating_sub(1) };
        gauge.set(*count as f64);
        if *count == 0 {
            self.counts.remove(&key);
        }
    }
}

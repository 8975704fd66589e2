//! The shared handle on a cluster: metadata, one connection per broker, retries.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pharos_base::{BrokerId, TopicId};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::metadata_request::MetadataRequestTopic;
use pharos_protocol::messages::{DescribeClusterRequest, MetadataRequest, MetadataResponse};
use rand::seq::SliceRandom;
use tokio::time::Instant;

use crate::config::{ClientConfig, HostPort};
use crate::connection::Connection;
use crate::error::{ClientError, Result};
use crate::metadata::{Metadata, Node};
use crate::wire::{self, Request, millis};

/// Which broker a request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Any broker that answers.
    Any,
    /// The broker of this id.
    Broker(BrokerId),
    /// The broker of this id on a connection of its own: joining a group waits for others, and
    /// what is behind it on the same connection would wait too.
    Coordinator(BrokerId),
}

/// A cluster. Clones share connections and metadata.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    config: ClientConfig,
    metadata: Mutex<Known>,
    slots: Mutex<HashMap<Place, Arc<Slot>>>,
}

#[derive(Default)]
struct Known {
    metadata: Arc<Metadata>,
    asked: Option<Instant>,
}

/// What a connection is kept under: the same broker reached as bootstrap server or by its id uses
/// two connections, as in Kafka's clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Bootstrap(HostPort),
    Broker(BrokerId, HostPort),
    Coordinator(BrokerId, HostPort),
}

impl Place {
    fn address(&self) -> &HostPort {
        match self {
            Self::Bootstrap(address) | Self::Broker(_, address) | Self::Coordinator(_, address) => {
                address
            }
        }
    }

    fn id(&self) -> BrokerId {
        match self {
            Self::Bootstrap(_) => BrokerId::NONE,
            Self::Broker(id, _) | Self::Coordinator(id, _) => *id,
        }
    }
}

#[derive(Default)]
struct Slot {
    state: tokio::sync::Mutex<SlotState>,
}

#[derive(Default)]
struct SlotState {
    connection: Option<Arc<Connection>>,
    failures: u32,
    retry_at: Option<Instant>,
}

impl Cluster {
    /// A handle; nothing is connected until something is asked.
    pub fn new(config: ClientConfig) -> Self {
        let metadata = Mutex::new(Known::default());
        Self { inner: Arc::new(Inner { config, metadata, slots: Mutex::default() }) }
    }

    /// Its settings.
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// What is known without asking.
    pub fn metadata(&self) -> Arc<Metadata> {
        self.inner.metadata.lock().metadata.clone()
    }

    /// True when the metadata is older than metadata.max.age.ms or was never asked for.
    pub fn metadata_is_old(&self) -> bool {
        let known = self.inner.metadata.lock();
        known.asked.is_none_or(|asked| asked.elapsed() > self.inner.config.metadata_max_age)
    }

    /// What is known of a topic without asking, while it is fresh.
    pub(crate) fn known(&self, topic: &str) -> Option<Arc<Metadata>> {
        let known = self.inner.metadata.lock();
        let fresh = known.asked?.elapsed() <= self.inner.config.metadata_max_age;
        let usable = known.metadata.topics.get(topic)?.error == ErrorCode::None;
        (fresh && usable).then(|| known.metadata.clone())
    }

    /// Asks for metadata once: of `topics`, or of all with `None`. Topics that do not exist are
    /// created if `create` is set and the broker allows it.
    ///
    /// # Errors
    /// When no broker answers. A topic's own error is in the result.
    pub async fn refresh(&self, topics: Option<&[String]>, create: bool) -> Result<Arc<Metadata>> {
        let request = MetadataRequest {
            topics: topics.map(|names| names.iter().map(|name| by_name(name)).collect()),
            allow_auto_topic_creation: create,
            ..MetadataRequest::default()
        };
        let (response, broker) = self.ask_metadata(&request).await?;
        self.learn(&response, topics, &broker)
    }

    async fn ask_metadata(&self, request: &MetadataRequest) -> Result<(MetadataResponse, String)> {
        let connection = self.connection(Target::Any).await?;
        let version = wire::version_of::<MetadataRequest>(&connection, i16::MAX)?;
        let response = wire::call(&connection, self.config(), request, version).await?;
        ClientError::check(response.error_code, None)?;
        Ok((response, connection.broker().to_owned()))
    }

    fn learn(
        &self,
        response: &MetadataResponse,
        asked: Option<&[String]>,
        from: &str,
    ) -> Result<Arc<Metadata>> {
        let mut newer = Metadata::from_response(response);
        if newer.brokers.is_empty() {
            return Err(ClientError::Malformed {
                broker: from.to_owned(),
                api: "Metadata",
                reason: "it names no broker".to_owned(),
            });
        }
        let mut known = self.inner.metadata.lock();
        known.metadata = Arc::new(match asked {
            None => newer,
            Some(asked) => {
                // What is known stays known: a broker must not add to it what it likes.
                let asked: HashSet<&str> = asked.iter().map(String::as_str).collect();
                newer.topics.retain(|name, _| asked.contains(name.as_str()));
                known.metadata.merged(newer)
            }
        });
        known.asked = Some(Instant::now());
        let metadata = known.metadata.clone();
        drop(known);
        self.forget_moved(&metadata);
        Ok(metadata)
    }

    /// Drops connections to addresses that no broker has any more.
    fn forget_moved(&self, metadata: &Metadata) {
        self.inner.slots.lock().retain(|place, _| match place {
            Place::Bootstrap(_) => true,
            Place::Broker(id, address) | Place::Coordinator(id, address) => {
                metadata.brokers.get(id).is_some_and(|node| node.address == *address)
            }
        });
    }

    /// Brokers of the cluster, asked with retries.
    ///
    /// # Errors
    /// When no broker answers within default.api.timeout.ms.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        if self.config().bootstrap_controllers {
            return self.controller_nodes().await;
        }
        let metadata = self.retry("listing brokers", || self.refresh(Some(&[]), false)).await?;
        Ok(metadata.brokers.values().cloned().collect())
    }

    async fn controller_nodes(&self) -> Result<Vec<Node>> {
        let request = DescribeClusterRequest { endpoint_type: 2, ..Default::default() };
        let response = self.call_retrying("listing controllers", Target::Any, &request).await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        let nodes = response.brokers.iter().filter_map(|broker| {
            let port = u16::try_from(broker.port).ok()?;
            let address = HostPort { host: broker.host.clone(), port };
            Some(Node { id: BrokerId(broker.broker_id), address, rack: broker.rack.clone() })
        });
        Ok(nodes.collect())
    }

    /// A live connection.
    ///
    /// # Errors
    /// When the broker is not known, or does not accept; for [`Target::Any`] when none does.
    pub async fn connection(&self, target: Target) -> Result<Arc<Connection>> {
        match target {
            Target::Broker(id) => self.connect(Place::Broker(id, self.address(id)?)).await,
            Target::Coordinator(id) => {
                self.connect(Place::Coordinator(id, self.address(id)?)).await
            }
            Target::Any => self.any_connection().await,
        }
    }

    fn address(&self, id: BrokerId) -> Result<HostPort> {
        let metadata = self.metadata();
        let node = metadata.brokers.get(&id).ok_or(ClientError::UnknownBroker { id: id.0 })?;
        Ok(node.address.clone())
    }

    /// Prefers what is open, then known brokers, then the bootstrap list.
    async fn any_connection(&self) -> Result<Arc<Connection>> {
        let metadata = self.metadata();
        let mut places: Vec<Place> = metadata
            .brokers
            .values()
            .map(|node| Place::Broker(node.id, node.address.clone()))
            .collect();
        places.shuffle(&mut rand::rng());
        let bootstrap = self.config().bootstrap.iter().cloned().map(Place::Bootstrap);
        places.extend(bootstrap);
        for place in &places {
            if let Some(open) = self.open_connection(place) {
                return Ok(open);
            }
        }
        // However many brokers the metadata names: none is worth more than one answer's time.
        let deadline = Instant::now() + self.config().request_timeout;
        let mut last = ClientError::Usage("the bootstrap list is empty".to_owned());
        for place in places {
            match self.connect(place).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        Err(last)
    }

    fn slot(&self, place: &Place) -> Arc<Slot> {
        self.inner.slots.lock().entry(place.clone()).or_default().clone()
    }

    fn open_connection(&self, place: &Place) -> Option<Arc<Connection>> {
        let slot = self.inner.slots.lock().get(place)?.clone();
        let state = slot.state.try_lock().ok()?;
        state.connection.clone().filter(|connection| !connection.is_closed())
    }

    /// The place's connection; opens one if need be, after the backoff of earlier failures.
    async fn connect(&self, place: Place) -> Result<Arc<Connection>> {
        let slot = self.slot(&place);
        let mut state = slot.state.lock().await;
        if let Some(open) = state.connection.as_ref().filter(|open| !open.is_closed()) {
            return Ok(open.clone());
        }
        if let Some(at) = state.retry_at {
            tokio::time::sleep_until(at).await;
        }
        match wire::connect(place.address(), self.config()).await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                *state = SlotState { connection: Some(connection.clone()), ..Default::default() };
                Ok(connection)
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                state.retry_at =
                    Some(Instant::now() + self.config().reconnect.after(state.failures));
                if state.failures == 1 {
                    tracing::warn!(
                        "Connection to node {} ({}) could not be established. Node may not be \
                         available. ({error})",
                        place.id(),
                        place.address()
                    );
                }
                Err(error)
            }
        }
    }

    /// Sends one request, once.
    ///
    /// # Errors
    /// Of the connection or the encoding; error codes inside the answer are the caller's.
    pub async fn call<Q: Request>(&self, target: Target, request: &Q) -> Result<Q::Response> {
        let connection = self.connection(target).await?;
        let version = wire::version_of::<Q>(&connection, i16::MAX)?;
        wire::call(&connection, self.config(), request, version).await
    }

    /// As [`Self::call`], with a longer wait for the answer.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn call_within<Q: Request>(
        &self,
        target: Target,
        timeout: Duration,
        request: &Q,
    ) -> Result<Q::Response> {
        let connection = self.connection(target).await?;
        let version = wire::version_of::<Q>(&connection, i16::MAX)?;
        let config = ClientConfig { request_timeout: timeout, ..self.config().clone() };
        wire::call(&connection, &config, request, version).await
    }

    /// Sends a request that is built for the version in use, at most `cap`, once.
    ///
    /// # Errors
    /// As [`Self::call`], and what `build` refuses.
    pub async fn call_versioned<Q: Request>(
        &self,
        target: Target,
        cap: i16,
        build: impl FnOnce(i16) -> Result<Q>,
    ) -> Result<(Q::Response, i16)> {
        let connection = self.connection(target).await?;
        let version = wire::version_of::<Q>(&connection, cap)?;
        let request = build(version)?;
        let response = wire::call(&connection, self.config(), &request, version).await?;
        Ok((response, version))
    }

    /// Sends one request; failures of the connection are retried within default.api.timeout.ms.
    ///
    /// # Errors
    /// As [`Self::call`], or the time-out with the last failure.
    pub async fn call_retrying<Q: Request>(
        &self,
        what: &str,
        target: Target,
        request: &Q,
    ) -> Result<Q::Response> {
        self.retry(what, || self.call(target, request)).await
    }

    /// Runs `attempt` until it succeeds, fails for good or default.api.timeout.ms is over.
    ///
    /// # Errors
    /// The first lasting failure, or the time-out with the last failure.
    pub async fn retry<T, F>(&self, what: &str, attempt: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        self.retry_until(self.deadline(), what, attempt).await
    }

    /// When a call that begins now has to be over.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.config().api_timeout
    }

    /// As [`Self::retry`], for one part of a call that has to be over at `deadline`.
    pub(crate) async fn retry_until<T, F>(
        &self,
        deadline: Instant,
        what: &str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let timeout = |last| self.timeout(what, last);
        let mut failures = 0;
        let mut last = None;
        loop {
            let Ok(outcome) = tokio::time::timeout_at(deadline, attempt()).await else {
                return Err(timeout(last));
            };
            match outcome {
                Ok(value) => return Ok(value),
                Err(error) if error.is_retriable() => last = Some(error),
                Err(error) => return Err(error),
            }
            failures += 1;
            let pause = Instant::now() + self.config().retry.after(failures);
            if pause >= deadline {
                return Err(timeout(last));
            }
            tokio::time::sleep_until(pause).await;
        }
    }

    /// A call that was not done in default.api.timeout.ms.
    pub(crate) fn timeout(&self, what: &str, last: Option<ClientError>) -> ClientError {
        let timeout_ms = millis(self.config().api_timeout);
        ClientError::Timeout { what: what.to_owned(), timeout_ms, last: last.map(Box::new) }
    }

    /// Metadata in which `topic` is known, asked with retries. Its partitions may lack leaders.
    ///
    /// # Errors
    /// When the topic does not come to exist in time, or is refused (invalid name, no permission).
    pub async fn topic(&self, topic: &str, create: bool) -> Result<Arc<Metadata>> {
        if let Some(known) = self.known(topic) {
            return Ok(known);
        }
        let names = [topic.to_owned()];
        self.retry(&format!("waiting for metadata of topic {topic}"), || async {
            let metadata = self.refresh(Some(&names), create).await?;
            let known = metadata.topics.get(topic).map(|topic| topic.error);
            match known.unwrap_or(ErrorCode::UnknownTopicOrPartition) {
                ErrorCode::None => Ok(metadata),
                code => Err(ClientError::Broker { code, message: None }),
            }
        })
        .await
    }
}

fn by_name(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic { topic_id: TopicId::ZERO, name: Some(name.to_owned()) }
}

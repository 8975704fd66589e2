//! Topics that come into being because someone asks for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pharos_config::rows;
use pharos_metadata::Controller;
use pharos_metadata::image::MetadataImage;
use pharos_protocol::messages::CreateTopicsRequest;
use pharos_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use pharos_protocol::{ApiKey, ErrorCode};

use crate::authorizer::ANONYMOUS;
use crate::live_config::LiveConfig;
use crate::quotas::{Client, ClientQuotas, MutationQuota};
use crate::request_metrics::RequestMetrics;
use crate::topics::{OFFSETS_TOPIC, is_internal};

/// Longest wait until the metadata of a new topic has arrived here.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(5);

/// Version in which the controller is asked.
const CREATE_VERSION: i16 = 7;

/// Makes topics on demand.
pub struct AutoTopics {
    controller: Controller,
    config: Arc<LiveConfig>,
    requests: Arc<RequestMetrics>,
}

impl AutoTopics {
    /// Asks `controller`, as `config` allows.
    pub fn new(
        controller: Controller,
        config: Arc<LiveConfig>,
        requests: Arc<RequestMetrics>,
    ) -> Self {
        Self { controller, config, requests }
    }

    /// Makes the topics if `auto.create.topics.enable` says so, and waits until they are known
    /// here; gives the metadata afterwards, in which failures show. Internal topics are always made,
    /// as far as `quota` allows.
    pub async fn create(&self, names: &[&str], quota: &MutationQuota) -> Arc<MetadataImage> {
        self.create_allowed(names, quota).await;
        self.controller.publisher().current()
    }

    /// Makes an internal topic. This node asks for it, so that its own quota counts.
    pub async fn create_internal(&self, name: &str, quotas: &ClientQuotas) -> Arc<MetadataImage> {
        let node = self.controller.settings().node_id.to_string();
        let client = Client { user: ANONYMOUS.clone(), client_id: node.into() };
        self.create(&[name], &MutationQuota::new(&quotas.mutation, &client, true)).await
    }

    async fn create_allowed(&self, names: &[&str], quota: &MutationQuota) {
        let enabled = self.config.get().get(&rows::AUTO_CREATE_TOPICS_ENABLE);
        let topics: Vec<_> = names
            .iter()
            .filter(|name| enabled || is_internal(name))
            .map(|name| self.topic(name))
            .collect();
        if topics.is_empty() {
            return;
        }
        let names: Vec<_> = topics.iter().map(|topic| topic.name.clone()).collect();
        let request = CreateTopicsRequest { topics, ..CreateTopicsRequest::default() };
        let began = Instant::now();
        match self.controller.create_topics(request.clone(), quota.for_controller()).await {
            Ok(response) => {
                let errors = response.topics.iter().map(|topic| (topic.error_code, 1)).collect();
                let api = ApiKey::CreateTopics;
                self.requests.record_in_process(api, CREATE_VERSION, &request, began, &errors);
                for topic in response.topics {
                    let exists = ErrorCode::TopicAlreadyExists.code();
                    if topic.error_code != 0 && topic.error_code != exists {
                        let error = topic.error_message.unwrap_or_default();
                        tracing::warn!(topic = topic.name, error, "topic cannot be created");
                    }
                }
                self.arrived(&names).await;
            }
            Err(error) => tracing::warn!(%error, "topics cannot be created"),
        }
    }

    async fn arrived(&self, names: &[String]) {
        let publisher = self.controller.publisher();
        let mut offsets = publisher.offsets();
        let known = || names.iter().all(|name| publisher.load().topic(name).is_some());
        let arrival = async {
            while !known() {
                if offsets.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(ARRIVAL_LIMIT, arrival).await;
    }

    fn topic(&self, name: &str) -> CreatableTopic {
        let config = self.config.get();
        let mut topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: -1,
            replication_factor: -1,
            ..CreatableTopic::default()
        };
        if name == OFFSETS_TOPIC {
            topic.num_partitions = config.get(&rows::OFFSETS_TOPIC_NUM_PARTITIONS);
            topic.replication_factor = config.get(&rows::OFFSETS_TOPIC_REPLICATION_FACTOR);
            let segment = config.get(&rows::OFFSETS_TOPIC_SEGMENT_BYTES).to_string();
            topic.configs = [
                ("cleanup.policy", "compact"),
                ("compression.type", "producer"),
                ("segment.bytes", segment.as_str()),
            ]
            .into_iter()
            .map(|(name, value)| CreatableTopicConfig {
                name: name.to_owned(),
                value: Some(value.to_owned()),
            })
            .collect();
        }
        topic
    }
}

//! From a frame to the handler of its API and back: reads the header, keeps to the table of served
//! APIs, encodes the answer and counts the request.
//!
//! A request that is not served, or not well formed, closes its connection; ApiVersions of an
//! unknown version is the one exception (see `apis`).

use std::sync::Arc;
use std::time::Duration;

use pharos_net::{CloseReason, Completed, Handler, Outcome, Reply, Request};
use pharos_protocol::frame::{self, FrameError};
use pharos_protocol::messages as m;
use pharos_protocol::{ApiKey, DecodeError, Message};

use crate::apis::served;
use crate::beans::Forwarding;
use crate::context::{Answer, AnswerError, Body, ErrorCounts, RequestContext};
use crate::handlers as h;
use crate::handlers::metadata::View;
use crate::request_metrics::{Finished, RequestMetrics};
use crate::services::Services;

/// Version from which a Metadata answer has an error of its own.
const METADATA_WITH_ERROR: i16 = 13;

/// Answers the requests of the broker's listeners.
pub struct Dispatch {
    services: Arc<Services>,
    requests: Arc<RequestMetrics>,
    forwarding: Forwarding,
}

/// What is counted once an answer has left.
#[derive(Debug)]
pub struct Tag {
    api: ApiKey,
    version: i16,
    body_bytes: usize,
    errors: ErrorCounts,
    also_named: Option<&'static str>,
}

/// Why a request closes its connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("{api} version {version} is not served")]
    NotServed { api: &'static str, version: i16 },
    #[error("the body is malformed: {0}")]
    Body(#[from] DecodeError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl Handler for Dispatch {
    type Tag = Tag;

    async fn handle(&self, request: Request) -> Outcome<Tag> {
        match self.answer(&request).await {
            Ok(outcome) => outcome,
            Err(refused) => Outcome::Close(CloseReason::InvalidRequest(refused.to_string())),
        }
    }

    fn sent(&self, done: Completed<Tag>) {
        let finished = Finished {
            name: done.tag.api.name(),
            also_named: done.tag.also_named,
            version: done.tag.version,
            request_bytes: done.tag.body_bytes,
            throttle: done.throttle,
            timestamps: &done.timestamps,
            errors: &done.tag.errors,
        };
        self.requests.record(&finished);
        if is_forwarded(done.tag.api) {
            // The broker's part and the controller's: Kafka counts both, also in one process.
            self.requests.record(&finished);
            let times = &done.timestamps;
            self.forwarding.answered(times.handle_end - times.handle_begin);
        }
    }
}

impl Dispatch {
    /// Answers with `services` and counts in `requests`.
    pub fn new(
        services: Arc<Services>,
        requests: Arc<RequestMetrics>,
        forwarding: Forwarding,
    ) -> Self {
        Self { services, requests, forwarding }
    }

    async fn answer(&self, request: &Request) -> Result<Outcome<Tag>, Refused> {
        let frame = frame::split_request(&request.frame)?;
        let (api, version) = (frame.api_key, frame.header.request_api_version);
        let row = served(api).ok_or(Refused::NotServed { api: api.name(), version })?;
        let mut context = RequestContext {
            connection: request.connection.clone(),
            api,
            version,
            correlation_id: frame.header.correlation_id,
            client_id: frame.header.client_id.unwrap_or_default().into(),
        };
        let answer = if row.versions.contains(&version) {
            self.dispatch(&context, frame.body).await?
        } else if api == ApiKey::ApiVersions {
            context.version = 0;
            Answer::ready(&context, &h::api_versions::unsupported())?
        } else {
            return Err(Refused::NotServed { api: api.name(), version });
        };
        if is_forwarded(api) {
            // Whoever was told of a change finds it here.
            let controller = &self.services.controller;
            controller.publisher().wait_for(controller.last_committed_offset()).await;
        }
        let body_bytes = frame.body.len();
        let tag = move |body: &Body| Tag {
            api,
            version,
            body_bytes,
            errors: counted(api, version, &body.errors),
            also_named: body.also_named,
        };
        Ok(match answer {
            Answer::Ready(body) => Outcome::Reply(reply(body, tag)),
            Answer::Later(later) => Outcome::Later(Box::pin(async move {
                match later.await {
                    Ok(body) => reply(body, tag),
                    Err(error) => unwritable(
                        &error,
                        Tag {
                            api,
                            version,
                            body_bytes,
                            errors: ErrorCounts::new(),
                            also_named: None,
                        },
                    ),
                }
            })),
            Answer::Silent => Outcome::Silent {
                tag: Tag { api, version, body_bytes, errors: ErrorCounts::new(), also_named: None },
                throttle: Duration::ZERO,
            },
            Answer::Close(why) => Outcome::Close(CloseReason::Refused(why.to_owned())),
        })
    }

    /// Runs the handler. An arm stands here for each row of the table.
    async fn dispatch(&self, context: &RequestContext, body: &[u8]) -> Result<Answer, Refused> {
        let services = &*self.services;
        let version = context.version;
        let image = services.image();
        let view =
            View { image: &image, listener: context.listener(), cluster_id: &services.cluster_id };
        let replicas = &*services.replicas;
        Ok(match context.api {
            ApiKey::Produce => {
                let request = m::ProduceRequestRef::decode(body, version)?;
                h::produce::answer(&services.produce, context, &image, &request)?
            }
            ApiKey::Fetch => {
                let request = m::FetchRequestRef::decode(body, version)?;
                h::fetch::answer(&services.fetch, &services.clock, context, &image, &request)?
            }
            ApiKey::ListOffsets => {
                let request = m::ListOffsetsRequestRef::decode(body, version)?;
                Answer::ready(context, &h::list_offsets::handle(replicas, version, &request))?
            }
            ApiKey::Metadata => {
                let request = m::MetadataRequestRef::decode(body, version)?;
                let asked = h::metadata::asked(version, &request);
                let missing = h::metadata::missing(&image, &asked);
                if request.allow_auto_topic_creation && !missing.is_empty() {
                    services.auto_topics.create(&missing).await;
                    let image = services.image();
                    let view = View { image: &image, ..view };
                    let response = h::metadata::respond(view, version, &request, &asked);
                    Answer::ready(context, &response)?
                } else {
                    let response = h::metadata::respond(view, version, &request, &asked);
                    Answer::ready(context, &response)?
                }
            }
            ApiKey::ApiVersions => {
                let request = m::ApiVersionsRequestRef::decode(body, version)?;
                let connection = &context.connection;
                let response = h::api_versions::handle(&image, connection, version, &request);
                Answer::ready(context, &response)?
            }
            ApiKey::CreateTopics => {
                let request = m::CreateTopicsRequest::decode(body, version)?;
                Answer::ready(context, &h::topics::create(&services.controller, request).await)?
            }
            ApiKey::DeleteTopics => {
                let request = m::DeleteTopicsRequest::decode(body, version)?;
                Answer::ready(context, &h::topics::delete(&services.controller, request).await)?
            }
            ApiKey::CreatePartitions => {
                let request = m::CreatePartitionsRequest::decode(body, version)?;
                let response = h::topics::create_partitions(&services.controller, request).await;
                Answer::ready(context, &response)?
            }
            ApiKey::DeleteRecords => {
                let request = m::DeleteRecordsRequestRef::decode(body, version)?;
                Answer::ready(context, &h::delete_records::handle(replicas, &request))?
            }
            ApiKey::InitProducerId => {
                let request = m::InitProducerIdRequestRef::decode(body, version)?;
                let response = h::init_producer_id::handle(&services.producer_ids, &request).await;
                Answer::ready(context, &response)?
            }
            ApiKey::OffsetForLeaderEpoch => {
                let request = m::OffsetForLeaderEpochRequestRef::decode(body, version)?;
                Answer::ready(context, &h::offset_for_leader_epoch::handle(replicas, &request))?
            }
            ApiKey::DescribeAcls => {
                m::DescribeAclsRequestRef::decode(body, version)?;
                Answer::ready(context, &h::describe_acls::handle())?
            }
            ApiKey::ListPartitionReassignments => {
                let request = m::ListPartitionReassignmentsRequestRef::decode(body, version)?;
                let response = h::list_partition_reassignments::handle(&image, &request);
                Answer::ready(context, &response)?
            }
            ApiKey::DescribeCluster => {
                let request = m::DescribeClusterRequest::decode(body, version)?;
                Answer::ready(context, &h::describe_cluster::handle(view, &request))?
            }
            ApiKey::DescribeProducers => {
                let request = m::DescribeProducersRequestRef::decode(body, version)?;
                Answer::ready(context, &h::describe_producers::handle(replicas, &request))?
            }
            ApiKey::DescribeTransactions => {
                let request = m::DescribeTransactionsRequestRef::decode(body, version)?;
                Answer::ready(context, &h::transactions::describe(&request))?
            }
            ApiKey::ListTransactions => {
                let request = m::ListTransactionsRequestRef::decode(body, version)?;
                Answer::ready(context, &h::transactions::list(&request))?
            }
            ApiKey::DescribeTopicPartitions => {
                let request = m::DescribeTopicPartitionsRequestRef::decode(body, version)?;
                let limit = services.partition_page_limit();
                match h::describe_topic_partitions::handle(view, &request, limit) {
                    Ok(response) => Answer::ready(context, &response)?,
                    // The response has no place for an error of the whole request.
                    Err(error) => Answer::Close(error.name()),
                }
            }
            ApiKey::FindCoordinator => {
                let request = m::FindCoordinatorRequestRef::decode(body, version)?;
                let groups = &services.groups;
                if h::find_coordinator::needs_topic(view, &request) {
                    services.auto_topics.create_offsets_topic().await;
                    let image = services.image();
                    let view = View { image: &image, ..view };
                    let response = h::find_coordinator::handle(view, groups, version, &request);
                    Answer::ready(context, &response)?
                } else {
                    let response = h::find_coordinator::handle(view, groups, version, &request);
                    Answer::ready(context, &response)?
                }
            }
            ApiKey::DescribeConfigs => {
                let request = m::DescribeConfigsRequestRef::decode(body, version)?;
                let config = services.config.get();
                Answer::ready(context, &h::describe_configs::handle(&image, &config, &request))?
            }
            ApiKey::ListConfigResources => {
                let request = m::ListConfigResourcesRequestRef::decode(body, version)?;
                let response = h::list_config_resources::handle(&image, version, &request);
                Answer::ready(context, &response)?
            }
            ApiKey::IncrementalAlterConfigs => {
                let request = m::IncrementalAlterConfigsRequest::decode(body, version)?;
                let controller = &services.controller;
                let response = h::topics::incremental_alter_configs(controller, request).await;
                Answer::ready(context, &response)?
            }
            ApiKey::AlterConfigs => {
                let request = m::AlterConfigsRequest::decode(body, version)?;
                let response = h::topics::alter_configs(&services.controller, request).await;
                Answer::ready(context, &response)?
            }
            ApiKey::UpdateFeatures => {
                let request = m::UpdateFeaturesRequest::decode(body, version)?;
                let controller = &services.controller;
                let response = h::topics::update_features(controller, version, request).await;
                Answer::ready(context, &response)?
            }
            ApiKey::ElectLeaders => {
                let request = m::ElectLeadersRequest::decode(body, version)?;
                let response = h::topics::elect_leaders(&services.controller, request).await;
                Answer::ready(context, &response)?
            }
            ApiKey::DescribeQuorum => {
                let request = m::DescribeQuorumRequest::decode(body, version)?;
                Answer::ready(
                    context,
                    &h::describe_quorum::handle(&services.controller, version, &request),
                )?
            }
            ApiKey::GetTelemetrySubscriptions => {
                let request = m::GetTelemetrySubscriptionsRequest::decode(body, version)?;
                let (telemetry, now_ms) = (&services.telemetry, services.clock.now_ms());
                let response = h::telemetry::subscriptions(telemetry, now_ms, context, &request);
                Answer::ready(context, &response)?
            }
            ApiKey::PushTelemetry => {
                let request = m::PushTelemetryRequestRef::decode(body, version)?;
                let (telemetry, now_ms) = (&services.telemetry, services.clock.now_ms());
                Answer::ready(context, &h::telemetry::push(telemetry, now_ms, context, &request))?
            }
            ApiKey::UnregisterBroker => {
                let request = m::UnregisterBrokerRequest::decode(body, version)?;
                let response = h::topics::unregister_broker(&services.controller, request).await;
                Answer::ready(context, &response)?
            }
            ApiKey::DescribeLogDirs => {
                let request = m::DescribeLogDirsRequestRef::decode(body, version)?;
                Answer::ready(context, &h::describe_log_dirs::handle(replicas, &request))?
            }
            api if h::groups::serves(api) => h::groups::answer(&services.groups, context, body)?,
            api => return Err(Refused::NotServed { api: api.name(), version }),
        })
    }
}

/// Whether the controller decides (`ApiKeys.forwardable`).
fn is_forwarded(api: ApiKey) -> bool {
    matches!(
        api,
        ApiKey::CreateTopics
            | ApiKey::DeleteTopics
            | ApiKey::CreatePartitions
            | ApiKey::AlterConfigs
            | ApiKey::IncrementalAlterConfigs
            | ApiKey::ElectLeaders
            | ApiKey::ListPartitionReassignments
            | ApiKey::UpdateFeatures
    )
}

/// The errors that Kafka counts of those that stand in an answer: of Metadata those of topics and
/// partitions, not that of the whole (`MetadataResponse.errorCounts`).
fn counted(api: ApiKey, version: i16, errors: &ErrorCounts) -> ErrorCounts {
    let mut errors = errors.clone();
    if api == ApiKey::Metadata && version >= METADATA_WITH_ERROR {
        for (_, count) in errors.iter_mut().filter(|(code, _)| *code == 0) {
            *count = count.saturating_sub(1);
        }
        errors.retain(|(_, count)| *count > 0);
    }
    errors
}

fn reply(body: Body, tag: impl FnOnce(&Body) -> Tag) -> Reply<Tag> {
    let tag = tag(&body);
    let mut reply = Reply::chunks(body.chunks, tag);
    reply.throttle = body.throttle;
    reply
}

/// An answer that cannot be written: nothing is sent and the connection closes.
fn unwritable(error: &AnswerError, tag: Tag) -> Reply<Tag> {
    let mut reply = Reply::chunks([], tag);
    reply.then_close = Some(CloseReason::InvalidRequest(error.to_string()));
    reply
}

//! From a frame to the handler of its API and back: reads the header, keeps to the table of served
//! APIs, encodes the answer, counts the request, and traces it if it is one of those.
//!
//! A request that is not served, or not well formed, closes its connection; ApiVersions of an
//! unknown version is the one exception (see `apis`).

use std::sync::Arc;
use std::time::Duration;

use pharos_base::TraceId;
use pharos_net::{CloseReason, Completed, Handler, Outcome, Reply, Request};
use pharos_protocol::ApiKey;
use pharos_protocol::frame::{self, FrameError};
use pharos_storage::Conversion;
use pharos_telemetry::Tracer;

use crate::apis::{Endpoint, served};
use crate::beans::Forwarding;
use crate::context::{About, Answer, AnswerError, Body, ErrorCounts, RequestContext};
use crate::handlers as h;
use crate::quotas::ThreadTime;
use crate::request_metrics::{self, Finished, RequestMetrics};
use crate::request_series::Measured;
use crate::services::Services;
use crate::slow_requests::{SlowRequest, SlowRequests};
use crate::traces::{Told, TracedRequest};
use crate::view::View;

/// Version from which a Metadata answer has an error of its own.
const METADATA_WITH_ERROR: i16 = 13;

/// Answers the requests of the broker's listeners.
pub struct Dispatch {
    services: Arc<Services>,
    observers: Observers,
}

/// Who is told of every request.
pub struct Observers {
    /// Counts it.
    pub requests: Arc<RequestMetrics>,
    /// Counts what the controller decides.
    pub forwarding: Forwarding,
    /// Remembers the slowest.
    pub slow: Arc<SlowRequests>,
    /// Chooses those that are traced.
    pub tracer: Option<Tracer>,
}

/// What is counted once an answer has left.
#[derive(Debug)]
pub struct Tag {
    api: ApiKey,
    endpoint: Endpoint,
    version: i16,
    body_bytes: usize,
    errors: ErrorCounts,
    by_consumer: bool,
    client_id: Arc<str>,
    about: Option<About>,
    trace: Option<Box<TracedRequest>>,
    conversion: Conversion,
}

/// Why a request closes its connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("{api} version {version} is not served")]
    NotServed { api: &'static str, version: i16 },
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl Refused {
    fn not_served(context: &RequestContext) -> Self {
        Self::NotServed { api: context.api.name(), version: context.version }
    }
}

impl Handler for Dispatch {
    type Tag = Tag;

    async fn handle(&self, request: Request) -> Outcome<Tag> {
        match self.answer(&request).await {
            Ok(outcome) => outcome,
            Err(refused) => Outcome::Close(CloseReason::InvalidRequest(refused.to_string())),
        }
    }

    fn sent(&self, mut done: Completed<Tag>) {
        let Observers { requests, forwarding, slow: slowest, .. } = &self.observers;
        let trace = done.tag.trace.take();
        let measured = measured(&done);
        let finished = Finished {
            api: done.tag.api,
            by_consumer: done.tag.by_consumer,
            version: done.tag.version,
            request_bytes: done.tag.body_bytes,
            measured: &measured,
            errors: &done.tag.errors,
            conversion: done.tag.conversion,
        };
        requests.record(&finished);
        let context = trace.as_ref().map(|trace| trace.context());
        requests.measure(&finished, context.as_ref());
        slowest.record(cost(&done), || slow(&done, context.map(|trace| trace.trace_id)));
        if done.tag.endpoint == Endpoint::Broker && done.tag.api.spec().forwardable {
            // The broker's part and the controller's: Kafka counts both, also in one process.
            requests.record(&finished);
            let times = &done.timestamps;
            forwarding.answered(times.handle_end - times.handle_begin);
        }
        if let Some(trace) = trace {
            trace.answered(&Told {
                request: finished.name(),
                measured: &measured,
                errors: &done.tag.errors,
                about: done.tag.about.as_ref(),
            });
        }
    }
}

impl Dispatch {
    /// Answers with `services`, and tells `observers`.
    pub fn new(services: Arc<Services>, observers: Observers) -> Self {
        Self { services, observers }
    }

    async fn answer(&self, request: &Request) -> Result<Outcome<Tag>, Refused> {
        let frame = frame::split_request(&request.frame)?;
        let (api, version) = (frame.api_key, frame.header.request_api_version);
        let endpoint = self.services.endpoint_of(request.connection.listener());
        let context = RequestContext {
            connection: request.connection.clone(),
            endpoint,
            api,
            version,
            correlation_id: frame.header.correlation_id,
            client_id: frame.header.client_id.unwrap_or_default().into(),
            request_bytes: request.frame.len(),
            quotas: self.services.quotas.clone(),
            time: self.services.quotas.begin_request(),
        };
        let row = served(api, endpoint).ok_or_else(|| Refused::not_served(&context))?;
        let trace = TracedRequest::begin(self.observers.tracer.as_ref(), request, &context);
        let answer = if row.versions.contains(&version) {
            let work = ThreadTime::count(context.time.as_ref(), self.route(&context, frame.body));
            match &trace {
                Some(trace) => trace.local(work).await?,
                None => work.await?,
            }
        } else if api == ApiKey::ApiVersions {
            h::api_versions::answer_unsupported(&context)?
        } else {
            return Err(Refused::not_served(&context));
        };
        let tag = Tag {
            api,
            endpoint,
            version,
            body_bytes: frame.body.len(),
            errors: ErrorCounts::new(),
            by_consumer: false,
            client_id: context.client_id.clone(),
            about: None,
            trace,
            conversion: Conversion::default(),
        };
        Ok(match answer {
            Answer::Ready(body) => Outcome::Reply(reply(body, tag)),
            Answer::Later(mut later) => {
                if let Some(trace) = &tag.trace {
                    later = Box::pin(trace.remote(later));
                }
                Outcome::Later(Box::pin(async move {
                    match later.await {
                        Ok(body) => reply(body, tag),
                        Err(error) => unwritable(&error, tag),
                    }
                }))
            }
            Answer::Silent(throttle, conversion) => {
                Outcome::Silent { tag: Tag { conversion, ..tag }, throttle }
            }
            Answer::Close(why) => Outcome::Close(CloseReason::Refused(why.to_owned())),
        })
    }

    /// Runs the handler. An arm stands here for each row of the table.
    async fn route(&self, context: &RequestContext, body: &[u8]) -> Result<Answer, Refused> {
        let services = &*self.services;
        let Services { config, controller, publisher, replicas, groups, auto_topics, .. } =
            services;
        let image = services.image();
        let (listener, cluster_id) = (context.listener(), services.cluster_id.as_str());
        let view = View { image: &image, listener, cluster_id };
        let answered = match context.api {
            ApiKey::Produce => h::produce::answer(&services.produce, publisher, context, body),
            ApiKey::Fetch => h::fetch::answer(&services.fetch, publisher, context, body),
            ApiKey::ListOffsets => h::list_offsets::answer(replicas, context, body).await,
            ApiKey::Metadata => h::metadata::answer(view, auto_topics, context, body).await,
            ApiKey::OffsetCommit => h::offset_commit::answer(groups, context, body),
            ApiKey::OffsetFetch => h::offset_fetch::answer(groups, context, body),
            ApiKey::FindCoordinator => {
                h::find_coordinator::answer(view, auto_topics, groups, context, body).await
            }
            ApiKey::JoinGroup => h::join_group::answer(groups, context, body),
            ApiKey::Heartbeat => h::heartbeat::answer(groups, context, body),
            ApiKey::LeaveGroup => h::leave_group::answer(groups, context, body),
            ApiKey::SyncGroup => h::sync_group::answer(groups, context, body),
            ApiKey::DescribeGroups => h::describe_groups::answer(groups, context, body),
            ApiKey::ListGroups => h::list_groups::answer(groups, context, body),
            ApiKey::ApiVersions => h::api_versions::answer(&image, context, body),
            ApiKey::CreateTopics => h::create_topics::answer(controller, context, body).await,
            ApiKey::DeleteTopics => h::delete_topics::answer(controller, context, body).await,
            ApiKey::DeleteRecords => h::delete_records::answer(replicas, context, body),
            ApiKey::InitProducerId => {
                h::init_producer_id::answer(&services.producer_ids, context, body).await
            }
            ApiKey::OffsetForLeaderEpoch => {
                h::offset_for_leader_epoch::answer(replicas, context, body)
            }
            ApiKey::DescribeAcls => h::describe_acls::answer(context, body),
            ApiKey::DescribeConfigs => {
                h::describe_configs::answer(&image, &config.get(), context, body)
            }
            ApiKey::AlterConfigs => h::alter_configs::answer(controller, context, body).await,
            ApiKey::DescribeLogDirs => h::describe_log_dirs::answer(replicas, context, body),
            ApiKey::CreatePartitions => {
                h::create_partitions::answer(controller, context, body).await
            }
            ApiKey::DeleteGroups => h::delete_groups::answer(groups, context, body),
            ApiKey::ElectLeaders => h::elect_leaders::answer(controller, context, body).await,
            ApiKey::IncrementalAlterConfigs => {
                h::incremental_alter_configs::answer(controller, context, body).await
            }
            ApiKey::ListPartitionReassignments => {
                h::list_partition_reassignments::answer(&image, context, body)
            }
            ApiKey::OffsetDelete => h::offset_delete::answer(groups, context, body),
            ApiKey::DescribeClientQuotas => {
                h::describe_client_quotas::answer(&image, context, body)
            }
            ApiKey::AlterClientQuotas => {
                h::alter_client_quotas::answer(controller, context, body).await
            }
            ApiKey::DescribeQuorum => h::describe_quorum::answer(controller, context, body),
            ApiKey::UpdateFeatures => h::update_features::answer(controller, context, body).await,
            ApiKey::DescribeCluster => {
                let active = controller.active_controller();
                h::describe_cluster::answer(view, active, context, body)
            }
            ApiKey::DescribeProducers => h::describe_producers::answer(replicas, context, body),
            ApiKey::UnregisterBroker => {
                h::unregister_broker::answer(controller, context, body).await
            }
            ApiKey::DescribeTransactions => h::describe_transactions::answer(context, body),
            ApiKey::ListTransactions => h::list_transactions::answer(context, body),
            ApiKey::ConsumerGroupHeartbeat => {
                h::consumer_group_heartbeat::answer(groups, context, body)
            }
            ApiKey::ConsumerGroupDescribe => {
                h::consumer_group_describe::answer(groups, context, body)
            }
            ApiKey::GetTelemetrySubscriptions => {
                let Services { telemetry, clock, .. } = services;
                h::get_telemetry_subscriptions::answer(telemetry, clock, context, body)
            }
            ApiKey::PushTelemetry => {
                h::push_telemetry::answer(&services.telemetry, &services.clock, context, body)
            }
            ApiKey::ListConfigResources => h::list_config_resources::answer(&image, context, body),
            ApiKey::DescribeTopicPartitions => {
                let limit = services.partition_page_limit();
                h::describe_topic_partitions::answer(view, limit, context, body)
            }
            _ => return Err(Refused::not_served(context)),
        };
        Ok(answered?)
    }
}

/// What a request cost on the wire; each message begins with four bytes of its size.
fn measured(done: &Completed<Tag>) -> Measured<'_> {
    let sized = |bytes: u64| if bytes > 0 { bytes + 4 } else { 0 };
    let (request, response) = (sized(done.request_bytes as u64), sized(done.reply_bytes));
    Measured::new(&done.timestamps, done.throttle, request, response)
}

/// What a request cost, without what its client asked to wait for: records, or other members.
fn cost(done: &Completed<Tag>) -> Duration {
    let times = &done.timestamps;
    let total = times.write_end - times.received;
    match done.tag.api {
        ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup => {
            total.saturating_sub(times.reply_ready - times.handle_end)
        }
        _ => total,
    }
}

fn slow(done: &Completed<Tag>, trace_id: Option<TraceId>) -> SlowRequest {
    let (tag, measured) = (&done.tag, measured(done));
    SlowRequest {
        request: request_metrics::name_of(tag.api, tag.by_consumer),
        version: tag.version,
        client_id: tag.client_id.clone(),
        host: done.connection.peer().ip(),
        total: measured.total,
        phases: measured.phases(),
        request_bytes: measured.request_bytes,
        response_bytes: measured.response_bytes,
        errors: tag.errors.clone(),
        about: tag.about.clone(),
        trace_id,
    }
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

fn reply(body: Body, tag: Tag) -> Reply<Tag> {
    let errors = counted(tag.api, tag.version, &body.errors);
    let Body { by_consumer, about, conversion, .. } = body;
    let tag = Tag { errors, by_consumer, about, conversion, ..tag };
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

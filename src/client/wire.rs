//! Requests and answers on a [`Connection`]: version choice, encoding, time-out, decoding.

use std::time::Duration;

use bytes::{Buf, Bytes};
use pharos_protocol::messages::*;
use pharos_protocol::{ApiKey, Chunk, ErrorCode, Message, frame};

use crate::config::ClientConfig;
use crate::connection::Connection;
use crate::error::{ClientError, Result, error_code};
use crate::versions::{ApiRange, ApiVersions};

/// Name under which this software introduces itself (KIP-511).
const SOFTWARE_NAME: &str = "pharos";

/// A request message and the response that answers it.
pub trait Request: Message {
    /// The answer.
    type Response: Message;
}

macro_rules! requests {
    ($($request:ident => $response:ident,)*) => {
        $(impl Request for $request { type Response = $response; })*
    };
}

requests! {
    ProduceRequest => ProduceResponse,
    FetchRequest => FetchResponse,
    ListOffsetsRequest => ListOffsetsResponse,
    MetadataRequest => MetadataResponse,
    OffsetCommitRequest => OffsetCommitResponse,
    OffsetFetchRequest => OffsetFetchResponse,
    FindCoordinatorRequest => FindCoordinatorResponse,
    JoinGroupRequest => JoinGroupResponse,
    HeartbeatRequest => HeartbeatResponse,
    LeaveGroupRequest => LeaveGroupResponse,
    SyncGroupRequest => SyncGroupResponse,
    DescribeGroupsRequest => DescribeGroupsResponse,
    ListGroupsRequest => ListGroupsResponse,
    ApiVersionsRequest => ApiVersionsResponse,
    CreateTopicsRequest => CreateTopicsResponse,
    DeleteTopicsRequest => DeleteTopicsResponse,
    DeleteRecordsRequest => DeleteRecordsResponse,
    InitProducerIdRequest => InitProducerIdResponse,
    DescribeConfigsRequest => DescribeConfigsResponse,
    IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse,
    DescribeLogDirsRequest => DescribeLogDirsResponse,
    CreatePartitionsRequest => CreatePartitionsResponse,
    DeleteGroupsRequest => DeleteGroupsResponse,
    ElectLeadersRequest => ElectLeadersResponse,
    ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse,
    OffsetDeleteRequest => OffsetDeleteResponse,
    DescribeClientQuotasRequest => DescribeClientQuotasResponse,
    AlterClientQuotasRequest => AlterClientQuotasResponse,
    DescribeUserScramCredentialsRequest => DescribeUserScramCredentialsResponse,
    DescribeQuorumRequest => DescribeQuorumResponse,
    UpdateFeaturesRequest => UpdateFeaturesResponse,
    DescribeClusterRequest => DescribeClusterResponse,
    DescribeProducersRequest => DescribeProducersResponse,
    UnregisterBrokerRequest => UnregisterBrokerResponse,
    DescribeTransactionsRequest => DescribeTransactionsResponse,
    ListTransactionsRequest => ListTransactionsResponse,
    ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse,
    ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse,
    ListConfigResourcesRequest => ListConfigResourcesResponse,
    DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse,
}

/// Opens a connection and learns what the broker offers.
pub(crate) async fn connect(
    address: &crate::config::HostPort,
    config: &ClientConfig,
) -> Result<Connection> {
    let mut connection =
        Connection::open(address, config.connect_timeout, config.max_response_bytes).await?;
    let versions = ask_versions(&connection, config).await?;
    connection.set_versions(versions);
    Ok(connection)
}

/// Asks with our newest version; a broker that does not know it answers error 35 in version 0 with
/// the range that it does know (KIP-511).
async fn ask_versions(connection: &Connection, config: &ClientConfig) -> Result<ApiVersions> {
    let request = ApiVersionsRequest {
        client_software_name: SOFTWARE_NAME.to_owned(),
        client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let newest = ApiVersionsRequest::MAX_VERSION;
    let frame = exchange(connection, config, &request, newest, || ()).await?;
    let code = frame.get(4..).and_then(|mut body| body.try_get_i16().ok()).unwrap_or_default();
    if error_code(code) != ErrorCode::UnsupportedVersion {
        let response: ApiVersionsResponse = decode(connection, frame, newest)?;
        ClientError::check(response.error_code, None)?;
        return Ok(ApiVersions::from_response(&response));
    }
    let refused: ApiVersionsResponse = decode(connection, frame, 0)?;
    let theirs = ApiVersions::from_response(&refused);
    let version = negotiate::<ApiVersionsRequest>(&theirs, newest).unwrap_or(0);
    let frame = exchange(connection, config, &request, version, || ()).await?;
    let response: ApiVersionsResponse = decode(connection, frame, version)?;
    if error_code(response.error_code) == ErrorCode::UnsupportedVersion {
        let broker = connection.broker().to_owned();
        return Err(ClientError::Unsupported { broker, api: api_name::<ApiVersionsRequest>() });
    }
    ClientError::check(response.error_code, None)?;
    Ok(ApiVersions::from_response(&response))
}

fn negotiate<Q: Request>(versions: &ApiVersions, cap: i16) -> Option<i16> {
    let theirs = versions.range(Q::API_KEY?)?;
    let ours = ApiRange { min: Q::MIN_VERSION, max: Q::MAX_VERSION.min(cap) };
    ours.newest_common(theirs)
}

/// The version to speak on `connection`, at most `cap`.
pub(crate) fn version_of<Q: Request>(connection: &Connection, cap: i16) -> Result<i16> {
    negotiate::<Q>(connection.versions(), cap).ok_or_else(|| ClientError::Unsupported {
        broker: connection.broker().to_owned(),
        api: api_name::<Q>(),
    })
}

/// Sends `request` in `version` and waits for its answer, at most the request time-out.
pub(crate) async fn call<Q: Request>(
    connection: &Connection,
    config: &ClientConfig,
    request: &Q,
    version: i16,
) -> Result<Q::Response> {
    call_then(connection, config, request, version, || ()).await
}

/// As [`call`]; `queued` is called once every later request will leave behind this one, and dropped
/// when that never happens.
pub(crate) async fn call_then<Q: Request>(
    connection: &Connection,
    config: &ClientConfig,
    request: &Q,
    version: i16,
    queued: impl FnOnce(),
) -> Result<Q::Response> {
    let frame = exchange(connection, config, request, version, queued).await?;
    decode(connection, frame, version)
}

/// Sends a request that gets no answer; done when it has left, at most after the request time-out.
pub(crate) async fn send_silent<Q: Request>(
    connection: &Connection,
    config: &ClientConfig,
    request: &Q,
    version: i16,
    queued: impl FnOnce(),
) -> Result<()> {
    let correlation = connection.next_correlation();
    let chunks = encode(config, request, version, correlation)?;
    in_time::<Q, _>(connection, config, connection.send(correlation, chunks, queued)).await
}

async fn exchange<Q: Request>(
    connection: &Connection,
    config: &ClientConfig,
    request: &Q,
    version: i16,
    queued: impl FnOnce(),
) -> Result<Bytes> {
    let correlation = connection.next_correlation();
    let chunks = encode(config, request, version, correlation)?;
    in_time::<Q, _>(connection, config, connection.exchange(correlation, chunks, queued)).await
}

/// Waits at most the request time-out, then gives the connection up.
async fn in_time<Q: Request, T>(
    connection: &Connection,
    config: &ClientConfig,
    answer: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(config.request_timeout, answer).await {
        Ok(answer) => answer,
        Err(_) => {
            let error = ClientError::RequestTimeout {
                broker: connection.broker().to_owned(),
                api: api_name::<Q>(),
                timeout_ms: millis(config.request_timeout),
            };
            // Answers come in order: behind a lost one, no later one can be trusted.
            connection.close(error.clone());
            Err(error)
        }
    }
}

fn encode<Q: Request>(
    config: &ClientConfig,
    request: &Q,
    version: i16,
    correlation: i32,
) -> Result<Vec<Bytes>> {
    let unwritable = |reason: String| ClientError::Unwritable { api: api_name::<Q>(), reason };
    let key = api_key::<Q>().ok_or_else(|| unwritable("it is no request".to_owned()))?;
    let client_id = Some(config.client_id.as_str());
    let encoded = frame::encode_request(key, version, correlation, client_id, request)
        .map_err(|error| unwritable(error.to_string()))?;
    encoded
        .chunks
        .into_iter()
        .map(|chunk| match chunk {
            Chunk::Bytes(bytes) => Ok(bytes),
            Chunk::External { .. } => Err(unwritable("it points into a file".to_owned())),
        })
        .collect()
}

fn decode<M: Message>(connection: &Connection, frame: Bytes, version: i16) -> Result<M> {
    let malformed = |reason: String| ClientError::Malformed {
        broker: connection.broker().to_owned(),
        api: api_name::<M>(),
        reason,
    };
    let key = api_key::<M>().ok_or_else(|| malformed("it is no response".to_owned()))?;
    let (_, body) = frame::split_response(&frame, key, version)
        .map_err(|error| malformed(error.to_string()))?;
    M::decode(body, version).map_err(|error| malformed(error.to_string()))
}

/// Whole milliseconds of a duration.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn api_key<M: Message>() -> Option<ApiKey> {
    ApiKey::from_i16(M::API_KEY?)
}

/// Kafka's name of the API that a request or response belongs to.
fn api_name<M: Message>() -> &'static str {
    let name = M::NAME;
    name.strip_suffix("Request").or_else(|| name.strip_suffix("Response")).unwrap_or(name)
}

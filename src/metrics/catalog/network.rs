//! `kafka.network`: requests from the first byte read to the last byte written.

use super::{idle_meter, meter, rows};
use crate::row::{BeanRow, Shape};
use crate::value::ValueType;

rows! {
    REQUEST_METRICS_REQUEST_QUEUE_TIME_MS = Shape::Histogram, "kafka.network:type=RequestMetrics,name=RequestQueueTimeMs,request={request}", "ms", "Time in the request queue. request is an API name, or FetchConsumer, FetchFollower, AddPartitionsToTxnVerification.", "RequestMetrics";
    REQUEST_METRICS_LOCAL_TIME_MS = Shape::Histogram, "kafka.network:type=RequestMetrics,name=LocalTimeMs,request={request}", "ms", "Time spent by the handler thread on this broker. request is an API name, or FetchConsumer, FetchFollower, AddPartitionsToTxnVerification.", "RequestMetrics";
    REQUEST_METRICS_REMOTE_TIME_MS = Shape::Histogram, "kafka.network:type=RequestMetrics,name=RemoteTimeMs,request={request}", "ms", "Time spent waiting for other brokers or for data (purgatory). request is an API name, or FetchConsumer, FetchFollower, AddPartitionsToTxnVerification.", "RequestMetrics";
    REQUEST_METRICS_THROTTLE_TIME_MS = Shape::Histogram, "kafka.network:type=RequestMetrics,name=ThrottleTimeMs,request={request}", "ms", "Throttle time returned to the client. request is an API name, or FetchConsumer, FetchFollower, AddPartitionsToTxnVerification.", "RequestMetrics";
    REQUEST_METRICS_RESPONSE_QUEUE_TIME_MS = Shape::Histogram, "kafka.network:type=RequestMetrics,name=ResponseQueueTimeMs,request={request}", "ms", "Time in the response queue. request is an API name, or FetchConsumer, FetchFollower, AddPartitionsToTxnVerification.", "RequestMetrics";
    REQUEST_METRICS_RESPONSE_SEND_TIME_MS = Shape::Histogram, "kafka.network:type=RequestMetrics,name=ResponseSendTimeMs,request={request}", "ms", "Time to write the response. request is an API name, or FetchConsumer, FetchFollower, AddPartitionsToTxnVerification.", "RequestMetrics";
    REQUEST_METRICS_TOTAL_TIME_MS = Shape::Histogram, "kafka.network:type=RequestMetrics,name=TotalTimeMs,request={request}", "ms", "Total time from receipt to response sent. request is an API name, or FetchConsumer, FetchFollower, AddPartitionsToTxnVerification.", "RequestMetrics";
    REQUEST_METRICS_REQUEST_BYTES = Shape::Histogram, "kafka.network:type=RequestMetrics,name=RequestBytes,request={request}", "bytes", "Request size. request is an API name, or FetchConsumer, FetchFollower, AddPartitionsToTxnVerification.", "RequestMetrics";
    REQUEST_METRICS_MESSAGE_CONVERSIONS_TIME_MS_BY_PRODUCE = Shape::Histogram, "kafka.network:type=RequestMetrics,name=MessageConversionsTimeMs,request=Produce", "ms", "Time spent on message format conversion.", "RequestMetrics";
    REQUEST_METRICS_MESSAGE_CONVERSIONS_TIME_MS_BY_FETCH = Shape::Histogram, "kafka.network:type=RequestMetrics,name=MessageConversionsTimeMs,request=Fetch", "ms", "Time spent on message format conversion.", "RequestMetrics";
    REQUEST_METRICS_TEMPORARY_MEMORY_BYTES_BY_PRODUCE = Shape::Histogram, "kafka.network:type=RequestMetrics,name=TemporaryMemoryBytes,request=Produce", "bytes", "Temporary memory used for conversion or decompression.", "RequestMetrics";
    REQUEST_METRICS_TEMPORARY_MEMORY_BYTES_BY_FETCH = Shape::Histogram, "kafka.network:type=RequestMetrics,name=TemporaryMemoryBytes,request=Fetch", "bytes", "Temporary memory used for conversion or decompression.", "RequestMetrics";
    REQUEST_METRICS_REQUESTS_PER_SEC = meter("requests"), "kafka.network:type=RequestMetrics,name=RequestsPerSec,request={request},version={version}", "requests", "Requests by API and version.", "RequestMetrics";
    REQUEST_METRICS_ERRORS_PER_SEC = meter("requests"), "kafka.network:type=RequestMetrics,name=ErrorsPerSec,request={request},error={error}", "requests", "Errors in responses by API and error code; error=NONE counts successes.", "RequestMetrics";
    REQUEST_CHANNEL_REQUEST_QUEUE_SIZE = Shape::Gauge(ValueType::Int), "kafka.network:type=RequestChannel,name=RequestQueueSize", "requests", "Requests waiting for a handler thread.", "RequestChannel";
    REQUEST_CHANNEL_RESPONSE_QUEUE_SIZE = Shape::Gauge(ValueType::Int), "kafka.network:type=RequestChannel,name=ResponseQueueSize", "responses", "Responses waiting to be sent, all processors.", "RequestChannel";
    REQUEST_CHANNEL_RESPONSE_QUEUE_SIZE_BY_PROCESSOR = Shape::Gauge(ValueType::Int), "kafka.network:type=RequestChannel,name=ResponseQueueSize,processor={processor}", "responses", "Responses waiting on one processor.", "RequestChannel";
    SOCKET_SERVER_NETWORK_PROCESSOR_AVG_IDLE_PERCENT = Shape::Gauge(ValueType::Double), "kafka.network:type=SocketServer,name=NetworkProcessorAvgIdlePercent", "ratio 0..1", "Mean idle share of the network threads.", "SocketServer";
    SOCKET_SERVER_MEMORY_POOL_AVAILABLE = Shape::Gauge(ValueType::Long), "kafka.network:type=SocketServer,name=MemoryPoolAvailable", "bytes", "Free bytes in the request memory pool (Long.MAX when unbounded).", "SocketServer";
    SOCKET_SERVER_MEMORY_POOL_USED = Shape::Gauge(ValueType::Long), "kafka.network:type=SocketServer,name=MemoryPoolUsed", "bytes", "Used bytes in the request memory pool.", "SocketServer";
    SOCKET_SERVER_EXPIRED_CONNECTIONS_KILLED_COUNT = Shape::Gauge(ValueType::Double), "kafka.network:type=SocketServer,name=ExpiredConnectionsKilledCount", "connections", "Connections closed because re-authentication did not happen in time.", "SocketServer";
    PROCESSOR_IDLE_PERCENT = Shape::Gauge(ValueType::Double), "kafka.network:type=Processor,name=IdlePercent,networkProcessor={networkProcessor}", "ratio 0..1", "Idle share of one network thread.", "SocketServer";
    ACCEPTOR_ACCEPTOR_BLOCKED_PERCENT = idle_meter("blocked time"), "kafka.network:type=Acceptor,name=AcceptorBlockedPercent,listener={listener}", "ratio (meter in ns)", "Share of time the acceptor was blocked handing over connections.", "SocketServer";
}

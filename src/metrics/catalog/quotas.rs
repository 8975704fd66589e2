//! Quotas: rates and throttle times by user and client id.

use super::rows;
use crate::row::{AttributeRow, BeanRow, Origin, Shape, Stat};
use crate::value::ValueType;

rows! {
    PRODUCE = Shape::Attributes(PRODUCE_ATTRIBUTES), "kafka.server:type=Produce", "channels", "Channels currently muted by the Produce quota.", "ClientQuotaManager";
    FETCH = Shape::Attributes(PRODUCE_ATTRIBUTES), "kafka.server:type=Fetch", "channels", "Channels currently muted by the Fetch quota.", "ClientQuotaManager";
    CONTROLLER_MUTATION = Shape::Attributes(PRODUCE_ATTRIBUTES), "kafka.server:type=ControllerMutation", "channels", "Channels currently muted by the ControllerMutation quota.", "ClientQuotaManager";
    REQUEST = Shape::Attributes(REQUEST_ATTRIBUTES), "kafka.server:type=Request", "channels; %", "Channels muted by the request quota and the share of handler time spent on exempt requests.", "ClientQuotaManager";
    PRODUCE_BY_USER_CLIENT_ID = Shape::Attributes(PRODUCE_BY_USER_CLIENT_ID_ATTRIBUTES), "kafka.server:type=Produce,user={user},client-id={client-id}", "bytes/s; ms", "Produce bandwidth and mean throttle time per user and client id; sensors exist only while a quota of that shape is configured and expire after an hour idle.", "ClientQuotaManager";
    FETCH_BY_USER_CLIENT_ID = Shape::Attributes(PRODUCE_BY_USER_CLIENT_ID_ATTRIBUTES), "kafka.server:type=Fetch,user={user},client-id={client-id}", "bytes/s; ms", "Fetch bandwidth and mean throttle time per user and client id; sensors exist only while a quota of that shape is configured and expire after an hour idle.", "ClientQuotaManager";
    REQUEST_BY_USER_CLIENT_ID = Shape::Attributes(REQUEST_BY_USER_CLIENT_ID_ATTRIBUTES), "kafka.server:type=Request,user={user},client-id={client-id}", "% of a thread; ms", "Handler time and mean throttle time per user and client id; sensors exist only while a quota of that shape is configured and expire after an hour idle.", "ClientRequestQuotaManager";
    CONTROLLER_MUTATION_BY_USER_CLIENT_ID = Shape::Attributes(CONTROLLER_MUTATION_BY_USER_CLIENT_ID_ATTRIBUTES), "kafka.server:type=ControllerMutation,user={user},client-id={client-id}", "tokens; mutations/s; ms", "Topic mutation rate, remaining tokens and mean throttle time per user and client id; sensors exist only while a quota of that shape is configured and expire after an hour idle.", "ControllerMutationQuotaManager";
    PRODUCE_BY_USER = Shape::Attributes(PRODUCE_BY_USER_CLIENT_ID_ATTRIBUTES), "kafka.server:type=Produce,user={user}", "bytes/s; ms", "Produce bandwidth and mean throttle time per user; sensors exist only while a quota of that shape is configured and expire after an hour idle.", "ClientQuotaManager";
    FETCH_BY_USER = Shape::Attributes(PRODUCE_BY_USER_CLIENT_ID_ATTRIBUTES), "kafka.server:type=Fetch,user={user}", "bytes/s; ms", "Fetch bandwidth and mean throttle time per user; sensors exist only while a quota of that shape is configured and expire after an hour idle.", "ClientQuotaManager";
    REQUEST_BY_USER = Shape::Attributes(REQUEST_BY_USER_CLIENT_ID_ATTRIBUTES), "kafka.server:type=Request,user={user}", "% of a thread; ms", "Handler time and mean throttle time per user; sensors exist only while a quota of that shape is configured and expire after an hour idle.", "ClientRequestQuotaManager";
    CONTROLLER_MUTATION_BY_USER = Shape::Attributes(CONTROLLER_MUTATION_BY_USER_CLIENT_ID_ATTRIBUTES), "kafka.server:type=ControllerMutation,user={user}", "tokens; mutations/s; ms", "Topic mutation rate, remaining tokens and mean throttle time per user; sensors exist only while a quota of that shape is configured and expire after an hour idle.", "ControllerMutationQuotaManager";
    PRODUCE_BY_CLIENT_ID = Shape::Attributes(PRODUCE_BY_USER_CLIENT_ID_ATTRIBUTES), "kafka.server:type=Produce,client-id={client-id}", "bytes/s; ms", "Produce bandwidth and mean throttle time per client id; sensors exist only while a quota of that shape is configured and expire after an hour idle.", "ClientQuotaManager";
    FETCH_BY_CLIENT_ID = Shape::Attributes(PRODUCE_BY_USER_CLIENT_ID_ATTRIBUTES), "kafka.server:type=Fetch,client-id={client-id}", "bytes/s; ms", "Fetch bandwidth and mean throttle time per client id; sensors exist only while a quota of that shape is configured and expire after an hour idle.", "ClientQuotaManager";
    REQUEST_BY_CLIENT_ID = Shape::Attributes(REQUEST_BY_USER_CLIENT_ID_ATTRIBUTES), "kafka.server:type=Request,client-id={client-id}", "% of a thread; ms", "Handler time and mean throttle time per client id; sensors exist only while a quota of that shape is configured and expire after an hour idle.", "ClientRequestQuotaManager";
    CONTROLLER_MUTATION_BY_CLIENT_ID = Shape::Attributes(CONTROLLER_MUTATION_BY_USER_CLIENT_ID_ATTRIBUTES), "kafka.server:type=ControllerMutation,client-id={client-id}", "tokens; mutations/s; ms", "Topic mutation rate, remaining tokens and mean throttle time per client id; sensors exist only while a quota of that shape is configured and expire after an hour idle.", "ControllerMutationQuotaManager";
}

const PRODUCE_ATTRIBUTES: &[AttributeRow] = &[AttributeRow {
    name: "queue-size",
    from: Origin::Gauge(ValueType::Double),
    meaning: "channels that are muted now",
}];

const REQUEST_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "exempt-request-time",
        from: Origin::Sensor("exempt-request-time", Stat::Rate),
        meaning: "handler time of requests that no quota covers, in percent of one thread",
    },
    AttributeRow {
        name: "queue-size",
        from: Origin::Gauge(ValueType::Double),
        meaning: "channels that are muted now",
    },
];

const PRODUCE_BY_USER_CLIENT_ID_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "byte-rate",
        from: Origin::Gauge(ValueType::Double),
        meaning: "bytes per second that count against the quota",
    },
    AttributeRow {
        name: "throttle-time",
        from: Origin::Sensor("throttle-time", Stat::Avg),
        meaning: "mean delay of throttled requests, in milliseconds",
    },
];

const REQUEST_BY_USER_CLIENT_ID_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "request-time",
        from: Origin::Gauge(ValueType::Double),
        meaning: "share of handler time used, in percent of one thread",
    },
    AttributeRow {
        name: "throttle-time",
        from: Origin::Sensor("throttle-time", Stat::Avg),
        meaning: "mean delay of throttled requests, in milliseconds",
    },
];

const CONTROLLER_MUTATION_BY_USER_CLIENT_ID_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "mutation-rate",
        from: Origin::Sensor("mutations", Stat::Rate),
        meaning: "partition creations and deletions per second",
    },
    AttributeRow {
        name: "tokens",
        from: Origin::Gauge(ValueType::Double),
        meaning: "mutations left in the bucket",
    },
    AttributeRow {
        name: "throttle-time",
        from: Origin::Sensor("throttle-time", Stat::Avg),
        meaning: "mean delay of throttled requests, in milliseconds",
    },
];

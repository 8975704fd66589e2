//! `kafka.cluster`: one set of gauges per replica of a partition.

use super::rows;
use crate::row::{BeanRow, Shape};
use crate::value::ValueType;

rows! {
    PARTITION_UNDER_REPLICATED = Shape::Gauge(ValueType::Int), "kafka.cluster:type=Partition,name=UnderReplicated,topic={topic},partition={partition}", "0/1", "1 when this led partition is under-replicated.", "Partition";
    PARTITION_IN_SYNC_REPLICAS_COUNT = Shape::Gauge(ValueType::Int), "kafka.cluster:type=Partition,name=InSyncReplicasCount,topic={topic},partition={partition}", "replicas", "ISR size (0 when not leader).", "Partition";
    PARTITION_UNDER_MIN_ISR = Shape::Gauge(ValueType::Int), "kafka.cluster:type=Partition,name=UnderMinIsr,topic={topic},partition={partition}", "0/1", "1 when the ISR is below min.insync.replicas.", "Partition";
    PARTITION_AT_MIN_ISR = Shape::Gauge(ValueType::Int), "kafka.cluster:type=Partition,name=AtMinIsr,topic={topic},partition={partition}", "0/1", "1 when the ISR equals min.insync.replicas.", "Partition";
    PARTITION_REPLICAS_COUNT = Shape::Gauge(ValueType::Int), "kafka.cluster:type=Partition,name=ReplicasCount,topic={topic},partition={partition}", "replicas", "Replica count (0 when not leader).", "Partition";
    PARTITION_LAST_STABLE_OFFSET_LAG = Shape::Gauge(ValueType::Long), "kafka.cluster:type=Partition,name=LastStableOffsetLag,topic={topic},partition={partition}", "offsets", "High watermark minus last stable offset.", "Partition";
}

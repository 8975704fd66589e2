//! Which `__consumer_offsets` partition, and so which shard, a group lives on.

/// The partition of `group_id` among `partition_count`: Java's `String.hashCode`, its sign bit
/// cleared (`Utils.abs`), modulo the count (`GroupCoordinatorService.partitionFor`).
///
/// A count below 1 yields 0.
pub fn partition_for(group_id: &str, partition_count: i32) -> i32 {
    let hash = group_id
        .encode_utf16()
        .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    (hash & i32::MAX).checked_rem(partition_count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_lie_where_java_puts_them() {
        // Hash codes as java.lang.String computes them.
        let cases = [("", 0), ("a", 97), ("polygenelubricants", 0), ("classic-group", 554_700_164)];
        for (group, abs_hash) in cases {
            assert_eq!(partition_for(group, 50), abs_hash % 50, "{group}");
        }
        assert_eq!(partition_for("\u{1F600}", i32::MAX), 1_772_899);
        assert_eq!(partition_for("any", 0), 0);
    }
}

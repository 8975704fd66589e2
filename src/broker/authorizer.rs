//! Who may do what. There is no authorizer yet: everybody may do everything, and the operations
//! that answers list are those of their kind of resource.

use std::sync::{Arc, LazyLock};

/// The user of connections that say nothing of who they are (`KafkaPrincipal.ANONYMOUS`).
pub static ANONYMOUS: LazyLock<Arc<str>> = LazyLock::new(|| "ANONYMOUS".into());

/// Bits of the operations on the cluster: create, alter, describe, cluster action, describe and
/// alter configurations, idempotent write (`AclEntry.supportedOperations`).
pub const CLUSTER_OPERATIONS: i32 = 8096;
/// Bits of the operations on a topic: read, write, create, delete, alter, describe, describe and
/// alter configurations.
pub const TOPIC_OPERATIONS: i32 = 3576;
/// Bits of the operations on a group: read, delete, describe, describe and alter configurations.
pub const GROUP_OPERATIONS: i32 = 3400;
/// What stands in answers to those who did not ask.
const NOT_ASKED: i32 = i32::MIN;

/// The bits for an answer.
pub fn operations(asked: bool, all: i32) -> i32 {
    if asked { all } else { NOT_ASKED }
}

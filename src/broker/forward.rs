//! What the controller decides for a handler: waits until this broker lives by it, and tells what
//! the controller cannot decide now.

use std::time::Duration;

use pharos_metadata::{Controller, ControllerError};
use pharos_protocol::ErrorCode;

/// Longest wait for this broker to live by what was decided.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// What the controller decided, once this broker lives by it too: who asks it next sees what was
/// done, whichever connection they ask on.
///
/// # Errors
/// What the controller says instead of deciding.
pub async fn settled<R>(
    controller: &Controller,
    decided: impl Future<Output = Result<R, ControllerError>>,
) -> Result<R, ControllerError> {
    let result = decided.await;
    let seen = controller.publisher().wait_for(controller.last_committed_offset());
    // A broker that is behind answers all the same: the change is committed.
    let _ = tokio::time::timeout(SETTLE_LIMIT, seen).await;
    result
}

/// The code of a controller that does not decide.
pub fn code_of(error: &ControllerError) -> i16 {
    let code = match error {
        ControllerError::NotController { .. } => ErrorCode::NotController,
        ControllerError::TimedOut => ErrorCode::RequestTimedOut,
        ControllerError::Stopped(_) => ErrorCode::UnknownServerError,
    };
    code.code()
}

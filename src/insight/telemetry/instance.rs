//! One client instance: when it may ask and push again, and what went wrong last
//! (`org.apache.kafka.server.metrics.ClientMetricsInstance`).

use pharos_protocol::ErrorCode;
use pharos_protocol::compression::Codec;
use pharos_protocol::messages::PushTelemetryRequestRef;

use super::subscription::Wanted;

/// Least time after which a silent instance is forgotten, in ms.
const MIN_EXPIRY_MS: i64 = 60_000;
/// Push intervals after which a silent instance is forgotten.
const EXPIRY_INTERVALS: i64 = 3;

/// The state of one client instance.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) wanted: Wanted,
    /// Version of the subscriptions that `wanted` was made of.
    pub(crate) version: u64,
    pub(crate) last_seen_ms: i64,
    last_get_ms: Option<i64>,
    last_push_ms: Option<i64>,
    terminating: bool,
    last_error: ErrorCode,
}

impl Instance {
    pub(crate) fn new(wanted: Wanted, version: u64, now_ms: i64) -> Self {
        Self {
            wanted,
            version,
            last_seen_ms: now_ms,
            last_get_ms: None,
            last_push_ms: None,
            terminating: false,
            last_error: ErrorCode::None,
        }
    }

    /// When it is forgotten unless it is heard of.
    pub(crate) fn expires_ms(&self) -> i64 {
        let intervals_ms = i64::from(self.wanted.interval_ms) * EXPIRY_INTERVALS;
        self.last_seen_ms.saturating_add(intervals_ms.max(MIN_EXPIRY_MS))
    }

    /// The client asks for its subscription. Too early is refused, but for a client that was told
    /// to ask anew.
    ///
    /// # Errors
    /// The code to answer with.
    pub(crate) fn get(&mut self, now_ms: i64) -> Result<(), ErrorCode> {
        let is_due = self.is_due(self.last_get_ms.max(self.last_push_ms), now_ms);
        let was_told = matches!(
            self.last_error,
            ErrorCode::UnknownSubscriptionId | ErrorCode::UnsupportedCompressionType
        );
        if !is_due && !was_told {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        if is_due {
            self.last_get_ms = Some(now_ms);
        }
        self.last_error = ErrorCode::None;
        Ok(())
    }

    /// The client pushes. Returns the codec of its bytes.
    ///
    /// # Errors
    /// The code to answer with.
    pub(crate) fn push(
        &mut self,
        now_ms: i64,
        request: &PushTelemetryRequestRef<'_>,
        max_bytes: usize,
    ) -> Result<Codec, ErrorCode> {
        let checked = self.check(now_ms, request, max_bytes);
        self.terminating = request.terminating;
        self.done(checked)
    }

    /// Remembers how a push ended.
    pub(crate) fn done<T>(&mut self, result: Result<T, ErrorCode>) -> Result<T, ErrorCode> {
        self.last_error = result.as_ref().err().copied().unwrap_or(ErrorCode::None);
        result
    }

    fn check(
        &mut self,
        now_ms: i64,
        request: &PushTelemetryRequestRef<'_>,
        max_bytes: usize,
    ) -> Result<Codec, ErrorCode> {
        if self.terminating {
            return Err(ErrorCode::InvalidRequest);
        }
        // The first push after a look at the subscription may come early: clients spread it.
        let is_first = self.last_get_ms > self.last_push_ms;
        if is_first || self.is_due(self.last_push_ms, now_ms) {
            self.last_push_ms = Some(now_ms);
        } else if !request.terminating {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        if request.subscription_id != self.wanted.id {
            return Err(ErrorCode::UnknownSubscriptionId);
        }
        let codec = u8::try_from(request.compression_type).ok().and_then(Codec::from_id);
        let codec = codec.ok_or(ErrorCode::UnsupportedCompressionType)?;
        if request.metrics.len() > max_bytes {
            return Err(ErrorCode::TelemetryTooLarge);
        }
        Ok(codec)
    }

    fn is_due(&self, last_ms: Option<i64>, now_ms: i64) -> bool {
        let interval_ms = i64::from(self.wanted.interval_ms);
        last_ms.is_none_or(|last_ms| now_ms.saturating_sub(last_ms) >= interval_ms)
    }
}

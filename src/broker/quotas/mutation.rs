//! The quota of partitions that are created and deleted, for one request (KIP-599).

use std::sync::Arc;

use parking_lot::Mutex;
use pharos_metadata::{ApiError, PartitionQuota};
use pharos_protocol::ErrorCode;

use super::manager::{Account, QuotaManager};
use super::table::Client;

/// What a request may create and delete. Strict, it refuses what comes when there is debt; else it
/// takes all, and who runs into debt is muted.
#[derive(Clone, Debug)]
pub struct MutationQuota(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    manager: Arc<QuotaManager>,
    /// None without limits.
    account: Option<Account>,
    strict: bool,
    debt: Mutex<Debt>,
}

/// How long to pay, as of when.
#[derive(Clone, Copy, Debug, Default)]
struct Debt {
    ms: u32,
    at_ms: i64,
}

impl MutationQuota {
    /// The quota of `client` for one request.
    pub fn new(manager: &Arc<QuotaManager>, client: &Client, strict: bool) -> Self {
        let account = manager.account(client);
        let debt = Mutex::default();
        Self(Arc::new(Inner { manager: manager.clone(), account, strict, debt }))
    }

    /// What the controller asks before it creates or deletes partitions.
    pub fn for_controller(&self) -> PartitionQuota {
        let Some(account) = self.0.account.clone() else { return PartitionQuota::unlimited() };
        let inner = self.0.clone();
        PartitionQuota::new(move |partitions| inner.take(&account, partitions))
    }

    /// How long the client is to be muted, from now on.
    pub fn throttle_ms(&self) -> u32 {
        let Debt { ms, at_ms } = *self.0.debt.lock();
        let passed = self.0.manager.now_ms() - at_ms;
        u32::try_from((i64::from(ms) - passed).max(0)).unwrap_or(u32::MAX)
    }
}

impl Inner {
    #[expect(clippy::cast_precision_loss, reason = "a number of partitions")]
    fn take(&self, account: &Account, partitions: usize) -> Result<(), ApiError> {
        let (count, now_ms) = (partitions as f64, self.manager.now_ms());
        let owe = |ms| *self.debt.lock() = Debt { ms, at_ms: now_ms };
        if self.strict {
            account.spend_unless_in_debt(count, now_ms).map_err(|ms| {
                owe(ms);
                let code = ErrorCode::ThrottlingQuotaExceeded;
                ApiError::new(code, code.message())
            })
        } else {
            let ms = account.record(count, now_ms);
            if ms > 0 {
                owe(ms);
            }
            Ok(())
        }
    }
}

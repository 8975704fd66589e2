//! What a request may create and delete, as whoever limits clients says (KIP-599).

use std::fmt;

use super::ApiError;

/// Asked with the number of partitions before a decision creates or deletes them; an error refuses
/// the topic. What was asked for counts, whatever becomes of the request.
pub struct PartitionQuota(Option<Take>);

type Take = Box<dyn Fn(usize) -> Result<(), ApiError> + Send + Sync>;

impl PartitionQuota {
    /// No limit.
    pub fn unlimited() -> Self {
        Self(None)
    }

    /// The limit that `take` enforces.
    pub fn new(take: impl Fn(usize) -> Result<(), ApiError> + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(take)))
    }

    /// Takes that many partitions.
    ///
    /// # Errors
    /// The refusal that the client gets.
    pub fn take(&self, partitions: usize) -> Result<(), ApiError> {
        self.0.as_ref().map_or(Ok(()), |take| take(partitions))
    }
}

impl fmt::Debug for PartitionQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "PartitionQuota" } else { "PartitionQuota(unlimited)" })
    }
}

//! Committed offsets: the store, and the APIs on it, a file per family.

pub(crate) mod commit;
pub(crate) mod delete;
pub(crate) mod expire;
pub mod fetch;
pub(crate) mod store;
pub(crate) mod transactions;

#[cfg(test)]
mod tests;

pub use store::Commit;
pub(crate) use store::OffsetStore;

//! The HTTP listener of a node: metric pages, health, beans, and what other rooms register.
//!
//! It owns the door (TLS, users, names of hosts, limits, deadlines, error bodies) and the negotiation
//! of formats. What a page says belongs to whoever renders it.

mod beans;
mod bind;
mod doorkeeper;
mod error;
mod filter;
mod guard;
mod handshake;
mod health;
mod held;
mod hosts;
mod index;
mod limits;
mod pages;
mod refusals;
mod server;
#[cfg(test)]
mod tests;

pub use bind::{AddressError, AdminAddress, BindError};
pub use doorkeeper::Protection;
pub use error::ErrorBody;
pub use health::{Condition, NotReady, Readiness};
pub use hosts::{HostError, Hosts};
pub use index::Section;
pub use pages::PageSource;
pub use server::{Admin, AdminServer};

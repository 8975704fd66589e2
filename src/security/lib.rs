//! Who may connect and read: TLS material and passwords, read from files, checked, and read anew when
//! they change.
//!
//! It refuses sockets and HTTP: a listener asks it for the configuration of a handshake and for a
//! judgement of credentials. It knows no configuration keys either: who names a file says so.

mod accounts;
mod basic;
mod key_material;
mod password;
mod pkcs12;
mod tls;
mod users;
mod watched;

pub use accounts::{Accounts, AccountsError};
pub use basic::basic_credentials;
pub use key_material::{KeyStore, Source, TrustStore};
pub use password::{Algorithm, Hashed, PasswordError, Verifier};
pub use rustls;
pub use tls::{ClientAuth, Tls, TlsError, TlsOptions, TlsServer};
pub use users::{Users, UsersError};
pub use watched::{FileError, Reading};

//! The messages and codes of the protocol, under one name for the whole room.

pub(crate) use pharos_protocol::messages::*;
pub(crate) use pharos_protocol::{ErrorCode, Message, encode_to_bytes};

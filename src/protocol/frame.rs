//! Frames: size, header and body together.

use bytes::Bytes;

use crate::api::ApiKey;
use crate::header::{request_header_version, response_header_version};
use crate::messages::{RequestHeader, RequestHeaderRef, ResponseHeader, ResponseHeaderRef};
use crate::wire::{DecodeError, EncodeError, Encoded, Message, Writer};

/// Bytes of the size in front of each frame.
pub const SIZE_LEN: usize = 4;

/// Why a request's header cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame names an API that does not exist.
    #[error("unknown api key {0}")]
    UnknownApi(i16),
    /// The header is malformed.
    #[error("the header is malformed")]
    Header(#[source] DecodeError),
}

/// A request as it lies in its frame, the body unread.
#[derive(Clone, Copy, Debug)]
pub struct RequestFrame<'a> {
    /// The API.
    pub api_key: ApiKey,
    /// The header; its version of the request may be one that nobody knows.
    pub header: RequestHeaderRef<'a>,
    /// What follows the header.
    pub body: &'a [u8],
}

/// Reads the header of a request; `frame` is without its size.
///
/// # Errors
/// [`FrameError`]; both are reasons to close the connection.
pub fn split_request(frame: &[u8]) -> Result<RequestFrame<'_>, FrameError> {
    let (key, version) = match frame {
        &[a, b, c, d, ..] => (i16::from_be_bytes([a, b]), i16::from_be_bytes([c, d])),
        _ => {
            let left = frame.len();
            return Err(FrameError::Header(DecodeError::Truncated { needed: 4 - left, left }));
        }
    };
    let api_key = ApiKey::from_i16(key).ok_or(FrameError::UnknownApi(key))?;
    let header_version = request_header_version(api_key, version);
    let (header, body) =
        RequestHeaderRef::decode_prefix(frame, header_version).map_err(FrameError::Header)?;
    Ok(RequestFrame { api_key, header, body })
}

/// Reads the header of a response to `version` of a request: its correlation id, and the body.
/// `frame` is without its size.
///
/// # Errors
/// [`DecodeError`].
pub fn split_response(
    frame: &[u8],
    api_key: ApiKey,
    version: i16,
) -> Result<(i32, &[u8]), DecodeError> {
    let header_version = response_header_version(api_key, version);
    let (header, body) = ResponseHeaderRef::decode_prefix(frame, header_version)?;
    Ok((header.correlation_id, body))
}

/// The whole frame of a request, its size in front.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_request<M: Message>(
    api_key: ApiKey,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    body: &M,
) -> Result<Encoded, EncodeError> {
    let header = RequestHeader {
        request_api_key: api_key.as_i16(),
        request_api_version: version,
        correlation_id,
        client_id: client_id.map(str::to_owned),
    };
    sized(|out| {
        header.encode(out, request_header_version(api_key, version))?;
        body.encode(out, version)
    })
}

/// The whole frame of a response, its size in front.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_response<M: Message>(
    api_key: ApiKey,
    version: i16,
    correlation_id: i32,
    body: &M,
) -> Result<Encoded, EncodeError> {
    sized(|out| write_reply(out, api_key, version, correlation_id, body))
}

/// The frame of a response without its size, for who puts that in front.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_reply<M: Message>(
    api_key: ApiKey,
    version: i16,
    correlation_id: i32,
    body: &M,
) -> Result<Encoded, EncodeError> {
    let mut out = Writer::new();
    write_reply(&mut out, api_key, version, correlation_id, body)?;
    let encoded = out.finish();
    frame_size(encoded.len())?;
    Ok(encoded)
}

fn write_reply<M: Message>(
    out: &mut Writer,
    api_key: ApiKey,
    version: i16,
    correlation_id: i32,
    body: &M,
) -> Result<(), EncodeError> {
    ResponseHeader { correlation_id }.encode(out, response_header_version(api_key, version))?;
    body.encode(out, version)
}

fn sized(
    write: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
) -> Result<Encoded, EncodeError> {
    let mut out = Writer::new();
    out.put(&[0; SIZE_LEN]);
    write(&mut out)?;
    let size = frame_size(out.len() - SIZE_LEN)?;
    out.patch_front(&size.to_be_bytes());
    Ok(out.finish())
}

fn frame_size(len: usize) -> Result<i32, EncodeError> {
    i32::try_from(len).map_err(|_| EncodeError::Frame(len))
}

/// The whole frame around bytes that are encoded already, its size in front.
///
/// # Errors
/// [`EncodeError::Frame`].
pub fn wrap(body: &[u8]) -> Result<Bytes, EncodeError> {
    let mut out = Vec::with_capacity(SIZE_LEN + body.len());
    out.extend_from_slice(&frame_size(body.len())?.to_be_bytes());
    out.extend_from_slice(body);
    Ok(Bytes::from(out))
}

//! Metadata records and image, the quorum, placement, elections and registrations.

//! The cluster as one listener shows it.

use pharos_metadata::image::MetadataImage;

/// What is told to those who ask on a listener.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The cluster.
    pub image: &'a MetadataImage,
    /// Name of the listener whose addresses are told.
    pub listener: &'a str,
    /// Id of the cluster.
    pub cluster_id: &'a str,
}

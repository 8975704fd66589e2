//! Who looks at keys while a batch is checked: nobody, at no cost, or a sink that names the records
//! whose keys it wants.

/// Longest key that is shown, in bytes: one in compressed records may have to be put together.
pub const MAX_WATCHED_KEY_BYTES: usize = 64 * 1024;

/// Sees keys of the records that it chooses.
pub trait KeySink {
    /// A batch begins that claims so many records.
    fn begin(&mut self, records: i32);

    /// Index of the next record whose key is wanted; negative for none. Asked after
    /// [`Self::begin`] and after each key.
    fn next(&self) -> i32;

    /// The key that was wanted; `None` for a record without one, or with one that is longer than
    /// [`MAX_WATCHED_KEY_BYTES`].
    fn key(&mut self, key: Option<&[u8]>);
}

/// What the walk over a batch asks at each record.
pub(super) trait Watch {
    fn wants(&self, index: i32) -> bool;
    fn key(&mut self, key: Option<&[u8]>);
}

/// Nobody looks.
pub(super) struct Unwatched;

impl Watch for Unwatched {
    #[inline]
    fn wants(&self, _index: i32) -> bool {
        false
    }

    fn key(&mut self, _key: Option<&[u8]>) {}
}

/// A sink looks.
pub(super) struct Watched<'a> {
    next: i32,
    sink: &'a mut dyn KeySink,
}

impl<'a> Watched<'a> {
    pub(super) fn new(sink: &'a mut dyn KeySink) -> Self {
        Self { next: sink.next(), sink }
    }
}

impl Watch for Watched<'_> {
    #[inline]
    fn wants(&self, index: i32) -> bool {
        index == self.next
    }

    fn key(&mut self, key: Option<&[u8]>) {
        self.sink.key(key);
        self.next = self.sink.next();
    }
}

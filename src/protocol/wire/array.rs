//! An array that lies in a message, checked but not taken apart.

use std::fmt;
use std::marker::PhantomData;

use super::message::Element;
use super::reader::Reader;

/// The elements of an array, read anew each time they are asked for. They were read once when the
/// message was decoded, so reading them cannot fail.
pub struct Array<'a, T> {
    reader: Reader<'a>,
    len: u32,
    element: PhantomData<fn() -> T>,
}

impl<'a, T: Element<'a>> Array<'a, T> {
    pub(super) fn new(reader: Reader<'a>, len: u32) -> Self {
        Self { reader, len, element: PhantomData }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements in order.
    pub fn iter(&self) -> ArrayIter<'a, T> {
        ArrayIter { reader: self.reader, left: self.len, element: PhantomData }
    }

    /// The elements, copied: nothing in them borrows from the message.
    pub fn to_vec(&self) -> Vec<T::Owned> {
        let mut out = Vec::with_capacity(self.len());
        out.extend(self.iter().map(|element| element.own()));
        out
    }
}

impl<T> Copy for Array<'_, T> {}

impl<T> Clone for Array<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<'a, T: Element<'a>> Default for Array<'a, T> {
    fn default() -> Self {
        Self::new(Reader::new(&[], 0, false), 0)
    }
}

impl<'a, T: Element<'a> + fmt::Debug> fmt::Debug for Array<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Element<'a>> IntoIterator for Array<'a, T> {
    type Item = T;
    type IntoIter = ArrayIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T: Element<'a>> IntoIterator for &Array<'a, T> {
    type Item = T;
    type IntoIter = ArrayIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The elements of an [`Array`] in order.
pub struct ArrayIter<'a, T> {
    reader: Reader<'a>,
    left: u32,
    element: PhantomData<fn() -> T>,
}

impl<'a, T: Element<'a>> Iterator for ArrayIter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        T::read(&mut self.reader).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl<'a, T: Element<'a>> ExactSizeIterator for ArrayIter<'a, T> {}

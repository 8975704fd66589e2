//! Pages on their way out, and who reads them: a reader that takes its time must not keep more memory
//! than all pages together may have. Beyond that the oldest page is given up, and whoever still
//! reads it is cut off: who is in earnest takes seconds.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::limits::MAX_HELD_BYTES;

/// Ends the connection of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cut(pub(crate) CancellationToken);

/// The pages that are held.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    last: u64,
    /// Of the pages that nobody has given up, in bytes.
    size: usize,
    /// The oldest first.
    pages: VecDeque<Entry>,
}

/// A page that somebody holds.
struct Entry {
    number: u64,
    size: usize,
    given_up: bool,
    /// Who reads it.
    readers: HashMap<u64, Cut>,
}

/// A page, counted for as long as it or a copy of it lives.
#[derive(Clone)]
pub(crate) struct HeldPage {
    bytes: Bytes,
    number: u64,
    held: Held,
}

/// The bytes of a page; the last one to drop takes it off the book.
struct Owned {
    bytes: Bytes,
    number: u64,
    held: Held,
}

/// The bytes of a page for one reader.
struct Lease {
    page: HeldPage,
    reader: u64,
}

impl Held {
    /// Counts a page, and gives up older ones that do not fit beside it.
    pub(crate) fn hold(&self, bytes: Bytes) -> HeldPage {
        let mut book = self.0.lock();
        book.make_room(bytes.len());
        book.last += 1;
        let (number, size) = (book.last, bytes.len());
        book.size += size;
        book.pages.push_back(Entry { number, size, given_up: false, readers: HashMap::new() });
        drop(book);
        let owned = Owned { bytes, number, held: self.clone() };
        HeldPage { bytes: Bytes::from_owner(owned), number, held: self.clone() }
    }

    fn leave(&self, number: u64, reader: u64) {
        if let Some(entry) = self.0.lock().entry(number) {
            entry.readers.remove(&reader);
        }
    }

    fn forget(&self, number: u64) {
        let mut book = self.0.lock();
        let Some(at) = book.pages.iter().position(|entry| entry.number == number) else { return };
        let gone = book.pages.remove(at).filter(|entry| !entry.given_up);
        book.size -= gone.map_or(0, |entry| entry.size);
    }
}

impl Book {
    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        self.pages.iter_mut().find(|entry| entry.number == number)
    }

    /// Gives up the oldest pages until one of `size` bytes fits. A page alone may be as large as it is.
    fn make_room(&mut self, size: usize) {
        for entry in &mut self.pages {
            if self.size.saturating_add(size) <= MAX_HELD_BYTES {
                return;
            }
            if !std::mem::replace(&mut entry.given_up, true) {
                self.size -= entry.size;
                entry.readers.values().for_each(|cut| cut.0.cancel());
            }
        }
    }
}

impl HeldPage {
    /// Its size in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The page itself.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its bytes for a reader, who is cut off when the page is given up.
    pub(crate) fn read_by(self, cut: Cut) -> Bytes {
        let mut book = self.held.0.lock();
        book.last += 1;
        let reader = book.last;
        match book.entry(self.number) {
            Some(entry) if !entry.given_up => drop(entry.readers.insert(reader, cut)),
            _ => cut.0.cancel(),
        }
        drop(book);
        Bytes::from_owner(Lease { page: self, reader })
    }
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.held.forget(self.number);
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        self.page.bytes()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.page.held.leave(self.page.number, self.reader);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: usize = MAX_HELD_BYTES / 2;

    fn page(held: &Held, size: usize) -> HeldPage {
        held.hold(vec![b'x'; size].into())
    }

    #[test]
    fn the_oldest_page_is_given_up_with_all_who_read_it() {
        let held = Held::default();
        let cuts: Vec<_> = (0..4).map(|_| Cut::default()).collect();
        let is_cut = || cuts.iter().map(|cut| cut.0.is_cancelled()).collect::<Vec<_>>();
        let first = page(&held, HALF);
        let readers = [first.clone().read_by(cuts[0].clone()), first.read_by(cuts[1].clone())];
        let second = page(&held, HALF).read_by(cuts[2].clone());
        assert_eq!(is_cut(), [false; 4], "one page counts once, whoever reads it");
        let third = page(&held, 1).read_by(cuts[3].clone());
        assert_eq!(is_cut(), [true, true, false, false]);
        assert_eq!(held.0.lock().size, HALF + 1);
        assert_eq!((readers[0].len(), second.len(), third.len()), (HALF, HALF, 1));
        drop((readers, second, third));
        let book = held.0.lock();
        assert_eq!((book.size, book.pages.len()), (0, 0));
    }

    #[test]
    fn who_has_read_is_not_cut_off_later() {
        let held = Held::default();
        let [quick, slow, late] = [Cut::default(), Cut::default(), Cut::default()];
        let old = page(&held, HALF);
        drop(old.clone().read_by(quick.clone()));
        let _slow = old.clone().read_by(slow.clone());
        let _large = page(&held, MAX_HELD_BYTES + 1);
        assert!(slow.0.is_cancelled() && !quick.0.is_cancelled());
        let _late = old.read_by(late.clone());
        assert!(late.0.is_cancelled(), "it has been given up");
    }
}

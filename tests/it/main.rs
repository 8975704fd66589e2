//! The one integration binary: what is true of the whole checkout and of the running binary.

mod tidy;

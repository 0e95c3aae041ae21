//! ZIP files, made as they are sent.

mod octets;

mod time;

mod blocks;

mod deflate;

mod member;

mod records;

mod layout;

mod writer;

#[cfg(test)]
mod tests;

//! Where clusters come from. A source tells the one [`super::Writer`] what it sees, and keeps quiet when it sees
//! nothing: a source that cannot be reached leaves the table as it is, is asked again with backoff for ever, and says
//! so once.

mod connection;
mod feed;
mod pace;
pub mod secrets;

//! What several collectors need for asking and understanding: none of it is a source of its own.

pub(super) mod charset;
pub(super) mod html;
pub(super) mod kept;
pub(super) mod page;
pub(super) mod presentation;
pub(super) mod questions;
pub(super) mod registries;
pub(super) mod sockets;
pub(super) mod text_records;
pub(super) mod wildcard;

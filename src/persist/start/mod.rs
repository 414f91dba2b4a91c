//! What happens to files at a start, before a project is served: reading, repair, import, salvage.

pub(crate) mod consistency;
pub(crate) mod edited_file;
pub mod import;
pub(crate) mod json_reader;
pub mod recovery;
pub mod recovery_error;
pub(crate) mod renewal;
pub(crate) mod replay;
pub mod salvage;

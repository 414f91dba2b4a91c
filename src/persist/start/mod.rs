//! What happens to files at a start, before a project is served: reading, repair, import, salvage.

pub(crate) mod consistency;
pub(crate) mod edited_file;
pub(crate) mod import;
pub(crate) mod json_reader;
pub(crate) mod recovery;
pub(crate) mod recovery_error;
pub(crate) mod renewal;
pub(crate) mod replay;
pub(crate) mod salvage;

//! What happens to files at a start, before a project is served: reading, repair, import, salvage.

pub(in crate::persist) mod consistency;
pub mod edited_file;
pub mod import;
pub(in crate::persist) mod json_reader;
pub mod recovery;
pub mod recovery_error;
pub(in crate::persist) mod renewal;
pub(in crate::persist) mod replay;
pub mod salvage;

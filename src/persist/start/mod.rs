//! What happens to files at a start, before a project is served: reading, repair, import, salvage.

pub mod edited_file;
pub(in crate::persist) mod json_reader;
pub(in crate::persist) mod pairing;
pub mod recovery;
pub mod recovery_error;
pub(in crate::persist) mod renewal;
pub(in crate::persist) mod replay;
pub mod salvage;
pub mod takeover;

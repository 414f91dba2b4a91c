//! What happens to files at a start, before a project is served: reading, repair, import, salvage.

pub(in crate::persist) mod consistency;
pub(crate) mod edited_file;
pub(crate) mod import;
pub(in crate::persist) mod json_reader;
pub(crate) mod recovery;
pub(crate) mod recovery_error;
pub(in crate::persist) mod renewal;
pub(in crate::persist) mod replay;
pub(crate) mod salvage;

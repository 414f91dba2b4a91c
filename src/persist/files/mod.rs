//! The files of projects: their names, their bytes, and how they are written and read.

pub mod data_file;
pub mod deletion;
pub mod generation;
pub mod guard;
pub mod header;
pub mod leftovers;
pub(in crate::persist) mod line_copy;
pub mod locations;
pub mod own_files;
pub mod preserved_copies;
pub mod record;
pub mod seed;
pub mod sequential;
pub mod value_reader;
pub mod watermark;

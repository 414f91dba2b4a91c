//! The files of projects: their names, their bytes, and how they are written and read.

pub(crate) mod data_file;
pub mod deletion;
pub mod generation;
pub mod guard;
pub mod header;
pub(crate) mod leftovers;
pub(crate) mod line_copy;
pub(crate) mod locations;
pub(crate) mod own_files;
pub(crate) mod preserved_copies;
pub mod record;
pub mod seed;
pub(crate) mod sequential;
pub(crate) mod value_reader;
pub mod watermark;

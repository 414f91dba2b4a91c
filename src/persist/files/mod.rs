//! The files of projects: their names, their bytes, and how they are written and read.

pub(crate) mod data_file;
pub(crate) mod deletion;
pub(crate) mod generation;
pub(crate) mod guard;
pub(crate) mod header;
pub(crate) mod leftovers;
pub(crate) mod line_copy;
pub(crate) mod locations;
pub(crate) mod own_files;
pub(crate) mod preserved_copies;
pub(crate) mod record;
pub(crate) mod seed;
pub(crate) mod sequential;
pub(crate) mod value_reader;
pub(crate) mod watermark;

//! The checks that the fuzz targets share with the ordinary tests of the package.

#[path = "../../tests/fuzz/checks/mod.rs"]
pub mod checks;

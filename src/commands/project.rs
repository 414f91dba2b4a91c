//! `pikv project move`: works on the cells, beside servers that use them.

use super::engine::open_cells;
use super::error::RunError;
use super::printing::print_result;
use super::setup::load_existing;
use crate::cli::effective::Options;
use crate::config::schema::{CellName, EngineType};
use crate::names::ProjectId;
use crate::storage::etcd::Caretaker;
use crate::storage::etcd::moving::{self, Begun, Step};

pub(super) fn move_to(options: &Options, project: &ProjectId, cell: &CellName) -> Result<(), RunError> {
    let path = &options.config_path.value;
    let config = load_existing(path)?.config;
    if config.engine.kind == EngineType::Embedded {
        return Err(RunError::NotOnCells);
    }
    let cells = open_cells(path, &config)?;
    // A key that has expired by the clock of a cell is not copied.
    let _caretaker = Caretaker::start(&cells).map_err(RunError::Start)?;
    let Begun::Move(mut begun) = moving::begin(&cells, project, cell.as_str())? else {
        return print_result(&format!("Project {project} is on cell {cell}.\n"));
    };
    let mut printed = Ok(());
    loop {
        let step = begun.step()?;
        // The move continues, even if its steps cannot be printed.
        printed = printed.and(print_result(&format!("{step}\n")));
        if step == Step::Finished {
            return printed.and(print_result(&format!("Project {project} is on cell {cell}.\n")));
        }
    }
}

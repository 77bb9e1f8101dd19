//! The experiment: what the number of processes does to TPS and RT.
//!
//! ```text
//! grid    which cells there are, and the order in which they are measured
//! record  what was measured, in a file that a later run goes on with
//! run     one service after the other, one cell after the other
//! analysis  ceilings, prediction, bottlenecks, knees, the law TPS = concurrency / RT
//! report, plots, page  text, CSV, SVG and PNG, one HTML page
//! against  two runs side by side
//! ```
//!
//! Cells are repeated in rounds; every other round goes backwards, so that a machine that gets slower or faster meanwhile
//! does not look like an effect of what was varied.

mod against;
mod analysis;
mod grid;
mod page;
mod plots;
mod record;
mod report;
mod run;

pub use against::{Change, Comparison, Pair, compare};
pub use analysis::{Analysis, CellFigures, Limit, analyse};
pub use grid::{Cell, Grid, Setup};
pub use page::page;
pub use plots::{Plot, plots, png, svg};
pub use record::{Conditions, Record, Sample};
pub use report::{cells_csv, text};
pub(crate) use run::load_service;
pub use run::{Experiment, run};

#[cfg(test)]
mod tests;

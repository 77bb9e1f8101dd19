//! `detectd export`: reviewed pictures as a data set. Reads the folders; needs no running service.

use crate::cli::ExportArgs;
use crate::{Failure, config};
use harvest::export::{Format, Order, export};
use std::io::Write;
use std::path::PathBuf;

/// Exports, and says what went where.
pub fn run(args: &ExportArgs) -> Result<(), Failure> {
    let root = root(args)?;
    let format = Format::of(&args.format).ok_or_else(|| Failure::usage("no such format"))?;
    let defaults = Order::new(format);
    let order = Order {
        states: args.state.clone(),
        validation: args.validation,
        copy: args.copy,
        prefix: args.prefix.clone().unwrap_or(defaults.prefix),
        format,
    };
    let report = export(&root, &args.into, &order).map_err(Failure::usage)?;
    let splits: Vec<String> =
        report.pictures.iter().map(|(split, count)| format!("{count} {split}")).collect();
    let left_out = match report.left_out {
        0 => String::new(),
        n => format!("; {n} left out: they cannot be read, or have no place in this form"),
    };
    let text = format!(
        "{}: {} pictures ({}), {} of them links, {} classes{left_out}\n",
        args.into.display(),
        report.pictures.values().sum::<usize>(),
        splits.join(", "),
        report.linked,
        report.classes.len(),
    );
    let _ = std::io::stdout().write_all(text.as_bytes()); // a closed pipe is no error
    Ok(())
}

/// The folder of the pictures: named, or configured.
fn root(args: &ExportArgs) -> Result<PathBuf, Failure> {
    if let Some(root) = &args.root {
        return Ok(root.clone());
    }
    let config = config::load(&args.config.sources(&[])).map_err(Failure::usage)?;
    if config.harvest.root.as_os_str().is_empty() {
        return Err(Failure::usage(
            "no pictures are named: pass --root FOLDER, or a --config that sets harvest.root",
        ));
    }
    Ok(config.harvest.root)
}

//! What is generated from the command line: completions for shells, pages of the manual. Both come out of the definitions that
//! parse it, so that they cannot say anything else.

use crate::Failure;
use crate::cli::Cli;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;
use std::path::Path;

/// Prints the completions for a shell.
pub fn completions(shell: Shell) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "detectd", &mut text);
    // A reader that went away (`| head`) is no error.
    let _ = std::io::stdout().write_all(&text);
    Ok(())
}

/// Writes `detectd.1` and a page for each command.
pub fn pages(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))
}

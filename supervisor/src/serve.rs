//! `detectd serve`: sets up what the supervisor needs, in the order in which a mistake is cheapest, and runs it.

use crate::cli::ConfigArgs;
use crate::driver::{Driver, Parts};
use crate::spawn::Program;
use crate::{Failure, config, logging, sockets};
use shm_proto::board::Board;
use shm_proto::control::{Exit, use_writable_folder};
use std::net::SocketAddr;

/// Serves until told to stop.
pub fn run(args: &ConfigArgs) -> Result<(), Failure> {
    // First of all: it keeps descriptor 3 free for the children's sockets.
    let program = Program::open()
        .map_err(|error| Failure::internal(format!("/proc/self/exe: {error}; /proc must be mounted")))?;
    let sources = args.sources();
    let config = config::load(&sources).map_err(Failure::usage)?;
    let level = logging::start(&config.log, "supervisor", None).map_err(Failure::internal)?;
    let listeners = sockets::listen(&config.service).map_err(Failure::usage)?;
    let address = listeners[0].local_addr().map_err(Failure::internal)?;
    let name = service_name(&config.service.name, address);
    raise_file_limit();
    let created = Board::create(&name, u32::from(config.service.procs())).map_err(Failure::usage)?;
    if let Some(pid) = created.removed {
        tracing::warn!("removed the board that supervisor {pid} of '{name}' left behind when it died");
    }
    let board = created.board;
    board.set_listen(&address.to_string());
    use_writable_folder();
    let parts = Parts { sources, config, board, listeners, program, level };
    let driver = Driver::new(parts).map_err(Failure::internal)?;
    match driver.run() {
        (Exit::Clean, _) => Ok(()),
        (exit, why) => Err(Failure { exit, why: why.unwrap_or_default() }),
    }
}

/// Lets this service have as many descriptors as the system allows it: the soft limit is often made for shells.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // A limit that stays as it is means fewer connections, which the frontends take into account.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// The name on the board: the configured one, or the port's number.
pub fn service_name(configured: &str, address: SocketAddr) -> String {
    if configured.is_empty() { address.port().to_string() } else { configured.to_owned() }
}

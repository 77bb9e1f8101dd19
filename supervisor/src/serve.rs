//! `detectd serve`: sets up what the supervisor needs, in the order in which a mistake is cheapest, and runs it.

use crate::cli::{ServeArgs, ServiceArgs};
use crate::driver::{Driver, Parts};
use crate::handover::{self, Handover};
use crate::sockets::Listeners;
use crate::spawn::Program;
use crate::{Failure, config, logging, sockets};
use nix::sys::signal::{Signal, raise};
use shm_proto::board::{Board, Heritage};
use shm_proto::control::{Exit, use_writable_folder};
use std::net::{SocketAddr, TcpListener};

/// Serves until told to stop. What comes after another program in the same process goes back to that one when it cannot serve.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    if let Some(parent) = args.parent {
        follow(parent).map_err(|error| Failure::internal(format!("prctl: {error}")))?;
    }
    let args = &args.config;
    let mut handover =
        handover::receive().map_err(|error| Failure::internal(format!("{}: {error}", handover::VARIABLE)))?;
    let outcome = serve(args, &mut handover);
    if let (Err(failure), Some(mut handover)) = (&outcome, handover)
        && handover.refused.is_none()
    {
        let error = handover.go_back(&failure.why);
        return Err(Failure::internal(format!("{}; and there is no way back: {error}", failure.why)));
    }
    outcome
}

/// Stops, as by an operator, when the process that started this one ends however it does.
fn follow(parent: i32) -> nix::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    // It may have ended before the kernel was asked.
    if nix::unistd::getppid().as_raw() == parent { Ok(()) } else { raise(Signal::SIGTERM) }
}

fn serve(args: &ServiceArgs, handover: &mut Option<Handover>) -> Result<(), Failure> {
    // First of all: it keeps descriptor 3 free for the children's sockets.
    let program = Program::open()
        .map_err(|error| Failure::internal(format!("/proc/self/exe: {error}; /proc must be mounted")))?;
    let sources = args.sources();
    let config = match &*handover {
        Some(Handover { refused: Some(_), config, .. }) => {
            serde_json::from_value(config.clone()).map_err(Failure::internal)?
        }
        _ => config::load(&sources).map_err(Failure::usage)?,
    };
    let level = logging::start(&config.log, "supervisor", None).map_err(Failure::internal)?;
    let Listeners { sockets: mut listeners, passed } = match &*handover {
        Some(handover) => {
            let sockets = inherited(handover, &config).map_err(Failure::internal)?;
            Listeners { sockets, passed: true }
        }
        None => sockets::listen(&config.service).map_err(Failure::usage)?,
    };
    if let Some(admin) = config.access.admin()
        && !listeners.iter().any(|socket| socket.local_addr().is_ok_and(|address| address == admin))
    {
        listeners.push(sockets::bind(admin).map_err(Failure::usage)?);
    }
    let path = match &*handover {
        Some(handover) => handover.path.clone(),
        None => std::env::current_exe().map_err(Failure::internal)?,
    };
    let address = listeners[0].local_addr().map_err(Failure::internal)?;
    let name = service_name(&config.service.name, address);
    raise_file_limit();
    let created = Board::create(&name, u32::from(config.service.procs())).map_err(Failure::usage)?;
    let board = created.board;
    let heritage = match (&*handover, created.old) {
        (Some(_), Some(old)) => Some(Heritage::new(old, &board)),
        _ => None,
    };
    if let (Some(pid), None) = (created.removed, &*handover) {
        tracing::warn!("removed the board that supervisor {pid} of '{name}' left behind when it died");
    }
    board.set_listen(&address.to_string());
    use_writable_folder();
    let taken = handover.take();
    let parts =
        Parts { sources, config, board, listeners, passed, program, level, path, handover: taken, heritage };
    let driver = Driver::new(parts).map_err(Failure::internal)?;
    let outcome = driver.run();
    *handover = outcome.way_back;
    match outcome.exit {
        Exit::Clean => Ok(()),
        exit => Err(Failure { exit, why: outcome.why.unwrap_or_default() }),
    }
}

/// The sockets of the program before this one, without an operators' one that is no longer configured: to frontends that do not
/// know it, it would be a door for everybody.
fn inherited(handover: &Handover, config: &config::Config) -> std::io::Result<Vec<TcpListener>> {
    let before = &handover.config["access"]["admin_listen"];
    let before: Option<SocketAddr> = before.as_str().and_then(|address| address.parse().ok());
    let gone = before.filter(|address| config.access.admin() != Some(*address));
    let copies = handover.listeners.iter().map(|socket| socket.try_clone().map(TcpListener::from));
    let copies = copies.collect::<std::io::Result<Vec<_>>>()?;
    let is_gone = |socket: &TcpListener| gone.is_some() && socket.local_addr().ok() == gone;
    Ok(copies.into_iter().filter(|socket| !is_gone(socket)).collect())
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

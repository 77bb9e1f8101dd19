//! A child's life: settle in, meet the supervisor, run the role, and say why it ended.

use crate::cli::{RoleArgs, RoleName};
use crate::config::Log;
use crate::core::child::Kind;
use crate::{Failure, logging, spawn};
use shm_proto::control::{self, Exit, FromChild};

/// Runs the role until the supervisor sends it home or goes away.
pub fn run(args: &RoleArgs) -> Result<(), Failure> {
    let (kind, slot) = match args.role {
        RoleName::Frontend => (Kind::Frontend, Some(args.slot)),
        RoleName::Engine => (Kind::Engine, None),
    };
    spawn::settle_in(kind, args.slot);
    let log = Log { level: args.log_level.clone(), format: args.log_format };
    logging::start(&log, kind.traits().name, slot).map_err(Failure::internal)?;
    let (sender, receiver, boot, fds) = control::connect(&args.rendezvous).map_err(Failure::internal)?;
    let ended = match args.role {
        RoleName::Frontend => frontend::run(boot, fds, sender.clone(), receiver)
            .map_err(|error| (error.exit(), error.to_string())),
        RoleName::Engine => engine::run(boot, fds, sender.clone(), receiver)
            .map_err(|error| (error.exit(), error.to_string())),
    };
    ended.map_err(|(exit, message)| {
        // The supervisor says it, with the consequence; without one there is nobody to say it to but the log.
        let told = sender.send(FromChild::Fatal { exit, message: message.clone() }).is_ok();
        Failure { exit, why: if told || exit == Exit::Clean { String::new() } else { message } }
    })
}

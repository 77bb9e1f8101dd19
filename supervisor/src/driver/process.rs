//! A child as the operating system knows it: pid, control line, and orders that wait until it listens.

use super::arenas::Arenas;
use crate::config::Log;
use crate::core::child::{ChildId, Kind};
use crate::core::event::{Message, Model, Order};
use crate::spawn::Program;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shm_proto::board::Board;
use shm_proto::control::{Boot, ControlError, FromChild, Line, Role, ToChild};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// A live, or not yet reaped, child.
pub struct Process {
    pub(super) id: ChildId,
    pub(super) pid: Pid,
    line: Line,
    stage: Stage,
    waiting: Vec<Order>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Started; it has not come to the rendezvous yet.
    Silent,
    Talking,
    /// Its end of the line is closed: it is dead, or as good as.
    HungUp,
}

impl Process {
    /// Starts the process.
    ///
    /// # Errors
    /// In the system's words.
    pub fn start(
        id: ChildId,
        config: String,
        board: &Board,
        fds: Arc<[OwnedFd]>,
        program: &Program,
        log: &Log,
    ) -> Result<Self, String> {
        let role = match id.kind {
            Kind::Engine => Role::Engine,
            Kind::Frontend => Role::Frontend,
        };
        let boot = Boot {
            role,
            slot: id.slot,
            generation: id.generation,
            board: board.name().to_owned(),
            frontends: board.frontends(),
            config,
        };
        let (line, end) = Line::open(boot, fds).map_err(|error| error.to_string())?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // What they keep free adds up there, and no core has work for all of them.
        let gives_back = role == Role::Frontend && board.frontends() as usize > cores;
        let pid = program.start(id, &end, log, gives_back).map_err(|error| error.to_string())?;
        Ok(Self { id, pid, line, stage: Stage::Silent, waiting: Vec::new() })
    }

    /// What to poll, unless nothing will come from there any more.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        (self.stage != Stage::HungUp).then(|| self.line.fd())
    }

    /// What the child said since the last call.
    pub fn hear(&mut self) -> Vec<Message> {
        if self.stage == Stage::HungUp {
            return Vec::new();
        }
        match self.line.receive() {
            Ok(messages) => messages.into_iter().map(message_of).collect(),
            Err(ControlError::Closed) => {
                self.stage = Stage::HungUp;
                Vec::new()
            }
            Err(error) => {
                tracing::error!(%error, "{}: the control line is broken", self.id);
                self.stage = Stage::HungUp;
                Vec::new()
            }
        }
    }

    /// Gives an order, now or when the child comes to the rendezvous. A child that has no idea yet of what it is has nothing
    /// to finish: told to leave, it is killed.
    pub fn tell(&mut self, order: Order, arenas: &Arenas) {
        self.waiting.push(order);
        self.send_waiting(arenas);
        let leaves = self.waiting.iter().any(|order| matches!(order, Order::Drain { .. } | Order::Stop));
        if leaves && self.stage != Stage::HungUp {
            let _ = kill(self.pid, Signal::SIGKILL); // it is not reaped yet, so the pid is still its own
        }
    }

    /// Tells the child that it is about to be another program's, and copies the line for that one. `None` when it does not
    /// listen.
    pub fn hand_over(&mut self, timeout: Duration) -> Option<OwnedFd> {
        self.line.send(ToChild::HandOver { timeout }, &[]).ok()?;
        self.line.fd().try_clone_to_owned().ok()
    }

    /// Sends the orders that had to wait.
    pub fn send_waiting(&mut self, arenas: &Arenas) {
        while let Some(order) = self.waiting.first() {
            let (message, fd) = match order {
                Order::Attach { generation } => match arenas.attachment(*generation) {
                    Some((message, fd)) => (message, Some(fd)),
                    None => {
                        self.waiting.remove(0); // that arena is history
                        continue;
                    }
                },
                Order::Drain { timeout } => (ToChild::Drain { timeout: *timeout }, None),
                Order::Stop => (ToChild::Drain { timeout: Duration::ZERO }, None),
            };
            match self.line.send(message, fd.as_slice()) {
                Ok(()) => {
                    self.stage = Stage::Talking;
                    self.waiting.remove(0);
                }
                Err(ControlError::Closed) if self.stage == Stage::Silent => return, // later
                Err(error) => {
                    tracing::debug!(%error, "{} did not take an order", self.id);
                    self.waiting.clear();
                    // Dead already, or deaf: its successor gets orders of its own.
                    let _ = kill(self.pid, Signal::SIGKILL);
                }
            }
        }
    }
}

fn message_of(said: FromChild) -> Message {
    match said {
        FromChild::Model { input_bytes, output_bytes, max_batch, lanes, description, identity, title } => {
            Message::Model(Model {
                input_bytes,
                output_bytes,
                max_batch,
                lanes,
                description,
                identity,
                title,
            })
        }
        FromChild::Ready { generation } => Message::Ready { generation },
        FromChild::Drained => Message::Drained,
        FromChild::Status(text) => Message::Status(text),
        FromChild::Fatal { exit, message } => Message::Fatal { exit: exit as i32, message },
    }
}

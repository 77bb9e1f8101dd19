//! A frontend's life: what it builds from its boot packet, what it does when the supervisor speaks, and when it
//! leaves. The heartbeat is given by the runtime's own thread, so that a frontend that hangs is seen to.

use crate::access::{Access, KeysError};
use crate::config::{Config, ConfigError};
use crate::golden::{self, GoldenError};
use crate::inputs::{Inputs, InputsError};
use crate::keeping::Keeping;
use crate::link::{Attached, Link};
use crate::sandbox;
use crate::server::{self, Connections, Door};
use crate::service::{Gates, Service};
use crate::tls::{Tls, TlsError};
use crate::work::Pool;
use shm_proto::Owner;
use shm_proto::arena::{ArenaError, Bells, FrontendArena, Geometry};
use shm_proto::board::{Board, BoardError, ProcessState};
use shm_proto::control::{
    Boot, ControlError, ControlReceiver, ControlSender, Exit, FromChild, Received, ToChild,
};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use vision::model::{ModelFacts, OutputFacts};

/// Time between two signs of life.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// Heartbeats between two snapshots of the board.
const BEATS_PER_SNAPSHOT: u32 = 4;

/// Why a frontend leaves before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration is no JSON of a [`Config`].
    #[error("the frontend's configuration cannot be read: {0}")]
    ConfigText(#[from] serde_json::Error),
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An input cannot be set up.
    #[error(transparent)]
    Inputs(#[from] InputsError),
    /// The API keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The certificate or its key cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The board cannot be attached.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// The arena cannot be attached.
    #[error("the arena cannot be attached: {0}")]
    Arena(#[from] ArenaError),
    /// The model's description and the arena do not belong together.
    #[error("the arena does not fit the model: {0}")]
    Misfit(String),
    /// Descriptors did not come as promised.
    #[error("{0}")]
    Boot(&'static str),
    /// The supervisor has gone, and so has the service.
    #[error("the supervisor has gone")]
    Orphaned,
    /// The model does not pass its golden test.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// A thread, a socket or the runtime failed.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl RunError {
    /// The exit code that tells the supervisor whether to try again.
    pub fn exit(&self) -> Exit {
        match self {
            Self::ConfigText(_) | Self::Config(_) | Self::Inputs(_) | Self::Keys(_) | Self::Tls(_) => {
                Exit::Config
            }
            Self::Golden(GoldenError::File { .. } | GoldenError::Differs { .. }) => Exit::Config,
            Self::System { .. } | Self::Golden(GoldenError::NoAnswer(_)) => Exit::Temporary,
            Self::Board(_) | Self::Arena(_) | Self::Misfit(_) | Self::Boot(_) | Self::Orphaned => {
                Exit::Internal
            }
        }
    }
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::System { what, source }
}

/// Serves until the supervisor asks to drain, or is gone. `fds` are the bells of all frontends, by slot, then the
/// listening sockets.
///
/// # Errors
/// What keeps the frontend from serving; [`RunError::Orphaned`] when the supervisor has gone.
pub fn run(
    boot: Boot,
    fds: Vec<OwnedFd>,
    sender: ControlSender,
    receiver: ControlReceiver,
) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("the runtime cannot be started"))?;
    // Gives up what it need not have before there is another thread.
    let frontend = Frontend::start(boot, fds)?;
    let messages = hear(receiver).map_err(system("no thread for the supervisor's messages"))?;
    let result = runtime.block_on(frontend.serve(&sender, messages));
    // Connections that are still open end here; nobody waits for a blocking lookup of a name.
    runtime.shutdown_background();
    result
}

/// Hears the supervisor on a thread of its own; the channel ends when the supervisor has gone.
fn hear(mut receiver: ControlReceiver) -> io::Result<mpsc::UnboundedReceiver<Received>> {
    let (send, messages) = mpsc::unbounded_channel();
    std::thread::Builder::new().name("control".to_owned()).spawn(move || {
        loop {
            match receiver.recv() {
                Ok(received) => {
                    if send.send(received).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    if !matches!(error, ControlError::Closed) {
                        tracing::error!(%error, "the supervisor cannot be heard");
                    }
                    return;
                }
            }
        }
    })?;
    Ok(messages)
}

/// A frontend that has its parts and has not begun.
pub(crate) struct Frontend {
    service: Arc<Service>,
    owner: Owner,
    bells: Bells,
    listeners: Vec<OwnedFd>,
}

impl Frontend {
    /// Builds the parts.
    ///
    /// # Errors
    /// As [`run`].
    pub(crate) fn start(boot: Boot, mut fds: Vec<OwnedFd>) -> Result<Self, RunError> {
        let config: Config = serde_json::from_str(&boot.config)?;
        config.check()?;
        let frontends = boot.frontends as usize;
        if fds.len() <= frontends || usize::from(boot.slot) >= frontends {
            return Err(RunError::Boot("a frontend needs every frontend's bell and a listening socket"));
        }
        let listeners = fds.split_off(frontends);
        let bells = Bells::from_fds(fds);
        let board = Board::open(&boot.board)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = config.frontend.decode_threads(cores, boot.frontends);
        let gates = Gates {
            inputs: Inputs::new(&config.inputs)?,
            access: Access::new(&config.access)?,
            tls: Tls::new(&config.tls)?,
        };
        // The harvest's threads may outlive the service by a moment, so they have a view of their own.
        let figures = Board::open(&boot.board)?;
        Keeping::make_room(&config.harvest);
        board.frontend(boot.slot).set_guards(sandbox::enter(&config.open()));
        let pool = Pool::start(threads).map_err(system("no threads to decode with"))?;
        let link = Link::new(bells.clone(), boot.slot);
        let keeping = Keeping::start(&config.harvest, boot.frontends as usize, figures, boot.slot)
            .map_err(system("no thread to keep pictures with"))?;
        let service = Service::new(config, boot.slot, board, link, pool, gates, keeping);
        let owner = Owner { slot: boot.slot, generation: boot.generation };
        Ok(Self { service, owner, bells, listeners })
    }

    /// Accepts at once and answers 503 until a model is attached, or, if it is to be patient, accepts when it is. Ends when it is told to or
    /// nobody is left to tell it.
    async fn serve(
        self,
        sender: &ControlSender,
        mut messages: mpsc::UnboundedReceiver<Received>,
    ) -> Result<(), RunError> {
        let Self { service, owner, bells, listeners } = self;
        let mut shut = Some(listeners);
        let mut door = None;
        if !service.config.patient
            && let Some(listeners) = shut.take()
        {
            door = Some(open(&service, listeners)?);
        }
        tokio::spawn(beat(service.clone()));
        let mut listening = {
            let service = service.clone();
            tokio::spawn(async move { service.link.listen().await })
        };
        // The newest model, while it is being tested.
        let mut trial: Option<Trial> = None;
        loop {
            let received = tokio::select! {
                received = messages.recv() => received.ok_or(RunError::Orphaned)?,
                tested = async { trial.as_mut().expect("guarded").await }, if trial.is_some() => {
                    trial = None;
                    let (attached, generation) = tested?;
                    service.link.attach(attached);
                    if let Some(listeners) = shut.take() {
                        door = Some(open(&service, listeners)?);
                    }
                    service.process().set_state(ProcessState::Ready);
                    say(sender, FromChild::Ready { generation })?;
                    continue;
                }
                ended = &mut listening => {
                    let error = ended.map_err(io::Error::other).and_then(|result| result).err();
                    return Err(system("the bell cannot be heard")(error.unwrap_or_else(|| io::ErrorKind::Other.into())));
                }
            };
            match received.message {
                ToChild::Attach { generation, geometry, description } => {
                    let fd =
                        received.fds.into_iter().next().ok_or(RunError::Boot("the arena was not passed"))?;
                    let attached = attach(owner, bells.clone(), fd, &geometry, &description)?;
                    service.link.admit(&attached);
                    let service = service.clone();
                    trial = Some(Box::pin(async move {
                        golden::test(&service, &attached).await?;
                        Ok((attached, generation))
                    }));
                }
                ToChild::Drain { timeout } => {
                    service.process().set_state(ProcessState::Draining);
                    let (connections, acceptors) = door.unwrap_or_default();
                    let all = tokio::select! {
                        all = server::drain(&service, &connections, acceptors, timeout) => all,
                        () = orphaned(&mut messages) => return Err(RunError::Orphaned),
                    };
                    if !all {
                        tracing::warn!(?timeout, "connections were still open when the time to drain was up");
                    }
                    return say(sender, FromChild::Drained);
                }
                ToChild::Boot(_) | ToChild::HandOver { .. } => {
                    return Err(RunError::Boot("a message out of place came"));
                }
            }
        }
    }
}

/// Starts to accept.
pub(crate) fn open(
    service: &Arc<Service>,
    fds: Vec<OwnedFd>,
) -> Result<(Arc<Connections>, JoinSet<io::Result<()>>), RunError> {
    let connections = Arc::new(Connections::default());
    let mut acceptors = JoinSet::new();
    let listeners: Vec<AsyncFd<TcpListener>> =
        server::listeners(fds).map_err(system("a listening socket cannot be used"))?;
    let addresses: Vec<SocketAddr> = listeners
        .iter()
        .map(|listener| listener.get_ref().local_addr())
        .collect::<io::Result<_>>()
        .map_err(system("a listening socket cannot be used"))?;
    let doors = Door::of(&addresses, service.config.access.admin());
    for (listener, door) in listeners.into_iter().zip(doors) {
        acceptors.spawn(server::accept(service.clone(), connections.clone(), listener, door));
    }
    Ok((connections, acceptors))
}

/// A test of a model generation, which goes on beside the requests of the one before.
type Trial = Pin<Box<dyn Future<Output = Result<(Arc<Attached>, u32), GoldenError>>>>;

/// Attaches a new model generation's arena.
pub(crate) fn attach(
    owner: Owner,
    bells: Bells,
    fd: OwnedFd,
    geometry: &Geometry,
    description: &str,
) -> Result<Arc<Attached>, RunError> {
    let facts: ModelFacts =
        serde_json::from_str(description).map_err(|error| RunError::Misfit(error.to_string()))?;
    let arena = FrontendArena::attach(fd, owner, bells)?;
    if arena.geometry() != geometry {
        return Err(RunError::Misfit("its sizes are not those that were announced".to_owned()));
    }
    fits(&facts, geometry)?;
    tracing::info!(model = facts.spec.name, generation = arena.generation(), "model attached");
    Ok(Attached::new(arena, facts))
}

/// Whether tensors as described fit into seats of these sizes.
fn fits(facts: &ModelFacts, geometry: &Geometry) -> Result<(), RunError> {
    let input = facts.seat.bytes() as u64;
    if input != geometry.input_bytes {
        return Err(RunError::Misfit(format!(
            "an input of {input} bytes in a seat of {}",
            geometry.input_bytes
        )));
    }
    let outputs: Vec<u64> = facts.outputs.iter().map(|output: &OutputFacts| output.bytes() as u64).collect();
    let roomy = outputs.len() == geometry.output_bytes.len()
        && outputs.iter().zip(&geometry.output_bytes).all(|(needed, room)| needed <= room);
    if !roomy {
        let room = &geometry.output_bytes;
        return Err(RunError::Misfit(format!("outputs of {outputs:?} bytes in seats of {room:?}")));
    }
    Ok(())
}

/// Gives signs of life, and keeps the last minute's figures.
pub(crate) async fn beat(service: Arc<Service>) {
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for beats in 1u32.. {
        ticks.tick().await;
        service.process().beat();
        service.look_around();
        if beats.is_multiple_of(BEATS_PER_SNAPSHOT) {
            service.look_back();
        }
    }
}

/// Ends when the supervisor has gone. What it still says while the frontend drains changes nothing.
async fn orphaned(messages: &mut mpsc::UnboundedReceiver<Received>) {
    while messages.recv().await.is_some() {}
}

fn say(sender: &ControlSender, message: FromChild) -> Result<(), RunError> {
    sender.send(message).map_err(|_| RunError::Orphaned)
}

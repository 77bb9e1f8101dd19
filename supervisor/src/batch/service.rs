//! The service of one batch: `detectd serve` as a child, on a free loopback port, that ends with this process however that ends.
//! Owns what it may read for this process, and the key without which nobody else on the machine has it read anything.

use crate::cli::ConfigArgs;
use crate::config::{Config, LogFormat};
use crate::pull::hex;
use batch::{BatchError, Endpoint, Progress};
use frontend::inputs::{PathConfig, Roots};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sha2::{Digest, Sha256};
use shm_proto::board::{Board, ServiceState};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often it is looked whether the service is ready or gone.
const LOOK: Duration = Duration::from_millis(5);
/// Nobody's request is in flight when it stops.
const STOPPING: Duration = Duration::from_secs(10);

/// Most folders that a frontend holds open to read from, and most bytes of their names, which are an argument; of those beyond, the
/// bytes are sent.
const MOST_ROOTS: usize = 64;
const LONGEST_ROOTS: usize = 64 << 10;

/// A running service.
pub struct Service {
    child: Child,
    /// Passes on what it says.
    ears: Option<JoinHandle<()>>,
}

impl Service {
    /// Starts it with these keys of the configuration and waits until it is ready. It reads itself what is in these folders, as
    /// far as `type=path` reaches. Call it from the main thread: the kernel ends the child with the thread.
    ///
    /// # Errors
    /// When it ends before it is ready; it has said why then.
    pub fn start(
        args: &ConfigArgs,
        keys: Vec<(&'static str, String)>,
        folders: &[PathBuf],
        progress: Arc<Progress>,
        stop: &AtomicBool,
    ) -> Result<(Self, Endpoint), BatchError> {
        let key = random_key().map_err(|error| BatchError::Service(format!("/dev/urandom: {error}")))?;
        let mut room = LONGEST_ROOTS;
        let has_room = |folder: &&PathBuf| {
            room = room.saturating_sub(folder.as_os_str().len());
            room > 0
        };
        let roots: Vec<PathBuf> = folders
            .iter()
            .filter(|folder| is_root(folder))
            .take(MOST_ROOTS)
            .take_while(has_room)
            .cloned()
            .collect();
        let own = [
            ("access.key_digests", format!("[\"{}\"]", hex(&Sha256::digest(&key)))),
            (
                "inputs.path.roots",
                toml::Value::try_from(&roots).map_or_else(|_| "[]".to_owned(), |roots| roots.to_string()),
            ),
        ];
        let name = format!("batch-{}", std::process::id());
        let mut command = Command::new("/proc/self/exe");
        command.arg0("detectd: batch").arg("serve").args(args.words());
        for (key, value) in keys.into_iter().chain(own) {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        if args.log_level.is_none() {
            command.args(["--log-level", "warn"]);
        }
        let child = command
            .args(["--listen", "127.0.0.1:0", "--name", &name])
            .args(["--parent", &std::process::id().to_string()])
            .env_remove("NOTIFY_SOCKET")
            .env_remove("LISTEN_FDS")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C is for the batch, which lets pictures on their way come to an end.
            .process_group(0)
            .spawn()
            .map_err(|error| BatchError::Service(error.to_string()))?;
        let mut service = Self { child, ears: None };
        if let Some(said) = service.child.stderr.take() {
            service.ears = Some(std::thread::spawn(move || {
                for line in BufReader::new(said).lines().map_while(Result::ok) {
                    progress.say(&line);
                }
            }));
        }
        loop {
            if let Some(why) = service.ended() {
                service.hear_out();
                return Err(BatchError::Usage(format!("no service to do the work: {why}")));
            }
            if let Ok(board) = Board::open(&name)
                && board.state() == ServiceState::Ready
            {
                return Ok((service, Endpoint { address: board.listen(), key, roots }));
            }
            // Set by a signal and read here and in the run; nothing else hangs on it.
            if stop.load(Ordering::Relaxed) {
                service.stop();
                return Err(BatchError::Service("stopped before it was ready".to_owned()));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Why it has ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(format!("it ended with {status}")),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Stops it.
    pub fn stop(mut self) {
        // An error means that it has ended.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let until = Instant::now() + STOPPING;
        while self.ended().is_none() && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.hear_out();
    }

    fn hear_out(&mut self) {
        if let Some(ears) = self.ears.take() {
            let _ = ears.join();
        }
    }
}

/// A key that nobody guesses. The service is told its digest, since what it is told others can see.
fn random_key() -> io::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex(&bytes))
}

/// Whether a frontend can read from that folder: a real one, not the whole disk, on a system that keeps paths inside.
fn is_root(folder: &Path) -> bool {
    let config = PathConfig { roots: vec![folder.to_owned()] };
    let is_part = folder.canonicalize().is_ok_and(|real| real.parent().is_some());
    is_part && folder.to_str().is_some() && Roots::open(&config).is_ok()
}

/// Cores for one frontend of a batch. All connections are this process's: with few frontends pictures are spread over all decode threads, and
/// code and tables are in the caches once. More cores bring more pictures than one thread for sockets and answers should have.
const CORES: usize = 8;

/// How many frontends a batch has, unless its command or environment says.
fn procs() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.div_ceil(CORES).min(usize::from(crate::config::Service::MOST_PROCS))
}

/// The configuration's keys that a batch sets: no hurry, no refusals, one client, nothing for runs that have the machine to themselves;
/// and few frontends, where the batch was not given a number.
pub fn keys(config: &Config, jobs: usize, has_own_procs: bool) -> Vec<(&'static str, String)> {
    let mut keys = vec![
        ("frontend.rt_target", "0s".to_owned()),
        ("frontend.deadline", "10m".to_owned()),
        ("frontend.max_concurrency", (jobs * 2).to_string()),
        ("inputs.url.enabled", "false".to_owned()),
        ("inputs.max_images", batch::TOGETHER.to_string()),
        ("service.drain_timeout", "1s".to_owned()),
        // The harvest of a service with this configuration is that service's.
        ("harvest.enabled", "false".to_owned()),
        ("harvest.root", String::new()),
    ];
    // The one client is this process: it has a key of its own, speaks plainly, and leaves the operators' address to the service that has it.
    keys.extend(
        ["access.keys", "access.admin_listen", "tls.certificate", "tls.key"].map(|key| (key, String::new())),
    );
    keys.extend(["access.key_rate", "access.address_rate"].map(|key| (key, "0".to_owned())));
    // Decode threads that are counted are counted for as many frontends as there are said to be.
    if !has_own_procs && config.frontend.decode_threads == 0 {
        keys.push(("service.procs", procs().to_string()));
    }
    if jobs > 1 && config.engine.idle_threads == 0 {
        // No run has the machine to itself: what serves only such runs would be loaded for nothing.
        keys.push(("engine.idle_threads", "1".to_owned()));
    }
    if config.log.format == LogFormat::Auto {
        keys.push(("log.format", LogFormat::Human.as_str().to_owned()));
    }
    keys
}

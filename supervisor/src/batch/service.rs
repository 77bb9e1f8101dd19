//! The service of one batch: `detectd serve` as a child, on a free loopback port, that ends with this process however that ends.

use crate::cli::ConfigArgs;
use crate::config::{Config, LogFormat};
use batch::{BatchError, Progress};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shm_proto::board::{Board, ServiceState};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often it is looked whether the service is ready or gone.
const LOOK: Duration = Duration::from_millis(5);
/// Nobody's request is in flight when it stops.
const STOPPING: Duration = Duration::from_secs(10);

/// A running service.
pub struct Service {
    child: Child,
    address: String,
    /// Passes on what it says.
    ears: Option<JoinHandle<()>>,
}

impl Service {
    /// Starts it and waits until it is ready. Call it from the main thread: the kernel ends the child with the thread.
    ///
    /// # Errors
    /// When it ends before it is ready; it has said why then.
    pub fn start(
        args: &ConfigArgs,
        config: &Config,
        jobs: usize,
        progress: Arc<Progress>,
        stop: &AtomicBool,
    ) -> Result<Self, BatchError> {
        let name = format!("batch-{}", std::process::id());
        let mut command = Command::new("/proc/self/exe");
        command.arg0("detectd: batch").arg("serve").args(args.words());
        for (key, value) in keys(config, jobs) {
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
        let mut service = Self { child, address: String::new(), ears: None };
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
                service.address = board.listen();
                return Ok(service);
            }
            // Set by a signal and read here and in the run; nothing else hangs on it.
            if stop.load(Ordering::Relaxed) {
                service.stop();
                return Err(BatchError::Service("stopped before it was ready".to_owned()));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Address and port.
    pub fn address(&self) -> &str {
        &self.address
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

/// The keys that a batch sets: no hurry, no refusals, no other way in than a request's body.
fn keys(config: &Config, jobs: usize) -> Vec<(&'static str, String)> {
    let mut keys = vec![
        ("frontend.rt_target", "0s".to_owned()),
        ("frontend.deadline", "2m".to_owned()),
        ("frontend.max_concurrency", (jobs * 2).to_string()),
        ("inputs.url.enabled", "false".to_owned()),
        ("inputs.path.roots", "[]".to_owned()),
        ("service.drain_timeout", "1s".to_owned()),
        // The harvest of a service with this configuration is that service's.
        ("harvest.enabled", "false".to_owned()),
        ("harvest.root", String::new()),
    ];
    // The one client is this process: it has no key, speaks plainly, and leaves the operators' address to the service that has it.
    keys.extend(
        ["access.keys", "access.admin_listen", "tls.certificate", "tls.key"].map(|key| (key, String::new())),
    );
    keys.extend(["access.key_rate", "access.address_rate"].map(|key| (key, "0".to_owned())));
    if config.log.format == LogFormat::Auto {
        keys.push(("log.format", LogFormat::Human.as_str().to_owned()));
    }
    keys
}

//! The service that is measured: started from this very executable with a name and a port of its own, and stopped again.

pub mod guard;

use crate::BenchError;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use shm_proto::board::{Board, ServiceState};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Loading a big model and warming every batch size takes its time.
const START: Duration = Duration::from_secs(300);
/// A little longer than the service itself waits for its requests.
const STOP: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(20);

/// What is started.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// A configuration file.
    pub config: Option<PathBuf>,
    /// The model.
    pub model: Option<PathBuf>,
    /// Frontend processes.
    pub procs: u32,
    /// Further keys of the configuration and their values.
    pub set: Vec<(String, String)>,
}

impl Settings {
    /// The variables that set keys of the configuration, which the service inherits. Those with short names are left out:
    /// the model is seen by what is served, and name, address, processes and log are decided here.
    pub fn environment(&self) -> Vec<(String, String)> {
        let sets = |name: &str| name.strip_prefix("DETECTD_").is_some_and(|key| key.contains("__"));
        let mut found: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| sets(name))
            .collect();
        found.sort();
        found
    }

    /// What the configuration file says: that of the settings, or the one that the service finds in its environment.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn config_text(&self) -> Result<Option<String>, BenchError> {
        let named = std::env::var_os("DETECTD_CONFIG").map(PathBuf::from);
        let Some(file) = self.config.clone().or(named) else { return Ok(None) };
        std::fs::read_to_string(&file).map(Some).map_err(|error| BenchError::file(&file, &error))
    }
}

/// A running service. It is stopped when dropped.
pub struct Serving {
    child: Child,
    folder: TempDir,
    board: Option<Board>,
    address: SocketAddr,
}

impl Serving {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// With the end of its log when it does not become ready.
    pub fn start(settings: &Settings) -> Result<Self, BenchError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bench-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let folder = tempfile::tempdir().map_err(BenchError::failed)?;
        let log = File::create(folder.path().join("log")).map_err(BenchError::failed)?;
        let mut command = Command::new("/proc/self/exe");
        command.args(["serve", "--name", &name, "--listen", "127.0.0.1:0", "--log-format", "human"]);
        command.args(["--procs", &settings.procs.to_string()]);
        for (flag, file) in [("--config", &settings.config), ("--model", &settings.model)] {
            if let Some(file) = file {
                command.arg(flag).arg(file);
            }
        }
        for (key, value) in &settings.set {
            command.args(["--set", &format!("{key}={value}")]);
        }
        let errors = log.try_clone().map_err(BenchError::failed)?;
        // A group of its own: Ctrl-C reaches this process alone, which then stops the service once.
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0).spawn();
        let child = child.map_err(BenchError::failed)?;
        guard::watch(Pid::from_raw(child.id().cast_signed()));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut serving = Self { child, folder, board: None, address };
        serving.wait_ready(&name)?;
        Ok(serving)
    }

    fn wait_ready(&mut self, name: &str) -> Result<(), BenchError> {
        let until = Instant::now() + START;
        loop {
            if let Some(status) = self.child.try_wait().map_err(BenchError::failed)? {
                return Err(BenchError::failed(format!("the service ended with {status}:\n{}", self.log())));
            }
            if let Ok(board) = Board::open(name)
                && board.state() == ServiceState::Ready
            {
                let listen = board.listen();
                self.address =
                    listen.parse().map_err(|error| BenchError::failed(format!("{listen}: {error}")))?;
                self.board = Some(board);
                return Ok(());
            }
            if Instant::now() > until {
                let reason = format!("the service did not become ready in {START:?}:\n{}", self.log());
                return Err(BenchError::failed(reason));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The end of its log.
    fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its board.
    ///
    /// # Panics
    /// Never: a service that was handed out was ready.
    pub fn board(&self) -> &Board {
        self.board.as_ref().expect("a service that is ready has a board")
    }

    /// Its supervisor.
    pub fn supervisor(&self) -> u32 {
        self.child.id()
    }

    /// A JSON document that it answers at this path.
    ///
    /// # Errors
    /// When it does not.
    pub fn document(&self, path: &str) -> Result<Value, BenchError> {
        let wrong = |error: &dyn std::fmt::Display| BenchError::failed(format!("GET {path}: {error}"));
        let mut stream = TcpStream::connect(self.address).map_err(|e| wrong(&e))?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(|e| wrong(&e))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).map_err(|e| wrong(&e))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|e| wrong(&e))?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(|| wrong(&"no whole answer"))?;
        serde_json::from_str(body).map_err(|e| wrong(&e))
    }

    /// Stops it as an operator would.
    ///
    /// # Errors
    /// When it does not end as it should.
    pub fn stop(mut self) -> Result<(), BenchError> {
        let status = self.end().map_err(BenchError::failed)?;
        if status.is_some_and(|status| status.success()) {
            return Ok(());
        }
        Err(BenchError::failed(format!("the service did not stop cleanly ({status:?}):\n{}", self.log())))
    }

    /// The status with which it ended by itself; none when it had to be killed.
    fn end(&mut self) -> std::io::Result<Option<std::process::ExitStatus>> {
        let ended = self.wait();
        guard::forget();
        ended
    }

    fn wait(&mut self) -> std::io::Result<Option<std::process::ExitStatus>> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(Some(status));
        }
        // Our own child, not yet waited for: the number is still its own.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let until = Instant::now() + STOP;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            std::thread::sleep(LOOK);
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(None)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // On the way out of an error, or after `stop`: nobody to tell.
        let _ = self.end();
    }
}

//! One running service: started on a free port with a configuration of its own, stopped by its own pid when
//! dropped, its log printed when the test fails.

use crate::client::Client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shm_proto::board::{Board, ServiceState};
use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running service.
pub struct Service {
    /// `None` only while it is being made.
    child: Option<Child>,
    folder: TempDir,
    name: String,
    address: String,
}

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests have a parent folder").to_owned()
}

/// A file of `tests/assets`.
pub fn asset(name: &str) -> PathBuf {
    root().join("tests/assets").join(name)
}

/// The executable: `DETECTD_BIN`, or the one that cargo builds now.
pub fn executable() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        if let Some(path) = std::env::var_os("DETECTD_BIN") {
            return path.into();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        let built =
            build.args(["build", "--package", "detectd"]).current_dir(root()).status().expect("cargo runs");
        assert!(built.success(), "the executable does not build");
        let test = std::env::current_exe().expect("a test knows its own path");
        test.parent().and_then(Path::parent).expect("target/debug").join("detectd")
    })
}

/// The executable with arguments, away from the caller's own settings.
pub fn command(args: &[&str]) -> Command {
    command_of(executable(), args)
}

/// Copies a program that is about to be run. By a process of its own: what this one has open for writing is open for a moment in
/// whatever another thread starts, and a program that is open for writing cannot be started.
pub fn copy_program(from: &Path, to: &Path) {
    let status = Command::new("cp").arg(from).arg(to).status().expect("cp runs");
    assert!(status.success(), "no room for the executable");
}

fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("e2e-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn command_of(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    for (key, _) in std::env::vars_os() {
        let ours = key.to_str().is_some_and(|key| key.starts_with("DETECTD_") && key != "DETECTD_CACHE");
        if ours || key == "NOTIFY_SOCKET" || key == "LISTEN_FDS" {
            command.env_remove(key);
        }
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs the executable to its end.
pub fn run(args: &[&str]) -> Output {
    command(args).output().expect("the executable runs")
}

/// Waits until `check` gives something.
pub fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A `[model]` section for one of the tests' own models.
pub fn with_model(name: &str) -> String {
    format!("[model]\npath = {:?}\n", asset(&format!("{name}.onnx")))
}

impl Service {
    /// Starts a service with these settings on top of the tests' own and waits until it is ready.
    pub fn start(settings: &str) -> Self {
        let mut service = Self::launch(settings, &[]);
        service.wait_ready();
        service
    }

    /// Starts a service and does not wait.
    pub fn launch(settings: &str, args: &[&str]) -> Self {
        Self::launch_in(&[], settings, args)
    }

    /// Starts a service with these variables in its environment, and does not wait.
    pub fn launch_in(environment: &[(&str, &Path)], settings: &str, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let name = unique_name();
        Self::run_program(executable(), name, folder, environment, settings, args)
    }

    /// Starts a service from a copy of the executable, [`Service::program`], that a test may replace.
    pub fn start_copy(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("detectd");
        copy_program(executable(), &program);
        let mut service = Self::run_program(&program, unique_name(), folder, &[], settings, &[]);
        service.wait_ready();
        service
    }

    /// Starts a service on a socket that is listened on already, as systemd does, and waits until it is ready.
    pub fn start_on(socket: &TcpListener, settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut service = Self::prepare(unique_name(), folder, settings);
        service.start_again_on(socket);
        service
    }

    /// Starts the service again, under its name and with its configuration, after it has ended.
    pub fn start_again(&mut self) {
        self.serve(command_of(executable(), &[]), &[]);
        self.wait_ready();
    }

    /// The same on a socket.
    pub fn start_again_on(&mut self, socket: &TcpListener) {
        // The shell is the process that becomes the service, so it knows the number that the service is to be told.
        let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
        let program = executable().to_str().expect("a path in UTF-8");
        let mut command = command_of(Path::new("/bin/sh"), &["-c", script, "sh", program]);
        command.stdin(Stdio::from(OwnedFd::from(socket.try_clone().expect("a descriptor"))));
        self.serve(command, &[]);
        self.wait_ready();
    }

    /// The executable of a service that was started from a copy.
    pub fn program(&self) -> PathBuf {
        self.folder().join("detectd")
    }

    fn run_program(
        program: &Path,
        name: String,
        folder: TempDir,
        environment: &[(&str, &Path)],
        settings: &str,
        args: &[&str],
    ) -> Self {
        let mut service = Self::prepare(name, folder, settings);
        let mut command = command_of(program, &[]);
        command.envs(environment.iter().copied());
        service.serve(command, args);
        service
    }

    /// Everything but the process.
    fn prepare(name: String, folder: TempDir, settings: &str) -> Self {
        let base = format!(
            "[service]\nname = \"{name}\"\nlisten = \"127.0.0.1:0\"\nprocs = 2\n[log]\nformat = \"json\"\n"
        );
        let mut config: toml::Table = base.parse().expect("the base settings");
        merge(&mut config, settings.parse().expect("the test's settings"));
        let path = folder.path().join("config.toml");
        std::fs::write(&path, config.to_string()).expect("room for a configuration");
        Self { child: None, folder, name, address: String::new() }
    }

    fn serve(&mut self, mut command: Command, args: &[&str]) {
        let path = self.folder().join("config.toml");
        let log = File::options().create(true).append(true).open(self.folder().join("log"));
        let log = log.expect("room for a log");
        command.args(["serve", "--config", path.to_str().expect("a path in UTF-8")]).args(args);
        command.stdout(log.try_clone().expect("a descriptor")).stderr(log);
        self.child = Some(command.spawn().expect("the executable starts"));
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it was started")
    }

    /// Waits until the service is ready and learns its address.
    pub fn wait_ready(&mut self) {
        let board = wait_for("a ready service", || {
            if let Some(status) = self.child().try_wait().expect("our child") {
                panic!("the service ended with {status}:\n{}", self.log());
            }
            // One that was killed has left its board.
            let own = |board: &Board| board.supervisor() == self.pid().as_raw().cast_unsigned();
            Board::open(&self.name).ok().filter(|board| own(board) && board.state() == ServiceState::Ready)
        });
        self.address = board.listen().trim_start_matches("http://").trim_end_matches('/').to_owned();
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The service's name, as `detectd status --name` wants it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder in which its configuration lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::new(&self.url())
    }

    /// Its configuration file.
    pub fn config(&self) -> String {
        std::fs::read_to_string(self.folder().join("config.toml")).expect("we wrote it")
    }

    /// Writes its configuration file.
    pub fn write_config(&self, text: &str) {
        std::fs::write(self.folder().join("config.toml"), text).expect("room for a configuration");
    }

    /// Sets one key of its configuration file to a text.
    pub fn change(&self, section: &str, key: &str, value: &str) {
        let mut config: toml::Table = self.config().parse().expect("TOML");
        let change = toml::Table::from_iter([(key.to_owned(), toml::Value::String(value.to_owned()))]);
        merge(&mut config, toml::Table::from_iter([(section.to_owned(), toml::Value::Table(change))]));
        self.write_config(&config.to_string());
    }

    /// Its board.
    pub fn board(&self) -> Board {
        Board::open(&self.name).expect("a running service has a board")
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The supervisor's pid.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.as_ref().expect("it was started").id() as i32)
    }

    /// Pids of the frontends, by slot.
    pub fn frontends(&self) -> Vec<Pid> {
        let board = self.board();
        (0..board.frontends() as u8).map(|slot| Pid::from_raw(board.frontend(slot).pid() as i32)).collect()
    }

    /// Pid of the engine.
    pub fn engine(&self) -> Pid {
        Pid::from_raw(self.board().engine(0).pid() as i32)
    }

    /// Sends a signal to the supervisor.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the supervisor lives");
    }

    /// Waits for the supervisor's end.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the service's end", || self.child().try_wait().expect("our child"))
    }

    /// Stops the service as an operator would.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Ok(None) = self.child().try_wait() {
            let _ = kill(self.pid(), Signal::SIGTERM);
            let begun = Instant::now();
            while matches!(self.child().try_wait(), Ok(None)) {
                if begun.elapsed() > Duration::from_secs(10) {
                    let _ = self.child().kill();
                    let _ = self.child().wait();
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("---- log of {}, its last lines ----", self.name);
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Lays one configuration over another.
pub fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

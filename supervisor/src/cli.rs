//! The command line. Flags become overrides of configuration keys; nothing is decided here.

use crate::config::{LogFormat, Override, Sources, env_overrides};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Serves an ONNX detection or classification model over HTTP.
#[derive(Debug, Parser)]
#[command(name = "detectd", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve, in the foreground, until SIGTERM
    Serve(ServeArgs),
    /// Say whether configuration, model and runtime are good, without serving; exit 0 or 2
    Check(ServiceArgs),
    /// Show the processes, rates and state of a running service
    Status(StatusArgs),
    /// Make a running service take up its configuration and model files anew, and wait until it has
    Reload(OperateArgs),
    /// Make a running service become the program that lies where it was started from, and wait until that serves
    Upgrade(OperateArgs),
    /// Look at a model file, or fetch one
    #[command(subcommand)]
    Model(ModelCommand),
    /// Measure: load a server, run the experiment on process counts, find this machine's limit
    #[command(subcommand)]
    Bench(bench::cli::Bench),
    /// From requests a day to requests a second at the peak to machines
    Plan(bench::cli::PlanArgs),
    /// Put every picture of folders, lists and archives through the model, into one file of answers
    Batch(BatchArgs),
    /// Print the completions for a shell
    Completions(CompletionsArgs),
    /// Write the manual's pages into a folder
    #[command(hide = true)]
    Manual(ManualArgs),
    /// Make a data set of the pictures that people accepted: YOLO, COCO, ImageFolder or Label Studio
    Export(ExportArgs),
    /// Say what another model would have answered to pictures that people looked over
    Compare(CompareArgs),
    /// A child of the supervisor
    #[command(hide = true)]
    Role(RoleArgs),
}

#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Show what a model file is and how it will be used
    Inspect(InspectArgs),
    /// Fetch a file by address and SHA-256
    Pull(PullArgs),
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub config: ServiceArgs,
    /// End when this process, which started the service, ends
    #[arg(long, value_name = "PID", hide = true)]
    pub parent: Option<i32>,
}

/// Where the configuration comes from.
#[derive(Debug, Default, Args)]
pub struct FileArgs {
    /// Configuration file; without one the defaults hold
    #[arg(long, value_name = "FILE", env = "DETECTD_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Set any key of the configuration
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
}

/// What decides the configuration, but for where others find the service. Flags win over DETECTD_* variables, those over the file.
#[derive(Debug, Default, Args)]
#[command(after_help = "Every key of the file can also be set by --set SECTION.KEY=VALUE or by a variable \
    DETECTD_SECTION__KEY; DETECTD_CONFIG, DETECTD_PROCS, DETECTD_MODEL, DETECTD_LISTEN, DETECTD_NAME, \
    DETECTD_LOG_LEVEL and DETECTD_LOG_FORMAT are short forms. Flags win over variables, variables over the file.")]
pub struct ConfigArgs {
    #[command(flatten)]
    pub file: FileArgs,
    /// Number of frontend processes; 0: one per core
    #[arg(long, value_name = "N")]
    pub procs: Option<String>,
    /// The .onnx file to serve
    #[arg(long, value_name = "FILE")]
    pub model: Option<String>,
    /// error, warn, info, debug or trace, by part if need be: info,engine=debug
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Form of log lines: auto (human on a terminal, json otherwise), human or json
    #[arg(long, value_name = "FORM")]
    pub log_format: Option<String>,
}

/// The whole configuration of a service that others find.
#[derive(Debug, Default, Args)]
pub struct ServiceArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Address and port, such as 127.0.0.1:8888 or [::]:8888
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Name under which `detectd status` finds the service; the port's number if not given
    #[arg(long)]
    pub name: Option<String>,
}

/// A flag, the key that it stands for, and its value if it was given.
type Flag<'a> = (&'static str, &'static str, &'a Option<String>);

impl FileArgs {
    /// File, environment and flags, in the order in which they win.
    pub fn sources(&self, flags: &[Flag<'_>]) -> Sources {
        let variables =
            std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)));
        let mut overrides = env_overrides(variables);
        let set = |key: &str, value: &str, origin: String| Override {
            key: key.to_owned(),
            value: value.to_owned(),
            origin,
        };
        for (flag, key, value) in flags {
            overrides.extend(value.iter().map(|value| set(key, value, (*flag).to_owned())));
        }
        overrides.extend(self.set.iter().map(|(key, value)| set(key, value, format!("--set {key}"))));
        Sources { file: self.config.clone(), overrides }
    }
}

impl ConfigArgs {
    /// As [`FileArgs::sources`].
    pub fn sources(&self) -> Sources {
        self.file.sources(&self.flags())
    }

    fn flags(&self) -> [Flag<'_>; 4] {
        [
            ("--procs", "service.procs", &self.procs),
            ("--model", "model.path", &self.model),
            ("--log-level", "log.level", &self.log_level),
            ("--log-format", "log.format", &self.log_format),
        ]
    }

    /// The flags again, as words of a command line.
    pub fn words(&self) -> Vec<String> {
        let config = self.file.config.as_ref().map(|file| file.display().to_string());
        let mut words: Vec<String> = Vec::new();
        for (flag, value) in
            self.flags().map(|(flag, _, value)| (flag, value)).into_iter().chain([("--config", &config)])
        {
            words.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        }
        for (key, value) in &self.file.set {
            words.extend(["--set".to_owned(), format!("{key}={value}")]);
        }
        words
    }
}

impl ServiceArgs {
    /// As [`FileArgs::sources`].
    pub fn sources(&self) -> Sources {
        let place = [("--listen", "service.listen", &self.listen), ("--name", "service.name", &self.name)];
        self.config.file.sources(&[&self.config.flags()[..], &place].concat())
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if key.contains('.') => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write SECTION.KEY=VALUE, for example engine.lanes=2".to_owned()),
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "A run that was interrupted or killed goes on when the same command is given again.\n\n\
    Exit codes: 0 every picture has its answer; 1 some pictures have none (the answers say why), or the first such one ended \
    a strict run; 2 something in the command or the configuration is wrong; 75 it was stopped, run the command again."
)]
pub struct BatchArgs {
    /// Folders, archives (.tar, .tar.gz, .tgz, .zip), lists (.txt, .list, one path a line; - is standard input), patterns in quotes, or pictures
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<String>,
    /// File for the answers
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Form of the answers; what the file's ending says if not given: .jsonl, .csv, .json for COCO
    #[arg(long, value_name = "FORM")]
    pub format: Option<BatchFormat>,
    /// Also write each picture with its boxes drawn, below this folder
    #[arg(long, value_name = "FOLDER")]
    pub draw: Option<PathBuf>,
    /// Also sort the pictures below this folder by what was found in them, class and score, as the harvest does
    #[arg(long, value_name = "FOLDER")]
    pub sort: Option<PathBuf>,
    /// Let the first picture that has no answer end the run
    #[arg(long)]
    pub strict: bool,
    /// Throw away what an earlier run has left in the place of the answers
    #[arg(long)]
    pub restart: bool,
    /// Least score of what is found, 0 to 1; the model's own if not given
    #[arg(long)]
    pub score: Option<f32>,
    /// Overlap above which the better of two boxes stays, 0 to 1
    #[arg(long)]
    pub iou: Option<f32>,
    /// Most objects or classes of one picture
    #[arg(long, value_name = "N")]
    pub top_k: Option<u32>,
    /// Only these classes, by name or number, with commas between
    #[arg(long)]
    pub classes: Option<String>,
    /// Pictures on their way at once; 0: as many as keep the machine busy
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub jobs: usize,
    /// Say nothing but what is wrong
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BatchFormat {
    /// One JSON object a line and picture
    Jsonl,
    /// One row an object
    Csv,
    /// One JSON document as COCO's tools read it
    Coco,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Name of the service; not needed when only one runs
    #[arg(long, env = "DETECTD_NAME")]
    pub name: Option<String>,
    /// The service that listens on this address
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "name")]
    pub listen: Option<String>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct OperateArgs {
    /// Name of the service; not needed when only one runs
    #[arg(long, env = "DETECTD_NAME")]
    pub name: Option<String>,
    /// The service that listens on this address
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "name")]
    pub listen: Option<String>,
    /// The service whose supervisor is this process
    #[arg(long, conflicts_with_all = ["name", "listen"])]
    pub pid: Option<u32>,
    /// How long to wait for the outcome, such as 90s or 5m
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = shm_proto::units::parse_duration)]
    pub timeout: std::time::Duration,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The .onnx file
    pub file: PathBuf,
    /// A TOML file that describes it; the one beside the model if not given
    #[arg(long, value_name = "FILE")]
    pub sidecar: Option<PathBuf>,
    /// A file with the classes' names, one a line
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// ONNX Runtime's library
    #[arg(long, value_name = "FILE")]
    pub runtime: Option<PathBuf>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PullArgs {
    /// http(s) address of the file
    pub url: String,
    /// What the file must hash to, in hexadecimal
    #[arg(long, value_name = "HEX")]
    pub sha256: String,
    /// Where to put it; the address's last part in the current folder if not given
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct ManualArgs {
    /// Where to
    pub folder: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Every key of the file can also be set by a variable DETECTD_SECTION__KEY; --set wins over it."
)]
pub struct ExportArgs {
    /// Folder to make; it must not exist yet
    pub into: PathBuf,
    /// yolo, coco, imagefolder or label-studio
    #[arg(long, value_parser = ["yolo", "coco", "imagefolder", "label-studio"])]
    pub format: String,
    /// Folder of the pictures; the configuration's harvest.root if not given
    #[arg(long, value_name = "FOLDER")]
    pub root: Option<PathBuf>,
    /// Share of the pictures that are kept for validation; which ones depends on their bytes alone
    #[arg(long, value_name = "SHARE", default_value = "0.2", value_parser = share)]
    pub validation: f64,
    /// Pictures in these states, separated by commas: accepted, new, rejected
    #[arg(long, value_name = "STATES", default_value = "accepted", value_delimiter = ',', value_parser = state)]
    pub state: Vec<harvest::State>,
    /// Copy pictures also where they could be linked
    #[arg(long)]
    pub copy: bool,
    /// What comes before a picture's place in Label Studio's tasks; /data/local-files/?d= if not given
    #[arg(long, value_name = "TEXT")]
    pub prefix: Option<String>,
    #[command(flatten)]
    pub config: FileArgs,
}

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Folder of the pictures, as the harvest keeps them
    pub root: PathBuf,
    /// The .onnx files: the one that serves, and the one that may take its place
    #[arg(long = "model", value_name = "FILE", required = true, num_args = 1, action = clap::ArgAction::Append)]
    pub models: Vec<PathBuf>,
    /// Pictures in these states, separated by commas: accepted, new, rejected
    #[arg(long, value_name = "STATES", default_value = "accepted", value_delimiter = ',', value_parser = state)]
    pub state: Vec<harvest::State>,
    /// A page that shows where the models disagree
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// ONNX Runtime's library
    #[arg(long, value_name = "FILE")]
    pub runtime: Option<PathBuf>,
    /// Where the models run: cpu, or cuda:0, cuda:1, …
    #[arg(long, default_value = "cpu")]
    pub device: engine::Device,
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|v| (0.0..=1.0).contains(v))
        .ok_or_else(|| "write a number from 0 to 1".to_owned())
}

fn state(text: &str) -> Result<harvest::State, String> {
    let named = harvest::State::ALL.into_iter().find(|state| state.name() == text.trim());
    named.ok_or_else(|| "write accepted, new or rejected".to_owned())
}

#[derive(Debug, Args)]
pub struct RoleArgs {
    /// Which
    pub role: RoleName,
    /// Which of its kind
    #[arg(long)]
    pub slot: u8,
    /// Where the supervisor waits
    #[arg(long)]
    pub rendezvous: String,
    /// As the supervisor's
    #[arg(long)]
    pub log_level: String,
    /// As the supervisor's
    #[arg(long)]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RoleName {
    /// HTTP and pixels.
    Frontend,
    /// Tensors and the accelerator.
    Engine,
}

#[cfg(test)]
mod tests;

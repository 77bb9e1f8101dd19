//! From the file, the environment and the flags to a [`Config`]; each layer wins over the one before.
//!
//! The file is read alone first, so that an error in it can name its line. Overrides are text and take the type of the default.

use super::error::nearest;
use super::{Config, ConfigError, Fault};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Variables with a short name, and the key that each sets.
const SHORT_NAMES: [(&str, &str); 6] = [
    ("DETECTD_NAME", "service.name"),
    ("DETECTD_LISTEN", "service.listen"),
    ("DETECTD_PROCS", "service.procs"),
    ("DETECTD_MODEL", "model.path"),
    ("DETECTD_LOG_LEVEL", "log.level"),
    ("DETECTD_LOG_FORMAT", "log.format"),
];

/// Keys whose value is a path: in the file it is relative to the file, elsewhere to the current folder.
const PATHS: [&str; 12] = [
    "model.path",
    "model.sidecar",
    "model.labels",
    "engine.runtime",
    "inputs.path.roots",
    "inputs.url.ca_file",
    "access.keys",
    "tls.certificate",
    "tls.key",
    "sandbox.read",
    "sandbox.write",
    "harvest.root",
];

/// One key set by the environment or a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Dotted key.
    pub key: String,
    /// As the user wrote it.
    pub value: String,
    /// The variable or flag.
    pub origin: String,
}

/// Where the configuration comes from; kept for a reload.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, if any.
    pub file: Option<PathBuf>,
    /// Environment first, then flags.
    pub overrides: Vec<Override>,
}

/// The overrides among the environment's variables: the short names, and `DETECTD_SECTION__KEY` for every key.
pub fn env_overrides(variables: impl IntoIterator<Item = (String, String)>) -> Vec<Override> {
    let mut found: Vec<Override> = variables
        .into_iter()
        .filter_map(|(name, value)| {
            let short =
                SHORT_NAMES.iter().find(|(short, _)| *short == name).map(|(_, key)| (*key).to_owned());
            let long = || name.strip_prefix("DETECTD_").filter(|rest| rest.contains("__"));
            let key = short.or_else(|| long().map(|rest| rest.replace("__", ".").to_lowercase()))?;
            Some(Override { key, value, origin: name })
        })
        .collect();
    found.sort_by(|a, b| a.origin.cmp(&b.origin));
    found
}

/// Reads and checks the configuration.
///
/// # Errors
/// The first thing that is wrong, as one line for the user.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut table = Table::new();
    let mut text = String::new();
    let mut base = PathBuf::new();
    if let Some(file) = &sources.file {
        text = std::fs::read_to_string(file)
            .map_err(|source| ConfigError::Read { file: file.clone(), source })?;
        table = read_file(file, &text)?;
        base = std::path::absolute(file)
            .ok()
            .and_then(|f| f.parent().map(Path::to_path_buf))
            .unwrap_or_default();
        absolute_paths(&mut table, &base);
    }
    let defaults = defaults();
    for over in &sources.overrides {
        let mut one = Table::new();
        set(&mut one, &over.key, typed(&over.value, lookup(&defaults, &over.key)));
        let folder = std::env::current_dir().unwrap_or_default();
        absolute_paths(&mut one, &folder);
        // Each alone first: the error is then this one's.
        deserialize(&one).map_err(|(key, reason)| ConfigError::Override {
            origin: format!("{}={}", over.origin, over.value),
            message: explain(&key, &reason),
        })?;
        merge(&mut table, one);
    }
    let mut config =
        deserialize(&table).map_err(|(key, reason)| ConfigError::Value(explain(&key, &reason)))?;
    let place = |fault: Fault| place(fault, sources, &text);
    config.find_model(&base).map_err(place)?;
    config.check().map_err(place)?;
    Ok(config)
}

/// The default configuration as a table: the list of known keys and their types.
pub(super) fn defaults() -> Table {
    Table::try_from(Config::default()).unwrap_or_default()
}

/// All dotted keys of a table.
pub(super) fn keys(table: &Table) -> Vec<String> {
    fn walk(prefix: &str, table: &Table, keys: &mut Vec<String>) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match value {
                Value::Table(inner) => walk(&key, inner, keys),
                _ => keys.push(key),
            }
        }
    }
    let mut found = Vec::new();
    walk("", table, &mut found);
    found
}

/// The value of a dotted key.
pub(super) fn lookup<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((first, rest)) => lookup(table.get(first)?.as_table()?, rest),
    }
}

fn read_file(file: &Path, text: &str) -> Result<Table, ConfigError> {
    let fail = |error: &toml::de::Error, message: String| {
        let line = line_of(text, error.span().map_or(0, |span| span.start));
        ConfigError::File { file: file.to_path_buf(), line, message }
    };
    let parsed = toml::Deserializer::parse(text).map_err(|e| fail(&e, e.message().to_owned()))?;
    serde_path_to_error::deserialize::<_, Config>(parsed).map_err(|error| {
        let key = error.path().to_string();
        fail(error.inner(), explain(&key, error.inner().message()))
    })?;
    text.parse::<Table>().map_err(|e| fail(&e, e.message().to_owned()))
}

fn deserialize(table: &Table) -> Result<Config, (String, String)> {
    let value = Value::Table(table.clone());
    serde_path_to_error::deserialize::<_, Config>(value)
        .map_err(|error| (error.path().to_string(), error.inner().message().to_owned()))
}

/// Makes serde's message one for people. `key`: where it was, which for an unknown key may or may not hold the key itself.
fn explain(key: &str, reason: &str) -> String {
    let reason = reason.lines().next().unwrap_or_default();
    let Some(wrong) = reason.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()) else {
        return if matches!(key, "" | ".") { reason.to_owned() } else { format!("{key}: {reason}") };
    };
    let section = key.strip_suffix(wrong).unwrap_or(key).trim_matches('.');
    let whole = if section.is_empty() { wrong.to_owned() } else { format!("{section}.{wrong}") };
    let table = defaults();
    let mut known = keys(&table);
    // The message lists the keys of this section, those without a default included.
    known.extend(
        reason
            .split('`')
            .skip(3)
            .step_by(2)
            .map(|name| if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }),
    );
    match nearest(&whole, known.iter().map(String::as_str)) {
        Some(meant) => format!("unknown key {whole}; did you mean {meant}?"),
        None => {
            let here: Vec<_> = known
                .iter()
                .filter_map(|k| k.strip_prefix(section)?.trim_start_matches('.').split('.').next())
                .collect();
            let mut here: Vec<&str> = here;
            here.sort_unstable();
            here.dedup();
            let what =
                if section.is_empty() { "sections".to_owned() } else { format!("keys of [{section}]") };
            format!("unknown key {whole}; {what}: {}", here.join(", "))
        }
    }
}

/// Says where a value that fails the checks was set.
fn place(fault: Fault, sources: &Sources, text: &str) -> ConfigError {
    let Fault { key, reason } = fault;
    let message = if key.is_empty() { reason } else { format!("{key}: {reason}") };
    if let Some(over) = sources.overrides.iter().rev().find(|over| over.key == key) {
        return ConfigError::Override { origin: format!("{}={}", over.origin, over.value), message };
    }
    match (&sources.file, span_of(text, &key)) {
        (Some(file), Some(start)) => {
            ConfigError::File { file: file.clone(), line: line_of(text, start), message }
        }
        _ => ConfigError::Value(message),
    }
}

fn span_of(text: &str, key: &str) -> Option<usize> {
    fn walk(table: &toml::de::DeTable<'_>, key: &str) -> Option<usize> {
        let (first, rest) = key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
        let (name, value) = table.iter().find(|(name, _)| name.get_ref() == first)?;
        match rest {
            None => Some(name.span().start),
            Some(rest) => walk(value.get_ref().as_table()?, rest),
        }
    }
    walk(toml::de::DeTable::parse(text).ok()?.get_ref(), key)
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|&&b| b == b'\n').count()
}

/// An override's text as the type that the key has by default; lists may be written with commas.
fn typed(text: &str, default: Option<&Value>) -> Value {
    const EMPTY: Value = Value::String(String::new());
    let text = text.trim();
    let string = || Value::String(text.to_owned());
    let parsed = || format!("v = {text}").parse::<Table>().ok().and_then(|mut t| t.remove("v"));
    match default {
        Some(Value::String(_)) => string(),
        Some(Value::Array(items)) if !text.starts_with('[') => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Value::Array(parts.map(|part| typed(part, items.first().or(Some(&EMPTY)))).collect())
        }
        Some(_) | None => parsed().unwrap_or_else(string),
    }
}

fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = table.entry(first.to_owned()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

fn merge(onto: &mut Table, from: Table) {
    for (name, value) in from {
        match (onto.get_mut(&name), value) {
            (Some(Value::Table(inner)), Value::Table(more)) => merge(inner, more),
            (_, value) => {
                onto.insert(name, value);
            }
        }
    }
}

fn absolute_paths(table: &mut Table, base: &Path) {
    fn fix(value: &mut Value, base: &Path) {
        match value {
            Value::String(path) if !path.is_empty() => {
                *path = base.join(&*path).to_string_lossy().into_owned()
            }
            Value::Array(paths) => paths.iter_mut().for_each(|path| fix(path, base)),
            _ => {}
        }
    }
    for key in PATHS {
        let Some((section, name)) = key.rsplit_once('.') else { continue };
        let inner = section.split('.').try_fold(&mut *table, |at, part| at.get_mut(part)?.as_table_mut());
        if let Some(value) = inner.and_then(|inner| inner.get_mut(name)) {
            fix(value, base);
        }
    }
}

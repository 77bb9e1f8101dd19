//! Quantities as people write them in a configuration: `"250ms"`, `"10s"`, `"20MiB"`.
//!
//! `duration` and `bytes` are modules for serde's `with`.

use std::time::Duration;

/// A text that is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a {what}; write for example {example}")]
pub struct UnitError {
    text: String,
    what: &'static str,
    example: &'static str,
}

/// Splits `"12.5ms"` into its number and its unit.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some((number, text[end..].trim()))
}

/// Reads a duration: a number and one of `us`, `ms`, `s`, `m`, `h`; a bare `0` is allowed.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let error =
        || UnitError { text: text.to_owned(), what: "duration", example: "\"250ms\", \"10s\" or \"5m\"" };
    let (number, unit) = split(text).ok_or_else(error)?;
    let micros = match unit {
        "us" | "µs" => number,
        "ms" => number * 1e3,
        "s" => number * 1e6,
        "m" | "min" => number * 60e6,
        "h" => number * 3600e6,
        "" if number == 0.0 => 0.0,
        _ => return Err(error()),
    };
    // Microseconds are exact in an f64 for 285 years.
    if micros > 2f64.powi(53) { Err(error()) } else { Ok(Duration::from_micros(micros.round() as u64)) }
}

/// Writes a duration so that [`parse_duration`] reads it back, in the largest unit that needs no fraction.
pub fn format_duration(value: Duration) -> String {
    let micros = value.as_micros();
    match micros {
        0 => "0s".to_owned(),
        m if m % 3_600_000_000 == 0 => format!("{}h", m / 3_600_000_000),
        m if m % 60_000_000 == 0 => format!("{}m", m / 60_000_000),
        m if m % 1_000_000 == 0 => format!("{}s", m / 1_000_000),
        m if m % 1_000 == 0 => format!("{}ms", m / 1_000),
        m => format!("{m}us"),
    }
}

/// Reads a size: a number and one of `B`, `KiB`, `MiB`, `GiB` (or `K`, `M`, `G`, meaning the same).
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let error = || UnitError { text: text.to_owned(), what: "size", example: "\"20MiB\" or \"512KiB\"" };
    let (number, unit) = split(text).ok_or_else(error)?;
    let factor = match unit {
        "" | "B" => 1.0,
        "K" | "KiB" => 1024.0,
        "M" | "MiB" => 1024.0 * 1024.0,
        "G" | "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(error()),
    };
    let bytes = number * factor;
    if bytes.fract() != 0.0 || bytes > 2f64.powi(53) {
        return Err(error());
    }
    Ok(bytes as u64)
}

/// Writes a size so that [`parse_bytes`] reads it back.
pub fn format_bytes(value: u64) -> String {
    match value {
        v if v != 0 && v % (1 << 30) == 0 => format!("{}GiB", v >> 30),
        v if v != 0 && v % (1 << 20) == 0 => format!("{}MiB", v >> 20),
        v if v != 0 && v % (1 << 10) == 0 => format!("{}KiB", v >> 10),
        v => format!("{v}B"),
    }
}

/// `#[serde(with = "shm_proto::units::duration")]` for a [`Duration`].
pub mod duration {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::time::Duration;

    /// Writes the text form.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_duration(*value))
    }

    /// Reads the text form.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_duration(&text).map_err(D::Error::custom)
    }
}

/// `#[serde(with = "shm_proto::units::bytes")]` for a `u64`.
pub mod bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the text form.
    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_bytes(*value))
    }

    /// Reads the text form.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_bytes(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;

//! Reloading: the configuration as it is now, what of it changed, and whether the model's files did. Who is replaced for it is
//! the core's affair.

use super::Driver;
use crate::config::{self, Config};
use crate::core::event::Event;
use crate::logging;
use std::path::Path;

/// What tells whether the model's files were changed: length, time and number of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<(u64, i64, i64, u64)>>);

impl Stamp {
    pub(super) fn of(model: &engine::ModelConfig) -> Self {
        let of = |path: &Path| {
            use std::os::unix::fs::MetadataExt;
            let data = std::fs::metadata(path).ok()?;
            Some((data.len(), data.mtime(), data.mtime_nsec(), data.ino()))
        };
        Self(model.files().iter().map(|path| of(path)).collect())
    }
}

impl Driver {
    /// Takes the configuration up anew, and says what of it concerns whom.
    pub(super) fn reload(&mut self) -> Event {
        match config::load(&self.sources) {
            Ok(new) => {
                let changes = config::changes(&self.config, &new);
                let stamp = Stamp::of(&new.model);
                let engine = !changes.engine.is_empty() || stamp != self.stamp;
                let before = std::mem::replace(&mut self.stamp, stamp);
                self.previous = Some((self.config.clone(), before));
                self.take_over(new);
                let frontends = !changes.frontends.is_empty();
                Event::Reloaded { engine, frontends, restart: changes.restart }
            }
            Err(error) => Event::ReloadRefused { error: error.to_string() },
        }
    }

    /// Takes over what a reload can change; the rest stays as the running engine and supervisor know it.
    pub(super) fn take_over(&mut self, new: Config) {
        let standby = self.config.engine.standby;
        self.config = Config { service: self.config.service.clone(), ..new };
        self.config.engine.standby = standby;
        if let Ok(filter) = logging::filter(&self.config.log.level) {
            let _ = self.level.reload(filter); // fails only without a subscriber, which then logs nothing anyway
        }
    }
}

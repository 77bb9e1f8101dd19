//! What systemd is told: readiness, state, signs of life. Does nothing where no NOTIFY_SOCKET is set.

use crate::core::event::Notice;
use sd_notify::NotifyState;
use std::time::Duration;

/// Sends a notice. Losing one harms nobody but the display, so errors are only logged.
pub fn notify(notice: &Notice) {
    let result = match notice {
        Notice::Ready => sd_notify::notify(&[NotifyState::Ready]),
        Notice::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        Notice::Status(text) => sd_notify::notify(&[NotifyState::Status(text)]),
        Notice::Reloading => NotifyState::monotonic_usec_now()
            .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
    };
    if let Err(error) = result {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// How often systemd wants a sign of life: half of what it tolerates.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|tolerated| tolerated / 2)
}

/// The sign of life. From the loop that supervises, so that it stops when that does.
pub fn alive() {
    let _ = sd_notify::notify(&[NotifyState::Watchdog]);
}

/// Asks for more time: to load a model, or to finish requests.
pub fn give_me_time(more: Duration) {
    let micros = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
    let _ = sd_notify::notify(&[NotifyState::ExtendTimeoutUsec(micros)]);
}

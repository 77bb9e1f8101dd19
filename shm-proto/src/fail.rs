//! Fail points: the instants between two steps of a seat's life, at which tests kill a process. They exist in debug builds only.
//!
//! The variable names a folder. A process that comes to a point whose name lies there as a file removes it and kills itself
//! on the spot, as SIGKILL from outside would have done at this very instruction. Under loom the thread ends instead.

/// Marks such an instant. Nothing of it is left in a release build.
macro_rules! fail_point {
    ($name:literal) => {
        #[cfg(all(debug_assertions, not(loom)))]
        $crate::fail::reached($name);
        #[cfg(all(test, loom))]
        $crate::fail::under_loom::reached($name);
    };
}
pub(crate) use fail_point;

/// The variable that names the folder.
#[cfg(all(debug_assertions, not(loom)))]
const VARIABLE: &str = "DETECTD_FAIL_POINTS";

#[cfg(all(debug_assertions, not(loom)))]
pub(crate) fn reached(name: &str) {
    use nix::sys::signal::{Signal, kill};
    use std::path::PathBuf;
    use std::sync::OnceLock;
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| std::env::var_os(VARIABLE).map(PathBuf::from));
    // Whoever removes the file is the one that dies.
    if folder.as_ref().is_some_and(|folder| std::fs::remove_file(folder.join(name)).is_ok()) {
        let _ = kill(nix::unistd::Pid::this(), Signal::SIGKILL); // does not return
    }
}

/// The same for loom's threads: one of them unwinds and has died.
#[cfg(all(test, loom))]
pub(crate) mod under_loom {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    std::thread_local! {
        /// All of a model's threads are one thread of the system, and another model runs on another.
        static NEXT: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    struct Died;

    pub(crate) fn reached(name: &str) {
        if NEXT.get() == Some(name) {
            NEXT.set(None);
            resume_unwind(Box::new(Died));
        }
    }

    /// Lets the first that comes to this point die.
    pub(crate) fn at(name: &'static str) {
        NEXT.set(Some(name));
    }

    /// Nobody dies any more.
    pub(crate) fn none() {
        NEXT.set(None);
    }

    /// Runs a process. `None`: it died.
    pub(crate) fn process<T>(life: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(life))
            .map_or_else(|reason| if reason.is::<Died>() { None } else { resume_unwind(reason) }, Some)
    }
}

//! The board: what an operator wants to see of a running service, in one named segment that anybody of the same
//! user can attach, even when the service is stuck: process table, heartbeats, counters, histograms, visitors.
//!
//! One writer a process block; the service's own words are the supervisor's; only the visitors' registers are
//! written by all, with an atomic maximum. Everything is Relaxed: these are figures, no decision about memory
//! hangs on them. A replaced process goes on counting in its slot's block, so nothing is lost with it.

mod guards;
mod heritage;
mod histogram;
mod layout;
mod process;
mod segment;
mod visitors;

pub use guards::Guards;
pub use heritage::Heritage;
pub use histogram::Histogram;
pub use process::{Process, ProcessFigures};
pub use segment::{Board, BoardError, Created, list};
pub use visitors::DayFigures;

/// What the service as a whole does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ServiceState {
    /// Loading and warming up.
    Starting = 0,
    /// The engine is warm and all frontends accept.
    Ready = 1,
    /// It was ready, and the engine is being replaced: requests wait.
    EngineDown = 2,
    /// Stopping: what is in flight is finished.
    Draining = 3,
}

impl ServiceState {
    fn decode(raw: u32) -> Self {
        match raw {
            1 => Self::Ready,
            2 => Self::EngineDown,
            3 => Self::Draining,
            _ => Self::Starting,
        }
    }

    /// The state's name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::EngineDown => "engine_down",
            Self::Draining => "draining",
        }
    }
}

/// What one process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ProcessState {
    /// No process has this slot.
    Absent = 0,
    /// Started, not yet ready.
    Starting = 1,
    /// Serving.
    Ready = 2,
    /// Finishing what is in flight.
    Draining = 3,
    /// Dead, its replacement not yet started.
    Dead = 4,
    /// Loaded and waiting to take over.
    Standby = 5,
}

impl ProcessState {
    fn decode(raw: u32) -> Self {
        match raw {
            1 => Self::Starting,
            2 => Self::Ready,
            3 => Self::Draining,
            4 => Self::Dead,
            5 => Self::Standby,
            _ => Self::Absent,
        }
    }

    /// The state's name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Dead => "dead",
            Self::Standby => "standby",
        }
    }
}

/// Reloads and upgrades, counted, and the outcome of the last one that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// How many have begun.
    pub begun: u32,
    /// The number of the last one that has ended.
    pub ended: u32,
    /// Whether that one is in force.
    pub good: bool,
    /// One line about it.
    pub text: String,
}

macro_rules! figures {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(usize)]
        pub enum $name { $($(#[$doc])* $variant,)+ }
        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();
            /// The name in answers, logs and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

figures! {
    /// Stages of a detection. The times of a request's stages sum to its `total`.
    Stage {
        /// Receiving and parsing the request, decoding base64, fetching, reading all but short files.
        Read = "read",
        /// Waiting for a decode thread and for a seat.
        Wait = "wait",
        /// Decoding the picture, and reading it from a short file.
        Decode = "decode",
        /// Resizing and normalising into the seat.
        Preprocess = "preprocess",
        /// From submit to the start of the run.
        Queue = "queue",
        /// The run.
        Infer = "infer",
        /// From the end of the run to the answer: wake-up, NMS, JSON.
        Postprocess = "postprocess",
        /// The whole request.
        Total = "total",
    }
}

figures! {
    /// Counters of one process.
    Counter {
        /// HTTP requests answered, of any kind.
        Requests = "requests",
        /// Pictures answered with detections or classes.
        Detections = "detections",
        /// Connections accepted.
        Connections = "connections",
        /// Bytes of request bodies read.
        BytesIn = "bytes_in",
        /// Bytes of answers written.
        BytesOut = "bytes_out",
        /// Time that detect requests spent in flight, summed, in nanoseconds: concurrency is its rate.
        InFlightNanos = "in_flight_nanos",
        /// Requests that had to wait for a seat.
        SeatWaits = "seat_waits",
        /// Requests whose client went away.
        Cancelled = "cancelled",
        /// Requests whose deadline passed.
        Expired = "expired",
        /// Pictures that came by address.
        InputUrl = "input_url",
        /// Pictures that came as bytes.
        InputBytes = "input_bytes",
        /// Pictures that came as base64.
        InputBase64 = "input_base64",
        /// Pictures that came as a path.
        InputPath = "input_path",
        /// Pictures that came as an uploaded file.
        InputFile = "input_file",
        /// Pictures that were fetched from their servers.
        UrlServer = "url_server",
        /// Pictures whose servers confirmed what the cache had.
        UrlConfirmed = "url_confirmed",
        /// Pictures that the cache had.
        UrlCache = "url_cache",
        /// Pictures that came with another request's fetch.
        UrlShared = "url_shared",
        /// Connections opened to fetch pictures.
        UrlDialled = "url_dialled",
        /// Pictures of a list that were refused, each in its place.
        ListRefused = "list_refused",
        /// Runs of the engine.
        Batches = "batches",
        /// Images in those runs.
        BatchedImages = "batched_images",
        /// Time that lanes spent in runs, summed, in nanoseconds.
        RunNanos = "run_nanos",
        /// Images whose run failed.
        FailedImages = "failed_images",
        /// Bytes copied because a tensor could not be used in place.
        CopiedBytes = "copied_bytes",
        /// Runs that held as many images as they may.
        ClosedFull = "closed_full",
        /// Runs whose first image had waited for others as long as it may.
        ClosedWaited = "closed_waited",
        /// Runs of all that was submitted.
        ClosedAll = "closed_all",
        /// Runs that left others for the next, because they were not side by side.
        ClosedSplit = "closed_split",
        /// Runs that took several threads because nothing else was in service.
        WideBatches = "wide_batches",
        /// Pictures kept for review.
        HarvestStored = "harvest_stored",
        /// Bytes of those.
        HarvestBytes = "harvest_bytes",
        /// Pictures whose bytes had been kept before.
        HarvestDuplicates = "harvest_duplicates",
        /// Pictures that look like one that had been kept before.
        HarvestNearDuplicates = "harvest_near_duplicates",
        /// Pictures over the limits of the rules that chose them.
        HarvestLimited = "harvest_limited",
        /// Pictures over their class's quota.
        HarvestQuota = "harvest_quota",
        /// Pictures for which there was no room on the disk or under the cap.
        HarvestNoRoom = "harvest_no_room",
        /// Pictures that found the queue full.
        HarvestDropped = "harvest_dropped",
        /// Pictures that could not be written.
        HarvestFailed = "harvest_failed",
        /// Pictures whose request asked for them not to be kept.
        HarvestOptedOut = "harvest_opted_out",
        /// Kept pictures that were removed for their age or for room.
        HarvestRemoved = "harvest_removed",
    }
}

/// Version of the layout, the third word of a board.
pub const VERSION: u32 = layout::BOARD_VERSION;
/// Problem codes that a process counts, by number.
pub const MAX_CODES: usize = 64;
/// Batch sizes counted one by one; larger ones count as the largest.
pub const MAX_BATCH_SIZE: usize = 64;

#[cfg(test)]
mod tests;

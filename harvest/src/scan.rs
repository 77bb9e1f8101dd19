//! Makes the index say what lies in the folders. People may sort pictures with whatever they like: a picture that was moved
//! is found where it lies, one that was put there is taken in, one that has gone is forgotten.

use crate::files;
use crate::index::{Entry, Index, IndexError, State, entry, forget, io_error, put};
use crate::look::Look;
use crate::naming::{self, INDEX};
use crate::sidecar::{Class, Review, Sidecar, extension, now};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use vision::decode::{Limits, decode};

/// Pictures in one transaction.
const CHUNK: usize = 100;
/// Age from which a sidecar without a picture is nobody's: the picture follows at once.
const ABANDONED: Duration = Duration::from_secs(600);
/// Deepest folder below the root that is looked into.
const DEEPEST: usize = 8;
/// What pictures are called.
const EXTENSIONS: [&str; 10] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "pnm", "ppm"];

/// What was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Pictures that were not in the index, or elsewhere.
    pub taken_in: u64,
    /// Pictures that have gone.
    pub forgotten: u64,
    /// Files that look like pictures and are none.
    pub unreadable: u64,
}

/// Compares index and folders, and mends the index.
///
/// # Errors
/// SQLite's or the file system's.
pub fn reconcile(index: &mut Index) -> Result<Report, IndexError> {
    let root = index.root().to_path_buf();
    let mut known: HashMap<String, PathBuf> = {
        let mut statement = index.db.prepare("SELECT id, path FROM pictures")?;
        let rows =
            statement.query_map([], |row| Ok((row.get(0)?, PathBuf::from(row.get::<_, String>(1)?))))?;
        rows.collect::<Result<_, _>>()?
    };
    let mut strangers = Vec::new();
    walk(&root, &mut |path| {
        let id = id(path);
        if known.get(id).is_some_and(|place| place == path) {
            known.remove(id);
        } else {
            strangers.push(path.to_path_buf());
        }
    })?;

    let mut report = Report::default();
    for chunk in strangers.chunks(CHUNK) {
        // Files are read, and pictures without a sidecar decoded, before others have to wait.
        let read: Vec<_> =
            chunk.iter().map(|path| Stranger::read(&index.db, &root, path)).collect::<Result<_, _>>()?;
        let tx = index.write()?;
        for stranger in read {
            match stranger.take_in(&tx, &root)? {
                Taken::In => report.taken_in += 1,
                Taken::NoPicture => report.unreadable += 1,
                Taken::Known => {}
            }
        }
        tx.commit()?;
    }
    let missing: Vec<String> = known.into_keys().collect();
    for chunk in missing.chunks(CHUNK) {
        let tx = index.write()?;
        for id in chunk {
            // Looked at again, now that nobody moves anything.
            if entry(&tx, id)?.is_some_and(|entry| !root.join(&entry.path).exists()) {
                forget(&tx, id)?;
                report.forgotten += 1;
            }
        }
        tx.commit()?;
    }
    if report != Report::default() {
        let Report { taken_in, forgotten, unreadable } = report;
        tracing::info!(root = %root.display(), taken_in, forgotten, unreadable, "the index follows the folders");
    }
    Ok(report)
}

enum Taken {
    In,
    Known,
    NoPicture,
}

/// A picture that the index does not know where it lies.
struct Stranger<'a> {
    path: &'a Path,
    /// Where the index has it.
    known: Option<PathBuf>,
    /// What is said of it, and whether that has to be written down; `None` for a file that is no picture.
    sidecar: Option<(Sidecar, bool)>,
}

impl<'a> Stranger<'a> {
    fn read(db: &rusqlite::Connection, root: &Path, path: &'a Path) -> Result<Self, IndexError> {
        let id = id(path);
        let known = entry(db, id)?.map(|entry| entry.path);
        let here = root.join(path);
        let left_behind = || files::read_sidecar(&root.join(known.as_ref()?)).ok();
        let class = || naming::read(path).map(|(_, class)| class);
        let sidecar = match files::read_sidecar(&here) {
            Ok(sidecar) if sidecar.id == id => Some((sidecar, false)),
            _ => left_behind().or_else(|| describe(&here, id, &class()?)).map(|sidecar| (sidecar, true)),
        };
        Ok(Self { path, known, sidecar })
    }

    /// Gives it a row. Nobody moves anything meanwhile, but it may have been moved since it was read.
    fn take_in(self, db: &rusqlite::Connection, root: &Path) -> Result<Taken, IndexError> {
        let Self { path, known, sidecar } = self;
        let here = root.join(path);
        let (Some((state, class)), true) = (naming::read(path), here.exists()) else {
            return Ok(Taken::Known);
        };
        let place = entry(db, id(path))?.map(|entry| entry.path);
        if place != known || place.is_some_and(|place| place == path || root.join(place).exists()) {
            // It is a copy, and an id is one picture's; or what was read is old, and the next scan reads it again.
            return Ok(Taken::Known);
        }
        let Some((mut sidecar, mut changed)) = sidecar else { return Ok(Taken::NoPicture) };
        if (sidecar.state(), sidecar.top().0) != (state, class.clone()) {
            // Where it lies is what somebody says of it.
            let boxes = sidecar.review.take().and_then(|review| review.boxes);
            let review = Review { state, class: class.clone(), boxes, time: now() };
            sidecar.review = (state != State::New || sidecar.found_top().0 != class).then_some(review);
            sidecar.revision += 1;
            changed = true;
        }
        if changed {
            files::put(root, &files::sidecar_of(path), &sidecar.to_json()).map_err(io_error(&here))?;
            if let Some(old) = known {
                let _ = files::remove(&files::sidecar_of(&root.join(old))); // an orphan is swept
            }
        }
        put(db, &Entry::of(path, state, &class, &sidecar))?;
        Ok(Taken::In)
    }
}

/// The id of the picture that is called so.
fn id(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

/// The sidecar of a picture that came without one: its folder says what it is.
fn describe(path: &Path, id: &str, class: &str) -> Option<Sidecar> {
    let bytes = fs::read(path).ok()?;
    let picture = decode(&bytes, &Limits::default()).ok()?;
    let look = Look::of(&picture);
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::now());
    let time = jiff::Timestamp::try_from(modified).ok()?;
    let nothing = class == naming::NOTHING;
    let classes = (!nothing).then(|| vec![Class { label: class.to_owned(), class: None, score: 1.0 }]);
    Some(Sidecar {
        file: path.file_name()?.to_str()?.to_owned(),
        time: jiff::Timestamp::from_millisecond(time.as_millisecond()).ok()?.to_string(),
        source: format!("by hand, {}", extension(&bytes)),
        rule: "by hand".to_owned(),
        classes,
        ..Sidecar::of(id.to_owned(), &bytes, (picture.width, picture.height), look)
    })
}

/// Shows every picture below the root, by its place; sweeps sidecars whose picture never came.
pub(crate) fn walk(root: &Path, show: &mut dyn FnMut(&Path)) -> Result<(), IndexError> {
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let here = root.join(&folder);
        let entries = match fs::read_dir(&here) {
            Ok(entries) => entries,
            // It became empty, and was tidied away.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io_error(&here)(error)),
        };
        let mut sidecars = Vec::new();
        let mut stems = std::collections::HashSet::new();
        for entry in entries.flatten() {
            let path = folder.join(entry.file_name());
            // A link is followed by nobody: it may lead out of the root.
            let Ok(kind) = entry.file_type() else { continue };
            let ours = folder.as_os_str().is_empty()
                && (path == Path::new(INDEX) || path == Path::new(naming::MODELS));
            let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_lowercase);
            if kind.is_dir() && !ours && path.components().count() < DEEPEST {
                folders.push(path);
            } else if kind.is_file() && !folder.as_os_str().is_empty() {
                match extension.as_deref() {
                    Some("json") => sidecars.push(entry),
                    Some(extension) if EXTENSIONS.contains(&extension) && naming::read(&path).is_some() => {
                        stems.extend(path.file_stem().map(std::ffi::OsStr::to_os_string));
                        show(&path);
                    }
                    _ => {}
                }
            }
        }
        for sidecar in sidecars {
            let path = sidecar.path();
            let old = || sidecar.metadata().and_then(|metadata| metadata.modified());
            let abandoned = || {
                old().is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > ABANDONED))
            };
            let alone = path.file_stem().is_none_or(|stem| !stems.contains(stem));
            // Only what we wrote: a stranger's JSON is left alone.
            if alone && abandoned() && is_ours(&path) {
                let _ = fs::remove_file(&path); // tried again in an hour
            }
        }
    }
    Ok(())
}

fn is_ours(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    fs::read(path)
        .ok()
        .and_then(|text| serde_json::from_slice::<Sidecar>(&text).ok())
        .is_some_and(|s| s.id == stem)
}

#[cfg(test)]
mod tests;

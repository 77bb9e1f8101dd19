//! What people do with pictures: accept, reject, move to another class, correct boxes, undo. Moves files and never loses one.
//!
//! An action is first written down whole (the journal: where each picture lies and what its sidecar says, before and
//! after), then done, then ticked off. Whoever opens the journal finishes what a dead process began, since doing a step
//! twice is the same as doing it once. Files are only moved inside a transaction that nobody else writes beside, and every
//! action names the revision that its reviewer saw, so that two reviewers cannot undo each other's work unseen.

use crate::files;
use crate::index::{Entry, Index, IndexError, State, entry, io_error, place, put};
use crate::keep::tidy;
use crate::naming::{self, NOTHING};
use crate::sidecar::{Found, Review, Sidecar, now};
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use ulid::Ulid;

/// Most pictures of one action.
pub const MOST: usize = 500;

/// What is done with a picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// It is right as it is.
    Accept,
    /// It is of no use.
    Reject,
    /// It shows something else. Boxes with the label that it had get the new one.
    Move(String),
    /// These are its boxes.
    Boxes(Vec<Found>),
}

/// A picture as its reviewer saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub id: String,
    /// In which revision.
    pub revision: u64,
}

/// What became of one picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Done; this is the picture now.
    Done(Entry),
    /// Somebody else changed it before; this is the picture now.
    Conflict(Entry),
    /// There is no such picture any more.
    Gone,
}

/// An action that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// By which it can be undone.
    pub batch: String,
    /// What became of each picture, in the order in which they were named.
    pub outcomes: Vec<(String, Outcome)>,
}

/// A step of an action: one picture from here to there.
struct Step {
    op: i64,
    before: PathBuf,
    after: PathBuf,
    sidecar: Sidecar,
}

/// Does something with pictures.
///
/// # Errors
/// The index's or the file system's. What was written down by then is done by whoever comes next.
pub fn apply(index: &mut Index, seen: &[Seen], action: &Action) -> Result<Receipt, IndexError> {
    let root = index.root().to_path_buf();
    let batch = Ulid::generate().to_string();
    let mut outcomes: Vec<(String, Outcome)> = Vec::with_capacity(seen.len());
    index.db.pragma_update(None, "synchronous", "FULL")?;
    let tx = index.write()?;
    let mut begun = Vec::new();
    for Seen { id, revision } in seen.iter().take(MOST) {
        let Some(entry) = entry(&tx, id)? else {
            outcomes.push((id.clone(), Outcome::Gone));
            continue;
        };
        if entry.revision != *revision || outcomes.iter().any(|(other, _)| other == id) {
            outcomes.push((id.clone(), Outcome::Conflict(entry)));
            continue;
        }
        match files::read_sidecar(&root.join(&entry.path)) {
            Ok(before) => {
                let after = changed(&before, &entry, action);
                begin(&tx, &batch, &entry.path, &before, &place(&after), &after)?;
                begun.push(outcomes.len());
                outcomes.push((id.clone(), Outcome::Gone));
            }
            Err(_) => outcomes.push((id.clone(), Outcome::Gone)),
        }
    }
    tx.commit()?;
    finish(index)?;
    for at in begun {
        let (id, outcome) = &mut outcomes[at];
        *outcome = index.entry(id)?.map_or(Outcome::Gone, Outcome::Done);
    }
    Ok(Receipt { batch, outcomes })
}

/// Undoes an action, where nobody has changed the picture since but for what was undone itself: the last action first.
///
/// # Errors
/// As [`apply`].
pub fn undo(index: &mut Index, batch: &str) -> Result<Receipt, IndexError> {
    let root = index.root().to_path_buf();
    let undoing = Ulid::generate().to_string();
    let mut outcomes = Vec::new();
    index.db.pragma_update(None, "synchronous", "FULL")?;
    let tx = index.write()?;
    let mut begun = Vec::new();
    let steps = {
        let mut statement = tx.prepare(
            "SELECT op, id, before FROM journal WHERE batch = ?1 AND done = 1 AND undone = 0 AND undoes IS NULL",
        )?;
        let rows = statement.query_map([batch], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })?;
        rows.collect::<Result<Vec<_>, _>>()?
    };
    for (op, id, before) in steps {
        let (Some(entry), Ok(earlier)) = (entry(&tx, &id)?, serde_json::from_str::<Sidecar>(&before)) else {
            outcomes.push((id, Outcome::Gone));
            continue;
        };
        if !is_last(&tx, op, &entry)? {
            outcomes.push((id, Outcome::Conflict(entry)));
            continue;
        }
        let Ok(current) = files::read_sidecar(&root.join(&entry.path)) else {
            outcomes.push((id, Outcome::Gone));
            continue;
        };
        let after = Sidecar { revision: entry.revision + 1, ..earlier };
        begin(&tx, &undoing, &entry.path, &current, &place(&after), &after)?;
        tx.execute("UPDATE journal SET undoes = ?1 WHERE op = ?2", [op, tx.last_insert_rowid()])?;
        tx.execute("UPDATE journal SET undone = 1 WHERE op = ?1", [op])?;
        begun.push(outcomes.len());
        outcomes.push((id, Outcome::Gone));
    }
    tx.commit()?;
    finish(index)?;
    for at in begun {
        let (id, outcome): &mut (String, Outcome) = &mut outcomes[at];
        *outcome = index.entry(id)?.map_or(Outcome::Gone, Outcome::Done);
    }
    Ok(Receipt { batch: undoing, outcomes })
}

/// Whether a picture is as this step left it: what came after has been undone, and nobody moved the file by hand.
fn is_last(db: &Connection, op: i64, entry: &Entry) -> Result<bool, IndexError> {
    let later: i64 = db.query_row(
        "SELECT COUNT(*) FROM journal WHERE id = ?1 AND op > ?2 AND undone = 0 AND undoes IS NULL",
        params![entry.id, op],
        |row| row.get(0),
    )?;
    let revision: i64 = db.query_row(
        "SELECT revision FROM journal WHERE id = ?1 ORDER BY op DESC LIMIT 1",
        [&entry.id],
        |row| row.get(0),
    )?;
    Ok(later == 0 && revision == entry.revision.cast_signed())
}

/// Finishes what dead processes began.
///
/// # Errors
/// As [`apply`].
pub fn recover(index: &mut Index) -> Result<(), IndexError> {
    let open: i64 =
        index.db.query_row("SELECT COUNT(*) FROM journal WHERE done = 0", [], |row| row.get(0))?;
    if open > 0 { finish(index) } else { Ok(()) }
}

/// The sidecar after an action.
fn changed(before: &Sidecar, entry: &Entry, action: &Action) -> Sidecar {
    let mut after = before.clone();
    let boxes = before.boxes().map(<[Found]>::to_vec);
    let review = |state, class: String, boxes| Review { state, class, boxes, time: now() };
    after.revision = entry.revision + 1;
    after.review = Some(match action {
        Action::Accept => review(State::Accepted, entry.class.clone(), boxes),
        Action::Reject => review(State::Rejected, entry.class.clone(), boxes),
        Action::Move(class) => {
            let relabel = |mut found: Found| {
                if found.label == entry.class {
                    found.label.clone_from(class);
                    found.class = None;
                }
                found
            };
            let boxes = match class.as_str() {
                NOTHING => boxes.map(|_| Vec::new()),
                _ => boxes.map(|boxes| boxes.into_iter().map(relabel).collect()),
            };
            review(State::Accepted, class.clone(), boxes)
        }
        Action::Boxes(boxes) => {
            let class = boxes.first().map_or(NOTHING.to_owned(), |found| found.label.clone());
            review(State::Accepted, class, Some(boxes.clone()))
        }
    });
    after
}

fn begin(
    db: &Connection,
    batch: &str,
    from: &Path,
    before: &Sidecar,
    to: &Path,
    after: &Sidecar,
) -> Result<(), IndexError> {
    let text = |sidecar: &Sidecar| String::from_utf8(sidecar.to_json()).unwrap_or_default();
    db.prepare_cached(
        "INSERT INTO journal (id, batch, revision, done, before_path, before, after_path, after)
         VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        after.id,
        batch,
        after.revision.cast_signed(),
        from.to_string_lossy(),
        text(before),
        to.to_string_lossy(),
        text(after)
    ])?;
    Ok(())
}

/// Does every step that is written down and not ticked off, whoever wrote it.
fn finish(index: &mut Index) -> Result<(), IndexError> {
    let root = index.root().to_path_buf();
    let tx = index.write()?;
    let steps = {
        let mut statement = tx.prepare_cached(
            "SELECT op, before_path, after_path, after FROM journal WHERE done = 0 ORDER BY op",
        )?;
        let rows = statement.query_map([], |row| {
            let path = |at| row.get::<_, String>(at).map(PathBuf::from);
            Ok((row.get::<_, i64>(0)?, path(1)?, path(2)?, row.get::<_, String>(3)?))
        })?;
        rows.collect::<Result<Vec<_>, _>>()?
    };
    for (op, before, after, text) in steps {
        if let Ok(sidecar) = serde_json::from_str(&text) {
            carry_out(&tx, &root, &Step { op, before, after, sidecar })?;
        }
        tx.execute("UPDATE journal SET done = 1 WHERE op = ?1", [op])?;
    }
    Ok(tx.commit()?)
}

/// One step, or what is left of it. A picture that has gone from both places stays gone.
fn carry_out(db: &Connection, root: &Path, step: &Step) -> Result<(), IndexError> {
    let (from, to) = (root.join(&step.before), root.join(&step.after));
    if !from.exists() && !to.exists() {
        tracing::warn!(
            op = step.op,
            picture = step.sidecar.id,
            "a picture was gone before it could be moved"
        );
        return Ok(());
    }
    // The sidecar first: at no instant does a picture lie where it is not described.
    let sidecar = files::sidecar_of(&to);
    files::put(root, &files::sidecar_of(&step.after), &step.sidecar.to_json()).map_err(io_error(&sidecar))?;
    files::sync(&sidecar).map_err(io_error(&sidecar))?;
    if from != to {
        if from.exists() {
            files::rename(&from, &to).map_err(io_error(&from))?;
        }
        files::remove(&files::sidecar_of(&from)).map_err(io_error(&from))?;
        tidy(&from, root);
    }
    let (class, _) = step.sidecar.top();
    let state = naming::read(&step.after).map_or(step.sidecar.state(), |(state, _)| state);
    put(db, &Entry::of(&step.after, state, &class, &step.sidecar))
}

#[cfg(test)]
mod tests;

//! The index: what lies in the folders, so that it need not be read again. SQLite in one file, which any number of processes
//! share; thrown away, it is made again from the folders (`scan`), and only the memory of what can be undone is lost.
//!
//! Owns the schema and the rows. Who writes a row has moved the files before, in the same transaction.

use crate::look::{self, Flags};
use crate::naming::{self, INDEX};
use crate::sidecar::Sidecar;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long another process may hold the index.
const PATIENCE: Duration = Duration::from_secs(5);
/// Version of the tables. Another one is thrown away and made again.
const VERSION: i64 = 3;

const SCHEMA: &str = "
    CREATE TABLE pictures (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        path TEXT NOT NULL,
        state INTEGER NOT NULL,
        class TEXT NOT NULL,
        score REAL NOT NULL,
        time INTEGER NOT NULL,
        date TEXT NOT NULL,
        flags INTEGER NOT NULL,
        hash TEXT NOT NULL,
        perceptual INTEGER,
        bytes INTEGER NOT NULL,
        rule TEXT NOT NULL,
        model TEXT NOT NULL,
        boxes INTEGER NOT NULL,
        revision INTEGER NOT NULL
    );
    CREATE INDEX by_class ON pictures (state, class, time, n);
    CREATE INDEX by_time ON pictures (state, time, n);
    CREATE INDEX by_score ON pictures (state, score, n);
    CREATE INDEX by_hash ON pictures (hash);
    CREATE INDEX by_rule ON pictures (rule, time);
    CREATE INDEX by_class_time ON pictures (class, time);
    CREATE TABLE total (bytes INTEGER NOT NULL);
    INSERT INTO total VALUES (0);
    CREATE TABLE kinds (
        state INTEGER NOT NULL,
        class TEXT NOT NULL,
        date TEXT NOT NULL,
        flags INTEGER NOT NULL,
        many INTEGER NOT NULL,
        PRIMARY KEY (state, class, date, flags)
    ) WITHOUT ROWID;
    CREATE TRIGGER came AFTER INSERT ON pictures BEGIN
        UPDATE total SET bytes = bytes + NEW.bytes;
        INSERT INTO kinds VALUES (NEW.state, NEW.class, NEW.date, NEW.flags, 1) ON CONFLICT DO UPDATE SET many = many + 1;
    END;
    CREATE TRIGGER went AFTER DELETE ON pictures BEGIN
        UPDATE total SET bytes = bytes - OLD.bytes;
        UPDATE kinds SET many = many - 1 WHERE (state, class, date, flags) = (OLD.state, OLD.class, OLD.date, OLD.flags);
        DELETE FROM kinds WHERE (state, class, date, flags) = (OLD.state, OLD.class, OLD.date, OLD.flags) AND many = 0;
    END;
    CREATE TRIGGER changed AFTER UPDATE ON pictures BEGIN
        UPDATE total SET bytes = bytes + NEW.bytes - OLD.bytes;
        UPDATE kinds SET many = many - 1 WHERE (state, class, date, flags) = (OLD.state, OLD.class, OLD.date, OLD.flags);
        DELETE FROM kinds WHERE (state, class, date, flags) = (OLD.state, OLD.class, OLD.date, OLD.flags) AND many = 0;
        INSERT INTO kinds VALUES (NEW.state, NEW.class, NEW.date, NEW.flags, 1) ON CONFLICT DO UPDATE SET many = many + 1;
    END;
    CREATE TABLE journal (
        op INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL,
        batch TEXT NOT NULL,
        revision INTEGER NOT NULL,
        done INTEGER NOT NULL,
        undone INTEGER NOT NULL DEFAULT 0,
        undoes INTEGER,
        before_path TEXT NOT NULL,
        before TEXT NOT NULL,
        after_path TEXT NOT NULL,
        after TEXT NOT NULL
    );
    CREATE INDEX open_operations ON journal (done) WHERE done = 0;
    CREATE INDEX by_batch ON journal (batch);
    CREATE INDEX by_picture ON journal (id, op);
";

/// What people have said of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing yet.
    #[default]
    New = 0,
    /// It is right as it stands in its sidecar.
    Accepted = 1,
    /// It is of no use.
    Rejected = 2,
}

impl State {
    /// All of them, by number.
    pub const ALL: [Self; 3] = [Self::New, Self::Accepted, Self::Rejected];

    /// The name in addresses and documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }

    pub(crate) fn of(number: i64) -> Self {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number).copied()).unwrap_or_default()
    }
}

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// SQLite's.
    #[error("the index: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file system's.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

pub(crate) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> IndexError {
    move |source| IndexError::Io { path: path.to_path_buf(), source }
}

/// One picture's row.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// Its place below the root.
    pub path: PathBuf,
    /// What people said.
    pub state: State,
    /// Its class.
    pub class: String,
    /// Its score.
    pub score: f32,
    /// When it was answered, in milliseconds since 1970.
    pub time: i64,
    /// On which day, local time.
    pub date: String,
    /// What is odd about it.
    pub flags: Flags,
    /// Hash of the file.
    pub hash: String,
    /// Perceptual hash, if it says something.
    pub perceptual: Option<u64>,
    /// Bytes of the file.
    pub bytes: u64,
    /// The rule that chose it.
    pub rule: String,
    /// The model's version.
    pub model: String,
    /// How many boxes it has.
    pub boxes: usize,
    /// How often people changed it.
    pub revision: u64,
}

/// Columns in the order in which [`Entry::read`] wants them.
pub(crate) const COLUMNS: &str = "id, path, state, class, score, time, date, flags, hash, perceptual, bytes, rule, model, \
                                  boxes, revision";

impl Entry {
    /// The row of a picture that lies there and has this sidecar.
    pub fn of(path: &Path, state: State, class: &str, sidecar: &Sidecar) -> Self {
        Self {
            id: sidecar.id.clone(),
            path: path.to_path_buf(),
            state,
            class: class.to_owned(),
            score: sidecar.top().1,
            time: sidecar.millis(),
            date: sidecar.date(),
            flags: look::flags_of(sidecar.flags.iter().map(String::as_str)),
            hash: sidecar.hash.clone(),
            perceptual: u64::from_str_radix(&sidecar.perceptual, 16).ok(),
            bytes: sidecar.bytes,
            rule: sidecar.rule.clone(),
            model: sidecar.model.version.clone(),
            boxes: sidecar.boxes().map_or(0, <[_]>::len),
            revision: sidecar.revision,
        }
    }

    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let number = |at: usize| row.get::<_, i64>(at);
        Ok(Self {
            id: row.get(0)?,
            path: PathBuf::from(row.get::<_, String>(1)?),
            state: State::of(number(2)?),
            class: row.get(3)?,
            score: row.get::<_, f64>(4)? as f32,
            time: number(5)?,
            date: row.get(6)?,
            flags: number(7)? as Flags,
            hash: row.get(8)?,
            perceptual: row.get::<_, Option<i64>>(9)?.map(i64::cast_unsigned),
            bytes: number(10)?.max(0).cast_unsigned(),
            rule: row.get(11)?,
            model: row.get(12)?,
            boxes: number(13)?.max(0) as usize,
            revision: number(14)?.max(0).cast_unsigned(),
        })
    }
}

/// The index of one root, as one thread uses it.
pub struct Index {
    pub(crate) db: Connection,
    root: PathBuf,
}

impl Index {
    /// Opens the index of a root, making both where they are missing.
    ///
    /// # Errors
    /// When the folder cannot be written, or its index is held by others for too long.
    pub fn open(root: &Path) -> Result<Self, IndexError> {
        let folder = root.join(INDEX);
        fs::create_dir_all(&folder).map_err(io_error(&folder))?;
        let file = folder.join("index.sqlite");
        let db = Connection::open(&file)?;
        db.busy_timeout(PATIENCE)?;
        db.set_prepared_statement_cache_capacity(64);
        db.pragma_update(None, "journal_mode", "WAL")?;
        // A commit outlives the process; what a power cut may take is in the folders all the same.
        db.pragma_update(None, "synchronous", "NORMAL")?;
        // Files elsewhere are not ours to open: a frontend's sandbox knows this folder only.
        db.pragma_update(None, "temp_store", "MEMORY")?;
        let mut index = Self { db, root: root.to_path_buf() };
        index.prepare()?;
        Ok(index)
    }

    fn prepare(&mut self) -> Result<(), IndexError> {
        let version =
            |db: &Connection| db.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
        if version(&self.db)? == VERSION {
            return Ok(());
        }
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if version(&tx)? != VERSION {
            tx.execute_batch(
                "DROP TABLE IF EXISTS pictures; DROP TABLE IF EXISTS total; DROP TABLE IF EXISTS kinds; \
                 DROP TABLE IF EXISTS journal;",
            )?;
            tx.execute_batch(SCHEMA)?;
            tx.pragma_update(None, "user_version", VERSION)?;
        }
        Ok(tx.commit()?)
    }

    /// The folder it is of.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A transaction that nobody else writes beside.
    pub(crate) fn write(&mut self) -> Result<Transaction<'_>, IndexError> {
        Ok(self.db.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// One picture.
    ///
    /// # Errors
    /// SQLite's.
    pub fn entry(&self, id: &str) -> Result<Option<Entry>, IndexError> {
        entry(&self.db, id)
    }

    /// Pictures in the index.
    ///
    /// # Errors
    /// SQLite's.
    pub fn count(&self) -> Result<u64, IndexError> {
        let count: i64 = self.db.query_row("SELECT COUNT(*) FROM pictures", [], |row| row.get(0))?;
        Ok(count.max(0).cast_unsigned())
    }

    /// Bytes of all pictures in the index.
    ///
    /// # Errors
    /// SQLite's.
    pub fn bytes(&self) -> Result<u64, IndexError> {
        let sum: i64 = self.db.query_row("SELECT bytes FROM total", [], |row| row.get(0))?;
        Ok(sum.max(0).cast_unsigned())
    }
}

/// One picture.
pub(crate) fn entry(db: &Connection, id: &str) -> Result<Option<Entry>, IndexError> {
    let sql = format!("SELECT {COLUMNS} FROM pictures WHERE id = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([id], Entry::read).optional()?)
}

/// Writes a picture's row, new or not.
pub(crate) fn put(db: &Connection, entry: &Entry) -> Result<(), IndexError> {
    let sql = format!(
        "INSERT INTO pictures ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (id) DO UPDATE SET path = excluded.path, state = excluded.state, class = excluded.class,
             score = excluded.score, time = excluded.time, date = excluded.date, flags = excluded.flags,
             hash = excluded.hash, perceptual = excluded.perceptual, bytes = excluded.bytes, rule = excluded.rule,
             model = excluded.model, boxes = excluded.boxes, revision = excluded.revision"
    );
    db.prepare_cached(&sql)?.execute(params![
        entry.id,
        entry.path.to_string_lossy(),
        entry.state as i64,
        entry.class,
        f64::from(entry.score),
        entry.time,
        entry.date,
        i64::from(entry.flags),
        entry.hash,
        entry.perceptual.map(u64::cast_signed),
        entry.bytes.cast_signed(),
        entry.rule,
        entry.model,
        entry.boxes as i64,
        entry.revision.cast_signed(),
    ])?;
    Ok(())
}

/// Forgets a picture.
pub(crate) fn forget(db: &Connection, id: &str) -> Result<(), IndexError> {
    db.prepare_cached("DELETE FROM pictures WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// The place that a picture's sidecar asks for.
pub(crate) fn place(sidecar: &Sidecar) -> PathBuf {
    let (class, score) = sidecar.top();
    naming::place(sidecar.state(), &class, score, &sidecar.date(), &sidecar.file)
}

#[cfg(test)]
mod tests;

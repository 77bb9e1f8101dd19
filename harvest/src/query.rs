//! Looking into the index: a page of pictures by what is asked of them, and how many there are of each kind.

use crate::index::{COLUMNS, Entry, Index, IndexError, State};
use crate::look::{self, FLAGS};
use rusqlite::types::Value;
use rusqlite::{ToSql, params_from_iter};
use serde::Serialize;

/// Most pictures of a page.
pub const MOST: usize = 500;

/// What pictures are asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// In this state.
    pub state: State,
    /// Of this class.
    pub class: Option<String>,
    /// With at least this score.
    pub min_score: Option<f32>,
    /// With at most this score.
    pub max_score: Option<f32>,
    /// From this day on, `2026-11-25`.
    pub from: Option<String>,
    /// Until this day.
    pub to: Option<String>,
    /// With this flag.
    pub flag: Option<String>,
    /// Come by then: [`Page::last`] of an earlier page, so that what comes meanwhile moves nothing.
    pub until: Option<i64>,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Behind so many pictures.
    Skip(u64),
    /// Where the page before says: [`Page::next`].
    After(String),
}

impl Default for Start {
    fn default() -> Self {
        Self::Skip(0)
    }
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
    /// The least sure first.
    Unsure,
    /// The surest first.
    Sure,
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The pictures.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` for the last.
    pub next: Option<String>,
    /// How many pictures there are on all pages.
    pub total: u64,
    /// Number of the picture that came last, whether it is on a page or not.
    pub last: i64,
}

/// How many pictures there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// By state.
    pub states: Vec<(&'static str, u64)>,
    /// By class, most first, in the state that was asked for.
    pub classes: Vec<(String, u64)>,
    /// By flag.
    pub flags: Vec<(&'static str, u64)>,
    /// By day, newest first.
    pub dates: Vec<(String, u64)>,
    /// Bytes of all.
    pub bytes: u64,
}

impl Order {
    const fn column(self) -> (&'static str, bool) {
        match self {
            Self::Newest => ("time", true),
            Self::Oldest => ("time", false),
            Self::Unsure => ("score", false),
            Self::Sure => ("score", true),
        }
    }

    fn key(self, entry: &Entry) -> String {
        match self {
            Self::Newest | Self::Oldest => entry.time.to_string(),
            // As SQLite holds it: a row must not be found beside itself.
            Self::Unsure | Self::Sure => f64::from(entry.score).to_string(),
        }
    }
}

/// Farthest that a local day begins from the day of the world's time.
const ZONES: i64 = 15 * 3_600_000;

/// When a day begins, wherever: milliseconds since 1970, in the world's time.
fn midnight(day: &str) -> Option<i64> {
    let date: jiff::civil::Date = day.parse().ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

impl Filter {
    /// What `kinds` tells apart.
    fn kind(&self) -> (String, Vec<Value>) {
        let mut sql = String::from("state = ?");
        let mut values = vec![Value::Integer(self.state as i64)];
        let mut add = |condition: &str, value: Value| {
            sql.push_str(" AND ");
            sql.push_str(condition);
            values.push(value);
        };
        if let Some(class) = &self.class {
            add("class = ?", Value::Text(class.clone()));
        }
        if let Some(day) = &self.from {
            add("date >= ?", Value::Text(day.clone()));
        }
        if let Some(day) = &self.to {
            add("date <= ?", Value::Text(day.clone()));
        }
        if let Some(flag) = &self.flag {
            add("flags & ? != 0", Value::Integer(look::flags_of([flag.as_str()]).into()));
        }
        (sql, values)
    }

    fn conditions(&self) -> (String, Vec<Value>) {
        let (mut sql, mut values) = self.kind();
        let mut add = |condition: &str, value: Value| {
            sql.push_str(" AND ");
            sql.push_str(condition);
            values.push(value);
        };
        if let Some(score) = self.min_score {
            add("score >= ?", Value::Real(score.into()));
        }
        if let Some(score) = self.max_score {
            add("score <= ?", Value::Real(score.into()));
        }
        // By these an index finds the days.
        if let Some(at) = self.from.as_deref().and_then(midnight) {
            add("time >= ?", Value::Integer(at - ZONES));
        }
        if let Some(at) = self.to.as_deref().and_then(midnight) {
            add("time < ?", Value::Integer(at + 86_400_000 + ZONES));
        }
        if let Some(n) = self.until {
            add("n <= ?", Value::Integer(n));
        }
        (sql, values)
    }
}

impl Index {
    /// A page of pictures.
    ///
    /// # Errors
    /// SQLite's.
    pub fn page(
        &self,
        filter: &Filter,
        order: Order,
        start: &Start,
        most: usize,
    ) -> Result<Page, IndexError> {
        let (conditions, mut values) = filter.conditions();
        let total = self.total(filter)?;

        let (column, falling) = order.column();
        let (than, way) = if falling { ("<", "DESC") } else { (">", "ASC") };
        let mut sql = format!("SELECT {COLUMNS}, n FROM pictures WHERE {conditions}");
        let mut skip = 0;
        match start {
            Start::Skip(many) => skip = *many,
            Start::After(place) => {
                let (key, n) = place.rsplit_once('-').unwrap_or_default();
                let (key, n) = (key.parse::<f64>().unwrap_or_default(), n.parse().unwrap_or_default());
                sql.push_str(&format!(" AND ({column}, n) {than} (?, ?)"));
                values.extend([Value::Real(key), Value::Integer(n)]);
            }
        }
        let most = most.clamp(1, MOST);
        // Rows that are skipped are passed over in the index alone, as long as it knows what the conditions ask.
        sql.push_str(&format!(" ORDER BY {column} {way}, n {way} LIMIT {} OFFSET ?", most + 1));
        values.push(Value::Integer(i64::try_from(skip).unwrap_or(i64::MAX)));
        let mut statement = self.db.prepare_cached(&sql)?;
        let rows = statement
            .query_map(params_from_iter(values), |row| Ok((Entry::read(row)?, row.get::<_, i64>(15)?)))?;
        let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
        let more = rows.len() > most;
        rows.truncate(most);
        let next = rows.last().filter(|_| more).map(|(entry, n)| format!("{}-{n}", order.key(entry)));
        let last = self.db.query_row("SELECT IFNULL(MAX(n), 0) FROM pictures", [], |row| row.get(0))?;
        Ok(Page { entries: rows.into_iter().map(|(entry, _)| entry).collect(), next, total, last })
    }

    /// How many pictures a filter finds. Where only kinds are asked for they have been counted already.
    fn total(&self, filter: &Filter) -> Result<u64, IndexError> {
        if filter.min_score.is_some() || filter.max_score.is_some() {
            let (conditions, values) = filter.conditions();
            return self.one(&format!("SELECT COUNT(*) FROM pictures WHERE {conditions}"), &values);
        }
        let (conditions, mut values) = filter.kind();
        let all = self.one(&format!("SELECT IFNULL(SUM(many), 0) FROM kinds WHERE {conditions}"), &values)?;
        let Some(until) = filter.until else { return Ok(all) };
        // Few have come since: they are found by their numbers.
        values.push(Value::Integer(until));
        let late = format!("SELECT COUNT(*) FROM pictures NOT INDEXED WHERE {conditions} AND n > ?");
        Ok(all.saturating_sub(self.one(&late, &values)?))
    }

    /// How many pictures there are of each kind; classes, flags and days in one state.
    ///
    /// # Errors
    /// SQLite's.
    pub fn summary(&self, state: State) -> Result<Summary, IndexError> {
        let number = state as i64;
        let groups = |sql: &str| -> Result<Vec<(String, u64)>, IndexError> {
            let mut statement = self.db.prepare_cached(sql)?;
            let rows = statement
                .query_map([number], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.max(0).cast_unsigned())))?;
            Ok(rows.collect::<Result<_, _>>()?)
        };
        let mut states = Vec::new();
        for each in State::ALL {
            let count = self.one(
                "SELECT IFNULL(SUM(many), 0) FROM kinds WHERE state = ?",
                &[Value::Integer(each as i64)],
            )?;
            states.push((each.name(), count));
        }
        let mut flags: Vec<(&'static str, u64)> = FLAGS.iter().map(|flag| (*flag, 0)).collect();
        let by_flags =
            groups("SELECT CAST(flags AS TEXT), SUM(many) FROM kinds WHERE state = ? GROUP BY flags")?;
        for (set, count) in by_flags {
            for name in look::flag_names(set.parse().unwrap_or_default()) {
                flags.iter_mut().filter(|(flag, _)| *flag == name).for_each(|(_, sum)| *sum += count);
            }
        }
        Ok(Summary {
            states,
            classes: groups(
                "SELECT class, SUM(many) AS sum FROM kinds WHERE state = ? GROUP BY class ORDER BY sum DESC, class",
            )?,
            flags: flags.into_iter().filter(|(_, count)| *count > 0).collect(),
            dates: groups(
                "SELECT date, SUM(many) FROM kinds WHERE state = ? GROUP BY date ORDER BY date DESC",
            )?,
            bytes: self.bytes()?,
        })
    }

    fn one(&self, sql: &str, values: &[Value]) -> Result<u64, IndexError> {
        let values = values.iter().map(|value| value as &dyn ToSql);
        let count: i64 =
            self.db.prepare_cached(sql)?.query_row(params_from_iter(values), |row| row.get(0))?;
        Ok(count.max(0).cast_unsigned())
    }
}

#[cfg(test)]
mod tests;

//! Token buckets: each of many clients may take so many a minute, and a burst at once. Bounded, whoever comes.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two looks over all of them, which is what strangers without number may cost.
const SWEEP: Duration = Duration::from_secs(1);
/// Most clients that are told apart at once; those beyond share one bucket.
const MOST: usize = 1 << 16;

/// One bucket a client.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    /// Tokens a second.
    rate: f64,
    burst: f64,
    table: Mutex<Table<K>>,
}

#[derive(Debug)]
struct Table<K> {
    by_client: HashMap<K, Bucket>,
    others: Bucket,
    /// When full buckets were last forgotten.
    swept: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl<K: Eq + Hash> Buckets<K> {
    /// For so many a minute and so many at once; none when any number is allowed.
    pub fn new(per_minute: u32, burst: u32) -> Option<Self> {
        if per_minute == 0 {
            return None;
        }
        let rate = f64::from(per_minute) / 60.0;
        let burst = if burst > 0 { f64::from(burst) } else { rate.ceil().max(1.0) };
        let now = Instant::now();
        let others = Bucket { tokens: burst, at: now };
        Some(Self { rate, burst, table: Mutex::new(Table { by_client: HashMap::new(), others, swept: now }) })
    }

    /// Takes a token.
    ///
    /// # Errors
    /// Whole seconds until there is one.
    pub fn take(&self, client: K, now: Instant) -> Result<(), u32> {
        // Plain numbers: whole at any time.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { by_client, others, swept } = &mut *table;
        let is_known = by_client.contains_key(&client);
        if by_client.len() >= MOST && !is_known && now.saturating_duration_since(*swept) >= SWEEP {
            // Who has a full bucket again is as good as unknown.
            *swept = now;
            by_client.retain(|_, bucket| self.tokens(bucket, now) < self.burst);
        }
        let bucket = if by_client.len() < MOST || is_known {
            by_client.entry(client).or_insert(Bucket { tokens: self.burst, at: now })
        } else {
            others
        };
        bucket.tokens = self.tokens(bucket, now);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(((1.0 - bucket.tokens) / self.rate).ceil() as u32)
    }

    fn tokens(&self, bucket: &Bucket, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.tokens + passed * self.rate).min(self.burst)
    }
}

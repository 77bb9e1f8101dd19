use super::*;
use crate::sidecar::Sidecar;
use crate::testing::{detected, index};
use std::time::Instant;

fn many() -> Vec<Sidecar> {
    (0..57u32)
        .map(|k| {
            let class = if k % 3 == 0 { "cat" } else { "dog" };
            let time = format!("2026-11-{:02}T12:00:00Z", 10 + k % 5);
            let flags = if k % 10 == 0 { vec!["dark".to_owned()] } else { vec![] };
            Sidecar { time, flags, ..detected(&format!("P{k:03}"), class, (k % 7) as f32 / 7.0) }
        })
        .collect()
}

#[test]
fn pages_show_every_picture_once_in_every_order() {
    let root = tempfile::tempdir().expect("a folder");
    let index = index(root.path(), &many());
    for order in [Order::Newest, Order::Oldest, Order::Unsure, Order::Sure] {
        let (mut seen, mut next): (Vec<Entry>, _) = (Vec::new(), Some(Start::default()));
        while let Some(start) = next {
            let page = index.page(&Filter::default(), order, &start, 10).expect("a page");
            assert_eq!(page.total, 57);
            let skipped = index.page(&Filter::default(), order, &Start::Skip(seen.len() as u64), 10);
            assert_eq!(skipped.expect("a page"), page, "a number leads where the place does");
            seen.extend(page.entries);
            next = page.next.map(Start::After);
        }
        let sorted = match order {
            Order::Newest => seen.is_sorted_by(|a, b| a.time >= b.time),
            Order::Oldest => seen.is_sorted_by(|a, b| a.time <= b.time),
            Order::Unsure => seen.is_sorted_by(|a, b| a.score <= b.score),
            Order::Sure => seen.is_sorted_by(|a, b| a.score >= b.score),
        };
        assert!(sorted, "{order:?}");
        let mut ids: Vec<_> = seen.into_iter().map(|entry| entry.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 57, "{order:?}");
    }
}

#[test]
fn what_comes_meanwhile_moves_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let mut index = index(root.path(), &many());
    let first = index.page(&Filter::default(), Order::Newest, &Start::default(), 10).expect("a page");
    let expected = index.page(&Filter::default(), Order::Newest, &Start::Skip(10), 10).expect("a page");
    let late = detected("late", "cat", 0.5);
    crate::testing::lay(root.path(), &late, &crate::testing::png(99));
    crate::scan::reconcile(&mut index).expect("a scan");
    let filter = Filter { until: Some(first.last), ..Filter::default() };
    let again = index.page(&filter, Order::Newest, &Start::Skip(10), 10).expect("a page");
    assert_eq!((again.entries, again.total), (expected.entries, 57));
    let all = index.page(&Filter::default(), Order::Newest, &Start::Skip(0), 10).expect("a page");
    assert_eq!((all.entries[0].id.as_str(), all.total), ("late", 58));
}

#[test]
fn filters_find_what_they_say() {
    let root = tempfile::tempdir().expect("a folder");
    let index = index(root.path(), &many());
    let count =
        |filter: Filter| index.page(&filter, Order::Newest, &Start::default(), 500).expect("a page").total;
    assert_eq!(count(Filter { class: Some("cat".into()), ..Filter::default() }), 19);
    assert_eq!(count(Filter { flag: Some("dark".into()), ..Filter::default() }), 6);
    assert_eq!(count(Filter { flag: Some("no such".into()), ..Filter::default() }), 0);
    assert_eq!(count(Filter { state: State::Rejected, ..Filter::default() }), 0);
    assert_eq!(
        count(Filter { min_score: Some(0.5), ..Filter::default() }),
        many().iter().filter(|s| s.top().1 >= 0.5).count() as u64
    );
    let (from, to) = (many()[1].date(), many()[2].date());
    let days = count(Filter { from: Some(from.clone()), to: Some(to.clone()), ..Filter::default() });
    assert_eq!(
        days,
        many().iter().filter(|s| (from.clone()..=to.clone()).contains(&s.date())).count() as u64
    );

    let summary = index.summary(State::New).expect("a summary");
    assert_eq!(summary.states, [("new", 57), ("accepted", 0), ("rejected", 0)]);
    assert_eq!(summary.classes, [("dog".to_owned(), 38), ("cat".to_owned(), 19)]);
    assert_eq!(summary.flags, [("dark", 6)]);
    assert_eq!(summary.dates.iter().map(|(_, count)| count).sum::<u64>(), 57);
}

#[test]
fn what_is_counted_is_what_is_there() {
    let root = tempfile::tempdir().expect("a folder");
    let mut index = index(root.path(), &many());
    let tx = index.write().expect("a transaction");
    for k in 0..20 {
        let entry = crate::index::entry(&tx, &format!("P{k:03}")).expect("SQLite").expect("a row");
        let moved = Entry { state: State::Accepted, class: "bird".into(), revision: 1, ..entry };
        crate::index::put(&tx, &moved).expect("room");
    }
    for k in 10..40 {
        crate::index::forget(&tx, &format!("P{k:03}")).expect("SQLite");
    }
    tx.commit().expect("room");
    let rows = |sql: &str| -> Vec<(i64, String, String, i64, i64)> {
        let mut statement = index.db.prepare(sql).expect("SQL");
        let read =
            |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
        statement.query_map([], read).expect("rows").collect::<Result<_, _>>().expect("rows")
    };
    let there = rows(
        "SELECT state, class, date, flags, COUNT(*) FROM pictures GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
    );
    assert_eq!(rows("SELECT * FROM kinds ORDER BY 1, 2, 3, 4"), there);
    assert_eq!(there.iter().map(|row| row.4).sum::<i64>(), 27);
}

/// Not a measurement: a page that reads all rows would take a hundred times this long.
#[test]
fn a_hundred_thousand_pictures_are_no_burden() {
    let root = tempfile::tempdir().expect("a folder");
    let mut index = Index::open(root.path()).expect("an index");
    let tx = index.write().expect("a transaction");
    for k in 0..100_000u32 {
        let sidecar =
            detected(&format!("P{k:06}"), ["cat", "dog", "bird"][k as usize % 3], (k % 1000) as f32 / 1000.0);
        let time = 1_790_000_000_000 + i64::from(k) * 1000;
        let entry = Entry {
            time,
            date: "2026-11-25".to_owned(),
            ..Entry::of(std::path::Path::new("x/y.png"), State::New, &sidecar.top().0, &sidecar)
        };
        crate::index::put(&tx, &entry).expect("room");
    }
    tx.commit().expect("room");
    let begun = Instant::now();
    let filter = Filter { class: Some("dog".into()), ..Filter::default() };
    let mut start = Start::default();
    for _ in 0..20 {
        let page = index.page(&filter, Order::Newest, &start, 200).expect("a page");
        assert_eq!((page.total, page.entries.len()), (33_333, 200));
        start = Start::After(page.next.expect("more"));
    }
    index.summary(State::New).expect("a summary");
    assert!(begun.elapsed().as_secs() < 20, "{:?} for twenty pages", begun.elapsed());
}

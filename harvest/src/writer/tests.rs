use super::*;
use crate::intake::Harvest;
use crate::testing::{pictures, png, specimen};
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};

struct Kept {
    root: tempfile::TempDir,
    harvest: Option<Harvest>,
    events: Receiver<Event>,
}

impl Kept {
    fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let mut config =
            Config { enabled: true, root: root.path().to_path_buf(), min_free: 0, ..Config::default() };
        configure(&mut config);
        let (send, events): (Sender<Event>, _) = mpsc::channel();
        let send = Mutex::new(send);
        let count = move |event| {
            let _ = send.lock().expect("no panic").send(event); // the test has seen enough
        };
        let harvest = Some(Harvest::start(config, 1, Arc::new(count)).expect("threads"));
        Self { root, harvest, events }
    }

    /// Hands pictures over, ends the harvest, and says what became of them.
    fn offer(&mut self, specimens: impl IntoIterator<Item = Specimen>) -> Vec<Event> {
        let harvest = self.harvest.take().expect("once");
        specimens.into_iter().for_each(|specimen| harvest.offer(specimen));
        drop(harvest);
        self.events.try_iter().collect()
    }
}

fn stored(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Stored(_))).count()
}

#[test]
fn a_picture_lies_where_its_answer_says_with_all_that_is_known() {
    let mut kept = Kept::with(|_| {});
    assert_eq!(kept.offer([specimen(1)]), [Event::Stored(png(1).len() as u64)]);
    let places = pictures(kept.root.path());
    let [place] = &places[..] else { panic!("{places:?}") };
    assert!(place.starts_with("dog/0.8-0.9/20"), "{place}");
    let path = kept.root.path().join(place);
    assert_eq!(std::fs::read(&path).expect("a picture"), png(1));
    let sidecar = files::read_sidecar(&path).expect("a sidecar");
    assert_eq!(
        (sidecar.request.as_str(), sidecar.source.as_str(), sidecar.rule.as_str()),
        ("request-1", "bytes", "all")
    );
    assert_eq!((sidecar.width, sidecar.height, sidecar.timing_ms["total"]), (96, 72, 1.5));
    assert_eq!(
        sidecar.detections.as_ref().map(|d| (d[0].label.clone(), d[0].class)),
        Some(("dog".to_owned(), Some(1)))
    );
    assert_eq!(crate::truth::newest(kept.root.path()).expect("the model's classes").labels, ["cat", "dog"]);
}

#[test]
fn what_is_there_already_is_left_out() {
    let mut kept = Kept::with(|_| {});
    let nearly = Specimen { bytes: [png(1), vec![0]].concat().into(), ..specimen(1) };
    let events = kept.offer([specimen(1), specimen(1), nearly, specimen(2)]);
    assert_eq!(events[1..3], [Event::Duplicate, Event::NearDuplicate]);
    assert_eq!(stored(&events), 2);
}

#[test]
fn duplicates_are_found_across_processes_and_restarts() {
    let mut first = Kept::with(|_| {});
    assert_eq!(stored(&first.offer([specimen(1)])), 1);
    let mut second = Kept::with(|config| config.root = first.root.path().to_path_buf());
    let nearly = Specimen { bytes: [png(1), vec![0]].concat().into(), ..specimen(1) };
    assert_eq!(second.offer([specimen(1), nearly]), [Event::Duplicate, Event::NearDuplicate]);
}

#[test]
fn limits_and_quotas_hold_for_all_processes_together() {
    let rules = r#"rules = [
        { type = "classes_based", selected_class_names = ["dog"], limits = [{ type = "minutely", value = 2 }] },
        { type = "random", traffic_percentage = 100, limits = [{ type = "hourly", value = 3 }] },
    ]"#;
    let parsed: Config = toml::from_str(rules).expect("rules");
    let both = |seed| Specimen { rules: 0b11, ..specimen(seed) };
    let mut first = Kept::with(|config| config.rules.clone_from(&parsed.rules));
    assert_eq!(stored(&first.offer((0..3).map(both))), 3, "the second rule takes what the first may not");
    let mut second = Kept::with(|config| {
        config.rules.clone_from(&parsed.rules);
        config.root = first.root.path().to_path_buf();
    });
    let events = second.offer((10..15).map(both));
    assert_eq!((stored(&events), events.iter().filter(|e| **e == Event::Limited).count()), (2, 3));

    let mut quota = Kept::with(|config| config.per_class_waiting = 4);
    let events = quota.offer((0..6).map(specimen));
    assert_eq!((stored(&events), events[5]), (4, Event::Quota));
    let mut daily = Kept::with(|config| config.per_class_daily = 1);
    assert_eq!(daily.offer((0..2).map(specimen))[1], Event::Quota);
}

#[test]
fn there_is_no_room_above_the_cap_or_on_a_full_disk() {
    let mut capped = Kept::with(|config| config.max_bytes = 2 * png(1).len() as u64 + 100);
    let events = capped.offer((0..4).map(specimen));
    assert!(stored(&events) == 2 && events.contains(&Event::NoRoom), "{events:?}");
    let mut full = Kept::with(|config| config.min_free = u64::MAX);
    assert_eq!(full.offer([specimen(1)]), [Event::NoRoom]);
    assert_eq!(pictures(full.root.path()), Vec::<String>::new());
}

#[test]
fn a_full_queue_drops_and_never_waits() {
    let mut kept = Kept::with(|config| (config.queue, config.drop_near_duplicates) = (4, false));
    let events = kept.offer((0..200).map(specimen));
    assert_eq!(events.len(), 200);
    let dropped = events.iter().filter(|event| **event == Event::Dropped).count();
    assert!(dropped > 100 && stored(&events) == 200 - dropped, "{dropped} dropped");
    let mut heavy = Kept::with(|config| config.queue_bytes = 10);
    assert_eq!(heavy.offer([specimen(1)]), [Event::Dropped]);
}

#[test]
fn a_folder_that_cannot_be_used_fails_no_more_than_the_picture() {
    // A file where the folder should be: also root cannot write there.
    let place = tempfile::NamedTempFile::new().expect("a file");
    let mut kept = Kept::with(|config| config.root = place.path().join("root"));
    assert_eq!(kept.offer((0..3).map(specimen)), [Event::Failed; 3]);
}

#[test]
fn several_processes_write_side_by_side() {
    let root = tempfile::tempdir().expect("a folder");
    std::thread::scope(|scope| {
        for writer in 0..4u64 {
            let root = root.path();
            scope.spawn(move || {
                let mut kept = Kept::with(|config| config.root = root.to_path_buf());
                // Half of them are the same for all.
                let events =
                    kept.offer((0..10).flat_map(|k| [specimen(k), specimen(100 * (writer + 1) + k)]));
                assert!(!events.contains(&Event::Failed), "{events:?}");
            });
        }
    });
    assert_eq!(pictures(root.path()).len(), 50);
    assert_eq!(Index::open(root.path()).expect("an index").count().expect("a count"), 50);
}

//! Runs against a server that answers by a script.

use super::*;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

/// An HTTP server whose answers are a function of the body.
pub struct Script {
    address: SocketAddr,
    /// Lines of all requests' heads.
    heads: Arc<Mutex<String>>,
}

type Answer = dyn Fn(&[u8]) -> (u16, String) + Send + Sync;

impl Script {
    pub fn serve(answer: Box<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let answer: Arc<Answer> = answer.into();
        let heads = Arc::new(Mutex::new(String::new()));
        let heard = heads.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, heard) = (answer.clone(), heard.clone());
                std::thread::spawn(move || talk(&stream, &heard, &*answer));
            }
        });
        Self { address, heads }
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint { address: self.address.to_string(), key: "sesame".to_owned(), roots: Vec::new() }
    }

    pub fn heads(&self) -> String {
        self.heads.lock().expect("no panic").clone()
    }
}

/// Answers one after the other, whatever is asked.
pub fn answer_to(script: Vec<(u16, &'static str)>) -> Box<Answer> {
    let next = AtomicUsize::new(0);
    Box::new(move |_| {
        let (status, body) = script[next.fetch_add(1, Ordering::Relaxed)];
        (status, body.to_owned())
    })
}

fn talk(stream: &TcpStream, heard: &Mutex<String>, answer: &Answer) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            heard.lock().expect("no panic").push_str(&line);
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let (status, text) = answer(&body);
        if status == 0 {
            return;
        }
        let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n", text.len());
        if (&mut &*stream).write_all((head + &text).as_bytes()).is_err() {
            return;
        }
    }
}

/// The body's length is the picture's width; what begins with `bad` is bad.
fn by_body(body: &[u8]) -> (u16, String) {
    if body.starts_with(b"bad") {
        (422, r#"{"code":"not_an_image","detail":"no"}"#.to_owned())
    } else {
        (200, format!(r#"{{"width":{},"height":1,"detections":[]}}"#, body.len()))
    }
}

struct Setting {
    folder: tempfile::TempDir,
    inputs: Vec<String>,
    output: PathBuf,
    progress: Progress,
    stop: AtomicBool,
}

impl Setting {
    fn of(pictures: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let input = folder.path().join("in");
        std::fs::create_dir(&input).expect("room");
        for number in 0..pictures {
            std::fs::write(input.join(format!("{number:03}.jpg")), vec![b'x'; number + 1]).expect("room");
        }
        let (inputs, output) = (vec![input.display().to_string()], folder.path().join("out.jsonl"));
        Self { folder, inputs, output, progress: Progress::new(true), stop: AtomicBool::new(false) }
    }

    fn plan(&self) -> Plan<'_> {
        Plan {
            inputs: &self.inputs,
            output: &self.output,
            format: Format::JsonLines,
            of: "m",
            anew: false,
            strict: false,
            draw: None,
            sort: None,
            query: "",
            jobs: 4,
            longest: 1000,
            progress: &self.progress,
            stop: &self.stop,
        }
    }

    fn run(&self, plan: &Plan<'_>, answer: Box<Answer>) -> Result<Summary, BatchError> {
        let server = Script::serve(answer);
        run(plan, |_| Ok(server.endpoint()), &mut || None)
    }

    fn answers(&self) -> String {
        std::fs::read_to_string(&self.output).expect("an answer file")
    }
}

#[test]
fn every_picture_is_answered_in_order() {
    let setting = Setting::of(50);
    let summary = setting.run(&setting.plan(), Box::new(by_body)).expect("a run");
    assert_eq!((summary.total, summary.done, summary.bad, summary.end), (50, 50, 0, End::Complete));
    let widths: Vec<u64> = setting
        .answers()
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["width"].as_u64().expect("width")
        })
        .collect();
    assert_eq!(widths, (1..=50).collect::<Vec<u64>>());
    assert!(!Journal::beside(&setting.output).exists());
    let again = setting.run(&setting.plan(), Box::new(by_body)).expect_err("complete").to_string();
    assert!(again.contains("--restart"), "{again}");
}

#[test]
fn a_run_that_was_stopped_goes_on_where_it_was() {
    let whole = Setting::of(60);
    whole.run(&whole.plan(), Box::new(by_body)).expect("a run");
    let setting = Setting::of(60);
    let setting = Arc::new(setting);
    let stopper = setting.clone();
    let asked = AtomicUsize::new(0);
    let answer = move |body: &[u8]| {
        if asked.fetch_add(1, Ordering::Relaxed) == 20 {
            stopper.stop.store(true, Ordering::Relaxed);
        }
        by_body(body)
    };
    let first = setting.run(&setting.plan(), Box::new(answer)).expect("a run");
    assert_eq!(first.end, End::Stopped);
    assert!(first.done >= 10 && first.done < 60 && !setting.output.exists(), "{first:?}");
    setting.stop.store(false, Ordering::Relaxed);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let answer = move |body: &[u8]| {
        count.fetch_add(1, Ordering::Relaxed);
        by_body(body)
    };
    let second = setting.run(&setting.plan(), Box::new(answer)).expect("a run");
    assert_eq!((second.end.clone(), second.done, second.now), (End::Complete, 60, 60 - first.done));
    assert_eq!(asked.load(Ordering::Relaxed), 60 - first.done, "nothing is asked twice");
    let strip =
        |setting: &Setting| setting.answers().replace(&setting.folder.path().display().to_string(), "");
    assert_eq!(strip(&setting), strip(&whole));
}

#[test]
fn bad_pictures_are_counted_and_written() {
    let setting = Setting::of(3);
    let input = setting.folder.path().join("in");
    std::fs::write(input.join("bad.jpg"), b"bad bytes").expect("room");
    std::fs::write(input.join("empty.jpg"), b"").expect("room");
    std::fs::write(input.join("long.jpg"), vec![0; 1001]).expect("room");
    std::os::unix::fs::symlink("/nonexistent", input.join("gone")).expect("room");
    let list = setting.folder.path().join("list.txt");
    std::fs::write(&list, "in/gone\nin/nothing.jpg\n").expect("room");
    let inputs = [setting.inputs[0].clone(), list.display().to_string()];
    // A link that leads nowhere is an error of the folder.
    std::fs::remove_file(input.join("gone")).expect("there");
    let plan = Plan { inputs: &inputs, ..setting.plan() };
    let summary = setting.run(&plan, Box::new(by_body)).expect("a run");
    assert_eq!((summary.total, summary.done, summary.bad), (8, 8, 5));
    let text = setting.answers();
    for code in ["not_an_image", "body_too_large", "unreadable"] {
        assert!(text.contains(code), "no {code} in {text}");
    }
}

#[test]
fn a_strict_run_ends_with_the_first_bad_picture() {
    let setting = Setting::of(3);
    std::fs::write(setting.folder.path().join("in/002.jpg"), b"bad bytes").expect("room");
    let plan = Plan { strict: true, jobs: 1, ..setting.plan() };
    let summary = setting.run(&plan, Box::new(by_body)).expect("a run");
    assert!(matches!(&summary.end, End::Strict(text) if text.contains("002.jpg")), "{summary:?}");
    assert!(!setting.output.exists());
}

#[test]
fn members_of_an_archive_are_sent_and_a_run_goes_on_inside_it() {
    let setting = Setting::of(0);
    let path = setting.folder.path().join("a.tar");
    let mut tar = tar::Builder::new(File::create(&path).expect("room"));
    for number in 0..9u64 {
        let mut header = tar::Header::new_gnu();
        header.set_size(number + 1);
        tar.append_data(&mut header, format!("{number}.jpg"), &vec![b'x'; number as usize + 1][..])
            .expect("room");
    }
    tar.into_inner().expect("room");
    let inputs = [path.display().to_string()];
    let plan = Plan { inputs: &inputs, ..setting.plan() };
    let mut journal = Journal::open(&Journal::beside(&setting.output), "m", false).expect("a journal");
    journal
        .write(&[Record::bad(&format!("{}/4.jpg", path.display()), "unreadable", "before")])
        .expect("room");
    drop(journal);
    let summary = setting.run(&plan, Box::new(by_body)).expect("a run");
    assert_eq!((summary.done, summary.now, summary.bad), (9, 8, 1));
    assert!(setting.answers().lines().nth(8).expect("nine").contains(r#""width":9"#));
}

#[test]
fn a_service_that_ends_ends_the_run_and_keeps_what_is_done() {
    let setting = Setting::of(30);
    // Answers ten, then nobody any more.
    let asked = AtomicUsize::new(0);
    let answer = move |body: &[u8]| {
        if asked.fetch_add(1, Ordering::Relaxed) < 10 { by_body(body) } else { (0, String::new()) }
    };
    let server = Script::serve(Box::new(answer));
    let begun = Instant::now();
    let mut alive = || (begun.elapsed() > Duration::from_secs(1)).then(|| "it ended".to_owned());
    let ended = run(&setting.plan(), |_| Ok(server.endpoint()), &mut alive).expect_err("no service");
    assert!(matches!(ended, BatchError::Service(_)), "{ended}");
    let journal = Journal::open(&Journal::beside(&setting.output), "m", false).expect("the journal");
    assert!(journal.has(&format!("{}/000.jpg", setting.inputs[0])));
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let setting = Setting::of(1);
    let pipe = setting.folder.path().join("pipe.jpg");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let inputs = [setting.inputs[0].clone(), pipe.display().to_string()];
    let plan = Plan { inputs: &inputs, ..setting.plan() };
    let summary = setting.run(&plan, Box::new(by_body)).expect("a run");
    assert_eq!((summary.done, summary.bad), (2, 1));
    assert!(setting.answers().contains("is no file"), "{}", setting.answers());
}

/// As a service that reads files itself: of a list each file's length is its width; `2` in a name is not found there.
fn by_path(body: &[u8]) -> (u16, String) {
    let Ok(list) = serde_json::from_slice::<serde_json::Value>(body) else { return by_body(body) };
    let results: Vec<String> = list["images"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|image| {
            let path = image["img"].as_str().expect("a path");
            let name = Path::new(path).file_name().and_then(|name| name.to_str()).expect("a name");
            let bytes = std::fs::read(path).expect("a file");
            if name.contains('2') || bytes.is_empty() {
                return r#"{"status":403,"code":"path_forbidden","detail":"no"}"#.to_owned();
            }
            by_body(&bytes).1
        })
        .collect();
    (200, format!(r#"{{"results":[{}]}}"#, results.join(",")))
}

#[test]
fn files_below_a_root_are_left_to_the_service_and_all_others_are_sent() {
    let setting = Setting::of(30);
    let input = setting.folder.path().join("in");
    std::fs::write(input.join("bad.jpg"), b"bad bytes").expect("room");
    std::fs::write(input.join("empty.jpg"), b"").expect("room");
    std::os::unix::fs::symlink(input.join("000.jpg"), input.join("soft.jpg")).expect("room");
    std::fs::hard_link(input.join("000.jpg"), input.join("hard.jpg")).expect("room");
    let bodies = Arc::new(Mutex::new((0, 0)));
    let count = bodies.clone();
    let server = Script::serve(Box::new(move |body| {
        let mut count = count.lock().expect("no panic");
        if body.starts_with(b"{") {
            count.0 += 1
        } else {
            count.1 += 1
        }
        by_path(body)
    }));
    let start = |folders: &[PathBuf]| {
        assert_eq!(folders, std::slice::from_ref(&input));
        Ok(Endpoint { roots: folders.to_vec(), ..server.endpoint() })
    };
    let plan = Plan { jobs: 64, ..setting.plan() };
    let summary = run(&plan, start, &mut || None).expect("a run");
    assert_eq!((summary.total, summary.done, summary.bad), (34, 34, 2));
    let name = |name: &str| format!("{}/{name}.jpg", input.display());
    let alone: Vec<String> =
        (0..30).map(|number| format!("{number:03}")).filter(|name| name.contains('2')).collect();
    for (number, line) in setting.answers().lines().take(30).enumerate() {
        let record: Record = serde_json::from_str(line).expect("a record");
        assert_eq!((record.image, record.width), (name(&format!("{number:03}")), Some(number as u32 + 1)));
    }
    let (lists, single) = *bodies.lock().expect("no panic");
    // Links and what has two names are never named to the service; what it does not answer is asked about once more, and of an
    // empty file there is nothing to ask.
    assert_eq!(single, alone.len() + 3 + 1, "of {lists} lists");
    assert!(lists >= 2);
}

#[test]
fn what_is_drawn_is_read_here() {
    let setting = Setting::of(1);
    let drawn = setting.folder.path().join("drawn");
    let plan = Plan { draw: Some(&drawn), ..setting.plan() };
    let server = Script::serve(Box::new(by_body));
    let start = |folders: &[PathBuf]| {
        assert!(folders.is_empty());
        Ok(server.endpoint())
    };
    let outcome = run(&plan, start, &mut || None);
    assert!(server.heads().contains("application/octet-stream"), "{outcome:?}: {}", server.heads());
}

#[test]
fn lists_grow_with_the_rate_and_stay_below_a_quarter_of_what_is_on_its_way() {
    let second = Duration::from_secs(1);
    assert_eq!(together(0, second, 64), 1);
    assert_eq!(together(10, second, 64), 5);
    assert_eq!(together(1000, second, 64), TOGETHER);
    assert_eq!(together(1000, second, 8), 2);
    assert_eq!(together(1000, second, 1), 1);
    assert_eq!(together(10, Duration::ZERO, 64), 5, "the first second counts as a whole one");
}

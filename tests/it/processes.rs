//! Who runs, who maps what, who replaces whom, and how it ends.

use e2e::pictures::plain;
use e2e::service::{Service, wait_for, with_model};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shm_proto::board::ProcessState;
use std::fs;
use std::path::{Path, PathBuf};

const RED: [u8; 3] = [255, 0, 0];

fn command_line(pid: Pid) -> String {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&raw).replace('\0', " ").trim().to_owned()
}

fn children(pid: Pid) -> Vec<Pid> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}

fn alive(pid: Pid) -> bool {
    // A zombie is dead for everybody but its parent.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

fn board_of(name: &str) -> PathBuf {
    PathBuf::from(format!("/dev/shm/detectd-{name}"))
}

fn private_kib(pid: Pid) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("a living process");
    let field = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
    };
    field("Private_Clean:") + field("Private_Dirty:")
}

#[test]
fn one_supervisor_n_frontends_one_engine() {
    let service = Service::start(&(with_model("yolov8") + "[service]\nprocs = 3\n"));
    let mut names: Vec<String> = children(service.pid()).into_iter().map(command_line).collect();
    names.sort();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names[0].starts_with("detectd: engine"), "{names:?}");
    for (slot, name) in names[1..].iter().enumerate() {
        assert!(name.starts_with(&format!("detectd: frontend {slot}")), "{names:?}");
    }
    for child in children(service.pid()) {
        assert_eq!(children(child), [], "{} has children", command_line(child));
    }
    assert_eq!(service.client().detect(&plain(RED)).status, 200);
}

#[test]
fn only_the_engine_maps_the_runtime() {
    let service = Service::start(&with_model("yolov8"));
    service.client().detect(&plain(RED)).ok();
    let maps = |pid: Pid| fs::read_to_string(format!("/proc/{pid}/maps")).expect("a living process");
    assert!(maps(service.engine()).contains("libonnxruntime"));
    for pid in service.frontends().into_iter().chain([service.pid()]) {
        assert!(!maps(pid).contains("libonnxruntime"), "{} maps the runtime", command_line(pid));
    }
    assert!(!maps(service.pid()).contains("libcuda"));
}

#[test]
fn an_idle_frontend_costs_little_memory() {
    let service = Service::start(&(with_model("yolov8") + "[service]\nprocs = 4\n"));
    let sizes: Vec<u64> = service.frontends().into_iter().map(private_kib).collect();
    println!("private memory of idle frontends: {sizes:?} KiB");
    for kib in &sizes {
        assert!(*kib <= 10 << 10, "{sizes:?} KiB");
    }
}

#[test]
fn a_dead_frontend_is_replaced() {
    let service = Service::start(&with_model("yolov8"));
    let before = service.frontends();
    kill(before[0], Signal::SIGKILL).expect("a frontend");
    let board = service.board();
    wait_for("another frontend", || {
        let process = board.frontend(0);
        (process.pid() as i32 != before[0].as_raw() && process.state() == ProcessState::Ready).then_some(())
    });
    assert_eq!(service.frontends()[1], before[1], "the other one lives on");
    assert_eq!(board.frontend(0).figures().restarts, 1);
    for _ in 0..20 {
        assert_eq!(service.client().detect(&plain(RED)).status, 200);
    }
}

#[test]
fn a_dead_engine_is_replaced_and_what_waited_is_answered() {
    let service = Service::start(&(with_model("slow") + "[engine]\nlanes = 1\n"));
    let before = service.engine();
    let board = service.board();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let client = service.client();
                scope.spawn(move || (0..5).map(|_| client.detect(&plain(RED)).status).collect::<Vec<_>>())
            })
            .collect();
        wait_for("requests in flight", || (board.in_flight() >= 4).then_some(()));
        kill(before, Signal::SIGKILL).expect("the engine");
        for client in clients {
            assert_eq!(client.join().expect("a client"), [200; 5]);
        }
    });
    assert_ne!(service.engine(), before);
    assert_eq!(board.engine(0).figures().restarts, 1);
    assert_eq!(service.client().get("/readyz").status, 200);
}

#[test]
fn a_service_whose_engine_dies_again_and_again_gives_up_and_says_so() {
    let mut service = Service::start(&(with_model("yolov8") + "[service]\nmax_restarts = 2\n"));
    let board = service.board();
    let mut before = 0;
    for _ in 0..3 {
        let pid = wait_for("an engine at work", || {
            let pid = board.engine(0).pid();
            (pid != before && board.engine(0).state() == ProcessState::Ready).then_some(pid)
        });
        kill(Pid::from_raw(pid as i32), Signal::SIGKILL).expect("the engine");
        before = pid;
    }
    assert_eq!(service.wait().code(), Some(70), "{}", service.log());
    assert!(service.log().contains("giving up after 3 deaths"), "{}", service.log());
    assert!(!board_of(service.name()).exists());
}

#[test]
fn children_leave_with_a_killed_supervisor_and_the_next_start_cleans_up() {
    let mut service = Service::start(&with_model("yolov8"));
    let everybody: Vec<Pid> = service.frontends().into_iter().chain([service.engine()]).collect();
    kill(service.pid(), Signal::SIGKILL).expect("the supervisor");
    service.wait();
    wait_for("the children's end", || everybody.iter().all(|&pid| !alive(pid)).then_some(()));
    let name = service.name().to_owned();
    assert!(board_of(&name).exists(), "nobody was left to remove the board");
    assert!(!shm_proto::board::list().contains(&name), "a dead service is not listed");

    let mut next = Service::launch(&format!("{}[service]\nname = {name:?}\n", with_model("yolov8")), &[]);
    // Its own name would be another; the setting gives it the dead one's.
    wait_for("the next service", || {
        let board = shm_proto::board::Board::open(&name).ok()?;
        (board.supervisor() == next.pid().as_raw() as u32
            && board.state() == shm_proto::board::ServiceState::Ready)
            .then_some(())
    });
    assert!(next.log().contains("board"), "it does not say that it cleaned up:\n{}", next.log());
    next.signal(Signal::SIGTERM);
    assert_eq!(next.wait().code(), Some(0));
    assert!(!board_of(&name).exists());
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_leaves_nothing_behind() {
    // So slow that the sixth request comes while the first is in flight, whatever else the machine does.
    let slow = "[engine]\ndevice = \"sim\"\nlanes = 1\nmax_batch = 1\n\
                [engine.sim]\ncurve = [{ images = 1, time = \"500ms\" }]\n[frontend]\nrt_target = \"0s\"\n";
    let mut service = Service::start(&(with_model("yolov8") + slow));
    let everybody: Vec<Pid> = service.frontends().into_iter().chain([service.engine()]).collect();
    let board = service.board();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..6)
            .map(|_| {
                let client = service.client();
                scope.spawn(move || client.detect(&plain(RED)).status)
            })
            .collect();
        wait_for("requests in flight", || (board.in_flight() >= 6).then_some(()));
        kill(service.pid(), Signal::SIGTERM).expect("the supervisor");
        for client in clients {
            assert_eq!(client.join().expect("a client"), 200);
        }
    });
    assert_eq!(service.wait().code(), Some(0));
    for pid in everybody {
        assert!(!alive(pid), "{pid} lives on");
    }
    assert!(!board_of(service.name()).exists(), "the board is left behind");
}

#[test]
fn sigint_stops_too_and_an_idle_service_stops_at_once() {
    let mut service = Service::start(&with_model("yolov8"));
    let _keep_alive = service.client().get("/healthz"); // an idle connection must not hold up the end
    service.signal(Signal::SIGINT);
    assert_eq!(service.wait().code(), Some(0));
}

#[test]
fn clients_that_go_away_leave_no_seat_behind() {
    use std::io::Write;
    let service = Service::start(&(with_model("slow") + "[engine]\nlanes = 1\n"));
    let picture = plain(RED);
    for _ in 0..30 {
        let mut stream = std::net::TcpStream::connect(service.address()).expect("a connection");
        let head = format!(
            "POST /detect HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {}\r\n\r\n",
            picture.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&picture)).expect("sent");
    }
    let board = service.board();
    wait_for("nothing in flight", || (board.in_flight() == 0).then_some(()));
    wait_for("free seats", || {
        let seats = board.seats();
        (seats.of(shm_proto::SeatState::Free) == seats.0.iter().sum::<u32>()).then_some(())
    });
    assert_eq!(service.client().detect(&picture).status, 200);
}

/// Files below a folder, whatever their depth.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

/// ONNX Runtime reports to its makers unless it is told not to, and keeps an identity in the home folder for it.
#[test]
fn nothing_is_left_in_home_or_temporary_folders() {
    let cache = std::env::var_os("DETECTD_CACHE").map(PathBuf::from).unwrap_or_else(|| {
        let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        base.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cache"))
            .join("detectd")
    });
    let folder = tempfile::tempdir().expect("a folder");
    let (home, temporary) = (folder.path().join("home"), folder.path().join("tmp"));
    for folder in [&home, &temporary] {
        fs::create_dir(folder).expect("a folder");
    }
    let environment =
        [("HOME", &*home), ("XDG_CACHE_HOME", &*home), ("TMPDIR", &*temporary), ("DETECTD_CACHE", &*cache)];
    let mut service = Service::launch_in(&environment, &with_model("yolov8"), &[]);
    service.wait_ready();
    service.client().detect(&plain(RED)).ok();
    let engine = fs::read(format!("/proc/{}/environ", service.engine())).expect("a living engine");
    assert!(String::from_utf8_lossy(&engine).contains("ORT_DISABLE_TELEMETRY=1"));
    assert_eq!(service.stop().code(), Some(0));
    assert_eq!(files(folder.path()), [] as [PathBuf; 0]);
}

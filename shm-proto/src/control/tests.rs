use super::*;
use nix::poll::{PollFd, PollFlags, poll};

fn boot() -> Boot {
    Boot {
        role: Role::Frontend,
        slot: 2,
        generation: 9,
        board: "b".into(),
        frontends: 3,
        config: "{}".into(),
    }
}

fn wait(line: &Line) {
    let mut polls = [PollFd::new(line.fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut polls, 20_000u16), Ok(1), "the child said nothing");
}

/// What the child says next. A knock may come after its message was heard, so one knock can bring nothing.
fn hear(line: &mut Line) -> Vec<FromChild> {
    loop {
        wait(line);
        let said = line.receive().expect("alive");
        if !said.is_empty() {
            return said;
        }
    }
}

/// The whole exchange, with the child as a thread: only its descriptor number is not the inherited one.
fn child_of(socket: OwnedFd, rendezvous: String) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let socket = std::sync::Arc::new(socket);
        let (sender, mut receiver) = child::meet(&rendezvous, socket).expect("a supervisor");
        let Received { message: ToChild::Boot(boot), fds } = receiver.recv().expect("a boot message") else {
            panic!("something else came first")
        };
        assert_eq!((boot.slot, boot.generation, fds.len()), (2, 9, 2));
        sender.send(FromChild::Status("hello".into())).expect("heard");
        let Received { message, fds } = receiver.recv().expect("an arena");
        assert!(
            matches!(message, ToChild::Attach { generation: 4, description, .. } if description.len() == 300_000)
        );
        assert_eq!(fds.len(), 1);
        sender.send(FromChild::Ready { generation: 4 }).expect("heard");
        match receiver.recv() {
            Err(ControlError::Closed) => "supervisor gone".to_owned(),
            other => format!("{other:?}"),
        }
    })
}

#[test]
fn a_child_outlives_a_handover_and_drains_when_its_line_is_let_go() {
    let (mut line, end) = Line::open(boot(), [].into()).expect("a line");
    let child = std::thread::spawn(move || {
        let (sender, mut receiver) = child::meet(&end.rendezvous, end.socket.into()).expect("a supervisor");
        receiver.recv().expect("the boot message");
        let begun = std::time::Instant::now();
        let Received { message, .. } = receiver.recv().expect("the order");
        assert!(matches!(message, ToChild::Drain { timeout } if timeout.as_secs() == 7), "{message:?}");
        sender.send(FromChild::Drained).expect("that nobody hears it is no error");
        begun.elapsed()
    });
    wait(&line);
    line.receive().expect("it came");
    line.send(ToChild::HandOver { timeout: std::time::Duration::from_secs(7) }, &[]).expect("sent");
    let socket = line.fd().try_clone_to_owned().expect("a descriptor");
    drop(line);
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(!child.is_finished(), "the channel's end is not the order");
    drop(socket);
    assert!(child.join().expect("no panic").as_millis() >= 50);
}

#[test]
fn a_child_boots_attaches_and_sees_its_supervisor_die() {
    let spare = || OwnedFd::from(tempfile::tempfile().expect("a file"));
    let (mut line, end) = Line::open(boot(), [spare(), spare()].into()).expect("a line");
    assert_eq!(line.receive().expect("nothing yet"), []);
    let child = child_of(end.socket, end.rendezvous);
    assert_eq!(hear(&mut line), [FromChild::Status("hello".into())]);
    let geometry = crate::arena::Geometry { seats: 1, frontends: 1, input_bytes: 1, output_bytes: vec![1] };
    let attach = ToChild::Attach { generation: 4, geometry, description: "d".repeat(300_000) };
    line.send(attach, &[spare().as_fd()]).expect("alive");
    assert_eq!(hear(&mut line), [FromChild::Ready { generation: 4 }]);
    drop(line);
    assert_eq!(child.join().expect("the child"), "supervisor gone");
}

#[test]
fn a_child_that_dies_before_it_comes_is_noticed() {
    let (mut line, end) = Line::open(boot(), [].into()).expect("a line");
    drop(end);
    wait(&line);
    assert!(matches!(line.receive(), Err(ControlError::Closed)));
    assert!(matches!(
        line.send(ToChild::Drain { timeout: std::time::Duration::ZERO }, &[]),
        Err(ControlError::Closed)
    ));
}

#[test]
fn what_a_child_said_last_is_heard_after_its_death() {
    let (mut line, end) = Line::open(boot(), [].into()).expect("a line");
    let child = std::thread::spawn(move || {
        let (sender, _receiver) =
            child::meet(&end.rendezvous, std::sync::Arc::new(end.socket)).expect("a supervisor");
        sender.send(FromChild::Fatal { exit: Exit::Config, message: "no model".into() }).expect("heard");
    });
    child.join().expect("the child");
    let mut heard = Vec::new();
    while let Ok(said) = line.receive() {
        heard.extend(said);
    }
    assert_eq!(heard, [FromChild::Fatal { exit: Exit::Config, message: "no model".into() }]);
}

#[test]
fn a_long_description_does_not_wait_for_a_child_that_is_stopped() {
    let (mut line, end) = Line::open(boot(), [].into()).expect("a line");
    let child = std::thread::spawn(move || {
        child::meet(&end.rendezvous, std::sync::Arc::new(end.socket)).expect("a supervisor")
    });
    wait(&line);
    line.receive().expect("alive");
    let geometry = crate::arena::Geometry { seats: 1, frontends: 1, input_bytes: 1, output_bytes: vec![1] };
    let arena = OwnedFd::from(tempfile::tempfile().expect("a file"));
    // Nobody reads: the thread holds its ends and does nothing with them.
    let ends = child.join().expect("the child");
    let attach = ToChild::Attach { generation: 1, geometry, description: "d".repeat(5 << 20) };
    line.send(attach, &[arena.as_fd()]).expect("sent without a reader");
    drop(ends);
}

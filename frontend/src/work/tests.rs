use super::*;
use std::sync::mpsc;

fn on_runtime<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

#[test]
fn a_job_gives_its_result() {
    let pool = Pool::start(2).unwrap();
    assert_eq!(on_runtime(pool.run(Turn::Arrival, |_| 6 * 7)).unwrap(), 42);
}

#[test]
fn a_panic_is_an_internal_error_and_the_thread_lives_on() {
    let pool = Pool::start(1).unwrap();
    on_runtime(async {
        let error = pool.run(Turn::Arrival, |_| -> () { panic!("on purpose") }).await.unwrap_err();
        assert_eq!(error.code, Code::Internal);
        assert_eq!(pool.run(Turn::Arrival, |_| 1).await.unwrap(), 1);
    });
}

#[test]
fn jobs_come_in_order_and_the_finishing_ones_first() {
    let pool = Pool::start(1).unwrap();
    let (open, gate) = mpsc::channel::<()>();
    let order = Arc::new(Mutex::new(vec![]));
    let note = |name: &'static str| {
        let order = order.clone();
        move |_: &mut Bench| order.lock().unwrap().push(name)
    };
    on_runtime(async {
        // `join!` polls in the order written, so that is the order in which the jobs arrive.
        let (a, b, c, d, _) = tokio::join!(
            pool.run(Turn::Arrival, move |_| gate.recv().unwrap()),
            pool.run(Turn::Arrival, note("first")),
            pool.run(Turn::Arrival, note("second")),
            pool.run(Turn::Soon, note("soon")),
            async { open.send(()).unwrap() },
        );
        a.and(b).and(c).and(d).unwrap();
    });
    assert_eq!(*order.lock().unwrap(), ["soon", "first", "second"]);
}

#[test]
fn a_job_whose_request_has_gone_is_not_begun() {
    let pool = Pool::start(1).unwrap();
    let (open, gate) = mpsc::channel::<()>();
    let begun = Arc::new(Mutex::new(false));
    on_runtime(async {
        let mut first = std::pin::pin!(pool.run(Turn::Arrival, move |_| gate.recv().unwrap()));
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(first.as_mut().poll(&mut context).is_pending());
        {
            let begun = begun.clone();
            let mut second = std::pin::pin!(pool.run(Turn::Arrival, move |_| *begun.lock().unwrap() = true));
            assert!(second.as_mut().poll(&mut context).is_pending());
        }
        open.send(()).unwrap();
        first.await.unwrap();
        pool.run(Turn::Arrival, |_| ()).await.unwrap();
    });
    assert!(!*begun.lock().unwrap());
}

//! What this machine can do at most: the bare session, and the whole job from picture bytes to detections in one process on
//! all cores, without HTTP and without shared memory. The service's figures are then a share of that.

use crate::BenchError;
use engine::ort_run::Buffer;
use engine::{Config, Device, Model, ModelConfig, Runtime, probe};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use vision::decode::{Buffers, Limits, decode_reduced};
use vision::model::Task;
use vision::picture::Picture;
use vision::postprocess::{Options, classes, detections};
use vision::preprocess::{Scratch, wanted, write_tensor_of};
use vision::tensor::TensorView;

/// A model that is loaded into this process.
pub struct Floor {
    model: Model,
    pictures: Vec<Encoded>,
    /// Pictures taken so far, by all threads.
    taken: AtomicUsize,
    threads: usize,
}

/// A picture as it is before the job.
enum Encoded {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// The file that has them.
    File(PathBuf),
}

/// Which part of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The session alone, on an input that is there already.
    Session,
    /// Read where files are to be read, decode, letterbox, run, suppress.
    Job,
}

/// Milliseconds of each step of the job, one after the other on one thread.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Steps {
    /// File to bytes, unless they were in memory before.
    pub read: f64,
    /// Bytes to pixels.
    pub decode: f64,
    /// Pixels to tensor.
    pub preprocess: f64,
    /// The session.
    pub infer: f64,
    /// Outputs to detections.
    pub postprocess: f64,
}

impl Floor {
    /// Loads the model on the CPU, one thread a run, for as many threads as there are cores, and the pictures, of which there is
    /// at least one, into memory, unless their files are to be read each time.
    ///
    /// Call it from the thread that measures: threads inherit how it treats numbers next to zero.
    ///
    /// # Errors
    /// Says what is wrong with the runtime, the model or a picture.
    pub fn load(
        model: &Path,
        labels: Option<&Path>,
        pictures: &[String],
        from_files: bool,
        runtime: &Path,
    ) -> Result<Self, BenchError> {
        let encoded = |name: &String| {
            if from_files {
                return Ok(Encoded::File(name.into()));
            }
            std::fs::read(name).map(Encoded::Bytes).map_err(|error| BenchError::file(name.as_ref(), &error))
        };
        let pictures = pictures.iter().map(encoded).collect::<Result<Vec<_>, _>>()?;
        let config = Config { device: Device::Cpu, max_batch: 1, idle_threads: 1, ..Config::default() };
        let runtime = Runtime::load(Device::Cpu, runtime).map_err(BenchError::usage)?;
        let mut file = ModelConfig::new(model);
        if let Some(labels) = labels {
            file.labels = labels.to_path_buf();
        }
        let model = Model::load(&runtime, &config, &file).map_err(BenchError::usage)?;
        if model.facts.outputs.iter().any(|output| output.dynamic) {
            let reason =
                "the number of this model's outputs depends on the picture: its floor is not measured";
            return Err(BenchError::usage(reason));
        }
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // From the middle on: a batch beside it that reads the same files from the first has not just had them in a cache.
        let taken = AtomicUsize::new(pictures.len() / 2);
        let floor = Self { model, pictures, taken, threads };
        floor.worker(Part::Job)?.turn()?;
        Ok(floor)
    }

    /// Threads that work.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Images a second of all threads together, over so long.
    ///
    /// # Errors
    /// When a run fails.
    pub fn measure(&self, part: Part, time: Duration) -> Result<f64, BenchError> {
        let over = AtomicBool::new(false);
        let ready = Barrier::new(self.threads + 1);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads)
                .map(|_| {
                    scope.spawn(|| {
                        let warm = self.worker(part).and_then(|mut worker| {
                            // Buffers grow, values over them are made.
                            worker.turn()?;
                            Ok(worker)
                        });
                        // Whether it went well or not: the others wait here.
                        ready.wait();
                        let mut worker = warm?;
                        let begun = Instant::now();
                        let mut count = 0.0;
                        while !over.load(Relaxed) {
                            worker.turn()?;
                            count += 1.0;
                        }
                        // Each by its own clock: the first that is over waits for nobody.
                        Ok(count / begun.elapsed().as_secs_f64())
                    })
                })
                .collect();
            ready.wait();
            std::thread::sleep(time);
            over.store(true, Relaxed);
            let mut rate = 0.0;
            for worker in workers {
                let done: Result<f64, BenchError> =
                    worker.join().map_err(|_| BenchError::failed("a thread of the floor panicked"))?;
                rate += done?;
            }
            Ok(rate)
        })
    }

    /// The steps' times on one thread, alone.
    ///
    /// # Errors
    /// When a run fails.
    pub fn steps(&self, time: Duration) -> Result<Steps, BenchError> {
        let mut worker = self.worker(Part::Job)?;
        let (begun, mut count) = (Instant::now(), 0.0);
        let mut sum = Steps::default();
        while begun.elapsed() < time {
            let steps = worker.turn()?;
            sum.read += steps.read;
            sum.decode += steps.decode;
            sum.preprocess += steps.preprocess;
            sum.infer += steps.infer;
            sum.postprocess += steps.postprocess;
            count += 1.0;
        }
        Ok(Steps {
            read: sum.read / count,
            decode: sum.decode / count,
            preprocess: sum.preprocess / count,
            infer: sum.infer / count,
            postprocess: sum.postprocess / count,
        })
    }

    fn next_picture(&self) -> &Encoded {
        // Nothing is read on the strength of the count.
        let taken = self.taken.fetch_add(1, Relaxed);
        &self.pictures[taken % self.pictures.len()]
    }

    fn worker(&self, part: Part) -> Result<Worker<'_>, BenchError> {
        let plan = self.model.runner.plan();
        let mut input = Buffer::new(plan.input.bytes());
        probe::noise(&self.model.facts.spec.input, input.bytes_mut());
        Ok(Worker {
            floor: self,
            part,
            file: Vec::new(),
            picture: Picture::default(),
            buffers: Buffers::default(),
            scratch: Scratch::new(),
            input,
            outputs: plan.outputs.iter().map(|port| Buffer::new(port.bytes())).collect(),
        })
    }
}

/// One thread's buffers.
struct Worker<'a> {
    floor: &'a Floor,
    part: Part,
    file: Vec<u8>,
    picture: Picture,
    buffers: Buffers,
    scratch: Scratch,
    input: Buffer,
    outputs: Vec<Buffer>,
}

impl Worker<'_> {
    /// One image.
    fn turn(&mut self) -> Result<Steps, BenchError> {
        let model = &self.floor.model;
        let spec = &model.facts.spec;
        let mut steps = Steps::default();
        let mut placement = None;
        let mut clock = Instant::now();
        let mut lap = || {
            let now = Instant::now();
            let millis = (now - clock).as_secs_f64() * 1e3;
            clock = now;
            millis
        };
        if self.part == Part::Job {
            let wanted = |width, height| wanted(width, height, &spec.input);
            let bytes = match self.floor.next_picture() {
                Encoded::Bytes(bytes) => bytes,
                Encoded::File(path) => {
                    self.file.clear();
                    let read = File::open(path).and_then(|mut file| file.read_to_end(&mut self.file));
                    read.map_err(|error| BenchError::file(path, &error))?;
                    steps.read = lap();
                    &self.file
                }
            };
            let extent =
                decode_reduced(bytes, &Limits::default(), &wanted, &mut self.buffers, &mut self.picture)
                    .map_err(BenchError::usage)?;
            steps.decode = lap();
            let out = self.input.bytes_mut();
            let placed = write_tensor_of(&self.picture, &extent, &spec.input, &mut self.scratch, out);
            placement = Some(placed.map_err(BenchError::failed)?);
            steps.preprocess = lap();
        }
        let mut outputs: Vec<&mut [u8]> = self.outputs.iter_mut().map(Buffer::bytes_mut).collect();
        model.runner.run(1, self.input.bytes(), &mut outputs).map_err(BenchError::failed)?;
        steps.infer = lap();
        if let Some(placement) = placement {
            let facts = &model.facts.outputs;
            let views: Vec<TensorView<'_>> = facts
                .iter()
                .zip(&self.outputs)
                .map(|(facts, output)| TensorView {
                    element: facts.element,
                    shape: &facts.shape,
                    bytes: output.bytes(),
                })
                .collect();
            let options = Options::of(spec);
            match spec.task {
                Task::Detect => {
                    let found = detections(spec, &views, &placement, &options).map_err(BenchError::failed)?;
                    std::hint::black_box(found);
                }
                Task::Classify => {
                    std::hint::black_box(classes(spec, &views, &options).map_err(BenchError::failed)?);
                }
            }
            steps.postprocess = lap();
        }
        Ok(steps)
    }
}

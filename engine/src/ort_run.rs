//! Runs a batch where it lies: the one file that speaks to ONNX Runtime beneath `ort`'s safe interface.
//!
//! Input and outputs are handed over as tensors *over the caller's memory*, so the runtime reads the picture where
//! its owner wrote it and writes the results where the owner will read them. Two exceptions copy: an output whose
//! rows depend on the picture (the runtime allocates it, then it moves behind its count), and a batch that is
//! smaller than a batch axis fixed in the file. Must not know arenas, seats or lanes:
//! all it takes are slices, and their borrows are what makes the calls sound.
#![allow(unsafe_code)]

use ort::AsPointer;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{RunOptions, Session};
use ort::sys::{ONNXTensorElementDataType as Type, OrtValue};
use std::collections::HashMap;
use std::ffi::{CString, c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError};
use vision::model::OutputFacts;
use vision::tensor::Element;

/// Why a batch was not run, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The runtime says why.
    #[error("ONNX Runtime: {0}")]
    Runtime(String),
    /// A slice has another length than the plan says, or begins at an address that its elements cannot have.
    #[error("{name} was given {bytes} bytes at address {address:#x} for {images} images")]
    Memory {
        /// The tensor.
        name: String,
        /// Where the slice begins.
        address: usize,
        /// Its length.
        bytes: usize,
        /// Images in the batch.
        images: usize,
    },
    /// An output came in another shape than the plan says.
    #[error("output {name} came as {got}, the model was probed as {expected}")]
    Output {
        /// The output.
        name: String,
        /// Element type and dimensions that came.
        got: String,
        /// Dimensions that were expected, without the batch axis.
        expected: String,
    },
}

/// A tensor of the model as it lies in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Name in the graph.
    pub name: String,
    /// Element type.
    pub element: Element,
    /// Dimensions of one image's part, without the batch axis; the first is the most rows when `dynamic`.
    pub shape: Vec<usize>,
    /// Whether its number of rows depends on the picture (outputs only).
    pub dynamic: bool,
}

impl Port {
    /// Bytes of one image's part, the header of a `dynamic` output included.
    pub fn bytes(&self) -> usize {
        let header = if self.dynamic { OutputFacts::DYNAMIC_HEADER } else { 0 };
        header + self.row_bytes() * self.shape.first().copied().unwrap_or(1)
    }

    /// Bytes of one step along the first axis.
    fn row_bytes(&self) -> usize {
        self.shape.iter().skip(1).product::<usize>() * self.element.bytes()
    }

    fn dims(&self, images: usize) -> Vec<i64> {
        std::iter::once(images).chain(self.shape.iter().copied()).map(|dim| dim as i64).collect()
    }
}

/// What is run: the tensors of a model and the batch axis of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The input.
    pub input: Port,
    /// The outputs, in the graph's order.
    pub outputs: Vec<Port>,
    /// Images that every run must have, where the file fixes its batch axis.
    pub fixed_batch: Option<usize>,
}

/// Which of a runner's sessions runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Width {
    /// The one whose runs go on side by side.
    #[default]
    Narrow,
    /// The one whose runs take all cores, where there is one.
    Wide,
}

/// A session and the tensors made over memory that it has run on.
///
/// Thread-safe: several lanes run it at once.
pub struct Runner {
    session: Session,
    /// The same model with more threads a run.
    wide: Option<Session>,
    memory: MemoryInfo<'static>,
    plan: Plan,
    names: Names,
    /// Tensors by address of the input, made once and taken out for the time of a run.
    bound: Mutex<HashMap<usize, Bound>>,
    staging: Mutex<Vec<Staging>>,
}

/// A tensor's memory as the runtime has it; see [`Runner::bound`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundTensor {
    /// Name in the graph.
    pub name: String,
    /// Address of the first element, read back from the runtime.
    pub address: usize,
    /// Length in bytes.
    pub bytes: usize,
}

impl Runner {
    /// A runner of `session` for tensors as `plan` says.
    pub fn new(session: Session, plan: Plan) -> Result<Self, RunError> {
        let memory = cpu_memory()?;
        let names = Names::new(&plan.input.name, plan.outputs.iter().map(|port| port.name.as_str()))?;
        Ok(Self {
            session,
            wide: None,
            memory,
            plan,
            names,
            bound: Mutex::default(),
            staging: Mutex::default(),
        })
    }

    /// Gives or takes the session of wide runs, which is made of the same model.
    pub fn set_wide(&mut self, session: Option<Session>) {
        self.wide = session;
    }

    /// Whether a wide run is another than a narrow one.
    pub const fn has_wide(&self) -> bool {
        self.wide.is_some()
    }

    /// The tensors.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs `images` images: `input` holds their tensors one after the other, `outputs[j]` takes theirs of output j.
    ///
    /// Tensors over these addresses are kept for the next run on them, so call it with the same memory again and
    /// again; [`Self::run_once`] is for memory that goes away. Returns how many bytes had to be copied: none but
    /// for the two exceptions.
    pub fn run(&self, images: usize, input: &[u8], outputs: &mut [&mut [u8]]) -> Result<u64, RunError> {
        self.run_as(Width::Narrow, images, input, outputs)
    }

    /// As [`Self::run`], wide where the runner can and is asked to.
    pub fn run_as(
        &self,
        width: Width,
        images: usize,
        input: &[u8],
        outputs: &mut [&mut [u8]],
    ) -> Result<u64, RunError> {
        if self.plan.fixed_batch.is_some_and(|fixed| fixed != images) {
            return self.run_staged(width, images, input, outputs);
        }
        let key = input.as_ptr() as usize;
        let kept = self.bound.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let bound = match kept {
            Some(bound)
                if bound.is_over(images, outputs) && input.len() == images * self.plan.input.bytes() =>
            {
                bound
            }
            _ => Bound::new(&self.plan, &self.memory, images, input, outputs)?,
        };
        let copied = self.call(width, &bound, outputs)?;
        self.bound.lock().unwrap_or_else(PoisonError::into_inner).insert(key, bound);
        Ok(copied)
    }

    /// As [`Self::run_as`], and keeps nothing.
    pub fn run_once(
        &self,
        width: Width,
        images: usize,
        input: &[u8],
        outputs: &mut [&mut [u8]],
    ) -> Result<u64, RunError> {
        if self.plan.fixed_batch.is_some_and(|fixed| fixed != images) {
            return self.run_staged(width, images, input, outputs);
        }
        self.call(width, &Bound::new(&self.plan, &self.memory, images, input, outputs)?, outputs)
    }

    /// Runs every session once more, on `input`, after which it gives back what it holds and does not use: the pieces that its first
    /// run took, when nobody knew yet what a run needs. The next runs take that in one block. For sessions on the CPU.
    pub fn shed(&self, images: usize, input: &[u8]) -> Result<(), RunError> {
        let failed = |error: ort::Error| RunError::Runtime(error.message().to_owned());
        let mut options = RunOptions::new().map_err(failed)?;
        options.set("memory.enable_memory_arena_shrinkage", "cpu:0").map_err(failed)?;
        for session in [Some(&self.session), self.wide.as_ref()].into_iter().flatten() {
            run_freely(session, &self.plan.input, images, input, Some(&options))?;
        }
        Ok(())
    }

    /// Where the kept tensors' data lie, asked back from the runtime.
    pub fn bound(&self) -> Result<Vec<BoundTensor>, RunError> {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for bound in bound.values() {
            let images = &bound.images;
            let ports = std::iter::once(&self.plan.input).chain(&self.plan.outputs);
            for (port, value) in
                ports.zip(std::iter::once(Some(&bound.input)).chain(bound.outputs.iter().map(Option::as_ref)))
            {
                if let Some(value) = value {
                    let address = value.data()? as usize;
                    all.push(BoundTensor { name: port.name.clone(), address, bytes: images * port.bytes() });
                }
            }
        }
        Ok(all)
    }

    /// Runs `images` images in private memory of the size that the file fixes, copying in and out.
    fn run_staged(
        &self,
        width: Width,
        images: usize,
        input: &[u8],
        outputs: &mut [&mut [u8]],
    ) -> Result<u64, RunError> {
        let fixed = self.plan.fixed_batch.unwrap_or(images);
        let ports = std::iter::once(&self.plan.input).chain(&self.plan.outputs);
        let given = std::iter::once(input.len()).chain(outputs.iter().map(|output| output.len()));
        for (port, bytes) in ports.zip(given) {
            if images > fixed || bytes != images * port.bytes() {
                return Err(RunError::Memory { name: port.name.clone(), address: 0, bytes, images });
            }
        }
        let kept = self.staging.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut staging = kept.unwrap_or_else(|| Staging::new(&self.plan, fixed));
        staging.input.bytes_mut()[..input.len()].copy_from_slice(input);
        {
            let mut whole: Vec<&mut [u8]> = staging.outputs.iter_mut().map(Buffer::bytes_mut).collect();
            let bound = Bound::new(&self.plan, &self.memory, fixed, staging.input.bytes(), &mut whole)?;
            self.call(width, &bound, &mut whole)?;
        }
        let mut copied = input.len();
        for (output, whole) in outputs.iter_mut().zip(&staging.outputs) {
            output.copy_from_slice(&whole.bytes()[..output.len()]);
            copied += output.len();
        }
        self.staging.lock().unwrap_or_else(PoisonError::into_inner).push(staging);
        Ok(copied as u64)
    }

    /// Runs a session on `bound`, whose input and outputs the caller has borrowed for the time of the call.
    fn call(&self, width: Width, bound: &Bound, outputs: &mut [&mut [u8]]) -> Result<u64, RunError> {
        let session = match (width, &self.wide) {
            (Width::Wide, Some(wide)) => wide,
            _ => &self.session,
        };
        let mut results: Vec<*mut OrtValue> =
            bound.outputs.iter().map(|value| value.as_ref().map_or(ptr::null_mut(), Value::ptr)).collect();
        // SAFETY: `bound` was made over, or compared with, the slices that the caller holds until this returns
        // (`Bound::is_over`), so every tensor points to memory that is alive, that nobody writes (input) and that
        // is ours alone (outputs). `results` has one entry an output: ours, or null for the runtime to fill.
        unsafe { invoke(session, &self.names, &bound.input, &mut results, None) }?;
        // Owned before the first of them can fail, so that none is left behind.
        let fresh = |(result, value): (*mut OrtValue, &Option<Value>)| match value {
            Some(_) => None,
            None => NonNull::new(result).map(Value),
        };
        let fresh: Vec<Option<Value>> = results.into_iter().zip(&bound.outputs).map(fresh).collect();
        let mut copied = 0;
        for ((port, fresh), output) in self.plan.outputs.iter().zip(&fresh).zip(outputs) {
            if port.dynamic {
                let value = fresh.as_ref();
                let value =
                    value.ok_or_else(|| RunError::Runtime(format!("output {} is missing", port.name)))?;
                copied += copy_rows(port, value, output)?;
            }
        }
        Ok(copied)
    }
}

/// Element type, `None` for one that is not served, and dimensions with the batch axis.
pub type Probed = (Option<Element>, Vec<usize>);

/// Runs `session` on zeroed or otherwise filled private memory and lets the runtime allocate the outputs.
///
/// Returns what every output came as, in the graph's order.
pub fn probe(session: &Session, input: &Port, images: usize, bytes: &[u8]) -> Result<Vec<Probed>, RunError> {
    run_freely(session, input, images, bytes, None)
}

fn run_freely(
    session: &Session,
    input: &Port,
    images: usize,
    bytes: &[u8],
    options: Option<&RunOptions>,
) -> Result<Vec<Probed>, RunError> {
    let memory = cpu_memory()?;
    let names = Names::new(&input.name, session.outputs().iter().map(ort::value::Outlet::name))?;
    let input = Value::over(&memory, input, images, bytes.as_ptr().cast_mut(), bytes.len())?;
    let mut results = vec![ptr::null_mut(); session.outputs().len()];
    // SAFETY: `bytes` is borrowed until this returns, and every result is null, for the runtime to fill.
    unsafe { invoke(session, &names, &input, &mut results, options) }?;
    let values = results.into_iter().map(|result| NonNull::new(result).map(Value)).collect::<Vec<_>>();
    values
        .iter()
        .map(|value| {
            value
                .as_ref()
                .map_or_else(|| Err(RunError::Runtime("an output is missing".to_owned())), Value::facts)
        })
        .collect()
}

/// Calls `Run`.
///
/// # Safety
/// The memory of `input` and of every result that is not null must stay valid until this returns; nobody may
/// write the input's and nobody else may touch the results' meanwhile. Results that come back where null was are
/// the caller's to release.
unsafe fn invoke(
    session: &Session,
    names: &Names,
    input: &Value,
    results: &mut [*mut OrtValue],
    options: Option<&RunOptions>,
) -> Result<(), RunError> {
    assert_eq!(names.outputs.len(), results.len(), "one name an output");
    let given: Vec<bool> = results.iter().map(|result| !result.is_null()).collect();
    // SAFETY: session and options live as long as their borrows; the arrays are as long as said and outlive the call; `Run` is
    // thread-safe by ONNX Runtime's contract (one session, several threads), never writes a graph's input and
    // keeps none of the pointers. Memory is the caller's promise.
    let status = unsafe {
        (ort::api().Run)(
            session.ptr().cast_mut(),
            options.map_or(ptr::null(), AsPointer::ptr),
            [names.input.as_ptr()].as_ptr(),
            [input.ptr().cast_const()].as_ptr(),
            1,
            names.pointers().as_ptr(),
            names.outputs.len(),
            results.as_mut_ptr(),
        )
    };
    let done = check(status);
    if done.is_err() {
        // What the runtime made before it failed is released here: the caller sees the error only.
        for (result, given) in results.iter().zip(given) {
            drop(NonNull::new(*result).filter(|_| !given).map(Value));
        }
    }
    done
}

/// Copies an output whose rows depend on the picture behind their count, as `OutputFacts::DYNAMIC_HEADER` says.
/// Returns the bytes copied.
fn copy_rows(port: &Port, value: &Value, region: &mut [u8]) -> Result<u64, RunError> {
    let (element, dims) = value.facts()?;
    let own = dims.get(1..).unwrap_or_default();
    let fits = element == Some(port.element)
        && dims.first() == Some(&1)
        && own.len() == port.shape.len()
        && own.iter().skip(1).eq(port.shape.iter().skip(1))
        && region.len() == port.bytes();
    if !fits {
        let (got, expected) =
            (format!("{element:?} {dims:?}"), format!("{:?} {:?}", port.element, port.shape));
        return Err(RunError::Output { name: port.name.clone(), got, expected });
    }
    let most = port.shape.first().copied().unwrap_or(1);
    let rows = own.first().copied().unwrap_or(1).min(most);
    let bytes = rows * port.row_bytes();
    let (header, data) = region.split_at_mut(OutputFacts::DYNAMIC_HEADER);
    header[..8].copy_from_slice(&(rows as u64).to_ne_bytes());
    if bytes > 0 {
        // SAFETY: the runtime owns at least `dims.product() × element` bytes at `data()`, of which `bytes` are the
        // first; `value` is alive and nobody else has it; memory of its own cannot overlap the caller's slice.
        let source = unsafe { std::slice::from_raw_parts(value.data()?.cast::<u8>(), bytes) };
        data[..bytes].copy_from_slice(source);
    }
    Ok(bytes as u64)
}

/// The tensors of one batch's place in memory.
struct Bound {
    images: usize,
    input: Value,
    /// `None` for an output that the runtime allocates.
    outputs: Vec<Option<Value>>,
    /// Address and length of each output's slice.
    over: Vec<(usize, usize)>,
}

impl Bound {
    fn new(
        plan: &Plan,
        memory: &MemoryInfo<'_>,
        images: usize,
        input: &[u8],
        outputs: &mut [&mut [u8]],
    ) -> Result<Self, RunError> {
        if outputs.len() != plan.outputs.len() || plan.fixed_batch.is_some_and(|fixed| fixed != images) {
            let (name, bytes) = (plan.input.name.clone(), input.len());
            return Err(RunError::Memory { name, address: input.as_ptr() as usize, bytes, images });
        }
        let over = outputs.iter().map(|output| (output.as_ptr() as usize, output.len())).collect();
        // The runtime takes a pointer that could be written through; it does not write inputs.
        let input = Value::over(memory, &plan.input, images, input.as_ptr().cast_mut(), input.len())?;
        let outputs = plan.outputs.iter().zip(outputs).map(|(port, output)| {
            if port.dynamic {
                return Ok(None);
            }
            Value::over(memory, port, images, output.as_mut_ptr(), output.len()).map(Some)
        });
        Ok(Self { images, input, outputs: outputs.collect::<Result<_, _>>()?, over })
    }

    /// Whether these tensors are for so many images and lie over exactly these outputs.
    fn is_over(&self, images: usize, outputs: &[&mut [u8]]) -> bool {
        images == self.images
            && self
                .over
                .iter()
                .copied()
                .eq(outputs.iter().map(|output| (output.as_ptr() as usize, output.len())))
    }
}

/// An `OrtValue` that is released when it is dropped.
struct Value(NonNull<OrtValue>);

// SAFETY: an OrtValue is a counted pointer to a tensor without ties to a thread; it is moved, never shared.
unsafe impl Send for Value {}

impl Value {
    /// A tensor over `bytes` bytes at `data`, which it neither owns nor touches before it is run.
    fn over(
        memory: &MemoryInfo<'_>,
        port: &Port,
        images: usize,
        data: *mut u8,
        bytes: usize,
    ) -> Result<Self, RunError> {
        let address = data as usize;
        let aligned = address.is_multiple_of(port.element.bytes());
        if bytes != images * port.bytes() || !aligned {
            return Err(RunError::Memory { name: port.name.clone(), address, bytes, images });
        }
        let dims = port.dims(images);
        let mut value = ptr::null_mut();
        // SAFETY: `memory` and `dims` outlive the call, which copies both; length, dimensions and alignment were
        // checked against each other above; `data` is only kept here, and only read or written in `invoke`.
        let status = unsafe {
            (ort::api().CreateTensorWithDataAsOrtValue)(
                memory.ptr(),
                data.cast::<c_void>(),
                bytes,
                dims.as_ptr(),
                dims.len(),
                type_of(port.element),
                &mut value,
            )
        };
        check(status)?;
        NonNull::new(value).map(Self).ok_or_else(|| RunError::Runtime("it made no tensor".to_owned()))
    }

    const fn ptr(&self) -> *mut OrtValue {
        self.0.as_ptr()
    }

    fn data(&self) -> Result<*mut c_void, RunError> {
        let mut data = ptr::null_mut();
        // SAFETY: the value is alive; the call stores one pointer.
        check(unsafe { (ort::api().GetTensorMutableData)(self.ptr(), &mut data) })?;
        Ok(data)
    }

    /// Element type, `None` for one that is not served, and dimensions.
    fn facts(&self) -> Result<Probed, RunError> {
        let api = ort::api();
        let mut info = ptr::null_mut();
        // SAFETY: the value is alive; `info` is released below on every way out.
        check(unsafe { (api.GetTensorTypeAndShape)(self.ptr(), &mut info) })?;
        let mut element = Type::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
        let mut rank = 0;
        // SAFETY: `info` is the one made above; both calls store one word.
        let mut done = check(unsafe { (api.GetTensorElementType)(info, &mut element) })
            .and_then(|()| check(unsafe { (api.GetDimensionsCount)(info, &mut rank) }));
        let mut dims = vec![0_i64; rank];
        if done.is_ok() {
            // SAFETY: `dims` has room for the `rank` numbers that are stored.
            done = check(unsafe { (api.GetDimensions)(info, dims.as_mut_ptr(), rank) });
        }
        // SAFETY: made above, released once.
        unsafe { (api.ReleaseTensorTypeAndShapeInfo)(info) };
        done?;
        let dims = dims.into_iter().map(|dim| usize::try_from(dim).unwrap_or(0)).collect();
        Ok((element_of(element), dims))
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: owned, and released once.
        unsafe { (ort::api().ReleaseValue)(self.ptr()) };
    }
}

/// The names of a model's tensors as C strings.
struct Names {
    input: CString,
    outputs: Vec<CString>,
}

impl Names {
    fn new<'a>(input: &str, outputs: impl Iterator<Item = &'a str>) -> Result<Self, RunError> {
        let name = |name: &str| {
            CString::new(name).map_err(|_| RunError::Runtime(format!("a NUL in the name {name:?}")))
        };
        Ok(Self { input: name(input)?, outputs: outputs.map(name).collect::<Result<_, _>>()? })
    }

    fn pointers(&self) -> Vec<*const c_char> {
        self.outputs.iter().map(|name| name.as_ptr()).collect()
    }
}

/// Private memory for batches smaller than the file's batch axis. What an earlier batch left in the seats that a
/// later one does not use is computed again and not looked at.
struct Staging {
    input: Buffer,
    outputs: Vec<Buffer>,
}

impl Staging {
    fn new(plan: &Plan, images: usize) -> Self {
        let buffer = |port: &Port| Buffer::new(images * port.bytes());
        Self { input: buffer(&plan.input), outputs: plan.outputs.iter().map(buffer).collect() }
    }
}

/// Zeroed bytes that begin where every element type may.
pub struct Buffer {
    words: Vec<u64>,
    bytes: usize,
}

impl Buffer {
    /// `bytes` zeros.
    pub fn new(bytes: usize) -> Self {
        Self { words: vec![0; bytes.div_ceil(8)], bytes }
    }

    /// The bytes.
    pub const fn bytes(&self) -> &[u8] {
        // SAFETY: the words hold at least that many initialised bytes, and a byte may lie anywhere.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.bytes) }
    }

    /// The bytes, to be written.
    pub const fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and every pattern of bytes is a word.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.bytes) }
    }
}

fn cpu_memory() -> Result<MemoryInfo<'static>, RunError> {
    MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default)
        .map_err(|error| RunError::Runtime(error.message().to_owned()))
}

fn check(status: ort::sys::OrtStatusPtr) -> Result<(), RunError> {
    // SAFETY: every status that comes here was returned by the call before and goes nowhere else.
    unsafe { ort::Error::result_from_status(status) }
        .map_err(|error| RunError::Runtime(error.message().to_owned()))
}

const fn type_of(element: Element) -> Type {
    match element {
        Element::U8 => Type::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
        Element::F16 => Type::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        Element::F32 => Type::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        Element::I32 => Type::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
        Element::I64 => Type::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
    }
}

const fn element_of(element: Type) -> Option<Element> {
    match element {
        Type::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 => Some(Element::U8),
        Type::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 => Some(Element::F16),
        Type::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT => Some(Element::F32),
        Type::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32 => Some(Element::I32),
        Type::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 => Some(Element::I64),
        _ => None,
    }
}

//! The thin layer over the CUDA driver: contexts, memory, launches. With `kernels.rs` the only unsafe code of this crate.

#![expect(
    unsafe_code,
    reason = "the driver is a C library; each call says why it is sound"
)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{self, CUresult};
use cudarc::driver::{CudaContext, CudaStream};

use crate::error::GpuError;

/// CUDA 12.0, whose PTX version 8.0 the kernels are written in.
const CUDA_NEEDED: i32 = 12_000;

/// Whether the driver's library can be loaded. Must be asked before any other call: a missing library panics there.
pub(crate) fn present() -> bool {
    // SAFETY: opens and closes the library; its constructors are the driver's own.
    unsafe { sys::is_culib_present() }
}

/// The CUDA version that the driver speaks, as 1000·major + 10·minor; 0 where it does not say.
pub(crate) fn version() -> i32 {
    let mut got = 0;
    // SAFETY: writes one integer that lives until the call returns; needs no initialised driver.
    let status = unsafe { sys::cuDriverGetVersion(&raw mut got) };
    if status.result().is_ok() { got } else { 0 }
}

/// Refuses a machine without a driver, or with one that is too old for the kernels.
fn usable() -> Result<(), GpuError> {
    if !present() {
        return Err(GpuError::NoDriver);
    }
    let got = version();
    if got < CUDA_NEEDED {
        return Err(GpuError::DriverTooOld {
            got,
            needed: CUDA_NEEDED,
        });
    }
    Ok(())
}

/// How many cards the driver shows.
pub(crate) fn count() -> Result<usize, GpuError> {
    guarded(|| {
        usable()?;
        match result::init().and_then(|()| result::device::get_count()) {
            Ok(count) => Ok(usize::try_from(count).unwrap_or(0)),
            Err(DriverError(CUresult::CUDA_ERROR_NO_DEVICE)) => Ok(0),
            Err(error) => Err(refused("counting cards")(error)),
        }
    })
}

/// Turns the panic of a function that an old or broken driver lacks into an error.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, GpuError>) -> Result<T, GpuError> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|panic| Err(GpuError::BrokenDriver(text(&*panic))))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given")
        .to_owned()
}

/// The context of a card, known to be usable.
pub(crate) fn context(ordinal: usize) -> Result<Arc<CudaContext>, GpuError> {
    let count = count()?;
    if ordinal >= count {
        return Err(GpuError::NoDevice { ordinal, count });
    }
    guarded(|| CudaContext::new(ordinal).map_err(refused("opening the card")))
}

/// The error of a driver call, by what was going on.
pub(crate) fn refused(during: &'static str) -> impl Fn(DriverError) -> GpuError {
    move |error| {
        let code = format!("{:?}", error.0);
        let lost = matches!(
            error.0,
            CUresult::CUDA_ERROR_ECC_UNCORRECTABLE
                | CUresult::CUDA_ERROR_LAUNCH_FAILED
                | CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
                | CUresult::CUDA_ERROR_SYSTEM_NOT_READY
                | CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE
                | CUresult::CUDA_ERROR_NO_DEVICE
                | CUresult::CUDA_ERROR_UNKNOWN
        );
        if error.0 == CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION {
            GpuError::DriverTooOld {
                got: version(),
                needed: CUDA_NEEDED,
            }
        } else if lost {
            GpuError::Lost { during, code }
        } else {
            GpuError::Driver { during, code }
        }
    }
}

/// Plain device memory. Freed when dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    context: Arc<CudaContext>,
    address: u64,
    bytes: usize,
}

impl Buffer {
    /// Allocates, without setting the bytes.
    pub(crate) fn new(context: &Arc<CudaContext>, bytes: u64) -> Result<Self, GpuError> {
        context
            .bind_to_thread()
            .map_err(refused("binding the card"))?;
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        // SAFETY: the context is bound; the memory is owned by the value that is returned.
        let address = unsafe { result::malloc_sync(bytes) };
        match address {
            Ok(address) => Ok(Self {
                context: context.clone(),
                address,
                bytes,
            }),
            Err(DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY)) => {
                let free = context.mem_get_info().map_or(0, |(free, _)| free);
                Err(GpuError::Memory {
                    needed: bytes as u64,
                    free: free as u64,
                })
            }
            Err(error) => Err(refused("allocating memory")(error)),
        }
    }

    /// The device address.
    pub(crate) fn address(&self) -> u64 {
        self.address
    }

    /// The device address of a byte inside.
    pub(crate) fn at(&self, offset: u64) -> u64 {
        debug_assert!(
            offset <= self.bytes as u64,
            "an address outside of its buffer"
        );
        self.address + offset
    }

    /// Copies bytes to the start of the buffer and waits. The copy runs on `stream`: one on the driver's own stream may
    /// still be on its way when a kernel of another stream begins.
    pub(crate) fn write<T: Copy>(&self, stream: &CudaStream, data: &[T]) -> Result<(), GpuError> {
        assert!(
            size_of_val(data) <= self.bytes,
            "{} bytes into {}",
            size_of_val(data),
            self.bytes
        );
        self.context
            .bind_to_thread()
            .map_err(refused("binding the card"))?;
        // SAFETY: the length was checked above; the data is borrowed until the stream has been waited for.
        unsafe { result::memcpy_htod_async(self.address, data, stream.cu_stream()) }
            .map_err(refused("copying to the card"))?;
        stream.synchronize().map_err(refused("copying to the card"))
    }

    /// Copies bytes from `offset` on and waits. Kernels on `stream` are finished first.
    pub(crate) fn read(
        &self,
        stream: &CudaStream,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, GpuError> {
        let end = offset.saturating_add(length);
        assert!(
            end <= self.bytes as u64,
            "bytes up to {end} of {}",
            self.bytes
        );
        stream
            .context()
            .bind_to_thread()
            .map_err(refused("binding the card"))?;
        stream
            .synchronize()
            .map_err(refused("waiting for a kernel"))?;
        let mut data = vec![0_u8; usize::try_from(length).unwrap_or(usize::MAX)];
        // SAFETY: the range was checked above, the stream is idle, and the call returns after the copy.
        unsafe { result::memcpy_dtoh_sync(&mut data, self.at(offset)) }
            .map_err(refused("copying from the card"))?;
        Ok(data)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // A context that is gone has freed its memory; there is nobody left to tell.
        if self.context.bind_to_thread().is_ok() {
            // SAFETY: the address came from malloc and is freed once; kernels that use it are waited for by the driver.
            let freed = unsafe { result::free_sync(self.address) };
            self.context.record_err(freed);
        }
    }
}

/// Enqueues a copy of a whole buffer into another of the same length.
pub(crate) fn copy(stream: &CudaStream, from: &Buffer, to: &Buffer) -> Result<(), GpuError> {
    assert_eq!(
        from.bytes, to.bytes,
        "a copy between buffers of different lengths"
    );
    stream
        .context()
        .bind_to_thread()
        .map_err(refused("binding the card"))?;
    // SAFETY: both buffers have the length, and live until the caller has waited for the stream.
    unsafe { result::memcpy_dtod_async(to.address, from.address, from.bytes, stream.cu_stream()) }
        .map_err(refused("copying on the card"))
}

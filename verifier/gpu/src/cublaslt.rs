//! NVIDIA's own int8 product as a yardstick. Loaded if the machine has it, never required.

#![expect(
    unsafe_code,
    reason = "cuBLASLt is a C library; each call says why it is sound"
)]

use std::ffi::c_void;
use std::sync::Arc;

use cudarc::cublaslt::result::{self, CublasError};
use cudarc::cublaslt::sys::{
    self, cublasComputeType_t, cublasLtMatmulDescAttributes_t, cublasLtMatmulHeuristicResult_t,
    cublasLtMatmulPreferenceAttributes_t, cudaDataType,
};
use cudarc::driver::{CudaContext, CudaStream};

use crate::driver::{Buffer, guarded};
use crate::error::GpuError;

/// Rows of one call: the sums are 32 bits wide, and a whole result of them would not fit beside a fill.
pub(crate) const PANEL_ROWS: u32 = 4096;
/// Without this much the library falls back to older kernels.
const WORKSPACE_BYTES: u64 = 64 << 20;
/// `CUBLAS_OP_T` of the library's header.
const TRANSPOSED: i32 = 1;

/// A product of `rows` rows of one matrix with all rows of another, as the library wants it described.
#[derive(Debug)]
pub(crate) struct Yardstick {
    handle: sys::cublasLtHandle_t,
    operation: sys::cublasLtMatmulDesc_t,
    older: sys::cublasLtMatrixLayout_t,
    newer: sys::cublasLtMatrixLayout_t,
    sums: sys::cublasLtMatrixLayout_t,
    heuristic: cublasLtMatmulHeuristicResult_t,
    workspace: Buffer,
    size: u32,
    rows: u32,
}

fn refused(during: &'static str) -> impl Fn(CublasError) -> GpuError {
    move |error| GpuError::Driver {
        during,
        code: format!("{:?}", error.0),
    }
}

impl Yardstick {
    /// Asks the library for its best kernel; `None` where the machine has no cuBLASLt.
    pub(crate) fn new(context: &Arc<CudaContext>, size: u32) -> Result<Option<Self>, GpuError> {
        // SAFETY: opens and closes the library; its constructors are the library's own.
        if !unsafe { sys::is_culib_present() } {
            return Ok(None);
        }
        guarded(|| Self::describe(context, size).map(Some))
    }

    fn describe(context: &Arc<CudaContext>, size: u32) -> Result<Self, GpuError> {
        let workspace = Buffer::new(context, WORKSPACE_BYTES)?;
        let rows = PANEL_ROWS.min(size);
        let wide = refused("describing an int8 product");
        let handle = result::create_handle().map_err(refused("starting cuBLASLt"))?;
        let (n, m, ld) = (u64::from(size), u64::from(rows), i64::from(size));
        // The library counts by columns, so a row-major matrix is its transpose, and this is newer · olderᵀ by rows.
        let byte = cudaDataType::CUDA_R_8I;
        let older = result::create_matrix_layout(byte, n, n, ld).map_err(&wide)?;
        let newer = result::create_matrix_layout(byte, n, m, ld).map_err(&wide)?;
        let sums =
            result::create_matrix_layout(cudaDataType::CUDA_R_32I, n, m, ld).map_err(&wide)?;
        let operation = result::create_matmul_desc(
            cublasComputeType_t::CUBLAS_COMPUTE_32I,
            cudaDataType::CUDA_R_32I,
        )
        .map_err(&wide)?;
        let preference = result::create_matmul_pref().map_err(&wide)?;
        let transposed = TRANSPOSED;
        // SAFETY: the attribute is an int32, which lives until the call returns.
        unsafe {
            result::set_matmul_desc_attribute(
                operation,
                cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_TRANSA,
                (&raw const transposed).cast::<c_void>(),
                size_of_val(&transposed),
            )
        }
        .map_err(&wide)?;
        let bytes = WORKSPACE_BYTES as usize;
        // SAFETY: the attribute is a size, which lives until the call returns.
        unsafe {
            result::set_matmul_pref_attribute(
                preference,
                cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                (&raw const bytes).cast::<c_void>(),
                size_of_val(&bytes),
            )
        }
        .map_err(&wide)?;
        // SAFETY: all descriptions were made above and live on.
        let heuristic = unsafe {
            result::get_matmul_algo_heuristic(
                handle, operation, older, newer, sums, sums, preference,
            )
        }
        .map_err(refused("asking cuBLASLt for a kernel"))?;
        // SAFETY: made above, not used again.
        unsafe { result::destroy_matmul_pref(preference) }.map_err(&wide)?;
        Ok(Self {
            handle,
            operation,
            older,
            newer,
            sums,
            heuristic,
            workspace,
            size,
            rows,
        })
    }

    /// Bytes that the sums of one panel take.
    pub(crate) fn sums_bytes(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.size) * 4
    }

    /// Enqueues all panels of one step. The sums of each overwrite those before.
    pub(crate) fn product(
        &self,
        stream: &CudaStream,
        newer: u64,
        older: u64,
        sums: u64,
    ) -> Result<(), GpuError> {
        let (one, zero) = (1_i32, 0_i32);
        for panel in 0..self.size / self.rows {
            let rows = newer + u64::from(panel) * u64::from(self.rows) * u64::from(self.size);
            // SAFETY: the addresses are of matrices of `size`² and of one panel of sums; the factors are int32, as the
            // scale type says, and are read before the call returns.
            unsafe {
                result::matmul(
                    self.handle,
                    self.operation,
                    (&raw const one).cast::<c_void>(),
                    (&raw const zero).cast::<c_void>(),
                    older as *const c_void,
                    self.older,
                    rows as *const c_void,
                    self.newer,
                    sums as *const c_void,
                    self.sums,
                    sums as *mut c_void,
                    self.sums,
                    &raw const self.heuristic.algo,
                    self.workspace.address() as *mut c_void,
                    WORKSPACE_BYTES as usize,
                    stream.cu_stream().cast(),
                )
            }
            .map_err(refused("multiplying by cuBLASLt"))?;
        }
        Ok(())
    }
}

impl Drop for Yardstick {
    fn drop(&mut self) {
        // SAFETY: made by `describe`, destroyed once.
        let operation = unsafe { result::destroy_matmul_desc(self.operation) };
        for layout in [self.older, self.newer, self.sums] {
            // SAFETY: as above.
            unsafe { result::destroy_matrix_layout(layout) }.unwrap_or_default();
        }
        // SAFETY: as above; nothing else uses the handle.
        operation
            .and(unsafe { result::destroy_handle(self.handle) })
            .unwrap_or_default();
    }
}

//! The kernels of one card: which PTX, and launches with the grids that the kernels expect.

#![expect(
    unsafe_code,
    reason = "a launch hands addresses to code that no compiler checks"
)]

use std::mem::MaybeUninit;
use std::sync::Arc;

use cudarc::driver::sys;
use cudarc::driver::sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
use cudarc::driver::{
    CudaContext, CudaFunction, CudaModule, CudaStream, DeviceRepr, LaunchConfig, PushKernelArg as _,
};
use cudarc::nvrtc::Ptx;
use io_challenge::Requantiser;

use crate::driver::{guarded, refused};
use crate::error::GpuError;

/// Every kernel, for compute capability 8.0 and later.
pub const PORTABLE_PTX: &str = include_str!("../kernels/portable.ptx");
/// The product for compute capability 9.0, and for no later one.
pub const HOPPER_PTX: &str = include_str!("../kernels/hopper.ptx");

/// Values that one block of `fold` takes, and its threads.
const FOLD_MAX: u32 = 1024;
const FOLD_THREADS: u32 = 512;
/// Threads of a block that moves 64 walkers, or walks 32 again.
const WALK_THREADS: u32 = 256;
/// Tile, threads and shared memory of the portable product.
const PRODUCT_TILE: (u32, u32) = (128, 256);
const PRODUCT_THREADS: u32 = 256;
const PRODUCT_SHARED: u32 = 4 * (128 + 256) * 64;

/// Tile, depth of a stage, threads and shared memory of the Hopper product.
const HOPPER_TILE: (u32, u32) = (128, 256);
const HOPPER_DEPTH: u32 = 128;
const HOPPER_THREADS: u32 = 384;
const HOPPER_SHARED: u32 = 4 * (128 + 256) * 128 + 128 * 256 + 64 + 1024;

/// Which kernel multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// `mma.sync`, on every card that this crate supports.
    Portable,
    /// `wgmma` with bulk tensor copies, on compute capability 9.0.
    Hopper,
}

impl Product {
    /// The best for a compute capability.
    pub(crate) fn best(major: i32, minor: i32) -> Self {
        if (major, minor) == (9, 0) {
            Self::Hopper
        } else {
            Self::Portable
        }
    }

    /// Its instruction, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "mma.sync",
            Self::Hopper => "wgmma",
        }
    }
}

/// What the driver's bulk copies know of a matrix; a kernel takes it by value.
#[repr(transparent)]
struct TensorMap(sys::CUtensorMap);

// SAFETY: 128 plain bytes, aligned as the driver's own type; the kernel declares the same.
unsafe impl DeviceRepr for TensorMap {}

/// The kept results that walkers read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FillView {
    /// Address of the list of the matrices' addresses, in the order of their steps.
    pub(crate) matrices: u64,
    /// Binary logarithm of the lines of a matrix.
    pub(crate) matrix_shift: u32,
    /// Lines of the fill.
    pub(crate) lines: u64,
}

/// The loaded kernels of one card with the stream on which they run, one after the other.
#[derive(Debug)]
pub(crate) struct Kernels {
    pub(crate) stream: Arc<CudaStream>,
    product: Product,
    multiply: CudaFunction,
    multiprocessors: u32,
    expand: CudaFunction,
    chunks: CudaFunction,
    fold: CudaFunction,
    start: CudaFunction,
    walk: CudaFunction,
    walk_again: CudaFunction,
}

fn grid(blocks: u64, threads: u32, shared: u32) -> LaunchConfig {
    let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
    LaunchConfig {
        grid_dim: (blocks, 1, 1),
        block_dim: (threads, 1, 1),
        shared_mem_bytes: shared,
    }
}

fn tiles(size: u32, (rows, columns): (u32, u32)) -> u64 {
    u64::from(size / rows) * u64::from(size / columns)
}

/// Describes a matrix of `size`² bytes for copies of `rows` rows of [`HOPPER_DEPTH`] bytes, swizzled over 128 bytes.
fn tensor_map(address: u64, size: u32, rows: u32) -> Result<TensorMap, GpuError> {
    let mut map = MaybeUninit::<sys::CUtensorMap>::zeroed();
    let dimensions = [u64::from(size); 2];
    let (stride, matrix_box, steps) = ([u64::from(size)], [HOPPER_DEPTH, rows], [1_u32; 2]);
    // SAFETY: all lists live until the call returns and have the rank that is given; the address is that of a matrix.
    let status = unsafe {
        sys::cuTensorMapEncodeTiled(
            map.as_mut_ptr(),
            sys::CUtensorMapDataType_enum::CU_TENSOR_MAP_DATA_TYPE_UINT8,
            2,
            address as *mut _,
            dimensions.as_ptr(),
            stride.as_ptr(),
            matrix_box.as_ptr(),
            steps.as_ptr(),
            sys::CUtensorMapInterleave_enum::CU_TENSOR_MAP_INTERLEAVE_NONE,
            sys::CUtensorMapSwizzle_enum::CU_TENSOR_MAP_SWIZZLE_128B,
            sys::CUtensorMapL2promotion_enum::CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
            sys::CUtensorMapFloatOOBfill_enum::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        )
    };
    status.result().map_err(refused("describing a matrix"))?;
    // SAFETY: plain bytes, all set before the call and written by it.
    Ok(TensorMap(unsafe { map.assume_init() }))
}

impl Kernels {
    /// Loads the PTX into a context. The driver compiles it for the card here, not in the first challenge.
    pub(crate) fn load(context: &Arc<CudaContext>, product: Product) -> Result<Self, GpuError> {
        guarded(|| {
            let load = |ptx: &str| {
                context
                    .load_module(Ptx::from_src(ptx))
                    .map_err(refused("loading the kernels"))
            };
            let find = |module: &Arc<CudaModule>, name: &str| {
                module
                    .load_function(name)
                    .map_err(refused("finding a kernel"))
            };
            let module = load(PORTABLE_PTX)?;
            let (multiply, shared) = match product {
                Product::Portable => (find(&module, "product")?, PRODUCT_SHARED),
                Product::Hopper => (find(&load(HOPPER_PTX)?, "product_hopper")?, HOPPER_SHARED),
            };
            let shared = i32::try_from(shared).unwrap_or(i32::MAX);
            multiply
                .set_attribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared)
                .map_err(refused("asking for shared memory"))?;
            let count = context
                .attribute(sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
                .map_err(refused("counting multiprocessors"))?;
            Ok(Self {
                stream: context.new_stream().map_err(refused("making a stream"))?,
                product,
                multiply,
                multiprocessors: u32::try_from(count).unwrap_or(1),
                expand: find(&module, "expand")?,
                chunks: find(&module, "chunks")?,
                fold: find(&module, "fold")?,
                start: find(&module, "start")?,
                walk: find(&module, "walk")?,
                walk_again: find(&module, "walk_again")?,
            })
        })
    }

    /// Which product the card runs.
    pub(crate) fn product_kind(&self) -> Product {
        self.product
    }

    /// Writes a starting matrix of `bytes`; index 0 is X₋₁, 1 is X₀.
    pub(crate) fn expand(
        &self,
        key: u64,
        index: u32,
        out: u64,
        bytes: u64,
    ) -> Result<(), GpuError> {
        let blocks = bytes / 64;
        let mut launch = self.stream.launch_builder(&self.expand);
        launch.arg(&key).arg(&index).arg(&out).arg(&blocks);
        // SAFETY: the key has 32 bytes and `out` has `bytes`, of which each thread writes 64 of its own.
        unsafe { launch.launch(grid(blocks.div_ceil(256), 256, 0)) }
            .map_err(refused("expanding the seed"))?;
        Ok(())
    }

    /// One step of phase A. The three addresses are of matrices of `size`², and `out` is neither of the others.
    pub(crate) fn product(
        &self,
        (newer, older, out): (u64, u64, u64),
        size: u32,
        requantiser: Requantiser,
    ) -> Result<(), GpuError> {
        let Requantiser { kappa, odd } = requantiser;
        let mut launch = self.stream.launch_builder(&self.multiply);
        match self.product {
            Product::Portable => {
                let blocks = tiles(size, PRODUCT_TILE);
                launch
                    .arg(&newer)
                    .arg(&older)
                    .arg(&out)
                    .arg(&size)
                    .arg(&kappa)
                    .arg(&odd);
                // SAFETY: every block writes one tile; size is a multiple of the tile, so all lie inside of the matrices.
                unsafe { launch.launch(grid(blocks, PRODUCT_THREADS, PRODUCT_SHARED)) }
            }
            Product::Hopper => {
                let (rows, columns) = HOPPER_TILE;
                let maps = [
                    tensor_map(newer, size, rows)?,
                    tensor_map(older, size, columns)?,
                ];
                let blocks = tiles(size, HOPPER_TILE).min(u64::from(self.multiprocessors));
                launch
                    .arg(&maps[0])
                    .arg(&maps[1])
                    .arg(&out)
                    .arg(&size)
                    .arg(&kappa)
                    .arg(&odd);
                // SAFETY: as above; the maps are copied with the arguments before the call returns.
                unsafe { launch.launch(grid(blocks, HOPPER_THREADS, HOPPER_SHARED)) }
            }
        }
        .map_err(refused("multiplying"))?;
        Ok(())
    }

    /// Chaining values of the chunks of `inputs` inputs of `per_input` chunks each.
    pub(crate) fn chunks(
        &self,
        bytes: u64,
        inputs: u32,
        per_input: u32,
        values: u64,
    ) -> Result<(), GpuError> {
        let count = u64::from(inputs) * u64::from(per_input);
        let mut launch = self.stream.launch_builder(&self.chunks);
        launch.arg(&bytes).arg(&count).arg(&per_input).arg(&values);
        // SAFETY: `bytes` has 1 KiB for each chunk and `values` 32 bytes; each thread touches its own.
        unsafe { launch.launch(grid(count.div_ceil(128), 128, 0)) }
            .map_err(refused("hashing chunks"))?;
        Ok(())
    }

    /// Climbs from the chunk values of `inputs` inputs to their roots, 32 bytes each, written to `roots`. The values five
    /// levels up go to `groups` unless that is 0. `scratch` holds two halves of `scratch_half` bytes.
    pub(crate) fn climb(
        &self,
        values: u64,
        (inputs, per_input): (u32, u32),
        (roots, groups): (u64, u64),
        (scratch, scratch_half): (u64, u64),
    ) -> Result<(), GpuError> {
        let (mut from, mut left, mut groups, mut half) = (values, per_input, groups, 0);
        while left > 1 {
            let take = left.min(FOLD_MAX);
            let root = u32::from(take == left);
            let to = if root == 1 {
                roots
            } else {
                scratch + half * scratch_half
            };
            let blocks = u64::from(inputs) * u64::from(left / take);
            assert!(
                root == 1 || blocks * 32 <= scratch_half,
                "{blocks} values in {scratch_half} bytes"
            );
            let mut launch = self.stream.launch_builder(&self.fold);
            launch
                .arg(&from)
                .arg(&take)
                .arg(&root)
                .arg(&to)
                .arg(&groups);
            // SAFETY: each block reads `take` values and writes one; the target is never the source: the halves alternate.
            unsafe { launch.launch(grid(blocks, FOLD_THREADS, 0)) }
                .map_err(refused("hashing a tree"))?;
            (from, left, groups, half) = (to, left / take, 0, 1 - half);
        }
        Ok(())
    }

    /// Starting states of all walkers.
    pub(crate) fn start(&self, key: u64, walkers: u32, table: u64) -> Result<(), GpuError> {
        let mut launch = self.stream.launch_builder(&self.start);
        launch.arg(&key).arg(&walkers).arg(&table);
        // SAFETY: the table has 32 bytes for each walker; each thread writes its own.
        unsafe { launch.launch(grid(u64::from(walkers.div_ceil(128)), 128, 0)) }
            .map_err(refused("starting walkers"))?;
        Ok(())
    }

    /// Moves all walkers by `segments` segments from the table `from` and writes the table after each to `tables`. `from`
    /// may be the last of them: every thread reads its own word before it writes.
    pub(crate) fn walk(
        &self,
        fill: FillView,
        from: u64,
        (walkers, segments): (u32, u32),
        tables: u64,
    ) -> Result<(), GpuError> {
        let FillView {
            matrices,
            matrix_shift,
            lines,
        } = fill;
        let mut launch = self.stream.launch_builder(&self.walk);
        launch
            .arg(&matrices)
            .arg(&matrix_shift)
            .arg(&lines)
            .arg(&from)
            .arg(&segments)
            .arg(&tables);
        // SAFETY: a line's number is below `lines`, so it lies in one of the listed matrices; the tables have 32 bytes for
        // each walker and segment.
        unsafe { launch.launch(grid(u64::from(walkers / 64), WALK_THREADS, 0)) }
            .map_err(refused("walking"))?;
        Ok(())
    }

    /// Walks groups of 32 walkers again from `starts`, each to the end of its segment; 1 KiB for each goes to `out`.
    pub(crate) fn walk_again(
        &self,
        fill: FillView,
        starts: u64,
        (groups, last_segments, count): (u64, u64, u32),
        out: u64,
    ) -> Result<(), GpuError> {
        let FillView {
            matrices,
            matrix_shift,
            lines,
        } = fill;
        let mut launch = self.stream.launch_builder(&self.walk_again);
        launch
            .arg(&matrices)
            .arg(&matrix_shift)
            .arg(&lines)
            .arg(&starts)
            .arg(&groups)
            .arg(&last_segments)
            .arg(&out);
        // SAFETY: as for `walk`; the groups are those of the starting table, and both lists have `count` words.
        unsafe { launch.launch(grid(u64::from(count), WALK_THREADS, 0)) }
            .map_err(refused("walking again"))?;
        Ok(())
    }
}

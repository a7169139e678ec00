// One step of phase A on Hopper: out = f(newer * olderT) by wgmma, operands by bulk tensor copies. `kernels/build` makes
// hopper.ptx from this file.
//
// A block stays on its multiprocessor and takes one tile of 128 x 256 after the other. Its first warpgroup copies, the
// other two multiply 64 x 256 each and requantise. Shared memory is a ring of four stages of 128 bytes of each row,
// swizzled by the copy as wgmma wants it.
#include "device_hopper.cuh"
#include "tile.cuh"

#define HOPPER_ROWS 128u
#define HOPPER_COLUMNS 256u
#define HOPPER_DEPTH 128u
#define HOPPER_STAGES 4u
#define HOPPER_THREADS 384u
#define HOPPER_LEFT (HOPPER_ROWS * HOPPER_DEPTH)
#define HOPPER_STAGE ((HOPPER_ROWS + HOPPER_COLUMNS) * HOPPER_DEPTH)
// Two finished half tiles wait here for their way out.
#define HOPPER_OUT (HOPPER_STAGES * HOPPER_STAGE)
#define HOPPER_BARRIERS (HOPPER_OUT + HOPPER_ROWS * HOPPER_COLUMNS)
// 1 KiB to align the ring, which the swizzle asks for.
#define HOPPER_SHARED (HOPPER_BARRIERS + 2 * 8 * HOPPER_STAGES + 1024)

// A matrix in shared memory whose rows are 128 bytes, swizzled over 128 bytes; eight rows are 1024 bytes.
DEVICE u64 descriptor(u32 address) {
    return (u64)(address >> 4 & 0x3fff) | (u64)1 << 16 | (u64)(1024 >> 4) << 32 | (u64)1 << 62;
}

// One thread fills the ring for all tiles of this block.
DEVICE void produce(u32 ring, u32 barriers, const TensorMap* newer, const TensorMap* older, u32 size) {
    u32 tiles = size / HOPPER_ROWS * (size / HOPPER_COLUMNS), steps = size / HOPPER_DEPTH, turn = 0;
    for (u32 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        u32 row, column;
        tile_of(tile, size, HOPPER_ROWS, HOPPER_COLUMNS, row, column);
        for (u32 step = 0; step < steps; step++, turn++) {
            u32 stage = turn % HOPPER_STAGES, full = barriers + stage * 8, empty = full + HOPPER_STAGES * 8;
            barrier_wait(empty, (turn / HOPPER_STAGES & 1) ^ 1);
            barrier_arrive_expecting(full, HOPPER_STAGE);
            u32 to = ring + stage * HOPPER_STAGE;
            copy_box(to, newer, step * HOPPER_DEPTH, row, full);
            copy_box(to + HOPPER_LEFT, older, step * HOPPER_DEPTH, column, full);
        }
    }
}

// A lane has two neighbouring columns of rows g and g + 8 of each 16 rows and 8 columns. 16-byte pieces of a row are
// swizzled so that the eight rows of a warp do not meet in one bank.
DEVICE void requantise_half(const int (&d)[128], u8* half, u32 thread, u32 kappa, u32 odd) {
    u32 lane = thread & 31, row = (thread >> 5) * 16 + (lane >> 2);
#pragma unroll
    for (u32 j = 0; j < 32; j++) {
        u32 column = j * 8 + (lane & 3) * 2;
        u32 at = ((column >> 4 ^ (row & 7)) << 4) + (column & 15);
        *(unsigned short*)(half + row * HOPPER_COLUMNS + at) =
            (unsigned short)(requantise(d[j * 4], kappa, odd) | requantise(d[j * 4 + 1], kappa, odd) << 8);
        *(unsigned short*)(half + (row + 8) * HOPPER_COLUMNS + at) =
            (unsigned short)(requantise(d[j * 4 + 2], kappa, odd) | requantise(d[j * 4 + 3], kappa, odd) << 8);
    }
}

DEVICE void write_half(const u8* half, u8* out, u32 size, u32 thread) {
#pragma unroll
    for (u32 i = 0; i < 8; i++) {
        u32 piece = i * 128 + thread, row = piece >> 4, at = piece & 15;
        *(uint4*)(out + (u64)row * size + at * 16) =
            *(const uint4*)(half + row * HOPPER_COLUMNS + ((at ^ (row & 7)) << 4));
    }
}

KERNEL void __launch_bounds__(HOPPER_THREADS, 1)
    product_hopper(const GRID_CONSTANT TensorMap newer, const GRID_CONSTANT TensorMap older, u8* out, u32 size, u32 kappa,
                   u32 odd) {
#ifdef IO_EMULATION
    u8* raw = emulated_shared(HOPPER_SHARED);
#else
    extern __shared__ __align__(1024) u8 raw[];
#endif
    u32 skip = (1024 - (shared_address(raw) & 1023)) & 1023;
    u8* shared = raw + skip;
    u32 ring = shared_address(shared), barriers = ring + HOPPER_BARRIERS;
    u32 group = threadIdx.x / 128, thread = threadIdx.x % 128;
    if (threadIdx.x == 0) {
        for (u32 stage = 0; stage < HOPPER_STAGES; stage++) {
            barrier_init(barriers + stage * 8, 1);
            // Every consuming warp gives a stage back for itself.
            barrier_init(barriers + (HOPPER_STAGES + stage) * 8, 8);
        }
        barrier_init_visible();
    }
    block_barrier();

    if (group == 0) {
        registers_fewer<40>();
        if (threadIdx.x == 0) produce(ring, barriers, &newer, &older, size);
        return;
    }
    registers_more<232>();
    u32 half_row = (group - 1) * 64;
    u8* half = shared + HOPPER_OUT + half_row * HOPPER_COLUMNS;
    u32 tiles = size / HOPPER_ROWS * (size / HOPPER_COLUMNS), steps = size / HOPPER_DEPTH, turn = 0;
    for (u32 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        int d[128];
#pragma unroll
        for (int i = 0; i < 128; i++) d[i] = 0;
        for (u32 step = 0; step < steps; step++, turn++) {
            u32 stage = turn % HOPPER_STAGES;
            barrier_wait(barriers + stage * 8, turn / HOPPER_STAGES & 1);
            u32 left = ring + stage * HOPPER_STAGE + half_row * HOPPER_DEPTH;
            u32 right = ring + stage * HOPPER_STAGE + HOPPER_LEFT;
            products_begin();
#pragma unroll
            for (u32 k = 0; k < HOPPER_DEPTH; k += 32)
                multiply_64_256_32(d, descriptor(left + k), descriptor(right + k), 1);
            products_commit();
            // All products but these are done: the stage before this one is free.
            products_wait<1>();
            if (step > 0 && (threadIdx.x & 31) == 0)
                barrier_arrive(barriers + (HOPPER_STAGES + (turn - 1) % HOPPER_STAGES) * 8);
        }
        products_wait<0>();
        sums_arrived(d);
        if ((threadIdx.x & 31) == 0) barrier_arrive(barriers + (HOPPER_STAGES + (turn - 1) % HOPPER_STAGES) * 8);

        u32 row, column;
        tile_of(tile, size, HOPPER_ROWS, HOPPER_COLUMNS, row, column);
        group_barrier(group);
        requantise_half(d, half, thread, kappa, odd);
        group_barrier(group);
        write_half(half, out + (u64)(row + half_row) * size + column, size, thread);
    }
}

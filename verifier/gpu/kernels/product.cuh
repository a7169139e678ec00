// One step of phase A on the tensor cores of sm_80 and later: out = f(newer * olderT), requantised in registers.
//
// A block computes 128 rows by 256 columns with 8 warps of 64 x 64. Both operands are read along their rows, 64 bytes
// at a time, into a ring of shared memory; 16-byte pieces are swizzled so that neither the copies nor ldmatrix meet the
// same bank twice.
#pragma once
#include "device.cuh"
#include "tile.cuh"

#define TILE_ROWS 128u
#define TILE_COLUMNS 256u
#define TILE_DEPTH 64u
#define PRODUCT_THREADS 256u
#define PRODUCT_STAGES 4u
#define LEFT_BYTES (TILE_ROWS * TILE_DEPTH)
#define STAGE_BYTES ((TILE_ROWS + TILE_COLUMNS) * TILE_DEPTH)
// 96 KiB: what sm_86 and sm_89 can give to one block.
#define PRODUCT_SHARED (PRODUCT_STAGES * STAGE_BYTES)

// Where piece `piece` (16 bytes) of row `row` lies: two rows of 64 bytes share all 32 banks.
DEVICE u32 swizzled(u32 row, u32 piece) { return row * TILE_DEPTH + ((piece ^ (row >> 1 & 3)) << 4); }

// Starts the copies of one stage: 512 pieces of the left tile, 1024 of the right.
DEVICE void fetch(u32 stage, const u8* left, const u8* right, u32 size, u32 depth) {
    u32 t = threadIdx.x;
#pragma unroll
    for (u32 i = 0; i < TILE_ROWS * 4 / PRODUCT_THREADS; i++) {
        u32 piece = i * PRODUCT_THREADS + t;
        copy_async_16(stage + swizzled(piece >> 2, piece & 3), left + (u64)(piece >> 2) * size + depth + (piece & 3) * 16);
    }
#pragma unroll
    for (u32 i = 0; i < TILE_COLUMNS * 4 / PRODUCT_THREADS; i++) {
        u32 piece = i * PRODUCT_THREADS + t;
        copy_async_16(stage + LEFT_BYTES + swizzled(piece >> 2, piece & 3),
                      right + (u64)(piece >> 2) * size + depth + (piece & 3) * 16);
    }
}

// The sums of one warp's 64 x 64 over one stage.
DEVICE void multiply_stage(int (&sums)[4][8][4], u32 stage, u32 warp_row, u32 warp_column, u32 lane) {
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        u32 a[4][4], b[4][4];
        // Matrices: rows 0-7 and 8-15 of the first 16 bytes, then of the second.
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            u32 row = warp_row + i * 16 + (lane & 15);
            load_matrix_x4(a[i], stage + swizzled(row, half * 2 + (lane >> 4)));
        }
        // Matrices: both 16 bytes of columns 0-7, then of columns 8-15.
#pragma unroll
        for (u32 j = 0; j < 4; j++) {
            u32 row = warp_column + j * 16 + (lane & 7) + (lane >> 4) * 8;
            load_matrix_x4(b[j], stage + LEFT_BYTES + swizzled(row, half * 2 + (lane >> 3 & 1)));
        }
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
#pragma unroll
            for (u32 j = 0; j < 8; j++) multiply_16_8_32(sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
        }
    }
}

// Writes a finished tile from shared memory, 16 bytes a thread, rows one after the other.
DEVICE void write_tile(const u8* tile, u8* out, u32 size, u32 row, u32 column) {
#pragma unroll
    for (u32 i = 0; i < TILE_ROWS * TILE_COLUMNS / 16 / PRODUCT_THREADS; i++) {
        u32 piece = i * PRODUCT_THREADS + threadIdx.x;
        u32 r = piece / (TILE_COLUMNS / 16), c = piece % (TILE_COLUMNS / 16) * 16;
        *(uint4*)(out + (u64)(row + r) * size + column + c) = *(const uint4*)(tile + r * TILE_COLUMNS + c);
    }
}

KERNEL void __launch_bounds__(PRODUCT_THREADS, 1)
    product(const u8* newer, const u8* older, u8* out, u32 size, u32 kappa, u32 odd) {
#ifdef IO_EMULATION
    u8* shared = emulated_shared(PRODUCT_SHARED);
#else
    extern __shared__ __align__(128) u8 shared[];
#endif
    u32 base = shared_address(shared);
    u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    u32 warp_row = (warp & 1) * 64, warp_column = (warp >> 1) * 64;
    u32 row, column;
    tile_of(blockIdx.x, size, TILE_ROWS, TILE_COLUMNS, row, column);
    const u8* left = newer + (u64)row * size;
    const u8* right = older + (u64)column * size;

    int sums[4][8][4];
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 8; j++)
#pragma unroll
            for (int x = 0; x < 4; x++) sums[i][j][x] = 0;

    u32 steps = size / TILE_DEPTH;
#pragma unroll
    for (u32 stage = 0; stage < PRODUCT_STAGES - 1; stage++) {
        if (stage < steps) fetch(base + stage * STAGE_BYTES, left, right, size, stage * TILE_DEPTH);
        copy_async_commit();
    }
    for (u32 step = 0; step < steps; step++) {
        copy_async_wait<PRODUCT_STAGES - 2>();
        block_barrier();
        // The stage that was read a round ago is free: all warps are past the barrier.
        u32 next = step + PRODUCT_STAGES - 1;
        if (next < steps) fetch(base + next % PRODUCT_STAGES * STAGE_BYTES, left, right, size, next * TILE_DEPTH);
        copy_async_commit();
        multiply_stage(sums, base + step % PRODUCT_STAGES * STAGE_BYTES, warp_row, warp_column, lane);
    }
    copy_async_wait<0>();
    block_barrier();

    // A lane has two neighbouring columns of rows g and g + 8 of every 16 x 8.
#pragma unroll
    for (u32 i = 0; i < 4; i++) {
#pragma unroll
        for (u32 j = 0; j < 8; j++) {
            u32 r = warp_row + i * 16 + (lane >> 2), c = warp_column + j * 8 + (lane & 3) * 2;
            const int(&s)[4] = sums[i][j];
            *(unsigned short*)(shared + r * TILE_COLUMNS + c) =
                (unsigned short)(requantise(s[0], kappa, odd) | requantise(s[1], kappa, odd) << 8);
            *(unsigned short*)(shared + (r + 8) * TILE_COLUMNS + c) =
                (unsigned short)(requantise(s[2], kappa, odd) | requantise(s[3], kappa, odd) << 8);
        }
    }
    block_barrier();
    write_tile(shared, out, size, row, column);
}

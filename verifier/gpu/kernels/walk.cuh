// Phase B: eight threads share a walker, one for each word of its state and each 16 bytes of a line.
#pragma once
#include "blake3.cuh"

#define SEGMENT_READS 32u
#define WALK_THREADS 256u

// Starting states, one thread for each walker: KEYED(key, walker).
KERNEL void start(const u32* key, u32 walkers, uint4* table) {
    u32 walker = blockIdx.x * blockDim.x + threadIdx.x;
    if (walker >= walkers) return;
    u32 cv[8], v[16];
    load_key(key, cv);
    u32 m[16] = {walker, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    compress(cv, m, 0, 4, KEYED | CHUNK_START | CHUNK_END | ROOT, v);
    table[walker * 2] = make_uint4(v[0], v[1], v[2], v[3]);
    table[walker * 2 + 1] = make_uint4(v[4], v[5], v[6], v[7]);
}

DEVICE u32 lane_step(u32 s, u32 word, u32 multiplier) { return rotate_left((s ^ word) * multiplier, 15); }

DEVICE u32 cross(u32 s, u32 distance) {
    u32 other = from_lane_xor(s, distance);
    return rotate_left(s * 0x9E3779B1u + other * 0x85EBCA76u, 13);
}

// The line that eight lanes read next for their walker; each lane takes 16 bytes of it.
DEVICE uint4 load_line(u32 s, u32 lane, const u8* const* matrices, u32 matrix_shift, u64 lines) {
    u64 pointer = (u64)from_lane(s, 1, 8) << 32 | from_lane(s, 0, 8);
    u64 line = multiply_high(pointer, lines);
    const u8* matrix = matrices[line >> matrix_shift];
    u64 within = line & (((u64)1 << matrix_shift) - 1);
    return load_streaming((const uint4*)(matrix + (within << 7)) + lane);
}

DEVICE u32 absorb(u32 s, uint4 d) {
    s = lane_step(s, d.x, 0x9E3779B1u);
    s = lane_step(s, d.y, 0x85EBCA77u);
    s = lane_step(s, d.z, 0xC2B2AE3Du);
    s = lane_step(s, d.w, 0x27D4EB2Fu);
    s = cross(s, 1);
    s = cross(s, 2);
    return cross(s, 4);
}

// Moves all walkers by some segments and writes the table after each. `matrices` are the kept results in their order,
// each of 2^matrix_shift lines. Every eight threads have two walkers, so that two lines are on their way at a time.
KERNEL void __launch_bounds__(WALK_THREADS, 8) walk(const u8* const* matrices, u32 matrix_shift, u64 lines,
                                                    const u32* from, u32 segments, u32* tables) {
    u32 words = gridDim.x * WALK_THREADS * 2, lane = threadIdx.x & 7;
    u32 place = blockIdx.x * WALK_THREADS * 2 + threadIdx.x;
    u32 s = from[place], t = from[place + WALK_THREADS];
    for (u32 g = 0; g < segments; g++) {
        for (u32 read = 0; read < SEGMENT_READS; read++) {
            uint4 d = load_line(s, lane, matrices, matrix_shift, lines);
            uint4 e = load_line(t, lane, matrices, matrix_shift, lines);
            s = absorb(s, d);
            t = absorb(t, e);
        }
        tables[(u64)g * words + place] = s;
        tables[(u64)g * words + place + WALK_THREADS] = t;
    }
}

// Walks some groups of 32 walkers again from their start, each up to the end of its own segment, to open a table that
// was not kept.
KERNEL void __launch_bounds__(WALK_THREADS, 8) walk_again(const u8* const* matrices, u32 matrix_shift, u64 lines,
                                                          const u32* starts, const u32* groups, const u32* last_segments,
                                                          u32* out) {
    u32 s = starts[(u64)groups[blockIdx.x] * WALK_THREADS + threadIdx.x];
    u64 reads = (u64)(last_segments[blockIdx.x] + 1) * SEGMENT_READS;
    for (u64 read = 0; read < reads; read++)
        s = absorb(s, load_line(s, threadIdx.x & 7, matrices, matrix_shift, lines));
    out[(u64)blockIdx.x * WALK_THREADS + threadIdx.x] = s;
}

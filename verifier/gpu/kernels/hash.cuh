// Seed expansion and digests.
#pragma once
#include "blake3.cuh"

// A starting matrix: one thread writes one 64-byte block of the extended output of KEYED(key, "matrix" || index).
KERNEL void expand(const u32* key, u32 index, uint4* out, u64 blocks) {
    u64 block = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (block >= blocks) return;
    u32 cv[8], v[16];
    load_key(key, cv);
    // "matr", "ix", the index.
    u32 m[16] = {0x7274616Du, 0x00007869u | index << 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    compress(cv, m, block, 7, KEYED | CHUNK_START | CHUNK_END | ROOT, v);
    for (int i = 0; i < 4; i++) out[block * 4 + i] = make_uint4(v[4 * i], v[4 * i + 1], v[4 * i + 2], v[4 * i + 3]);
}

// Chaining values of 1 KiB chunks, one thread each. Several inputs of `per_input` chunks (a power of two) may follow
// each other; each counts its chunks from zero.
KERNEL void chunks(const uint4* bytes, u64 count, u32 per_input, uint4* values) {
    u64 chunk = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (chunk >= count) return;
    u32 cv[8], v[16], m[16];
    initial_value(cv);
    u64 counter = chunk & (per_input - 1);
    const uint4* from = bytes + chunk * 64;
#pragma unroll 1
    for (u32 block = 0; block < 16; block++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint4 q = from[block * 4 + i];
            m[4 * i] = q.x;
            m[4 * i + 1] = q.y;
            m[4 * i + 2] = q.z;
            m[4 * i + 3] = q.w;
        }
        u32 flags = (block == 0 ? CHUNK_START : 0u) | (block == 15 ? CHUNK_END : 0u);
        compress(cv, m, counter, 64, flags, v);
        for (int i = 0; i < 8; i++) cv[i] = v[i];
    }
    values[chunk * 2] = make_uint4(cv[0], cv[1], cv[2], cv[3]);
    values[chunk * 2 + 1] = make_uint4(cv[4], cv[5], cv[6], cv[7]);
}

#define FOLD_MAX 1024u
#define FOLD_THREADS 512u
#define GROUP_LEVELS 5u

// Climbs the tree: each block turns `take` neighbouring values (a power of two up to FOLD_MAX) into one. `root` says that
// this one is a root. Values five levels up are kept in `groups` unless that is null: spans of 32 KiB, from which paths are
// made later.
KERNEL void fold(const uint4* in, u32 take, u32 root, uint4* out, uint4* groups) {
    __shared__ uint4 level[FOLD_MAX * 2];
    u32 cv[8], v[16], m[16];
    for (u32 i = threadIdx.x; i < take * 2; i += FOLD_THREADS) level[i] = in[(u64)blockIdx.x * take * 2 + i];
    block_barrier();
    u32 height = 0;
    for (u32 width = take / 2; width >= 1; width /= 2) {
        u32 t = threadIdx.x;
        uint4 low, high;
        if (t < width) {
            for (int i = 0; i < 4; i++) {
                uint4 q = level[t * 4 + i];
                m[4 * i] = q.x;
                m[4 * i + 1] = q.y;
                m[4 * i + 2] = q.z;
                m[4 * i + 3] = q.w;
            }
            initial_value(cv);
            compress(cv, m, 0, 64, PARENT | (root && width == 1 ? ROOT : 0u), v);
            low = make_uint4(v[0], v[1], v[2], v[3]);
            high = make_uint4(v[4], v[5], v[6], v[7]);
        }
        block_barrier();
        height++;
        if (t < width) {
            level[t * 2] = low;
            level[t * 2 + 1] = high;
            if (groups && height == GROUP_LEVELS) {
                u64 place = ((u64)blockIdx.x * width + t) * 2;
                groups[place] = low;
                groups[place + 1] = high;
            }
        }
        block_barrier();
    }
    if (threadIdx.x < 2) out[(u64)blockIdx.x * 2 + threadIdx.x] = level[threadIdx.x];
}

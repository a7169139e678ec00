// A host build of the kernels: the same source, one block at a time, every thread a fiber, and the tensor-core
// instructions by the fragment layouts that the PTX manual documents. It checks index arithmetic, barriers and the order
// of asynchronous copies; it knows nothing of speed.
#pragma once
#define IO_EMULATION

#include <setjmp.h>
#include <ucontext.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <vector>

typedef uint8_t u8;
typedef uint32_t u32;
typedef unsigned long long u64;
struct uint4 {
    u32 x, y, z, w;
};
static inline uint4 make_uint4(u32 x, u32 y, u32 z, u32 w) { return uint4{x, y, z, w}; }

#define KERNEL static
#define DEVICE static inline
#define __shared__ static
#define __launch_bounds__(...)

struct Dimension {
    u32 x;
};
static Dimension threadIdx, blockIdx, blockDim, gridDim;

// ---- fibers ----

struct Copy {
    u32 to;
    const u8* from;
};

// A fiber begins in its context; later switches jump, which costs no system call.
struct Fiber {
    ucontext_t context;
    jmp_buf place;
    bool begun;
    bool done;
    const u64* counter = nullptr;  // waits while this has `value`
    u64 value = 0;
    std::deque<std::vector<Copy>> groups;  // asynchronous copies, the open group last
};

// What 32 threads hand to each other in one collective instruction.
struct Warp {
    u32 arrived = 0;
    u64 generation = 0;
    u32 in[32][16];
    u32 out[32][16];
    u32 sleep = 0;
};

static std::vector<Fiber> fibers;
static std::vector<Warp> warps;
static jmp_buf scheduler;
static u32 current;
static std::function<void()> body;
static u32 barrier_arrived;
static u64 barrier_generation;
static std::vector<u8> shared_bytes;

static void yield() {
    if (!_setjmp(fibers[current].place)) _longjmp(scheduler, 1);
}

static void resume(Fiber& fiber) {
    if (_setjmp(scheduler)) return;
    if (fiber.begun) _longjmp(fiber.place, 1);
    fiber.begun = true;
    setcontext(&fiber.context);
}

// Waits until a counter moves on; the scheduler does not wake the fiber before.
static void wait_while(const u64* counter, u64 value) {
    if (*counter != value) return;
    fibers[current].counter = counter;
    fibers[current].value = value;
    yield();
    fibers[current].counter = nullptr;
}

static void enter() {
    body();
    fibers[current].done = true;
    _longjmp(scheduler, 1);
}

// Warps fall behind each other at random, always the same way, so that a missing barrier is met by someone.
static bool asleep(Warp& warp, bool first_lane) {
    static u32 random = 0x9E3779B9u;
    if (!first_lane) return warp.sleep > 0;
    random ^= random << 13;
    random ^= random >> 17;
    random ^= random << 5;
    if (warp.sleep > 0) {
        warp.sleep--;
    } else if (random % 4 == 0) {
        warp.sleep = random >> 8 & 15;
    }
    return warp.sleep > 0;
}

#define STACK_BYTES (64 * 1024)

// Stacks are made once and used by every block.
static char* stack(size_t fiber) {
    static std::vector<char*> stacks;
    while (stacks.size() <= fiber) stacks.push_back((char*)malloc(STACK_BYTES));
    return stacks[fiber];
}

static void launch(u32 grid, u32 threads, std::function<void()> kernel) {
    body = kernel;
    gridDim.x = grid;
    blockDim.x = threads;
    for (u32 block = 0; block < grid; block++) {
        blockIdx.x = block;
        fibers = std::vector<Fiber>(threads);
        warps = std::vector<Warp>((threads + 31) / 32);
        barrier_arrived = 0;
        shared_bytes.assign(256 * 1024, 0xA5);  // shared memory starts with anything but zeros
        for (Fiber& fiber : fibers) {
            fiber.done = fiber.begun = false;
            fiber.groups.emplace_back();
            getcontext(&fiber.context);
            fiber.context.uc_stack.ss_sp = stack(&fiber - fibers.data());
            fiber.context.uc_stack.ss_size = STACK_BYTES;
            fiber.context.uc_link = nullptr;
            makecontext(&fiber.context, enter, 0);
        }
        for (u32 left = threads; left > 0;) {
            left = 0;
            for (u32 t = 0; t < threads; t++) {
                if (fibers[t].done) continue;
                left++;
                if (asleep(warps[t / 32], t % 32 == 0)) continue;
                if (fibers[t].counter && *fibers[t].counter == fibers[t].value) continue;
                current = t;
                threadIdx.x = t;
                resume(fibers[t]);
            }
        }
    }
}

static void block_barrier() {
    u64 generation = barrier_generation;
    if (++barrier_arrived == blockDim.x) {
        barrier_arrived = 0;
        barrier_generation++;
        return;
    }
    wait_while(&barrier_generation, generation);
}

// Every lane gives `count` words; the last to come computes for all.
static const u32* collective(const u32* words, u32 count, void (*compute)(Warp&)) {
    Warp& warp = warps[current / 32];
    u32 lane = current % 32;
    memcpy(warp.in[lane], words, count * 4);
    u64 generation = warp.generation;
    if (++warp.arrived == 32) {
        compute(warp);
        warp.arrived = 0;
        warp.generation++;
    } else {
        wait_while(&warp.generation, generation);
    }
    return warp.out[lane];
}

// ---- instructions ----

DEVICE u32 rotate_left(u32 x, u32 n) { return x << n | x >> (32 - n); }
DEVICE u32 rotate_right(u32 x, u32 n) { return x >> n | x << (32 - n); }
DEVICE u64 multiply_high(u64 a, u64 b) { return (u64)(((unsigned __int128)a * b) >> 64); }

DEVICE u32 from_lane(u32 value, u32 lane, u32 width) {
    u32 words[2] = {value, (current % 32 & ~(width - 1)) + lane % width};
    return *collective(words, 2, [](Warp& w) {
        for (u32 l = 0; l < 32; l++) w.out[l][0] = w.in[w.in[l][1]][0];
    });
}
DEVICE u32 from_lane_xor(u32 value, u32 distance) { return from_lane(value, (current % 32) ^ distance, 32); }

DEVICE uint4 load_streaming(const uint4* from) { return *from; }

static u8* emulated_shared(u32) { return shared_bytes.data(); }
DEVICE u32 shared_address(const void* p) { return (u32)((const u8*)p - shared_bytes.data()); }

// A copy happens as late as its wait allows, so a missing wait reads what was there before.
DEVICE void copy_async_16(u32 to, const u8* from) { fibers[current].groups.back().push_back({to, from}); }
DEVICE void copy_async_commit() { fibers[current].groups.emplace_back(); }
template <int PENDING> static void copy_async_wait() {
    auto& groups = fibers[current].groups;
    while (groups.size() > PENDING + 1) {
        for (Copy& copy : groups.front()) memcpy(&shared_bytes[copy.to], copy.from, 16);
        groups.pop_front();
    }
}

DEVICE void load_matrix_x4(u32 (&r)[4], u32 address) {
    const u32* out = collective(&address, 1, [](Warp& w) {
        for (u32 matrix = 0; matrix < 4; matrix++)
            for (u32 l = 0; l < 32; l++)
                memcpy(&w.out[l][matrix], &shared_bytes[w.in[matrix * 8 + l / 4][0] + l % 4 * 4], 4);
    });
    memcpy(r, out, 16);
}

// PTX manual, "Matrix fragments for mma.m16n8k32", integers of 8 bits.
DEVICE void multiply_16_8_32(int (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    u32 words[10] = {(u32)c[0], (u32)c[1], (u32)c[2], (u32)c[3], a[0], a[1], a[2], a[3], b0, b1};
    const u32* out = collective(words, 10, [](Warp& w) {
        int8_t left[16][32], right[32][8];
        for (u32 l = 0; l < 32; l++) {
            u32 group = l / 4, within = l % 4;
            for (u32 i = 0; i < 16; i++) {
                u32 row = (i < 4 || (i >= 8 && i < 12)) ? group : group + 8;
                u32 column = within * 4 + (i & 3) + (i >= 8 ? 16 : 0);
                left[row][column] = (int8_t)(w.in[l][4 + i / 4] >> (i % 4 * 8));
            }
            for (u32 i = 0; i < 8; i++) {
                u32 row = within * 4 + (i & 3) + (i >= 4 ? 16 : 0);
                right[row][group] = (int8_t)(w.in[l][8 + i / 4] >> (i % 4 * 8));
            }
        }
        for (u32 l = 0; l < 32; l++) {
            for (u32 i = 0; i < 4; i++) {
                u32 row = i < 2 ? l / 4 : l / 4 + 8, column = l % 4 * 2 + (i & 1);
                int sum = (int)w.in[l][i];
                for (u32 k = 0; k < 32; k++) sum += left[row][k] * right[k][column];
                w.out[l][i] = (u32)sum;
            }
        }
    });
    for (int i = 0; i < 4; i++) c[i] = (int)out[i];
}

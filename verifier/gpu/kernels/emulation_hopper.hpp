// The instructions of sm_90a on the host. A product is computed as late as its wait allows, so a stage that is given back
// too early shows; a bulk copy is done at once, so a missing wait reads what was there before.
#pragma once
#include "emulation.hpp"

#include <map>

#define GRID_CONSTANT

struct TensorMap {
    const u8* matrix;
    u32 size;
    u32 box_rows;
};

struct Barrier {
    u32 arrivals, missing, phase;
    long bytes;
};
static std::map<u32, Barrier> barriers_by_address;

struct Product {
    u64 left, right;
    u32 add;
    int* sums[128];
};

// One warpgroup's products, and how many of them each commit has closed.
struct WarpGroup {
    std::vector<Product> issued;
    std::vector<size_t> committed[128];
    size_t thread_issued[128] = {};
    size_t done = 0;
    u32 arrived = 0;
    u64 generation = 0;
};
static WarpGroup warp_groups[8];
static u32 group_arrived[16];
static u64 group_generation[16];

static void reset_hopper() {
    barriers_by_address.clear();
    for (WarpGroup& group : warp_groups) group = WarpGroup();
}

static void settle(Barrier& barrier) {
    if (barrier.missing == 0 && barrier.bytes == 0) {
        barrier.phase++;
        barrier.missing = barrier.arrivals;
    }
}

DEVICE void barrier_init(u32 barrier, u32 arrivals) { barriers_by_address[barrier] = Barrier{arrivals, arrivals, 0, 0}; }
DEVICE void barrier_init_visible() {}
DEVICE void barrier_arrive(u32 barrier) {
    Barrier& b = barriers_by_address.at(barrier);
    if (b.missing == 0) abort();  // more arrivals than the barrier was made for
    b.missing--;
    settle(b);
}
DEVICE void barrier_arrive_expecting(u32 barrier, u32 bytes) {
    barriers_by_address.at(barrier).bytes += bytes;
    barrier_arrive(barrier);
}
DEVICE void barrier_wait(u32 barrier, u32 parity) {
    while ((barriers_by_address.at(barrier).phase & 1) == parity) yield();
}

// Address bits 4 to 6 are turned by bits 7 to 9: the swizzle over 128 bytes.
static u32 swizzled_128(u32 address) { return address ^ (address >> 7 & 7) << 4; }

DEVICE void copy_box(u32 to, const TensorMap* map, u32 x, u32 y, u32 barrier) {
    if (to % 1024) abort();
    for (u32 row = 0; row < map->box_rows; row++)
        for (u32 at = 0; at < 128; at += 16)
            memcpy(&shared_bytes[swizzled_128(to + row * 128 + at)], map->matrix + (size_t)(y + row) * map->size + x + at, 16);
    Barrier& b = barriers_by_address.at(barrier);
    b.bytes -= map->box_rows * 128;
    settle(b);
}

DEVICE void products_begin() {}
DEVICE void multiply_64_256_32(int (&d)[128], u64 left, u64 right, u32 add) {
    WarpGroup& group = warp_groups[current / 128];
    size_t index = group.thread_issued[current % 128]++;
    if (index == group.issued.size()) group.issued.push_back(Product{left, right, add, {}});
    Product& product = group.issued[index];
    if (product.left != left || product.right != right || product.add != add) abort();  // not the same in all threads
    product.sums[current % 128] = d;
}
DEVICE void products_commit() {
    WarpGroup& group = warp_groups[current / 128];
    group.committed[current % 128].push_back(group.thread_issued[current % 128]);
}

static int8_t element(u64 descriptor, u32 row, u32 k) {
    u32 start = (u32)(descriptor & 0x3fff) << 4, eight_rows = (u32)(descriptor >> 32 & 0x3fff) << 4;
    if (descriptor >> 62 != 1) abort();  // not the swizzle over 128 bytes
    return (int8_t)shared_bytes[swizzled_128(start + row / 8 * eight_rows + row % 8 * 128 + k)];
}

// PTX manual, "Register fragments and shared memory matrix layouts of wgmma.m64nNk32", accumulator of 32 bits.
static void compute(const Product& product) {
    std::vector<int8_t> left(64 * 32), right(256 * 32);
    for (u32 r = 0; r < 64; r++)
        for (u32 k = 0; k < 32; k++) left[r * 32 + k] = element(product.left, r, k);
    for (u32 r = 0; r < 256; r++)
        for (u32 k = 0; k < 32; k++) right[r * 32 + k] = element(product.right, r, k);
    for (u32 t = 0; t < 128; t++) {
        for (u32 i = 0; i < 128; i++) {
            u32 row = t / 32 * 16 + t % 32 / 4 + (i & 2 ? 8 : 0), column = i / 4 * 8 + t % 4 * 2 + (i & 1);
            int sum = product.add ? product.sums[t][i] : 0;
            for (u32 k = 0; k < 32; k++) sum += left[row * 32 + k] * right[column * 32 + k];
            product.sums[t][i] = sum;
        }
    }
}

template <int PENDING> static void products_wait() {
    WarpGroup& group = warp_groups[current / 128];
    u64 generation = group.generation;
    if (++group.arrived == 128) {
        const auto& commits = group.committed[current % 128];
        size_t until = commits.size() > PENDING ? commits[commits.size() - 1 - PENDING] : 0;
        for (; group.done < until; group.done++) compute(group.issued[group.done]);
        group.arrived = 0;
        group.generation++;
    } else {
        wait_while(&group.generation, generation);
    }
}

DEVICE void sums_arrived(int (&)[128]) {}
DEVICE void group_barrier(u32 id) {
    u64 generation = group_generation[id];
    if (++group_arrived[id] == 128) {
        group_arrived[id] = 0;
        group_generation[id]++;
        return;
    }
    wait_while(&group_generation[id], generation);
}
template <int COUNT> static void registers_fewer() {}
template <int COUNT> static void registers_more() {}

// What the kernels need of the machine: types, and the instructions that C++ has no words for.
// Compiled for CUDA here; a host build includes emulation.hpp first, which defines the same names.
#pragma once

#ifndef IO_EMULATION

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define KERNEL extern "C" __global__
#define DEVICE __device__ __forceinline__

DEVICE u32 rotate_left(u32 x, u32 n) { return __funnelshift_l(x, x, n); }
DEVICE u32 rotate_right(u32 x, u32 n) { return __funnelshift_r(x, x, n); }
DEVICE u64 multiply_high(u64 a, u64 b) { return __umul64hi(a, b); }
DEVICE u32 from_lane(u32 value, u32 lane, u32 width) { return __shfl_sync(0xffffffffu, value, lane, width); }
DEVICE u32 from_lane_xor(u32 value, u32 distance) { return __shfl_xor_sync(0xffffffffu, value, distance); }
DEVICE void block_barrier() { __syncthreads(); }

// A line is read once at a time and never near another: keep it out of the first cache.
DEVICE uint4 load_streaming(const uint4* from) {
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from));
    return v;
}

// Shared memory by its own 32-bit address.
DEVICE u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }

DEVICE void copy_async_16(u32 to_shared, const u8* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to_shared), "l"(from));
}
DEVICE void copy_async_commit() { asm volatile("cp.async.commit_group;"); }
template <int PENDING> DEVICE void copy_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(PENDING)); }

// Four 8 x 16-byte matrices; lane l gives the address of row l % 8 of matrix l / 8.
DEVICE void load_matrix_x4(u32 (&r)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
}

// 16 x 8 sums of 32 products of int8.
DEVICE void multiply_16_8_32(int (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#endif

// The top byte of (sum + kappa) * odd: docs/challenge.md, section 3.
DEVICE u8 requantise(int sum, u32 kappa, u32 odd) { return (u8)((((u32)sum + kappa) * odd) >> 24); }

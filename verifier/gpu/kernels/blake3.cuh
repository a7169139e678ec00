// BLAKE3's compression function and the four ways in which the challenge uses it.
#pragma once
#include "device.cuh"

#define CHUNK_START 1u
#define CHUNK_END 2u
#define PARENT 4u
#define ROOT 8u
#define KEYED 16u

#define IV0 0x6A09E667u
#define IV1 0xBB67AE85u
#define IV2 0x3C6EF372u
#define IV3 0xA54FF53Au
#define IV4 0x510E527Fu
#define IV5 0x9B05688Cu
#define IV6 0x1F83D9ABu
#define IV7 0x5BE0CD19u

#define MIX(a, b, c, d, x, y)                                                                                          \
    v[a] += v[b] + (x);                                                                                                \
    v[d] = rotate_right(v[d] ^ v[a], 16);                                                                              \
    v[c] += v[d];                                                                                                      \
    v[b] = rotate_right(v[b] ^ v[c], 12);                                                                              \
    v[a] += v[b] + (y);                                                                                                \
    v[d] = rotate_right(v[d] ^ v[a], 8);                                                                               \
    v[c] += v[d];                                                                                                      \
    v[b] = rotate_right(v[b] ^ v[c], 7);

#define ROUND(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, ma, mb, mc, md, me, mf)                                          \
    MIX(0, 4, 8, 12, m[m0], m[m1])                                                                                     \
    MIX(1, 5, 9, 13, m[m2], m[m3])                                                                                     \
    MIX(2, 6, 10, 14, m[m4], m[m5])                                                                                    \
    MIX(3, 7, 11, 15, m[m6], m[m7])                                                                                    \
    MIX(0, 5, 10, 15, m[m8], m[m9])                                                                                    \
    MIX(1, 6, 11, 12, m[ma], m[mb])                                                                                    \
    MIX(2, 7, 8, 13, m[mc], m[md])                                                                                     \
    MIX(3, 4, 9, 14, m[me], m[mf])

// All 16 output words; the first eight are the chaining value.
DEVICE void compress(const u32 (&cv)[8], const u32 (&m)[16], u64 counter, u32 length, u32 flags, u32 (&v)[16]) {
    for (int i = 0; i < 8; i++) v[i] = cv[i];
    v[8] = IV0;
    v[9] = IV1;
    v[10] = IV2;
    v[11] = IV3;
    v[12] = (u32)counter;
    v[13] = (u32)(counter >> 32);
    v[14] = length;
    v[15] = flags;
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    ROUND(2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
    ROUND(3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1)
    ROUND(10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6)
    ROUND(12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4)
    ROUND(9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7)
    ROUND(11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13)
    for (int i = 0; i < 8; i++) {
        v[i] ^= v[i + 8];
        v[i + 8] ^= cv[i];
    }
}

DEVICE void initial_value(u32 (&cv)[8]) {
    cv[0] = IV0;
    cv[1] = IV1;
    cv[2] = IV2;
    cv[3] = IV3;
    cv[4] = IV4;
    cv[5] = IV5;
    cv[6] = IV6;
    cv[7] = IV7;
}

DEVICE void load_key(const u32* key, u32 (&cv)[8]) {
    for (int i = 0; i < 8; i++) cv[i] = key[i];
}

// Every kernel of the challenge for sm_80 and later. `kernels/build` makes portable.ptx from this file.
#include "hash.cuh"
#include "product.cuh"
#include "walk.cuh"

// NVIDIA's matrix library without a card, beside the emulated driver: the calls that the yardstick makes, with what the
// library's manual says of their arguments (columns first, A transposed, B not, int8 in, int32 out). It shows that the
// yardstick multiplies what it means to, and nothing about speed.
#include <cstdint>
#include <cstring>

#define API extern "C" __attribute__((visibility("default"))) int

enum { SUCCESS = 0, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum { R_8I = 3, R_32I = 10, COMPUTE_32I = 72, TRANSA = 3, TRANSPOSED = 1, MAX_WORKSPACE_BYTES = 1 };

struct Layout {
    int type;
    uint64_t rows, columns;
    int64_t leading;
};
struct Operation {
    int compute, scale, transposed;
};
struct Preference {
    uint64_t workspace;
};
struct Algorithm {
    uint64_t data[8];
};
struct Heuristic {
    Algorithm algorithm;
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};

static const Algorithm CHOSEN = {{0x656d756c61746564, 1}};

API cublasLtCreate(void** handle) { return *handle = new char, SUCCESS; }
API cublasLtDestroy(void* handle) { return delete (char*)handle, SUCCESS; }
API cublasLtMatrixLayoutCreate(Layout** layout, int type, uint64_t rows, uint64_t columns, int64_t leading) {
    if (leading < (int64_t)rows || rows % 16 || columns % 16) return INVALID_VALUE;
    return *layout = new Layout{type, rows, columns, leading}, SUCCESS;
}
API cublasLtMatrixLayoutDestroy(Layout* layout) { return delete layout, SUCCESS; }
API cublasLtMatmulDescCreate(Operation** operation, int compute, int scale) {
    return *operation = new Operation{compute, scale, 0}, SUCCESS;
}
API cublasLtMatmulDescDestroy(Operation* operation) { return delete operation, SUCCESS; }
API cublasLtMatmulDescSetAttribute(Operation* operation, int attribute, const void* value, size_t bytes) {
    if (attribute != TRANSA || bytes != 4) return INVALID_VALUE;
    return memcpy(&operation->transposed, value, 4), SUCCESS;
}
API cublasLtMatmulPreferenceCreate(Preference** preference) { return *preference = new Preference{0}, SUCCESS; }
API cublasLtMatmulPreferenceDestroy(Preference* preference) { return delete preference, SUCCESS; }
API cublasLtMatmulPreferenceSetAttribute(Preference* preference, int attribute, const void* value, size_t bytes) {
    if (attribute != MAX_WORKSPACE_BYTES || bytes != 8) return INVALID_VALUE;
    return memcpy(&preference->workspace, value, 8), SUCCESS;
}

// The fast integer kernels take A transposed and B as it is, with sums of 32 bits.
static bool fits(const Operation* operation, const Layout* a, const Layout* b, const Layout* c, const Layout* d) {
    bool types = a->type == R_8I && b->type == R_8I && c->type == R_32I && d->type == R_32I;
    bool kinds = operation->compute == COMPUTE_32I && operation->scale == R_32I && operation->transposed == TRANSPOSED;
    bool sizes = a->rows == b->rows && d->rows == a->columns && d->columns == b->columns && c->rows == d->rows;
    return types && kinds && sizes;
}

API cublasLtMatmulAlgoGetHeuristic(void*, Operation* operation, Layout* a, Layout* b, Layout* c, Layout* d, Preference* preference,
                                   int wanted, Heuristic* results, int* count) {
    *count = 0;
    if (wanted < 1) return INVALID_VALUE;
    // Without a workspace of 32 MiB the library takes older kernels.
    if (!fits(operation, a, b, c, d) || preference->workspace < 32u << 20) return NOT_SUPPORTED;
    results[0] = Heuristic{CHOSEN, 32u << 20, SUCCESS, 1.0f, {}};
    return *count = 1, SUCCESS;
}

API cublasLtMatmul(void*, Operation* operation, const int32_t* alpha, const int8_t* a, Layout* la, const int8_t* b, Layout* lb,
                   const int32_t* beta, const int32_t* c, Layout* lc, int32_t* d, Layout* ld, const Algorithm* algorithm,
                   void* workspace, size_t bytes, void*) {
    bool aligned = !((uintptr_t)a % 16 | (uintptr_t)b % 16 | (uintptr_t)d % 16 | (uintptr_t)workspace % 16);
    if (!fits(operation, la, lb, lc, ld) || !aligned || !workspace || bytes < 32u << 20) return INVALID_VALUE;
    if (memcmp(algorithm, &CHOSEN, sizeof CHOSEN)) return INVALID_VALUE;
    for (uint64_t column = 0; column < ld->columns; column++)
        for (uint64_t row = 0; row < ld->rows; row++) {
            int32_t sum = 0;
            for (uint64_t x = 0; x < la->rows; x++)
                sum += (int32_t)a[row * la->leading + x] * b[column * lb->leading + x];
            int32_t before = *beta ? *beta * c[column * lc->leading + row] : 0;
            d[column * ld->leading + row] = *alpha * sum + before;
        }
    return SUCCESS;
}

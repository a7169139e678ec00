// A CUDA driver without a card, for tests: the calls that this crate makes, host memory for device memory, and the
// emulated kernels for launches. Built as libcuda.so by the tests `emulated_*`, which run the suite for cards on it; it shows
// that the host's side of the engine is right, and nothing about speed.
//
// IO_EMULATED_CARDS (default 2), IO_EMULATED_VERSION (12080), IO_EMULATED_CAPABILITY (90), IO_EMULATED_MEMORY (bytes) say
// what it shows; IO_EMULATED_PART=1 shows a part of a split card; IO_EMULATED_LOST=n loses the card at launch n, IO_EMULATED_FLIP=n flips bits in the n-th product.
#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "emulation.hpp"
#include "emulation_hopper.hpp"

#include "hopper.cu"
#include "portable.cu"

#define API extern "C" __attribute__((visibility("default"))) int

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, NOT_FOUND = 500, LAUNCH_FAILED = 719 };

static long setting(const char* name, long otherwise) {
    const char* value = getenv(name);
    return value ? strtol(value, nullptr, 0) : otherwise;
}

static std::mutex lock;
static std::map<void*, size_t> memory;
static size_t allocated;
static long launches, products;

static size_t memory_bytes() { return (size_t)setting("IO_EMULATED_MEMORY", 512l << 20); }

API cuInit(unsigned) { return setting("IO_EMULATED_CARDS", 2) ? SUCCESS : NO_DEVICE; }
API cuDriverGetVersion(int* version) { return *version = (int)setting("IO_EMULATED_VERSION", 12080), SUCCESS; }
API cuDeviceGetCount(int* count) { return *count = (int)setting("IO_EMULATED_CARDS", 2), SUCCESS; }
API cuDeviceGet(int* device, int ordinal) {
    return ordinal < setting("IO_EMULATED_CARDS", 2) ? (*device = ordinal, SUCCESS) : INVALID_DEVICE;
}
API cuDeviceGetName(char* name, int length, int device) {
    const char* part = setting("IO_EMULATED_PART", 0) ? " MIG 1g.10gb" : "";
    return snprintf(name, length, "Emulated card %d%s", device, part), SUCCESS;
}
API cuDeviceGetUuid(char* bytes, int device) {
    for (int i = 0; i < 16; i++) bytes[i] = (char)(0xE0 + i);
    return bytes[15] = (char)device, SUCCESS;
}
API cuDeviceTotalMem_v2(size_t* bytes, int) { return *bytes = memory_bytes(), SUCCESS; }
API cuDeviceGetAttribute(int* value, int attribute, int) {
    int capability = (int)setting("IO_EMULATED_CAPABILITY", 90);
    // Multiprocessors, their clock, and the two parts of the compute capability; nothing else is supported.
    *value = attribute == 16 ? 3 : attribute == 13 ? 1980000 : attribute == 75 ? capability / 10 : attribute == 76 ? capability % 10 : 0;
    return SUCCESS;
}
API cuDevicePrimaryCtxRetain(void** context, int device) { return *context = (void*)(uintptr_t)(device + 1), SUCCESS; }
API cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
static thread_local void* current_context;
API cuCtxGetCurrent(void** context) { return *context = current_context, SUCCESS; }
API cuCtxSetCurrent(void* context) { return current_context = context, SUCCESS; }
API cuCtxSynchronize() { return SUCCESS; }
API cuGetErrorName(int, const char** name) { return *name = "EMULATED", SUCCESS; }
API cuGetErrorString(int, const char** text) { return *text = "an error of the emulated driver", SUCCESS; }

API cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
    std::lock_guard<std::mutex> guard(lock);
    return *total = memory_bytes(), *free_bytes = *total - allocated, SUCCESS;
}
API cuMemAlloc_v2(void** address, size_t bytes) {
    std::lock_guard<std::mutex> guard(lock);
    if (!bytes) return INVALID_VALUE;
    if (bytes > memory_bytes() - allocated) return OUT_OF_MEMORY;
    *address = aligned_alloc(256, (bytes + 255) / 256 * 256);
    memset(*address, 0xA5, bytes);  // memory starts with anything but zeros
    memory[*address] = bytes;
    return allocated += bytes, SUCCESS;
}
API cuMemFree_v2(void* address) {
    std::lock_guard<std::mutex> guard(lock);
    auto found = memory.find(address);
    if (found == memory.end()) return INVALID_VALUE;
    allocated -= found->second;
    memset(address, 0x5A, found->second);
    memory.erase(found);
    return free(address), SUCCESS;
}

// Whether a range lies inside one allocation.
static bool inside(const void* address, size_t bytes) {
    auto after = memory.upper_bound((void*)address);
    if (after == memory.begin()) return false;
    auto found = std::prev(after);
    return (const u8*)address + bytes <= (const u8*)found->first + found->second;
}

API cuMemcpyDtoH_v2(void* to, const void* from, size_t bytes) {
    std::lock_guard<std::mutex> guard(lock);
    return inside(from, bytes) ? (memcpy(to, from, bytes), SUCCESS) : INVALID_VALUE;
}
API cuMemcpyHtoDAsync_v2(void* to, const void* from, size_t bytes, void*) {
    std::lock_guard<std::mutex> guard(lock);
    return inside(to, bytes) ? (memcpy(to, from, bytes), SUCCESS) : INVALID_VALUE;
}
API cuMemcpyDtoDAsync_v2(void* to, const void* from, size_t bytes, void*) {
    std::lock_guard<std::mutex> guard(lock);
    return inside(to, bytes) && inside(from, bytes) ? (memmove(to, from, bytes), SUCCESS) : INVALID_VALUE;
}

API cuStreamCreate(void** stream, unsigned) { return *stream = malloc(1), SUCCESS; }
API cuStreamDestroy_v2(void* stream) { return free(stream), SUCCESS; }
API cuStreamSynchronize(void*) { return SUCCESS; }
API cuStreamWaitEvent(void*, void*, unsigned) { return SUCCESS; }
API cuEventCreate(void** event, unsigned) { return *event = malloc(1), SUCCESS; }
API cuEventRecord(void*, void*) { return SUCCESS; }
API cuEventSynchronize(void*) { return SUCCESS; }
API cuEventDestroy_v2(void* event) { return free(event), SUCCESS; }

// A module is its text; a function is its name, found only where the text has such an entry.
API cuModuleLoadData(void** module, const void* image) { return *module = strdup((const char*)image), SUCCESS; }
API cuModuleUnload(void* module) { return free(module), SUCCESS; }
API cuModuleGetFunction(void** function, void* module, const char* name) {
    std::string entry = std::string(".entry ") + name + "(";
    if (!strstr((const char*)module, entry.c_str())) return NOT_FOUND;
    return *function = strdup(name), SUCCESS;
}
API cuFuncSetAttribute(void*, int attribute, int value) {
    // The most that a block of sm_90 may have.
    return attribute == 8 && value > 227 * 1024 ? INVALID_VALUE : SUCCESS;
}

// What a matrix of bytes must be described as, or no copy would do what the kernel expects.
API cuTensorMapEncodeTiled(TensorMap* map, int type, u32 rank, void* address, const u64* dimensions, const u64* strides,
                           const u32* box, const u32* steps, int interleave, int swizzle, int, int) {
    bool right = type == 0 && rank == 2 && dimensions[0] == dimensions[1] && strides[0] == dimensions[0] && box[0] == 128 &&
                 box[1] <= 256 && steps[0] == 1 && steps[1] == 1 && interleave == 0 && swizzle == 3;
    if (!right || (uintptr_t)map % 64) return INVALID_VALUE;
    *map = TensorMap{(const u8*)address, (u32)dimensions[0], box[1]};
    return SUCCESS;
}

template <class T> static T argument(void** values, int index) { return *(T*)values[index]; }

static void flip(u8* out, u32 size) {
    if (++products == setting("IO_EMULATED_FLIP", 0))
        for (size_t i = 0; i < (size_t)size * size; i++) out[i] ^= 4;
}

API cuLaunchKernel(void* function, u32 grid, u32, u32, u32 threads, u32, u32, u32 shared, void*, void** a, void**) {
    std::lock_guard<std::mutex> guard(lock);
    if (++launches == setting("IO_EMULATED_LOST", 0)) return LAUNCH_FAILED;
    std::string name = (const char*)function;
    if (name == "product" || name == "product_hopper") {
        bool hopper = name == "product_hopper";
        u8* out = argument<u8*>(a, 2);
        u32 size = argument<u32>(a, 3), kappa = argument<u32>(a, 4), odd = argument<u32>(a, 5);
        if (!inside(out, (size_t)size * size)) return INVALID_VALUE;
        if (hopper) {
            if (threads != HOPPER_THREADS || shared < HOPPER_SHARED) return INVALID_VALUE;
            TensorMap newer = argument<TensorMap>(a, 0), older = argument<TensorMap>(a, 1);
            if (newer.box_rows != HOPPER_ROWS || older.box_rows != HOPPER_COLUMNS) return INVALID_VALUE;
            launch(grid, threads, [&] {
                if (threadIdx.x == 0) reset_hopper();
                product_hopper(newer, older, out, size, kappa, odd);
            });
        } else {
            if (threads != PRODUCT_THREADS || shared < PRODUCT_SHARED) return INVALID_VALUE;
            const u8 *newer = argument<u8*>(a, 0), *older = argument<u8*>(a, 1);
            launch(grid, threads, [&] { product(newer, older, out, size, kappa, odd); });
        }
        flip(out, size);
    } else if (name == "expand") {
        launch(grid, threads, [&] { expand(argument<u32*>(a, 0), argument<u32>(a, 1), argument<uint4*>(a, 2), argument<u64>(a, 3)); });
    } else if (name == "chunks") {
        if (!inside(argument<void*>(a, 3), argument<u64>(a, 1) * 32)) return INVALID_VALUE;
        launch(grid, threads, [&] { chunks(argument<uint4*>(a, 0), argument<u64>(a, 1), argument<u32>(a, 2), argument<uint4*>(a, 3)); });
    } else if (name == "fold") {
        if (threads != FOLD_THREADS || !inside(argument<void*>(a, 3), grid * 32)) return INVALID_VALUE;
        launch(grid, threads, [&] {
            fold(argument<uint4*>(a, 0), argument<u32>(a, 1), argument<u32>(a, 2), argument<uint4*>(a, 3), argument<uint4*>(a, 4));
        });
    } else if (name == "start") {
        launch(grid, threads, [&] { start(argument<u32*>(a, 0), argument<u32>(a, 1), argument<uint4*>(a, 2)); });
    } else if (name == "walk") {
        size_t bytes = (size_t)argument<u32>(a, 4) * grid * threads * 8;
        if (threads != WALK_THREADS || !inside(argument<void*>(a, 5), bytes)) return INVALID_VALUE;
        launch(grid, threads, [&] {
            walk(argument<const u8* const*>(a, 0), argument<u32>(a, 1), argument<u64>(a, 2), argument<u32*>(a, 3),
                 argument<u32>(a, 4), argument<u32*>(a, 5));
        });
    } else if (name == "walk_again") {
        if (threads != WALK_THREADS || !inside(argument<void*>(a, 6), (size_t)grid * 1024)) return INVALID_VALUE;
        launch(grid, threads, [&] {
            walk_again(argument<const u8* const*>(a, 0), argument<u32>(a, 1), argument<u64>(a, 2), argument<u32*>(a, 3),
                       argument<u32*>(a, 4), argument<u32*>(a, 5), argument<u32*>(a, 6));
        });
    } else {
        return NOT_FOUND;
    }
    return SUCCESS;
}

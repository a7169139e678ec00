// A management library without a card, beside the emulated driver: names, UUIDs that match the driver's, MIG mode and
// processes. Functions that it lacks are facts that a card does not report.
//
// IO_EMULATED_CARDS as for the driver; IO_EMULATED_MIG=1 turns MIG on; IO_EMULATED_PROCESS=n puts process n on every card.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#define API extern "C" __attribute__((visibility("default"))) int

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7 };

struct Process {
    unsigned pid;
    unsigned long long bytes;
    unsigned gpu_instance, compute_instance;
};

static long setting(const char* name, long otherwise) {
    const char* value = getenv(name);
    return value ? strtol(value, nullptr, 0) : otherwise;
}

API nvmlInit_v2() { return SUCCESS; }
API nvmlShutdown() { return SUCCESS; }
API nvmlSystemGetDriverVersion(char* text, unsigned length) { return snprintf(text, length, "0.0-emulated"), SUCCESS; }
API nvmlDeviceGetCount_v2(unsigned* count) { return *count = (unsigned)setting("IO_EMULATED_CARDS", 2), SUCCESS; }
API nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
    return index < setting("IO_EMULATED_CARDS", 2) ? (*device = (void*)(uintptr_t)(index + 1), SUCCESS) : INVALID_ARGUMENT;
}
API nvmlDeviceGetName(void* device, char* text, unsigned length) {
    return snprintf(text, length, "Emulated card %d", (int)(uintptr_t)device - 1), SUCCESS;
}
API nvmlDeviceGetUUID(void* device, char* text, unsigned length) {
    return snprintf(text, length, "GPU-e0e1e2e3-e4e5-e6e7-e8e9-eaebecedee%02x", (unsigned)(uintptr_t)device - 1), SUCCESS;
}
API nvmlDeviceGetMigMode(void*, unsigned* current, unsigned* pending) {
    return *current = *pending = (unsigned)setting("IO_EMULATED_MIG", 0), SUCCESS;
}
API nvmlDeviceGetComputeRunningProcesses_v3(void*, unsigned* count, Process* processes) {
    unsigned process = (unsigned)setting("IO_EMULATED_PROCESS", 0), room = *count;
    *count = process ? 1 : 0;
    if (!process) return SUCCESS;
    if (!room || !processes) return INSUFFICIENT_SIZE;
    processes[0] = Process{process, 123456789, 0xffffffffu, 0xffffffffu};
    return SUCCESS;
}

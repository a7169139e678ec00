// Runs one kernel on the CPU: arguments by words, data by standard input and output. `verifier/gpu/tests/emulation.rs`
// compares the answers with the scalar engine.
#include "emulation.hpp"
#include "emulation_hopper.hpp"

#include "hopper.cu"
#include "portable.cu"

static std::vector<u8> input;
static size_t taken;

static u8* take(size_t bytes) {
    if (taken + bytes > input.size()) {
        fprintf(stderr, "%zu bytes of input are missing\n", taken + bytes - input.size());
        exit(2);
    }
    taken += bytes;
    return input.data() + taken - bytes;
}

static void give(const void* data, size_t bytes) { fwrite(data, 1, bytes, stdout); }

static u32 number(char** argv, int index) { return (u32)strtoul(argv[index], nullptr, 0); }

// Climbs from chunk values to one root for each input, as the host does; gives the roots, then the groups.
static void climb(std::vector<uint4> values, u32 inputs, u32 per_input) {
    std::vector<uint4> groups(per_input >= 32 ? values.size() / 32 : 0);
    bool first = true;
    while (per_input > 1) {
        u32 take = per_input < FOLD_MAX ? per_input : FOLD_MAX;
        u32 blocks = inputs * (per_input / take);
        std::vector<uint4> out(blocks * 2);
        uint4* kept = first && !groups.empty() ? groups.data() : nullptr;
        launch(blocks, FOLD_THREADS, [&] { fold(values.data(), take, per_input == take, out.data(), kept); });
        values = out;
        per_input /= take;
        first = false;
    }
    give(values.data(), values.size() * 16);
    give(groups.data(), groups.size() * 16);
}

int main(int argc, char** argv) {
    u8 buffer[65536];
    for (size_t got; (got = fread(buffer, 1, sizeof buffer, stdin)) > 0;) input.insert(input.end(), buffer, buffer + got);
    const char* command = argc > 1 ? argv[1] : "";
    if (!strcmp(command, "product") && argc == 5) {
        u32 size = number(argv, 2);
        const u8 *newer = take((size_t)size * size), *older = take((size_t)size * size);
        std::vector<u8> out((size_t)size * size);
        u32 blocks = size / TILE_ROWS * (size / TILE_COLUMNS);
        launch(blocks, PRODUCT_THREADS, [&] { product(newer, older, out.data(), size, number(argv, 3), number(argv, 4)); });
        give(out.data(), out.size());
    } else if (!strcmp(command, "hopper") && argc == 6) {
        u32 size = number(argv, 2), blocks = number(argv, 5);
        TensorMap newer{take((size_t)size * size), size, HOPPER_ROWS}, older{take((size_t)size * size), size, HOPPER_COLUMNS};
        std::vector<u8> out((size_t)size * size);
        launch(blocks, HOPPER_THREADS, [&] {
            if (threadIdx.x == 0) reset_hopper();
            product_hopper(newer, older, out.data(), size, number(argv, 3), number(argv, 4));
        });
        give(out.data(), out.size());
    } else if (!strcmp(command, "tiles") && argc == 3) {
        u32 size = number(argv, 2);
        for (u32 block = 0; block < size / TILE_ROWS * (size / TILE_COLUMNS); block++) {
            u32 place[2];
            tile_of(block, size, TILE_ROWS, TILE_COLUMNS, place[0], place[1]);
            give(place, sizeof place);
        }
    } else if (!strcmp(command, "expand") && argc == 4) {
        u64 blocks = number(argv, 2);
        const u32* key = (const u32*)take(32);
        std::vector<uint4> out(blocks * 4);
        launch((u32)(blocks / 256), 256, [&] { expand(key, number(argv, 3), out.data(), blocks); });
        give(out.data(), out.size() * 16);
    } else if (!strcmp(command, "digest") && argc == 4) {
        u32 inputs = number(argv, 2), per_input = number(argv, 3);
        u64 count = (u64)inputs * per_input;
        const uint4* bytes = (const uint4*)take(count * 1024);
        std::vector<uint4> values(count * 2);
        launch((u32)((count + 127) / 128), 128, [&] { chunks(bytes, count, per_input, values.data()); });
        climb(values, inputs, per_input);
    } else if (!strcmp(command, "walk") && argc == 6) {
        u32 shift = number(argv, 2), kept = number(argv, 3), walkers = number(argv, 4), segments = number(argv, 5);
        const u32* key = (const u32*)take(32);
        std::vector<const u8*> matrices;
        for (u32 i = 0; i < kept; i++) matrices.push_back(take((size_t)128 << shift));
        u64 lines = (u64)kept << shift;
        std::vector<uint4> starts(walkers * 2);
        launch((walkers + 127) / 128, 128, [&] { start(key, walkers, starts.data()); });
        const u32* from = (const u32*)starts.data();
        std::vector<u32> tables((size_t)walkers * 8 * segments);
        // Two launches, as the host cuts a long run into several.
        u32 first = segments / 2;
        u32* second = tables.data() + (size_t)first * walkers * 8;
        launch(walkers / 64, WALK_THREADS, [&] { walk(matrices.data(), shift, lines, from, first, tables.data()); });
        const u32* middle = first ? second - walkers * 8 : from;
        launch(walkers / 64, WALK_THREADS,
               [&] { walk(matrices.data(), shift, lines, middle, segments - first, second); });
        give(starts.data(), starts.size() * 16);
        give(tables.data(), tables.size() * 4);
        std::vector<u32> groups, last, again;
        for (u32 g = 0; g < segments; g++) {
            groups.push_back(g % (walkers / 32));
            last.push_back(g);
        }
        again.resize((size_t)segments * WALK_THREADS);
        launch(segments, WALK_THREADS,
               [&] { walk_again(matrices.data(), shift, lines, from, groups.data(), last.data(), again.data()); });
        give(again.data(), again.size() * 4);
    } else {
        fprintf(stderr, "product SIZE KAPPA ODD | hopper SIZE KAPPA ODD BLOCKS | tiles SIZE | expand BLOCKS INDEX | digest INPUTS CHUNKS | walk SHIFT KEPT WALKERS SEGMENTS\n");
        return 2;
    }
    return taken == input.size() ? 0 : 3;
}

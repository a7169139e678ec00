// The order in which tiles are computed, the same for both products.
#pragma once
#include "device.cuh"

// Which tile a block computes: bands of eight tiles of rows, so that blocks that run together share operands in L2.
DEVICE void tile_of(u32 block, u32 size, u32 tile_rows, u32 tile_columns, u32& row, u32& column) {
    const u32 band = 8;
    u32 rows = size / tile_rows, columns = size / tile_columns;
    u32 height = rows < band ? rows : band;
    u32 in_band = height * columns;
    u32 within = block % in_band;
    row = (block / in_band * height + within % height) * tile_rows;
    column = within / height * tile_columns;
}

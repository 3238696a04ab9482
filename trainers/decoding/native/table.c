#include "table.h"

int table_init(Table *table, int bits) {
    table->slots = malloc(sizeof(Slot) << bits);
    if (!table->slots) return -1;
    memset(table->slots, 0xFF, sizeof(Slot) << bits);
    table->bits = bits;
    table->count = 0;
    return 0;
}

static void put(Table *table, uint64_t key, int32_t value) {
    const uint64_t mask = (UINT64_C(1) << table->bits) - 1;
    uint64_t place = table_place(table, key);
    while (table->slots[place].key != VACANT) place = (place + 1) & mask;
    table->slots[place] = (Slot){key, value};
}

int table_add(Table *old, uint64_t key, int32_t value) {
    if (old->count * 2 >= INT64_C(1) << old->bits) {
        Table grown;
        if (table_init(&grown, old->bits + 1)) return -1;
        for (int64_t place = 0; place < INT64_C(1) << old->bits; place++)
            if (old->slots[place].key != VACANT) put(&grown, old->slots[place].key, old->slots[place].value);
        grown.count = old->count;
        free(old->slots);
        *old = grown;
    }
    put(old, key, value);
    old->count++;
    return 0;
}

int table_clear(Table *old) {
    if (old->bits > FIRST_BITS && old->count * 16 < INT64_C(1) << old->bits) {
        Table fresh;
        if (table_init(&fresh, old->bits - 2 > FIRST_BITS ? old->bits - 2 : FIRST_BITS)) return -1;
        free(old->slots);
        *old = fresh;
        return 0;
    }
    memset(old->slots, 0xFF, sizeof(Slot) << old->bits);
    old->count = 0;
    return 0;
}

void table_free(Table *table) {
    free(table->slots);
    table->slots = NULL;
}

int array_reserve(void **array, int64_t *capacity, int64_t needed, size_t size) {
    if (needed <= *capacity) return 0;
    if (needed > INT32_MAX) return -1;
    int64_t grown = *capacity ? *capacity : 64;
    while (grown < needed) grown *= 2;
    void *moved = realloc(*array, (size_t)grown * size);
    if (!moved) return -1;
    *array = moved;
    *capacity = grown;
    return 0;
}

/* A hash table from pairs of numbers to a number, and arrays that grow. */

#ifndef CTC_TABLE_H
#define CTC_TABLE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ABSENT (-1)
#define VACANT UINT64_MAX /* no pair is this key: its halves would be -1 */
#define FIRST_BITS 10

typedef struct {
    uint64_t key;
    int32_t value;
} Slot;

typedef struct {
    Slot *slots; /* 2^bits of them, at most half in use */
    int bits;
    int64_t count;
} Table;

static inline uint64_t pair(int32_t first, int32_t second) { return (uint64_t)(uint32_t)first << 32 | (uint32_t)second; }

static inline uint64_t table_place(const Table *table, uint64_t key) {
    return (key * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - table->bits);
}

/* The value of a key; ABSENT when there is none. */
static inline int32_t table_find(const Table *table, uint64_t key) {
    const uint64_t mask = (UINT64_C(1) << table->bits) - 1;
    for (uint64_t place = table_place(table, key);; place = (place + 1) & mask) {
        const Slot *slot = &table->slots[place];
        if (slot->key == key) return slot->value;
        if (slot->key == VACANT) return ABSENT;
    }
}

int table_init(Table *table, int bits);                       /* 0, or -1 when memory is out: so are the others */
int table_add(Table *table, uint64_t key, int32_t value);     /* of a key that is not there yet */
int table_clear(Table *table);                                /* empty, and small again if it was large for little */
void table_free(Table *table);

/* Makes room for `needed` elements; evaluates to 0, or to -1 when memory is out or the count exceeds an int32. */
#define RESERVE(array, capacity, needed) array_reserve((void **)&(array), &(capacity), (needed), sizeof *(array))
int array_reserve(void **array, int64_t *capacity, int64_t needed, size_t size);

#endif

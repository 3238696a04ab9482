#define _POSIX_C_SOURCE 200809L

#include "language_model.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>

typedef struct {
    LanguageModel *model;
    char *at; /* what is read next; a file ends with a zero byte */
    char *why;
    int size;
    int64_t counts[LONGEST_ORDER];
} Reader;

static int refuse(Reader *reader, const char *reason) {
    if (!reader->why[0]) snprintf(reader->why, (size_t)reader->size, "%s", reason);
    return -1;
}

static int out_of_memory(Reader *reader) { return refuse(reader, "memory is out"); }

static uint64_t hash(const char *spelling, int64_t length) {
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (int64_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)spelling[i]) * UINT64_C(0x100000001B3);
    return hash == VACANT ? 0 : hash;
}

int32_t ctc_model_word(const LanguageModel *model, const char *spelling, int64_t length) {
    const int32_t word = table_find(&model->spelled, hash(spelling, length));
    if (word == ABSENT || model->lengths[word] != length) return model->unknown;
    return memcmp(model->spellings[word], spelling, (size_t)length) ? model->unknown : word;
}

int32_t ctc_model_start(const LanguageModel *model) { return 1 + model->start; }

static inline int32_t longer(const LanguageModel *model, int32_t context, int32_t word) {
    return context == EMPTY_CONTEXT ? 1 + word : table_find(&model->longer, pair(context, word));
}

float ctc_model_score(const LanguageModel *model, int32_t context, int32_t word, int32_t *after) {
    int32_t passed[LONGEST_ORDER], found;
    int count = 0;
    while ((found = longer(model, context, word)) == ABSENT) {
        passed[count++] = context;
        context = model->ngrams[context].suffix;
    }
    /* KenLM adds back-offs in single precision, that of the shortest context first */
    float score = model->ngrams[found].probability;
    while (count) score += model->ngrams[passed[--count]].backoff;
    *after = model->ngrams[found].order == model->order ? model->ngrams[found].suffix : found;
    return score;
}

/* The next line, without its end; NULL after the last. */
static char *line(Reader *reader) {
    char *start = reader->at;
    if (!*start) return NULL;
    char *end = strchr(start, '\n');
    reader->at = end ? end + 1 : start + strlen(start);
    if (end) *end = 0;
    return start;
}

static char *line_of_text(Reader *reader) {
    char *found = line(reader);
    while (found && !*found) found = line(reader);
    return found;
}

static int read_counts(Reader *reader) {
    char *found = line_of_text(reader);
    if (!found || strcmp(found, "\\data\\")) return refuse(reader, "it does not begin with \\data\\");
    int order = 0;
    while ((found = line(reader)) && *found) {
        int which, used = 0;
        long long count;
        if (sscanf(found, "ngram %d=%lld%n", &which, &count, &used) < 2 || found[used])
            return refuse(reader, "a line of counts is not 'ngram N=COUNT'");
        if (which != order + 1 || count < 0 || count > INT32_MAX / 2) return refuse(reader, "the counts are out of range");
        if (which > LONGEST_ORDER) return refuse(reader, "its order is above 6");
        reader->counts[order++] = count;
    }
    if (order < 2) return refuse(reader, "its order is below 2");
    reader->model->order = order;
    return 0;
}

/* A number and the separator behind it; NAN if it is not one. */
static float number(char **at) {
    char *end;
    const float value = strtof(*at, &end);
    if (end == *at) return NAN;
    *at = end;
    return value;
}

static int add_word(Reader *reader, const char *spelling, int64_t length) {
    LanguageModel *model = reader->model;
    const uint64_t key = hash(spelling, length);
    if (table_find(&model->spelled, key) != ABSENT) return refuse(reader, "a word is listed twice");
    if (length == 5 && !memcmp(spelling, "<UNK>", 5)) return refuse(reader, "<UNK> is among its words");
    model->spellings[model->words] = spelling;
    model->lengths[model->words] = (int32_t)length;
    return table_add(&model->spelled, key, model->words++) ? out_of_memory(reader) : 0;
}

static int read_ngram(Reader *reader, char *at, int order) {
    LanguageModel *model = reader->model;
    NGram found = {.order = order};
    int32_t context = EMPTY_CONTEXT, word = ABSENT;
    found.probability = number(&at);
    if (!isfinite(found.probability) || found.probability > 0 || *at != '\t')
        return refuse(reader, "a line does not begin with a log-probability and a tab");
    for (int i = 0; i < order; i++) {
        const char *spelling = ++at;
        at += strcspn(at, " \t\r");
        const int64_t length = at - spelling;
        if (!length || (i + 1 < order ? *at != ' ' : *at && *at != '\t')) return refuse(reader, "an n-gram is cut short");
        if (order == 1) {
            if (add_word(reader, spelling, length)) return -1;
            continue;
        }
        word = ctc_model_word(model, spelling, length);
        if (word == model->unknown && !(length == 5 && !memcmp(spelling, "<unk>", 5)))
            return refuse(reader, "an n-gram has a word that is not listed");
        if (i + 1 < order && (context = longer(model, context, word)) == ABSENT)
            return refuse(reader, "the prefix of an n-gram is not listed");
    }
    if (*at) {
        at++;
        found.backoff = number(&at);
        if (!isfinite(found.backoff) || *at) return refuse(reader, "a line does not end with a back-off");
        if (order == model->order && found.backoff != 0) return refuse(reader, "a longest n-gram has a back-off");
    }
    if (RESERVE(model->ngrams, model->capacity, model->count + 1)) return out_of_memory(reader);
    if (order > 1) {
        found.suffix = longer(model, model->ngrams[context].suffix, word);
        if (found.suffix == ABSENT) return refuse(reader, "the suffix of an n-gram is not listed");
        if (longer(model, context, word) != ABSENT) return refuse(reader, "an n-gram is listed twice");
        if (table_add(&model->longer, pair(context, word), (int32_t)model->count)) return out_of_memory(reader);
    }
    model->ngrams[model->count++] = found;
    return 0;
}

static int32_t reserved(const LanguageModel *model, const char *spelling) {
    const int64_t length = (int64_t)strlen(spelling);
    const int32_t word = table_find(&model->spelled, hash(spelling, length));
    return word != ABSENT && ctc_model_word(model, spelling, length) == word ? word : ABSENT;
}

static int read_order(Reader *reader, int order) {
    LanguageModel *model = reader->model;
    char header[16], *found = line_of_text(reader);
    snprintf(header, sizeof header, "\\%d-grams:", order);
    if (!found || strcmp(found, header)) return refuse(reader, "a section does not begin where it should");
    for (int64_t i = 0; i < reader->counts[order - 1]; i++) {
        if (!(found = line(reader))) return refuse(reader, "it is cut short");
        if (read_ngram(reader, found, order)) return -1;
    }
    if (order > 1) return 0;
    model->unknown = reserved(model, "<unk>");
    model->start = reserved(model, "<s>");
    model->end = reserved(model, "</s>");
    if (model->unknown == ABSENT || model->start == ABSENT || model->end == ABSENT)
        return refuse(reader, "<unk>, <s> or </s> is not listed");
    return 0;
}

static int read_all(Reader *reader) {
    LanguageModel *model = reader->model;
    if (read_counts(reader)) return -1;
    model->spellings = malloc(sizeof(char *) * (size_t)(reader->counts[0] + 1));
    model->lengths = malloc(sizeof(int32_t) * (size_t)(reader->counts[0] + 1));
    if (!model->spellings || !model->lengths || RESERVE(model->ngrams, model->capacity, 1)) return out_of_memory(reader);
    model->ngrams[model->count++] = (NGram){.suffix = ABSENT};
    for (int order = 1; order <= model->order; order++)
        if (read_order(reader, order)) return -1;
    const char *found = line_of_text(reader);
    if (!found || strcmp(found, "\\end\\") || line_of_text(reader)) return refuse(reader, "it does not end with \\end\\");
    return 0;
}

static char *content(const char *path, Reader *reader) {
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    long size = -1;
    if (file && !fseek(file, 0, SEEK_END) && (size = ftell(file)) >= 0) {
        rewind(file);
        text = malloc((size_t)size + 1);
        if (text && fread(text, 1, (size_t)size, file) != (size_t)size) {
            free(text);
            text = NULL;
        }
    }
    if (!text) refuse(reader, file && size >= 0 ? "it cannot be read into memory" : strerror(errno));
    if (file) fclose(file);
    if (text) text[size] = 0;
    return text;
}

LanguageModel *ctc_model_read(const char *path, char *why, int size) {
    why[0] = 0;
    LanguageModel *model = calloc(1, sizeof *model);
    Reader reader = {.model = model, .why = why, .size = size};
    if (!model || table_init(&model->longer, FIRST_BITS) || table_init(&model->spelled, FIRST_BITS)) {
        out_of_memory(&reader);
    } else if ((reader.at = model->text = content(path, &reader))) {
        /* a decimal point is a point, whatever the language of the process */
        locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
        locale_t before = uselocale(plain);
        read_all(&reader);
        uselocale(before);
        if (plain) freelocale(plain);
    }
    if (!why[0]) return model;
    ctc_model_free(model);
    return NULL;
}

void ctc_model_free(LanguageModel *model) {
    if (!model) return;
    table_free(&model->longer);
    table_free(&model->spelled);
    free(model->ngrams);
    free(model->spellings);
    free(model->lengths);
    free(model->text);
    free(model);
}

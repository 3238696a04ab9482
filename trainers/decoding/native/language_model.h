/* A back-off language model as an automaton: from a context and a word to the longest n-gram that ends in the word. */

#ifndef CTC_LANGUAGE_MODEL_H
#define CTC_LANGUAGE_MODEL_H

#include "table.h"

#define LONGEST_ORDER 6 /* what KenLM's Python package is built for */
#define EMPTY_CONTEXT 0

typedef struct {
    float probability; /* log10, of the last word after the others */
    float backoff;     /* log10 */
    int32_t suffix;    /* the n-gram without its first word; that of a single word is EMPTY_CONTEXT */
    int32_t order;
} NGram;

typedef struct {
    int order;
    int32_t words;  /* word w alone is the n-gram 1 + w */
    int32_t unknown, start, end; /* words: <unk>, <s>, </s> */
    NGram *ngrams;
    int64_t count, capacity;
    Table longer;  /* (n-gram, word) to the n-gram that is one word longer; longer than one word */
    Table spelled; /* hash of a spelling to its word */
    char *text;    /* the file; spellings point into it */
    const char **spellings;
    int32_t *lengths;
} LanguageModel;

/* Reads an ARPA file. NULL if that cannot be done, with the reason in `why`.

   Taken is what an estimation without pruning gives: <unk>, <s> and </s> are words, and with every n-gram its prefix and
   its suffix are there. In other files KenLM makes n-grams up; they are refused. */
LanguageModel *ctc_model_read(const char *path, char *why, int size);
void ctc_model_free(LanguageModel *model);

/* The word of a spelling; <unk> where it is none. */
int32_t ctc_model_word(const LanguageModel *model, const char *spelling, int64_t length);

/* The context at the start of a sentence. */
int32_t ctc_model_start(const LanguageModel *model);

/* Log10 probability of a word after a context, and the context after it; bit for bit KenLM's. */
float ctc_model_score(const LanguageModel *model, int32_t context, int32_t word, int32_t *after);

#endif

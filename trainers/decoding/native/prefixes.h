/* What hypotheses are made of, each thing once and known by a number, so that the search compares numbers alone.

   part      the letters of a word so far; a tree that holds the words of the lexicon from the start
   text      whole words: a text before it and a part
   prefix    a text and a part: what a hypothesis stands for beside its last label
   history   the last words of a text that can still change a score

   Letters are code points, so that labels which spell the same (AB, and A then B) lead to the same part. */

#ifndef CTC_PREFIXES_H
#define CTC_PREFIXES_H

#include "language_model.h"

#define BLANK 0
#define NO_LABEL (-1)

typedef struct {
    int32_t parent, letter;
    int32_t length; /* in letters */
    int32_t known;  /* whether it is a word of the lexicon */
    int32_t word;   /* the model's, if it is known */
    double penalty; /* of a word that has only begun */
} Part;

typedef struct {
    int32_t parent, part;
    int32_t context; /* in the language model, behind the last word */
    int32_t history;
    double base_ten; /* log10 probability of the last word, with the offset of a word that is not in the lexicon */
    double end;      /* log10 probability that the sentence ends here */
    double language; /* weighted score of all its words at the point being searched */
    uint32_t seen;   /* as in a prefix, by the end of the search */
    int32_t place;
} Text;

typedef struct {
    int32_t text, part;
    int32_t group;   /* of prefixes with the same history and part */
    int32_t place;   /* among the hypotheses being made, if `seen` is the stamp of this moment */
    double language; /* weighted score of text and part, if `point` is the point being searched */
    uint32_t point, seen;
} Prefix;

typedef struct {
    int32_t first; /* of the hypotheses kept whose prefix is of this group, if `seen` is the stamp of this moment */
    uint32_t seen;
} Group;

typedef struct {
    const int32_t *letters; /* code points; without the mark of a word's start */
    int32_t length;
    int32_t starts; /* whether it ends the word before it: the space, or a label that starts a word */
} Label;

typedef struct {
    const LanguageModel *model;
    int32_t *letters; /* of all labels */
    Label *labels;
    int32_t size;           /* labels */
    double unknown_offset;  /* log10, for a word outside the lexicon; as it is, for a part that begins no such word */
    double average_length;  /* letters; the penalty of a longer part grows with its length */

    Part *parts;
    Text *texts;
    Prefix *prefixes;
    Group *groups;
    int64_t part_count, text_count, prefix_count, group_count, history_count;
    int64_t part_capacity, text_capacity, prefix_capacity, group_capacity;
    int64_t lexicon_parts; /* these stay */
    int64_t lexicon_words;
    char *spelling; /* of the word being looked up */
    int32_t *backwards;
    int64_t spelling_capacity, backwards_capacity;
    Table spelled;         /* (part, letter) to a part */
    Table written;         /* (text, part) to a text */
    Table standing;        /* (text, part) to a prefix */
    Table grouped;         /* (history, part) to a group */
    Table remembered;      /* (history, part) to the history that is a word longer */
    Table extended;        /* (prefix, label) to a prefix */
} Prefixes;

/* Labels and the words of the lexicon are code points behind one another; number i ends before ends[i]. A word that the
   model does not have is left out of the lexicon. */
int prefixes_init(Prefixes *all, const LanguageModel *model, const int32_t *letters, const int64_t *ends,
                  const int32_t *starts, int32_t labels, const int32_t *lexicon, const int64_t *lexicon_ends,
                  int64_t words, double unknown_offset, double average_length);
void prefixes_free(Prefixes *all);

/* Forgets all but the lexicon and the empty prefix, which is number 0. Parts outside the lexicon stay while few. */
int prefixes_clear(Prefixes *all);

/* The text that another and one more word make; ABSENT when memory is out. */
int32_t prefixes_write(Prefixes *all, int32_t text, int32_t part);

int32_t prefixes_make_extension(Prefixes *all, int32_t prefix, int32_t label);

/* The prefix that another becomes by a label that is neither blank nor the last one; ABSENT when memory is out. */
static inline int32_t prefixes_extend(Prefixes *all, int32_t prefix, int32_t label) {
    const int32_t found = table_find(&all->extended, pair(prefix, label));
    return found != ABSENT ? found : prefixes_make_extension(all, prefix, label);
}

#endif

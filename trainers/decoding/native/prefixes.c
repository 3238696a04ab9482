#include "prefixes.h"

#define PARTS_KEPT (1 << 18)

static int32_t add_part(Prefixes *all, int32_t parent, int32_t letter) {
    if (RESERVE(all->parts, all->part_capacity, all->part_count + 1)) return ABSENT;
    const int32_t number = (int32_t)all->part_count;
    if (number && table_add(&all->spelled, pair(parent, letter), number)) return ABSENT;
    Part *made = &all->parts[number];
    *made = (Part){.parent = parent, .letter = letter};
    if (number) {
        made->length = all->parts[parent].length + 1;
        made->penalty = all->unknown_offset;
        if (made->length > all->average_length)
            made->penalty = made->penalty * made->length / all->average_length;
    }
    all->part_count++;
    return number;
}

static int32_t spell(Prefixes *all, int32_t part, const int32_t *letters, int64_t count) {
    for (int64_t i = 0; i < count && part != ABSENT; i++) {
        const int32_t found = table_find(&all->spelled, pair(part, letters[i]));
        part = found != ABSENT ? found : add_part(all, part, letters[i]);
    }
    return part;
}

/* UTF-8, as the model's file is. */
static int64_t encode(const int32_t *letters, int64_t count, char *out) {
    char *at = out;
    for (int64_t i = 0; i < count; i++) {
        const uint32_t letter = (uint32_t)letters[i];
        if (letter < 0x80) {
            *at++ = (char)letter;
            continue;
        }
        const int more = letter < 0x800 ? 1 : letter < 0x10000 ? 2 : 3;
        const uint32_t mark = more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0;
        *at++ = (char)(mark | letter >> (6 * more));
        for (int shift = 6 * (more - 1); shift >= 0; shift -= 6) *at++ = (char)(0x80 | (letter >> shift & 0x3F));
    }
    return at - out;
}

static int look_up(Prefixes *all, const int32_t *letters, int64_t count, int32_t *word) {
    if (RESERVE(all->spelling, all->spelling_capacity, 4 * count + 1)) return -1;
    *word = ctc_model_word(all->model, all->spelling, encode(letters, count, all->spelling));
    return 0;
}

/* The model's word for a part; outside the lexicon it may still have one, such as </s>. */
static int word_of(Prefixes *all, const Part *part, int32_t *word) {
    *word = part->word;
    if (part->known) return 0;
    if (RESERVE(all->backwards, all->backwards_capacity, part->length)) return -1;
    const int32_t length = part->length;
    int32_t *at = all->backwards + length;
    for (; part->length; part = &all->parts[part->parent]) *--at = part->letter;
    return look_up(all, at, length, word);
}

static int add_lexicon(Prefixes *all, const int32_t *letters, const int64_t *ends, int64_t words) {
    for (int64_t i = 0, start = 0; i < words; start = ends[i++]) {
        int32_t word, part;
        if (look_up(all, letters + start, ends[i] - start, &word)) return -1;
        if (word == all->model->unknown) continue;
        if ((part = spell(all, 0, letters + start, ends[i] - start)) == ABSENT) return -1;
        all->parts[part].word = word;
        all->parts[part].known = 1;
        all->lexicon_words++;
        for (; part; part = all->parts[part].parent) all->parts[part].penalty = 0;
    }
    all->lexicon_parts = all->part_count;
    return 0;
}

int prefixes_init(Prefixes *all, const LanguageModel *model, const int32_t *letters, const int64_t *ends,
                  const int32_t *starts, int32_t labels, const int32_t *lexicon, const int64_t *lexicon_ends,
                  int64_t words, double unknown_offset, double average_length) {
    const size_t total = labels ? (size_t)ends[labels - 1] : 0;
    all->model = model;
    all->unknown_offset = unknown_offset;
    all->average_length = average_length;
    all->size = labels;
    all->letters = malloc(sizeof(int32_t) * (total + 1));
    all->labels = malloc(sizeof(Label) * ((size_t)labels + 1));
    if (!all->letters || !all->labels) return -1;
    memcpy(all->letters, letters, sizeof(int32_t) * total);
    for (int32_t i = 0; i < labels; i++) {
        const int64_t start = i ? ends[i - 1] : 0;
        all->labels[i] = (Label){all->letters + start, (int32_t)(ends[i] - start), starts[i]};
    }
    Table *tables[] = {&all->spelled, &all->written, &all->standing, &all->grouped, &all->remembered, &all->extended};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (table_init(tables[i], FIRST_BITS)) return -1;
    if (add_part(all, ABSENT, 0) == ABSENT || add_lexicon(all, lexicon, lexicon_ends, words)) return -1;
    return prefixes_clear(all);
}

void prefixes_free(Prefixes *all) {
    Table *tables[] = {&all->spelled, &all->written, &all->standing, &all->grouped, &all->remembered, &all->extended};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) table_free(tables[i]);
    free(all->spelling);
    free(all->backwards);
    free(all->letters);
    free(all->labels);
    free(all->parts);
    free(all->texts);
    free(all->prefixes);
    free(all->groups);
}

static int forget_parts(Prefixes *all) {
    if (all->part_count - all->lexicon_parts <= PARTS_KEPT) return 0;
    if (table_clear(&all->spelled)) return -1;
    all->part_count = all->lexicon_parts;
    for (int32_t i = 1; i < all->part_count; i++)
        if (table_add(&all->spelled, pair(all->parts[i].parent, all->parts[i].letter), i)) return -1;
    return 0;
}

static int32_t follow(Table *table, int32_t first, int32_t second, int64_t *count) {
    int32_t found = table_find(table, pair(first, second));
    if (found == ABSENT && *count < INT32_MAX && !table_add(table, pair(first, second), (int32_t)*count))
        found = (int32_t)(*count)++;
    return found;
}

/* pyctcdecode takes two hypotheses for one if label, part and these last words agree: as many words as the model's
   longest context has. A shorter text is a history of its own. */
static int32_t history(Prefixes *all, int32_t text) {
    int32_t words[LONGEST_ORDER], count = 0, found = 0;
    for (; text && count < all->model->order - 1; text = all->texts[text].parent)
        words[count++] = all->texts[text].part;
    while (count && found != ABSENT) found = follow(&all->remembered, found, words[--count], &all->history_count);
    return found;
}

int32_t prefixes_write(Prefixes *all, int32_t before, int32_t last) {
    const int32_t found = table_find(&all->written, pair(before, last));
    if (found != ABSENT) return found;
    const int32_t number = (int32_t)all->text_count;
    if (RESERVE(all->texts, all->text_capacity, all->text_count + 1)) return ABSENT;
    int32_t word, ignored;
    if (word_of(all, &all->parts[last], &word) || table_add(&all->written, pair(before, last), number)) return ABSENT;
    Text *made = &all->texts[all->text_count++];
    *made = (Text){.parent = before, .part = last};
    /* the unknown word has a probability of its own in the model; the offset comes on top */
    made->base_ten = ctc_model_score(all->model, all->texts[before].context, word, &made->context);
    if (!all->parts[last].known) made->base_ten += all->unknown_offset;
    made->end = ctc_model_score(all->model, made->context, all->model->end, &ignored);
    made->history = history(all, number);
    return made->history == ABSENT ? ABSENT : number;
}

static int32_t stand(Prefixes *all, int32_t before, int32_t begun) {
    const int32_t found = table_find(&all->standing, pair(before, begun));
    if (found != ABSENT) return found;
    const int32_t number = (int32_t)all->prefix_count;
    if (RESERVE(all->prefixes, all->prefix_capacity, all->prefix_count + 1)) return ABSENT;
    if (table_add(&all->standing, pair(before, begun), number)) return ABSENT;
    const int64_t groups = all->group_count;
    const int32_t group = follow(&all->grouped, all->texts[before].history, begun, &all->group_count);
    if (group == ABSENT || RESERVE(all->groups, all->group_capacity, all->group_count)) return ABSENT;
    if (groups < all->group_count) all->groups[group].seen = 0;
    all->prefixes[all->prefix_count++] = (Prefix){.text = before, .part = begun, .group = group};
    return number;
}

int32_t prefixes_make_extension(Prefixes *all, int32_t number, int32_t heard) {
    const Label *label = &all->labels[heard];
    int32_t text = all->prefixes[number].text, part = all->prefixes[number].part;
    if (label->starts) {
        /* two spaces, or the first label: nothing is not a word */
        if (part && (text = prefixes_write(all, text, part)) == ABSENT) return ABSENT;
        part = 0;
    }
    if ((part = spell(all, part, label->letters, label->length)) == ABSENT) return ABSENT;
    const int32_t found = stand(all, text, part);
    return found == ABSENT || table_add(&all->extended, pair(number, heard), found) ? ABSENT : found;
}

int prefixes_clear(Prefixes *all) {
    int32_t ignored;
    all->text_count = all->prefix_count = all->group_count = 0;
    all->history_count = 1; /* the empty history is number 0 */
    if (table_clear(&all->written) || table_clear(&all->standing) || table_clear(&all->grouped) ||
        table_clear(&all->remembered) || table_clear(&all->extended) || forget_parts(all))
        return -1;
    if (RESERVE(all->texts, all->text_capacity, 1)) return -1;
    all->texts[all->text_count++] = (Text){.parent = ABSENT, .context = ctc_model_start(all->model)};
    all->texts[0].end = ctc_model_score(all->model, all->texts[0].context, all->model->end, &ignored);
    return stand(all, 0, 0) == ABSENT ? -1 : 0;
}

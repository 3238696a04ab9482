/* Prefix beam search with a word language model: pyctcdecode 0.5's, bit for bit.

   What decides equality, beside the order of floating-point operations (build without contraction):

   - A frame's labels are tried in the order in which CPython iterates over the set that pyctcdecode puts them in. The
     caller gives them in that order: it decides ties, and the order in which three hypotheses are merged.
   - Hypotheses are merged if text, part and last label agree; the merged one stands where the first stood. The last
     label is the label just tried, so only hypotheses of one label can meet.
   - At the end of the utterance the later of two merged hypotheses says what is scored: a last word with the end of the
     sentence, or the end alone behind a word that a space had closed. The scores differ in the last bits.
   - Of equal scores the earlier hypothesis wins, here and in heapq.nlargest.
   - An empty last word costs the end of the sentence alone (trainers/decoding/beam.py). */

#include "prefixes.h"

#include <math.h>

#define PREFIXES_SHARED (1 << 20) /* between points; beyond, memory counts more than time */
#define NEGLIGIBLE (-37.5)        /* 1 + exp of less is 1 */

typedef struct {
    double alpha, beta, prune_logp;
    int32_t width;
} Point;

typedef struct {
    int32_t *prefix, *last;
    double *score, *language;
    int64_t capacity[4], count;
} Beam;

typedef struct {
    double total;
    int32_t place;
} Rank;

typedef struct {
    Prefixes all;
    double nats;       /* in a decade, as pyctcdecode has it */
    double nats_empty; /* the same, as our correction of the empty last word has it */
    Point point;
    uint32_t point_number, stamp;
    Beam kept, grown;
    Rank *ranks, *spare;
    int32_t *next; /* of the hypotheses kept, the next of the same group */
    int64_t rank_capacity, spare_capacity, next_capacity;
    uint32_t *letters; /* of all texts found */
    int64_t letter_count, letter_capacity;
} Search;

typedef struct {
    double acoustic, total;
    int32_t text;
} Result;

/* What this was built from: trainers/decoding/library.py compares it with the sources it finds. */
const uint32_t ctc_sources = CTC_SOURCES;

void ctc_search_free(Search *search);

Search *ctc_search_new(const LanguageModel *model, const int32_t *letters, const int64_t *ends, const int32_t *starts,
                       int32_t labels, const int32_t *lexicon, const int64_t *lexicon_ends, int64_t words,
                       double unknown_offset, double average_length, double nats, double nats_empty) {
    Search *made = calloc(1, sizeof *made);
    if (!made) return NULL;
    made->nats = nats;
    made->nats_empty = nats_empty;
    if (!prefixes_init(&made->all, model, letters, ends, starts, labels, lexicon, lexicon_ends, words, unknown_offset,
                       average_length))
        return made;
    ctc_search_free(made);
    return NULL;
}

/* How many words of the lexicon the model has. */
int64_t ctc_search_words(const Search *search) { return search->all.lexicon_words; }

static void free_beam(Beam *beam) {
    free(beam->prefix);
    free(beam->last);
    free(beam->score);
    free(beam->language);
}

void ctc_search_free(Search *search) {
    if (!search) return;
    prefixes_free(&search->all);
    free_beam(&search->kept);
    free_beam(&search->grown);
    free(search->ranks);
    free(search->spare);
    free(search->next);
    free(search->letters);
    free(search);
}

static int reserve_beam(Beam *beam, int64_t count) {
    return RESERVE(beam->prefix, beam->capacity[0], count) || RESERVE(beam->last, beam->capacity[1], count) ||
           RESERVE(beam->score, beam->capacity[2], count) || RESERVE(beam->language, beam->capacity[3], count);
}

/* Marks that are older than this moment; 0 is the mark of what was never seen. */
static uint32_t new_stamp(Search *search) {
    if (++search->stamp) return search->stamp;
    for (int64_t i = 0; i < search->all.prefix_count; i++) search->all.prefixes[i].seen = 0;
    for (int64_t i = 0; i < search->all.text_count; i++) search->all.texts[i].seen = 0;
    for (int64_t i = 0; i < search->all.group_count; i++) search->all.groups[i].seen = 0;
    return search->stamp = 1;
}

static inline double add_logs(double first, double second) {
    const double larger = first >= second ? first : second, smaller = first >= second ? second : first;
    const double difference = smaller - larger;
    return difference < NEGLIGIBLE ? larger : larger + log(1 + exp(difference));
}

static double weigh_word(const Search *search, double base_ten) {
    return search->point.alpha * base_ten * search->nats + search->point.beta;
}

/* A text is first met at a point as the extension of one met before: the score before it is there. */
static double language(Search *search, Prefix *prefix) {
    if (prefix->point == search->point_number) return prefix->language;
    Text *text = &search->all.texts[prefix->text];
    if (prefix->text)
        text->language = search->all.texts[text->parent].language + weigh_word(search, text->base_ten);
    prefix->language = text->language;
    if (prefix->part) prefix->language += search->all.parts[prefix->part].penalty;
    prefix->point = search->point_number;
    return prefix->language;
}

/* All ways to go on by one label, merged where they meet. */
static int grow(Search *search, int32_t label, double log_prob) {
    const Beam *kept = &search->kept;
    Beam *grown = &search->grown;
    const uint32_t stamp = new_stamp(search);
    for (int64_t i = 0; i < kept->count; i++) {
        int32_t number = kept->prefix[i];
        if (label != BLANK && label != kept->last[i]) {
            number = prefixes_extend(&search->all, number, label);
            if (number == ABSENT) return -1;
        }
        Prefix *prefix = &search->all.prefixes[number];
        const double score = kept->score[i] + log_prob;
        if (prefix->seen == stamp) {
            grown->score[prefix->place] = add_logs(grown->score[prefix->place], score);
            continue;
        }
        prefix->seen = stamp;
        prefix->place = (int32_t)grown->count;
        grown->prefix[grown->count] = number;
        grown->last[grown->count] = label;
        grown->score[grown->count] = score;
        grown->language[grown->count++] = language(search, prefix);
    }
    return 0;
}

/* Highest total first, of equal ones the earlier first. */
static void sort(Rank *ranks, Rank *spare, int64_t count) {
    int64_t sorted = 1;
    while (sorted < count && ranks[sorted - 1].total >= ranks[sorted].total) sorted++;
    if (sorted >= count) return;
    if (count <= 32) {
        for (int64_t i = sorted; i < count; i++) {
            const Rank moved = ranks[i];
            int64_t place = i;
            for (; place && ranks[place - 1].total < moved.total; place--) ranks[place] = ranks[place - 1];
            ranks[place] = moved;
        }
        return;
    }
    const int64_t half = count / 2;
    sort(ranks, spare, half);
    sort(ranks + half, spare, count - half);
    memcpy(spare, ranks, sizeof(Rank) * (size_t)half);
    int64_t left = 0, right = half, place = 0;
    while (left < half && right < count) {
        const int take = spare[left].total < ranks[right].total;
        ranks[place++] = take ? ranks[right] : spare[left];
        right += take;
        left += !take;
    }
    memcpy(ranks + place, spare + left, sizeof(Rank) * (size_t)(half - left));
}

/* The best of what has grown: within the threshold, the widest beam, and one for each history, part and last label. */
static int prune(Search *search) {
    const Beam *grown = &search->grown;
    Beam *kept = &search->kept;
    double best = -INFINITY;
    int64_t count = 0;
    if (RESERVE(search->ranks, search->rank_capacity, grown->count) ||
        RESERVE(search->spare, search->spare_capacity, grown->count))
        return -1;
    for (int64_t i = 0; i < grown->count; i++) {
        const double total = grown->score[i] + grown->language[i];
        search->ranks[i].total = total;
        best = total > best ? total : best;
    }
    const double floor = best + search->point.prune_logp;
    for (int64_t i = 0; i < grown->count; i++) {
        search->ranks[count] = (Rank){search->ranks[i].total, (int32_t)i};
        count += search->ranks[count].total >= floor;
    }
    sort(search->ranks, search->spare, count);
    if (count > search->point.width) count = search->point.width;
    if (reserve_beam(kept, count) || RESERVE(search->next, search->next_capacity, count)) return -1;
    const uint32_t stamp = new_stamp(search);
    kept->count = 0;
    for (int64_t i = 0; i < count; i++) {
        const int32_t place = search->ranks[i].place, last = grown->last[place];
        Group *group = &search->all.groups[search->all.prefixes[grown->prefix[place]].group];
        int32_t same = group->seen == stamp ? group->first : ABSENT;
        const int32_t first = same;
        while (same != ABSENT && kept->last[same] != last) same = search->next[same];
        if (same != ABSENT) continue;
        *group = (Group){(int32_t)kept->count, stamp};
        search->next[kept->count] = first;
        kept->prefix[kept->count] = grown->prefix[place];
        kept->last[kept->count] = last;
        kept->language[kept->count] = grown->language[place];
        kept->score[kept->count++] = grown->score[place];
    }
    return 0;
}

/* A frame whose only label is that of the frame before: every hypothesis goes on as it is, none meet, and mostly none
   falls below the threshold or, by rounding, below another. 1 if that is so, and nothing is to be done. */
static int hold(Search *search, double log_prob) {
    Beam *kept = &search->kept, *grown = &search->grown;
    double best = 0, before = 0;
    int ordered = 1;
    for (int64_t i = 0; i < kept->count; i++) {
        grown->score[i] = kept->score[i] + log_prob;
        const double total = grown->score[i] + kept->language[i];
        if (!i) best = before = total;
        ordered &= total <= before;
        before = total;
    }
    if (!ordered || before < best + search->point.prune_logp) return 0;
    double *swapped = kept->score;
    kept->score = grown->score;
    grown->score = swapped;
    const int64_t capacity = kept->capacity[2];
    kept->capacity[2] = grown->capacity[2];
    grown->capacity[2] = capacity;
    return 1;
}

/* The best of what is kept when the utterance is over. */
static int finish(Search *search, Result *best) {
    const Beam *kept = &search->kept;
    Beam *ended = &search->grown; /* `prefix` is here a text; `last` the hypothesis that says how it is scored */
    const uint32_t stamp = new_stamp(search);
    if (reserve_beam(ended, kept->count)) return -1;
    ended->count = 0;
    for (int64_t i = 0; i < kept->count; i++) {
        const Prefix *prefix = &search->all.prefixes[kept->prefix[i]];
        const int32_t number = prefix->part ? prefixes_write(&search->all, prefix->text, prefix->part) : prefix->text;
        if (number == ABSENT) return -1;
        Text *text = &search->all.texts[number];
        double score = kept->score[i];
        if (text->seen == stamp) {
            score = add_logs(ended->score[text->place], score);
        } else {
            text->seen = stamp;
            text->place = (int32_t)ended->count++;
        }
        ended->prefix[text->place] = number;
        ended->last[text->place] = (int32_t)i;
        ended->score[text->place] = score;
    }
    *best = (Result){.total = -INFINITY};
    for (int64_t i = 0; i < ended->count; i++) {
        const Prefix *prefix = &search->all.prefixes[kept->prefix[ended->last[i]]];
        const Text *text = &search->all.texts[ended->prefix[i]];
        const double end = prefix->part ? weigh_word(search, text->base_ten + text->end)
                                        : search->point.alpha * text->end * search->nats_empty;
        const double total = ended->score[i] + (search->all.texts[prefix->text].language + end);
        if (total > best->total) *best = (Result){ended->score[i], total, ended->prefix[i]};
    }
    return 0;
}

/* One utterance at one point. Frame f has the candidates starts[f] to starts[f + 1]. */
static int decode(Search *search, const int64_t *starts, int64_t frames, const int32_t *labels, const double *log_probs,
                  Result *best) {
    Beam *kept = &search->kept;
    if (search->all.prefix_count > PREFIXES_SHARED && prefixes_clear(&search->all)) return -1;
    search->point_number++;
    if (reserve_beam(kept, 1)) return -1;
    kept->count = 1;
    kept->prefix[0] = 0;
    kept->last[0] = NO_LABEL;
    kept->score[0] = 0;
    for (int64_t frame = 0, only = 0; frame < frames; frame++) {
        const int64_t count = starts[frame + 1] - starts[frame];
        search->grown.count = 0;
        if (reserve_beam(&search->grown, kept->count * count)) return -1;
        const int64_t before = only;
        only = count == 1;
        if (only && before && labels[starts[frame]] == labels[starts[frame - 1]] && hold(search, log_probs[starts[frame]])) continue;
        search->grown.count = 0;
        for (int64_t i = starts[frame]; i < starts[frame + 1]; i++)
            if (grow(search, labels[i], log_probs[i])) return -1;
        if (prune(search)) return -1;
    }
    return finish(search, best);
}

/* Appends the words of a text, with spaces between them. */
static int spell_out(Search *search, int32_t number) {
    const Prefixes *all = &search->all;
    int64_t length = -1;
    for (int32_t text = number; text; text = all->texts[text].parent) length += 1 + all->parts[all->texts[text].part].length;
    if (length < 0) return 0;
    if (RESERVE(search->letters, search->letter_capacity, search->letter_count + length)) return -1;
    search->letter_count += length;
    uint32_t *at = search->letters + search->letter_count;
    for (int32_t text = number; text; text = all->texts[text].parent) {
        if (text != number) *--at = ' ';
        for (int32_t part = all->texts[text].part; part; part = all->parts[part].parent)
            *--at = (uint32_t)all->parts[part].letter;
    }
    return 0;
}

static int sound(const Search *search, int64_t utterances, const int64_t *frames, const int64_t *starts,
                 const int32_t *labels) {
    for (int64_t i = 0; i < utterances; i++)
        if (frames[i] < 0 || frames[i + 1] < frames[i]) return 0;
    for (int64_t frame = frames[0]; frame < frames[utterances]; frame++)
        if (starts[frame] < 0 || starts[frame + 1] <= starts[frame]) return 0;
    for (int64_t i = starts[frames[0]]; i < starts[frames[utterances]]; i++)
        if (labels[i] < 0 || labels[i] >= search->all.size) return 0;
    return 1;
}

/* Decodes utterances at points. Utterance u owns the frames frames[u] to frames[u + 1]; results lie utterance by
   utterance, and within it point by point; the text of result r ends before text_ends[r] in ctc_search_texts.
   0; -1 when memory is out; -2 for frames or labels that are not there. */
int ctc_search_run(Search *search, int64_t utterances, const int64_t *frames, const int64_t *starts,
                   const int32_t *labels, const double *log_probs, int64_t points, const double *alphas,
                   const double *betas, const double *prune_logps, const int32_t *widths, double *acoustic,
                   double *total, int64_t *text_ends) {
    if (utterances < 0 || !sound(search, utterances, frames, starts, labels)) return -2;
    search->letter_count = 0;
    for (int64_t utterance = 0, place = 0; utterance < utterances; utterance++) {
        const int64_t first = frames[utterance], count = frames[utterance + 1] - first;
        search->point_number = search->stamp = 0;
        if (prefixes_clear(&search->all)) return -1;
        for (int64_t i = 0; i < points; i++, place++) {
            Result best;
            search->point = (Point){alphas[i], betas[i], prune_logps[i], widths[i]};
            if (decode(search, starts + first, count, labels, log_probs, &best)) return -1;
            acoustic[place] = best.acoustic;
            total[place] = best.total;
            if (spell_out(search, best.text)) return -1;
            text_ends[place] = search->letter_count;
        }
    }
    return 0;
}

/* The texts of the last run behind one another, as code points. */
const uint32_t *ctc_search_texts(const Search *search) { return search->letters; }

/* The forward algorithm of CTC over trees of prefixes; trainers/combining/likelihood.py says what is computed. */

#include <stdint.h>

/* What this was built from: trainers/decoding/library.py compares it with the sources it finds. */
const uint32_t ctc_sources = CTC_SOURCES;

/* The first node of a tree is the empty prefix, and every other stands behind its parent. From the last node to the first,
   each is moved on by a frame before what it is reached from: so one set of states serves.

   offsets         (utterances + 1), the first frame of each
   starts          (utterances + 1), the first node of each
   probabilities   (frames, width)
   parents, labels (nodes)
   alike           (nodes), whether a node has the label of its parent
   in_blank, in_label  (nodes), zero: the states, left as they are behind the last frame */
void ctc_forward(int64_t utterances, const int64_t *offsets, const int64_t *starts, int64_t width,
                 const double *probabilities, int64_t blank, const int64_t *parents, const int64_t *labels,
                 const uint8_t *alike, double *in_blank, double *in_label)
{
    for (int64_t utterance = 0; utterance < utterances; utterance++) {
        int64_t root = starts[utterance], end = starts[utterance + 1];
        in_blank[root] = 1.0;
        for (int64_t frame = offsets[utterance]; frame < offsets[utterance + 1]; frame++) {
            const double *row = probabilities + frame * width;
            for (int64_t node = end - 1; node > root; node--) {
                int64_t parent = parents[node];
                double either = in_blank[node] + in_label[node];
                double arriving = in_blank[parent] + (alike[node] ? 0.0 : in_label[parent]);
                in_label[node] = (in_label[node] + arriving) * row[labels[node]];
                in_blank[node] = either * row[blank];
            }
            in_blank[root] *= row[blank];
        }
    }
}

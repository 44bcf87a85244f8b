/* Rounds of Proof of Quality in scalar C: a yardstick of the compiled engine, as vectors.c is.
 *
 * Same draws, same look-ups and same sums as poq_abm, in the same order of floating-point operations;
 * compiled with -ffp-contract=off the sums agree bit for bit for fewer than 65,536 rounds, the point
 * from which poq_abm folds its sums into totals. Mean aggregation, uniform schedule, and the
 * consensus itself as what an evaluator is compared with.
 *
 * play_rounds draws the words of a round when it comes to it. play_rounds_batched draws those of 256
 * rounds at once, so that the compiler makes several Philox blocks in parallel.
 */

#include <math.h>
#include <stdint.h>

enum { TASK, RECORD, NODE, COMMITTEE };
enum { PURPOSE_ROUND = 1, LARGEST_COMMITTEE = 64, BLOCKS = (COMMITTEE + LARGEST_COMMITTEE + 3) / 4 };
enum { BATCH = 256, MAX_ATTEMPT = 255 };

struct game {
    int64_t inference_nodes, evaluators, committee_size, tasks, models, scorers;
    uint64_t seed, replication;
    double alpha_inference, beta_inference, alpha_evaluator, beta_evaluator;
    const double *scores, *truth; /* [record][model][scorer], [record][model] */
    const int64_t *task_first, *task_size;
    const uint64_t *task_limits;
    const int64_t *model_of, *scorer_of; /* per inference node, per evaluator */
    const double *inference_cost, *evaluator_cost;
    int64_t *order; /* identity permutation of the evaluators */
};

struct sums {
    double jobs, reward, spread, closeness, consensus, truth, unused[2];
};

struct agreement {
    double consensus, truth, consensus_squared, truth_squared, product, absolute_error, unused[2];
};

static inline void philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint64_t key,
                          uint32_t *restrict out, int64_t stride)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int i = 0; i < 10; i++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[stride] = c1;
    out[2 * stride] = c2;
    out[3 * stride] = c3;
}

static inline void block(const struct game *g, uint64_t round, uint32_t number, uint32_t attempt,
                         uint32_t *restrict out, int64_t stride)
{
    uint32_t high = (uint32_t)(round >> 32) | (uint32_t)PURPOSE_ROUND << 16 | attempt << 24;
    philox((uint32_t)round, high, number, (uint32_t)g->replication, g->seed, out, stride);
}

/* Lemire's bounded integer; the costly division is needed only when the low half is below n. */
static inline int64_t below(const struct game *g, uint64_t round, uint32_t slot, uint32_t word,
                            uint32_t n)
{
    uint64_t product = (uint64_t)word * n;
    if (__builtin_expect((uint32_t)product < n, 0)) {
        uint32_t threshold = -n % n, again[4];
        for (uint32_t attempt = 1; (uint32_t)product < threshold && attempt <= MAX_ATTEMPT;
             attempt++) {
            block(g, round, slot / 4, attempt, again, 1);
            product = (uint64_t)again[slot % 4] * n;
        }
    }
    return (int64_t)(product >> 32);
}

static inline void credit(struct sums *row, double reward, double anchor, double consensus,
                          double truth, double near)
{
    double distance = reward - anchor;
    row->jobs += 1.0;
    row->reward += reward;
    row->spread += distance * distance;
    row->consensus += consensus;
    row->truth += truth;
    row->closeness += near;
}

static inline void observe(struct agreement *row, double consensus, double truth)
{
    double c = consensus - 5.0, t = truth - 5.0;
    row->consensus += c;
    row->truth += t;
    row->consensus_squared += c * c;
    row->truth_squared += t * t;
    row->product += c * t;
    row->absolute_error += fabs(consensus - truth);
}

/* The first K places of a Fisher-Yates shuffle, put back afterwards. */
static inline void seat(const struct game *g, uint64_t round, const uint32_t *restrict words,
                        int64_t stride, int64_t *restrict committee)
{
    int64_t swapped[LARGEST_COMMITTEE], *restrict order = g->order;
    for (int64_t i = 0; i < g->committee_size; i++) {
        uint32_t slot = (uint32_t)(COMMITTEE + i), left = (uint32_t)(g->evaluators - i);
        int64_t place = i + below(g, round, slot, words[slot * stride], left);
        committee[i] = order[place];
        order[place] = order[i];
        swapped[i] = place;
    }
    for (int64_t i = 0; i < g->committee_size; i++) {
        order[swapped[i]] = swapped[i];
        order[i] = i;
    }
}

static inline void play(const struct game *g, uint64_t round, const uint32_t *restrict words,
                        int64_t stride, struct sums *restrict nodes,
                        struct agreement *restrict network)
{
    int64_t task = 0, committee[LARGEST_COMMITTEE];
    double scores[LARGEST_COMMITTEE], total = 0.0;
    while (words[TASK] >= g->task_limits[task])
        task++;
    int64_t record = g->task_first[task] + below(g, round, RECORD, words[RECORD * stride],
                                                 (uint32_t)g->task_size[task]);
    int64_t node = below(g, round, NODE, words[NODE * stride], (uint32_t)g->inference_nodes);
    seat(g, round, words, stride, committee);

    int64_t answer = record * g->models + g->model_of[node];
    for (int64_t k = 0; k < g->committee_size; k++) {
        scores[k] = g->scores[answer * g->scorers + g->scorer_of[committee[k]]];
        total += scores[k];
    }
    double consensus = total / (double)g->committee_size, truth = g->truth[answer];

    double paid = g->beta_inference * g->inference_cost[node];
    double reward = g->alpha_inference * (consensus / 10.0) - paid;
    credit(&nodes[node], reward, g->alpha_inference * 0.5 - paid, consensus, truth, 0.0);
    observe(network, consensus, truth);
    for (int64_t k = 0; k < g->committee_size; k++) {
        double near = 1.0 - fabs(scores[k] - consensus) / 10.0;
        paid = g->beta_evaluator * g->evaluator_cost[committee[k]];
        reward = g->alpha_evaluator * near - paid;
        credit(&nodes[g->inference_nodes + committee[k]], reward, g->alpha_evaluator - paid,
               consensus, truth, near);
    }
}

void play_rounds(const struct game *g, uint64_t first, uint64_t last, struct sums *restrict nodes,
                 struct agreement *restrict network)
{
    uint32_t words[4 * BLOCKS], blocks = (uint32_t)(COMMITTEE + g->committee_size + 3) / 4;
    for (uint64_t round = first; round < last; round++) {
        for (uint32_t b = 0; b < blocks; b++)
            block(g, round, b, 0, words + 4 * b, 1);
        play(g, round, words, 1, nodes, network);
    }
}

void play_rounds_batched(const struct game *g, uint64_t first, uint64_t last,
                         struct sums *restrict nodes, struct agreement *restrict network)
{
    static _Thread_local uint32_t words[4 * BLOCKS][BATCH];
    uint32_t blocks = (uint32_t)(COMMITTEE + g->committee_size + 3) / 4;
    for (uint64_t start = first; start < last; start += BATCH) {
        int64_t size = last - start < BATCH ? (int64_t)(last - start) : BATCH;
        for (uint32_t b = 0; b < blocks; b++)
            for (int64_t t = 0; t < size; t++)
                block(g, start + (uint64_t)t, b, 0, &words[4 * b][t], BATCH);
        for (int64_t t = 0; t < size; t++)
            play(g, start + (uint64_t)t, &words[0][t], BATCH, nodes, network);
    }
}

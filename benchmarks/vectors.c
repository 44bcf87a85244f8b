/* Rounds of Proof of Quality in C with vector instructions: what the same bits allow.
 *
 * The game of loop.c, eight rounds side by side in a vector (an extension of GCC and Clang, which
 * take what instructions the machine has): draws, committees, look-ups, rewards; then each round's
 * rows are added in the order of the rounds, a row at a time. Same operations in the same order for
 * every sum, so the bits are those of loop.c and of poq_abm.
 */

#include "loop.c"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

enum { LANES = 8, SMALL_COMMITTEE = 16 };

typedef uint64_t words __attribute__((vector_size(8 * LANES)));
typedef int64_t signs __attribute__((vector_size(8 * LANES)));
typedef double reals __attribute__((vector_size(8 * LANES)));
typedef double row __attribute__((vector_size(64), aligned(8), may_alias));

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLED(a, b, ...) __builtin_shuffle(a, b, (signs){__VA_ARGS__})
#endif

/* The products of the lower halves of lanes; one instruction, which compilers do not find. */
static inline words product_of(words a, words b)
{
#ifdef __AVX512F__
    return (words)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#else
    return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

static inline void philox_lanes(words c0, words c1, words c2, words c3, uint64_t key, words *out)
{
    const words none = {}, low = none + 0xFFFFFFFFu;
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int i = 0; i < 10; i++) {
        words p0 = product_of(c0, none + 0xD2511F53u), p1 = product_of(c2, none + 0xCD9E8D57u);
        c0 = (p1 >> 32) ^ c1 ^ k0;
        c1 = p1;
        c2 = (p0 >> 32) ^ c3 ^ k1;
        c3 = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0 & low;
    out[1] = c1 & low;
    out[2] = c2 & low;
    out[3] = c3 & low;
}

/* What below() returns in every lane, unless it is doubtful: then it may have to be drawn again. */
static inline words below_lanes(words word, words n, words *doubtful)
{
    words product = product_of(word, n);
    *doubtful |= (words)((product & 0xFFFFFFFFu) < n);
    return product >> 32;
}

static inline words chosen(words mask, words yes, words no)
{
    return (mask & yes) | (~mask & no);
}

static inline reals looked_up(const double *table, words place)
{
#ifdef __AVX512F__
    return (reals)_mm512_i64gather_pd((__m512i)place, table, 8);
#else
    reals found;
    for (int j = 0; j < LANES; j++)
        found[j] = table[place[j]];
    return found;
#endif
}

static inline words renamed(const int64_t *table, words place)
{
#ifdef __AVX512F__
    return (words)_mm512_i64gather_epi64((__m512i)place, table, 8);
#else
    words found;
    for (int j = 0; j < LANES; j++)
        found[j] = (uint64_t)table[place[j]];
    return found;
#endif
}

static inline reals distance(reals a, reals b)
{
    return (reals)((words)(a - b) & 0x7FFFFFFFFFFFFFFFu);
}

/* The committees of eight rounds: what a seat finds at its place is what the last seat before it
 * that took from there has moved there. */
static inline void seat_lanes(int64_t evaluators, int64_t size, const words *restrict drawn,
                              words *restrict committee, words *doubtful)
{
    words place[SMALL_COMMITTEE], moved[SMALL_COMMITTEE];
    for (int64_t i = 0; i < size; i++) {
        words left = (words){} + (uint64_t)(evaluators - i), seat = (words){} + (uint64_t)i;
        place[i] = below_lanes(drawn[COMMITTEE + i], left, doubtful) + seat;
        committee[i] = place[i];
        moved[i] = seat;
        for (int64_t j = 0; j < i; j++) {
            committee[i] = chosen((words)(place[j] == place[i]), moved[j], committee[i]);
            moved[i] = chosen((words)(place[j] == seat), moved[j], moved[i]);
        }
    }
}

/* Turn eight columns of a round each into eight rows: the transpose, in three steps of shuffles. */
static inline void lay(reals c0, reals c1, reals c2, reals c3, reals c4, reals c5, row *rows)
{
    reals zero = {};
    reals a[8] = {c0, c1, c2, c3, c4, c5, zero, zero}, b[8], c[8];
    for (int i = 0; i < 8; i += 2) {
        b[i] = __builtin_shuffle(a[i], a[i + 1], (signs){0, 8, 2, 10, 4, 12, 6, 14});
        b[i + 1] = __builtin_shuffle(a[i], a[i + 1], (signs){1, 9, 3, 11, 5, 13, 7, 15});
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            c[i + j] = __builtin_shuffle(b[i + j], b[i + j + 2], (signs){0, 1, 8, 9, 4, 5, 12, 13});
            c[i + j + 2] = __builtin_shuffle(b[i + j], b[i + j + 2], (signs){2, 3, 10, 11, 6, 7, 14, 15});
        }
    for (int j = 0; j < 4; j++) {
        rows[j] = (row)__builtin_shuffle(c[j], c[j + 4], (signs){0, 1, 2, 3, 8, 9, 10, 11});
        rows[j + 4] = (row)__builtin_shuffle(c[j], c[j + 4], (signs){4, 5, 6, 7, 12, 13, 14, 15});
    }
}

static inline void add(struct sums *node, row added)
{
    *(row *)node += added;
}

static inline __attribute__((always_inline)) void play_lanes(const struct game *g, uint64_t round,
                                                             int64_t size,
                                                             struct sums *restrict nodes,
                                                             struct agreement *restrict network)
{
    words drawn[COMMITTEE + SMALL_COMMITTEE + 4], committee[SMALL_COMMITTEE];
    words number = (words){0, 1, 2, 3, 4, 5, 6, 7} + round;
    words high = (number >> 32) | (uint64_t)PURPOSE_ROUND << 16, none = {}, doubtful = {};
    for (int64_t b = 0; 4 * b < COMMITTEE + size; b++)
        philox_lanes(number & 0xFFFFFFFFu, high, none + (uint64_t)b, none + g->replication, g->seed,
                     drawn + 4 * b);
    words task = {};
    for (int64_t i = 0; i + 1 < g->tasks; i++)
        task -= (words)(drawn[TASK] >= g->task_limits[i]);
    words record = renamed(g->task_first, task) +
                   below_lanes(drawn[RECORD], renamed(g->task_size, task), &doubtful);
    words node = below_lanes(drawn[NODE], none + (uint64_t)g->inference_nodes, &doubtful);
    seat_lanes(g->evaluators, size, drawn, committee, &doubtful);
    uint64_t any = 0;
    for (int j = 0; j < LANES; j++)
        any |= doubtful[j];
    if (__builtin_expect(any != 0, 0)) { /* almost never */
        play_rounds(g, round, round + LANES, nodes, network);
        return;
    }

    words answer = product_of(record, none + (uint64_t)g->models) + renamed(g->model_of, node);
    reals scores[SMALL_COMMITTEE], total = {}, one = (reals){} + 1.0;
    for (int64_t k = 0; k < size; k++) {
        words place = product_of(answer, none + (uint64_t)g->scorers) + renamed(g->scorer_of, committee[k]);
        scores[k] = looked_up(g->scores, place);
        total += scores[k];
    }
    reals consensus = total / (double)size, truth = looked_up(g->truth, answer);

    row rows[SMALL_COMMITTEE + 1][LANES], seen[LANES];
    reals paid = g->beta_inference * looked_up(g->inference_cost, node);
    reals reward = g->alpha_inference * (consensus / 10.0) - paid;
    reals off = reward - (g->alpha_inference * 0.5 - paid);
    lay(one, reward, off * off, (reals){}, consensus, truth, rows[size]);
    for (int64_t k = 0; k < size; k++) {
        reals near = 1.0 - distance(scores[k], consensus) / 10.0;
        paid = g->beta_evaluator * looked_up(g->evaluator_cost, committee[k]);
        reward = g->alpha_evaluator * near - paid;
        off = reward - (g->alpha_evaluator - paid);
        lay(one, reward, off * off, near, consensus, truth, rows[k]);
    }
    reals c = consensus - 5.0, t = truth - 5.0;
    lay(c, t, c * c, t * t, c * t, distance(consensus, truth), seen);
    for (int j = 0; j < LANES; j++) {
        *(row *)network += seen[j];
        add(&nodes[node[j]], rows[size][j]);
        for (int64_t k = 0; k < size; k++)
            add(&nodes[g->inference_nodes + (int64_t)committee[k][j]], rows[k][j]);
    }
}

/* Committees whose size the compiler knows are unrolled; others go round by round. */
void play_rounds_in_vectors(const struct game *g, uint64_t first, uint64_t last,
                            struct sums *restrict nodes, struct agreement *restrict network)
{
    uint64_t round = first;
#define PLAY(SIZE)                                           \
    case SIZE:                                               \
        for (; round + LANES <= last; round += LANES)        \
            play_lanes(g, round, SIZE, nodes, network);      \
        break;
    switch (g->committee_size) {
        PLAY(3)
        PLAY(5)
        PLAY(7)
    }
    play_rounds(g, round, last, nodes, network);
}

// Small networks and tables at many points, with their gradients: one pass over the points, whatever the depth.
//
// Networks: y = W_d a_{d-1} + b_d with a_l = elu(W_l a_{l-1} + b_l) and a_0 = x. A block of points goes through a whole
// network while it lies in the innermost cache, where one product of matrices after the other carries every layer
// through memory. The way back evaluates the layers anew, which costs less than to read them. Numbers lie as in
// networks.py: points along the last axis, the networks of a realization one after the other, with one input for all.
//
// Tables: y = (1 - w) T_i + w T_{i+1} with i the interval of a point and w its place within (tabulation.py).
//
// Gradients of what all points share are summed for each chunk of points by itself, so that no two threads write to
// one place; the caller adds the chunks up.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace {

constexpr long BLOCK = 64;  // points at a time
constexpr long LANES = 16;  // partial sums of a gradient, added up at the end

template <typename T>
struct Float;
template <>
struct Float<double> {
    using Bits = int64_t;
    static constexpr double magic = 6755399441055744.0, high = 6.93147180369123816490e-01,
                            low = 1.90821492927058770002e-10;
    static constexpr double smallest = -708.0;
    static constexpr int bias = 1023, mantissa = 52, terms = 13;
};
template <>
struct Float<float> {
    using Bits = int32_t;
    static constexpr float magic = 12582912.0f, high = 0.693359375f, low = -2.12194440e-4f, smallest = -87.0f;
    static constexpr int bias = 127, mantissa = 23, terms = 7;
};

// 1/k!, k = 1 ... 13
constexpr double INVERSE[] = {
    1.0,         1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,       1.0 / 5040,
    1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};

// elu(y) = y where y > 0 and eʸ - 1 elsewhere; eʸ - 1 = 2ⁿ (eʳ - 1) + (2ⁿ - 1) with y = n ln 2 + r.
template <typename T>
inline T elu(T y) {
    using F = Float<T>;
    T t = y < F::smallest ? F::smallest : y;
    t = t > T(0) ? T(0) : t;
    T shifted = t * T(1.4426950408889634) + F::magic;  // its last bits are n
    T n = shifted - F::magic;
    T r = (t - n * F::high) - n * F::low;
    T sum = T(INVERSE[F::terms - 1]);
#pragma GCC unroll 16
    for (int k = F::terms - 2; k >= 0; --k) sum = sum * r + T(INVERSE[k]);
    typename F::Bits bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (typename F::Bits)((uint64_t)(bits + F::bias) << F::mantissa);
    T power;
    std::memcpy(&power, &bits, sizeof power);
    T below = power * (sum * r) + (power - T(1));
    return y > T(0) ? y : below;
}

// out(p) = offset + Σ_i weights[i · stride] · rows_i(p)
template <typename T>
inline void combine(T* __restrict__ out, T offset, const T* __restrict__ rows, const T* __restrict__ weights,
                    long stride, long count) {
    for (long p = 0; p < BLOCK; ++p) out[p] = offset;
    long i = 0;
    for (; i + 4 <= count; i += 4) {
        const T a = weights[i * stride], b = weights[(i + 1) * stride], c = weights[(i + 2) * stride],
                d = weights[(i + 3) * stride];
        const T* __restrict__ r = rows + i * BLOCK;
        for (long p = 0; p < BLOCK; ++p)
            out[p] += (a * r[p] + b * r[p + BLOCK]) + (c * r[p + 2 * BLOCK] + d * r[p + 3 * BLOCK]);
    }
    for (; i < count; ++i) {
        const T a = weights[i * stride];
        const T* __restrict__ r = rows + i * BLOCK;
        for (long p = 0; p < BLOCK; ++p) out[p] += a * r[p];
    }
}

// sums[lane] += Σ over the points of a lane of a · b
template <typename T>
inline void accumulate(T* __restrict__ sums, const T* __restrict__ a, const T* __restrict__ b) {
    T s[LANES];
    for (long q = 0; q < LANES; ++q) s[q] = sums[q];
    for (long p = 0; p < BLOCK; p += LANES)
        for (long q = 0; q < LANES; ++q) s[q] += a[p + q] * b[p + q];
    for (long q = 0; q < LANES; ++q) sums[q] = s[q];
}
template <typename T>
inline void accumulate(T* __restrict__ sums, const T* __restrict__ a) {
    T s[LANES];
    for (long q = 0; q < LANES; ++q) s[q] = sums[q];
    for (long p = 0; p < BLOCK; p += LANES)
        for (long q = 0; q < LANES; ++q) s[q] += a[p + q];
    for (long q = 0; q < LANES; ++q) sums[q] = s[q];
}

struct Shape {
    int64_t realizations, copies, points, chunks, depth, threads;
    int64_t stride_realization, stride_input;  // of x, in numbers
    int64_t sizes[];                           // inputs, widths, outputs: depth + 1
};

template <typename T>
void load(T* rows, const T* from, long count, long stride, long start, long filled) {
    for (long i = 0; i < count; ++i) {
        std::memcpy(rows + i * BLOCK, from + i * stride + start, filled * sizeof(T));
        std::memset(rows + i * BLOCK + filled, 0, (BLOCK - filled) * sizeof(T));
    }
}

// Layers of one network at a block of points: inputs and hidden ones behind one another in `layers`; the last one goes
// to `outputs`, or is left out where there are none.
template <typename T>
void evaluate(const Shape& s, long network, const T* const* weights, const T* const* offsets, T* layers, T* outputs) {
    T* from = layers;
    for (long l = 0; l < s.depth; ++l) {
        const long in = s.sizes[l], out = s.sizes[l + 1];
        const bool last = l + 1 == s.depth;
        if (last && !outputs) return;
        T* to = last ? outputs : from + in * BLOCK;
        const T *w = weights[l] + network * out * in, *b = offsets[l] + network * out;
        for (long j = 0; j < out; ++j) {
            T* row = to + j * BLOCK;
            combine(row, b[j], from, w + j * in, 1, in);
            if (!last)
                for (long p = 0; p < BLOCK; ++p) row[p] = elu(row[p]);
        }
        from = to;
    }
}

long total(const Shape& s) {
    long rows = 0;
    for (long l = 0; l < s.depth; ++l) rows += s.sizes[l];
    return rows;
}
long widest(const Shape& s) {
    long rows = 0;
    for (long l = 0; l <= s.depth; ++l) rows = s.sizes[l] > rows ? s.sizes[l] : rows;
    return rows;
}
template <typename T>
T* rows(long count) {
    return static_cast<T*>(std::aligned_alloc(64, count * BLOCK * sizeof(T)));
}

template <typename T>
void forward(const Shape& s, const T* x, const T* const* weights, const T* const* offsets, T* y) {
    const long outputs = s.sizes[s.depth], blocks = (s.points + BLOCK - 1) / BLOCK, tasks = s.realizations * s.chunks;
#pragma omp parallel num_threads(s.threads) if (s.threads > 1)
    {
        T *layers = rows<T>(total(s)), *out = rows<T>(outputs);
#pragma omp for schedule(dynamic)
        for (long task = 0; task < tasks; ++task) {
            const long r = task / s.chunks, chunk = task % s.chunks;
            for (long block = chunk * blocks / s.chunks; block < (chunk + 1) * blocks / s.chunks; ++block) {
                const long start = block * BLOCK, filled = start + BLOCK > s.points ? s.points - start : BLOCK;
                load(layers, x + r * s.stride_realization, s.sizes[0], s.stride_input, start, filled);
                for (long copy = 0; copy < s.copies; ++copy) {
                    const long network = r * s.copies + copy;
                    evaluate(s, network, weights, offsets, layers, out);
                    for (long j = 0; j < outputs; ++j)
                        std::memcpy(y + (network * outputs + j) * s.points + start, out + j * BLOCK,
                                    filled * sizeof(T));
                }
            }
        }
        std::free(layers);
        std::free(out);
    }
}

// One network at a block of points, from the gradient g of its outputs to that of its inputs, added to `of_inputs`
// where it is asked for; products for the gradients of weights and offsets are added to `sums`, layer by layer, row by
// row.
template <typename T>
void pull(const Shape& s, long network, const T* const* weights, const T* layers, T* g, T* next, T* sums,
          T* of_inputs) {
    const T* a = layers + total(s) * BLOCK;
    for (long l = s.depth - 1; l >= 0; --l) {
        const long in = s.sizes[l], out = s.sizes[l + 1];
        const T* w = weights[l] + network * out * in;
        a -= in * BLOCK;
        sums -= out * (in + 1) * LANES;
        for (long j = 0; j < out; ++j) {
            T* sum = sums + j * (in + 1) * LANES;
            for (long i = 0; i < in; ++i) accumulate(sum + i * LANES, g + j * BLOCK, a + i * BLOCK);
            accumulate(sum + in * LANES, g + j * BLOCK);
        }
        if (l == 0 && !of_inputs) return;
        for (long i = 0; i < in; ++i) {
            T* row = next + i * BLOCK;
            combine(row, T(0), g, w + i, in, out);
            if (l == 0)
                for (long p = 0; p < BLOCK; ++p) of_inputs[i * BLOCK + p] += row[p];
            else  // elu' = 1 above 0 and elu + 1 below
                for (long p = 0; p < BLOCK; ++p) row[p] *= (a[i * BLOCK + p] > T(0) ? T(0) : a[i * BLOCK + p]) + T(1);
        }
        std::swap(g, next);
    }
}

// The sums of one network, each over its lanes, to their places in the gradients.
template <typename T>
void collect(const Shape& s, long network, const T* sums, T* const* of_weights, T* const* of_offsets) {
    for (long l = 0; l < s.depth; ++l) {
        const long in = s.sizes[l], out = s.sizes[l + 1];
        for (long row = network * out; row < (network + 1) * out; ++row)
            for (long i = 0; i <= in; ++i, sums += LANES) {
                T whole = 0;
                for (long q = 0; q < LANES; ++q) whole += sums[q];
                (i < in ? of_weights[l][row * in + i] : of_offsets[l][row]) = whole;
            }
    }
}

// Gradients of weights and offsets, one for each chunk of points, and of x where it is asked for.
template <typename T>
void backward(const Shape& s, const T* x, const T* const* weights, const T* const* offsets, const T* gradient,
              T* const* of_weights, T* const* of_offsets, T* of_x) {
    const long inputs = s.sizes[0], outputs = s.sizes[s.depth], blocks = (s.points + BLOCK - 1) / BLOCK;
    const long tasks = s.realizations * s.chunks, networks = s.realizations * s.copies;
    long numbers = 0;  // of a network
    for (long l = 0; l < s.depth; ++l) numbers += s.sizes[l + 1] * (s.sizes[l] + 1);
#pragma omp parallel num_threads(s.threads) if (s.threads > 1)
    {
        T *layers = rows<T>(total(s)), *g = rows<T>(widest(s)), *next = rows<T>(widest(s)),
          *of_inputs = rows<T>(inputs);
        T* sums = static_cast<T*>(std::aligned_alloc(64, s.copies * numbers * LANES * sizeof(T)));
#pragma omp for schedule(dynamic)
        for (long task = 0; task < tasks; ++task) {
            const long r = task / s.chunks, chunk = task % s.chunks;
            std::memset(sums, 0, s.copies * numbers * LANES * sizeof(T));
            for (long block = chunk * blocks / s.chunks; block < (chunk + 1) * blocks / s.chunks; ++block) {
                const long start = block * BLOCK, filled = start + BLOCK > s.points ? s.points - start : BLOCK;
                load(layers, x + r * s.stride_realization, inputs, s.stride_input, start, filled);
                std::memset(of_inputs, 0, inputs * BLOCK * sizeof(T));
                for (long copy = 0; copy < s.copies; ++copy) {
                    const long network = r * s.copies + copy;
                    evaluate<T>(s, network, weights, offsets, layers, nullptr);
                    load(g, gradient + network * outputs * s.points, outputs, s.points, start, filled);
                    pull(s, network, weights, layers, g, next, sums + (copy + 1) * numbers * LANES,
                         of_x ? of_inputs : nullptr);
                }
                for (long i = 0; of_x && i < inputs; ++i)
                    std::memcpy(of_x + (r * inputs + i) * s.points + start, of_inputs + i * BLOCK, filled * sizeof(T));
            }
            for (long copy = 0; copy < s.copies; ++copy)
                collect(s, chunk * networks + r * s.copies + copy, sums + copy * numbers * LANES, of_weights,
                        of_offsets);
        }
        for (T* held : {layers, g, next, of_inputs, sums}) std::free(held);
    }
}

struct Table {
    int64_t realizations, nodes, points, chunks, threads;
    int64_t stride_points;  // from the points of a realization to those of the next, 0 where all share them
};

// Interval of a point and its place within; beyond the ends those of the outermost interval, NaN stays NaN.
template <typename T>
inline long interval(T position, long nodes, T& weight) {
    T start = __builtin_floor(position);
    start = start > T(0) ? start : T(0);
    start = start < T(nodes - 2) ? start : T(nodes - 2);
    weight = position - start;
    return static_cast<long>(start);
}

// All points, chunk by chunk on the threads: work(realization, chunk, its first point, the one after its last).
template <typename Work>
void each_chunk(const Table& s, const Work& work) {
    const long tasks = s.realizations * s.chunks;
#pragma omp parallel for schedule(dynamic) num_threads(s.threads) if (s.threads > 1)
    for (long task = 0; task < tasks; ++task) {
        const long chunk = task % s.chunks;
        work(task / s.chunks, chunk, chunk * s.points / s.chunks, (chunk + 1) * s.points / s.chunks);
    }
}

template <typename T>
void interpolate(const Table& s, const T* points, const T* table, T low, T spacing, T* y) {
    const T slope = T(1) / spacing, offset = -low / spacing;
    each_chunk(s, [=, &s](long r, long, long first, long end) {
        const T* __restrict__ x = points + r * s.stride_points;
        const T* __restrict__ t = table + r * s.nodes;
        T* __restrict__ out = y + r * s.points;
        for (long p = first; p < end; ++p) {
            T weight;
            const long i = interval(x[p] * slope + offset, s.nodes, weight);
            out[p] = t[i] + weight * (t[i + 1] - t[i]);
        }
    });
}

// Gradients of the tables, one for each chunk, and of the points where they are asked for.
template <typename T>
void interpolate_back(const Table& s, const T* points, const T* table, T low, T spacing, const T* gradient, T* of_table,
                      T* of_points) {
    const T slope = T(1) / spacing, offset = -low / spacing;
    each_chunk(s, [=, &s](long r, long chunk, long first, long end) {
        const T* __restrict__ x = points + r * s.stride_points;
        const T* __restrict__ t = table + r * s.nodes;
        const T* __restrict__ g = gradient + r * s.points;
        T* __restrict__ sums = of_table + (chunk * s.realizations + r) * s.nodes;
        std::memset(sums, 0, s.nodes * sizeof(T));
        for (long p = first; p < end; ++p) {
            T weight;
            const long i = interval(x[p] * slope + offset, s.nodes, weight);
            const T upper = weight * g[p];
            sums[i] += g[p] - upper;
            sums[i + 1] += upper;
            if (of_points) of_points[r * s.points + p] = g[p] * slope * (t[i + 1] - t[i]);
        }
    });
}

}  // namespace

#define EXPORTED(T)                                                                                                    \
    void forward_##T(const Shape* s, const T* x, const T* const* weights, const T* const* offsets, T* y) {             \
        forward(*s, x, weights, offsets, y);                                                                           \
    }                                                                                                                  \
    void backward_##T(const Shape* s, const T* x, const T* const* weights, const T* const* offsets, const T* gradient, \
                      T* const* of_weights, T* const* of_offsets, T* of_x) {                                           \
        backward(*s, x, weights, offsets, gradient, of_weights, of_offsets, of_x);                                     \
    }                                                                                                                  \
    void interpolate_##T(const Table* s, const T* points, const T* table, T low, T spacing, T* y) {                    \
        interpolate(*s, points, table, low, spacing, y);                                                               \
    }                                                                                                                  \
    void interpolate_back_##T(const Table* s, const T* points, const T* table, T low, T spacing, const T* gradient,    \
                              T* of_table, T* of_points) {                                                             \
        interpolate_back(*s, points, table, low, spacing, gradient, of_table, of_points);                              \
    }

extern "C" {
EXPORTED(double)
EXPORTED(float)
}

// Elementwise operations on tensors, one operation after the other.
//
// A call of torch takes about 2 µs in addition to its work, and a replayed step has hundreds of them. The results are
// those of torch bit for bit: each operation is one rounding.

#include <cstdint>

namespace {

constexpr int AXES = 6;

struct Operand {
    char* place;
    int64_t strides[AXES];  // in bytes
};
struct Instruction {
    int64_t operation, bytes;  // place in OPERATIONS of elementwise.py; bytes of a number
    int64_t sizes[AXES];
    Operand operands[4];  // result, and up to three arguments
};

// Along the last axis: places of the operands, their strides, number of numbers.
using Row = void (*)(char* const*, const int64_t*, int64_t);

// F(a, b, c) with arguments that are the same all along a row (false) or contiguous (true).
template <typename F, bool A, bool B, bool C>
void dense(char* const* places, const int64_t*, int64_t count) {
    auto* __restrict__ out = reinterpret_cast<typename F::Out*>(places[0]);
    auto* __restrict__ a = reinterpret_cast<const typename F::First*>(places[1]);
    auto* __restrict__ b = reinterpret_cast<const typename F::Number*>(places[2]);
    auto* __restrict__ c = reinterpret_cast<const typename F::Number*>(places[3]);
    for (int64_t p = 0; p < count; ++p) out[p] = F::at(a[A ? p : 0], b[B ? p : 0], c[C ? p : 0]);
}

template <typename F>
void strided(char* const* places, const int64_t* strides, int64_t count) {
    char *out = places[0], *a = places[1], *b = places[2], *c = places[3];
    for (int64_t p = 0; p < count; ++p) {
        *reinterpret_cast<typename F::Out*>(out) =
            F::at(*reinterpret_cast<const typename F::First*>(a), *reinterpret_cast<const typename F::Number*>(b),
                  *reinterpret_cast<const typename F::Number*>(c));
        out += strides[0], a += strides[1], b += strides[2], c += strides[3];
    }
}

template <typename F>
Row row(const int64_t* strides) {
    const int64_t first = sizeof(typename F::First), number = sizeof(typename F::Number);
    const bool a = strides[1] != 0, b = strides[2] != 0, c = strides[3] != 0;
    if (strides[0] != sizeof(typename F::Out) || (a && strides[1] != first) || (b && strides[2] != number) ||
        (c && strides[3] != number))
        return strided<F>;
    if constexpr (F::arguments == 1) return a ? dense<F, true, false, false> : dense<F, false, false, false>;
    if constexpr (F::arguments == 2) {
        if (a) return b ? dense<F, true, true, false> : dense<F, true, false, false>;
        return b ? dense<F, false, true, false> : strided<F>;
    }
    if constexpr (F::arguments == 3) {
        if (!a) return strided<F>;
        if (b) return c ? dense<F, true, true, true> : dense<F, true, true, false>;
        return c ? dense<F, true, false, true> : strided<F>;
    }
}

void each_row(const Instruction& s, Row row, const int64_t* strides) {
    char* places[4];
    int64_t index[AXES] = {};
    for (int i = 0; i < 4; ++i) places[i] = s.operands[i].place;
    for (int axis = 0; axis >= 0;) {
        row(places, strides, s.sizes[AXES - 1]);
        for (axis = AXES - 2; axis >= 0; --axis) {
            const bool further = ++index[axis] < s.sizes[axis];
            const int64_t steps = further ? 1 : 1 - s.sizes[axis];
            for (int i = 0; i < 4; ++i) places[i] += steps * s.operands[i].strides[axis];
            if (further) break;
            index[axis] = 0;
        }
    }
}

#define FUNCTION(NAME, ARGUMENTS, OUT, FIRST, VALUE)                         \
    template <typename T>                                                    \
    struct NAME {                                                            \
        using Out = OUT;                                                     \
        using First = FIRST;                                                 \
        using Number = T;                                                    \
        static constexpr int arguments = ARGUMENTS;                          \
        static Out at(First a, [[maybe_unused]] T b, [[maybe_unused]] T c) { \
            return VALUE;                                                    \
        }                                                                    \
    };
FUNCTION(Copy, 1, T, T, a)
FUNCTION(Neg, 1, T, T, -a)
FUNCTION(Abs, 1, T, T, a < T(0) ? -a : a + T(0))  // + 0: of −0 as well
FUNCTION(Sign, 1, T, T, T(T(0) < a) - T(a < T(0)))
FUNCTION(Add, 2, T, T, a + b)
FUNCTION(Sub, 2, T, T, a - b)
FUNCTION(Mul, 2, T, T, a* b)
FUNCTION(Div, 2, T, T, a / b)
FUNCTION(ClampMin, 2, T, T, a < b ? b : a)  // NaN stays NaN
FUNCTION(ClampMax, 2, T, T, a > b ? b : a)
FUNCTION(Gt, 2, bool, T, a > b)
FUNCTION(Ge, 2, bool, T, a >= b)
FUNCTION(Lt, 2, bool, T, a < b)
FUNCTION(Le, 2, bool, T, a <= b)
FUNCTION(Where, 3, T, bool, a ? b : c)

template <typename T>
Row row(int64_t operation, const int64_t* strides) {
    constexpr Row (*rows[])(const int64_t*) = {
        row<Copy<T>>,     row<Neg<T>>,      row<Abs<T>>, row<Sign<T>>, row<Add<T>>, row<Sub<T>>, row<Mul<T>>,  row<Div<T>>,
        row<ClampMin<T>>, row<ClampMax<T>>, row<Gt<T>>,  row<Ge<T>>,   row<Lt<T>>,  row<Le<T>>,  row<Where<T>>};
    return rows[operation](strides);
}

}  // namespace

extern "C" void execute(const Instruction* instructions, int64_t count) {
    for (const Instruction* s = instructions; s < instructions + count; ++s) {
        int64_t strides[4];
        for (int i = 0; i < 4; ++i) strides[i] = s->operands[i].strides[AXES - 1];
        each_row(*s, s->bytes == 8 ? row<double>(s->operation, strides) : row<float>(s->operation, strides), strides);
    }
}

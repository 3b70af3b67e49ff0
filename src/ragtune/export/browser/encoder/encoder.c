// MiniLM's layers in WebAssembly: what ONNX Runtime computes for the int8 files, with the int8
// dot product of relaxed SIMD, which its npm build does not use. Built by `make encoder` twice,
// with relaxed SIMD and without.
//
// Products as DynamicQuantizeMatMul defines them: activations in uint8 with one scale a product,
// weights in int8 with a scale a column. The instruction multiplies signed bytes (activations less
// 128) by bytes of seven bits without a sign (weights plus 64, from 0 to 127). A column that holds
// +64 is negated where it does not also hold -64; where it holds both, one is kept as 63 and
// mended with a correction. All sums are exact. A product with a step (models/quantize.py, two
// digits) has two signed bytes an activation, in rows beside each other.

#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

enum { WIDTH = 384, WIDE = 1536, HEADS = 12, HEAD = 32, MOST = 256 };
// Of one step of a product: as many sums as there are registers.
#ifdef __wasm_relaxed_simd__
enum { ROWS = 4, COLUMNS = 8 };
#else
enum { ROWS = 2, COLUMNS = 8 };
#endif

typedef struct {
  int32_t in, out;
  const uint8_t *packed;     // [out / 8][in / 4][8][4]
  const int32_t *sums;       // of each column's weights
  const float *scales;       // of each column; negative where it was negated
  const float *bias;
  const float *smooth;       // factors of the activations
  int32_t corrections;
  const int32_t *corrected;  // pairs: column, row
  float step;                // of the first of two digits; 0: one digit, dynamic
} Linear;

typedef struct {
  Linear qkv, attended, wide, narrow;
  const float *middle_scale, *middle_shift, *out_scale, *out_shift;
} Layer;

static float x[MOST * WIDTH], y[MOST * WIDTH], big[MOST * WIDE];
static int8_t quantised[2 * MOST * WIDE];
static int32_t row_sums[2 * MOST];
static float keys[HEAD * MOST], chances[MOST];

float *input(void) { return x; }

// s[row][0..1] = products of ROWS rows of `quantised` and a block of COLUMNS columns.
static inline void products(const int8_t *a, const uint8_t *w, int in, v128_t s[ROWS][2]) {
#ifdef __wasm_relaxed_simd__
  for (int i = 0; i < ROWS; i++) s[i][0] = s[i][1] = wasm_i32x4_splat(0);
  for (int k = 0; k < in; k += 4, w += 32) {
    v128_t left = wasm_v128_load(w), right = wasm_v128_load(w + 16);
#pragma clang loop unroll(full)
    for (int i = 0; i < ROWS; i++) {
      __i8x16 v = (__i8x16)wasm_v128_load32_splat(a + i * in + k);
      s[i][0] = (v128_t)__builtin_wasm_relaxed_dot_i8x16_i7x16_add_s_i32x4(v, (__i8x16)left,
                                                                          (__i32x4)s[i][0]);
      s[i][1] = (v128_t)__builtin_wasm_relaxed_dot_i8x16_i7x16_add_s_i32x4(v, (__i8x16)right,
                                                                          (__i32x4)s[i][1]);
    }
  }
#else
  v128_t p[ROWS][4];  // two lanes a column, added at the end
  for (int i = 0; i < ROWS; i++) p[i][0] = p[i][1] = p[i][2] = p[i][3] = wasm_i32x4_splat(0);
  for (int k = 0; k < in; k += 4, w += 32) {
    v128_t left = wasm_v128_load(w), right = wasm_v128_load(w + 16);
    v128_t wide[4] = {wasm_i16x8_extend_low_i8x16(left), wasm_i16x8_extend_high_i8x16(left),
                      wasm_i16x8_extend_low_i8x16(right), wasm_i16x8_extend_high_i8x16(right)};
#pragma clang loop unroll(full)
    for (int i = 0; i < ROWS; i++) {
      v128_t v = wasm_i16x8_extend_low_i8x16(wasm_v128_load32_splat(a + i * in + k));
#pragma clang loop unroll(full)
      for (int j = 0; j < 4; j++) {
        p[i][j] = wasm_i32x4_add(p[i][j], wasm_i32x4_dot_i16x8(v, wide[j]));
      }
    }
  }
  for (int i = 0; i < ROWS; i++) {
    for (int j = 0; j < 2; j++) {
      v128_t even = wasm_i32x4_shuffle(p[i][2 * j], p[i][2 * j + 1], 0, 2, 4, 6);
      v128_t odd = wasm_i32x4_shuffle(p[i][2 * j], p[i][2 * j + 1], 1, 3, 5, 7);
      s[i][j] = wasm_i32x4_add(even, odd);
    }
  }
#endif
}

static inline v128_t multiply_add(v128_t a, v128_t b, v128_t c) {
  return wasm_f32x4_add(wasm_f32x4_mul(a, b), c);
}

static inline float sum4(v128_t v) {
  return wasm_f32x4_extract_lane(v, 0) + wasm_f32x4_extract_lane(v, 1) +
         wasm_f32x4_extract_lane(v, 2) + wasm_f32x4_extract_lane(v, 3);
}

// e^v to about one unit in the last place (Cephes).
static inline v128_t exp4(v128_t v) {
  v = wasm_f32x4_max(v, wasm_f32x4_splat(-87.0f));
  v128_t n = wasm_f32x4_nearest(wasm_f32x4_mul(v, wasm_f32x4_splat(1.44269504088896341f)));
  v128_t r = wasm_f32x4_sub(v, wasm_f32x4_mul(n, wasm_f32x4_splat(0.693359375f)));
  r = wasm_f32x4_sub(r, wasm_f32x4_mul(n, wasm_f32x4_splat(-2.12194440e-4f)));
  v128_t p = wasm_f32x4_splat(1.9875691500e-4f);
  p = multiply_add(p, r, wasm_f32x4_splat(1.3981999507e-3f));
  p = multiply_add(p, r, wasm_f32x4_splat(8.3334519073e-3f));
  p = multiply_add(p, r, wasm_f32x4_splat(4.1665795894e-2f));
  p = multiply_add(p, r, wasm_f32x4_splat(1.6666665459e-1f));
  p = multiply_add(p, r, wasm_f32x4_splat(5.0000001201e-1f));
  p = wasm_f32x4_add(multiply_add(p, wasm_f32x4_mul(r, r), r), wasm_f32x4_splat(1.0f));
  v128_t power = wasm_i32x4_shl(
      wasm_i32x4_add(wasm_i32x4_trunc_sat_f32x4(n), wasm_i32x4_splat(127)), 23);
  return wasm_f32x4_mul(p, power);
}

// v / 2 * (1 + erf(v / sqrt 2)); erf to 1.5e-7 (Abramowitz and Stegun 7.1.26).
static inline v128_t gelu4(v128_t v) {
  v128_t z = wasm_f32x4_mul(v, wasm_f32x4_splat(0.70710678118654752f));
  v128_t a = wasm_f32x4_abs(z);
  v128_t t = wasm_f32x4_div(wasm_f32x4_splat(1.0f),
                            multiply_add(a, wasm_f32x4_splat(0.3275911f), wasm_f32x4_splat(1.0f)));
  v128_t p = wasm_f32x4_splat(1.061405429f);
  p = multiply_add(p, t, wasm_f32x4_splat(-1.453152027f));
  p = multiply_add(p, t, wasm_f32x4_splat(1.421413741f));
  p = multiply_add(p, t, wasm_f32x4_splat(-0.284496736f));
  p = multiply_add(p, t, wasm_f32x4_splat(0.254829592f));
  p = wasm_f32x4_mul(wasm_f32x4_mul(p, t), exp4(wasm_f32x4_neg(wasm_f32x4_mul(a, a))));
  v128_t erf = wasm_f32x4_sub(wasm_f32x4_splat(1.0f), p);
  erf = wasm_v128_bitselect(wasm_f32x4_neg(erf), erf, wasm_f32x4_lt(z, wasm_f32x4_splat(0.0f)));
  return wasm_f32x4_mul(wasm_f32x4_mul(v, wasm_f32x4_splat(0.5f)),
                        wasm_f32x4_add(erf, wasm_f32x4_splat(1.0f)));
}

// 16 whole numbers as bytes; what is out of range becomes the nearest.
static inline v128_t narrow(const v128_t part[4]) {
  return wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(part[0], part[1]),
                                 wasm_i16x8_narrow_i32x4(part[2], part[3]));
}

static inline v128_t add_bytes(v128_t total, v128_t bytes) {
  return wasm_i32x4_add(
      total, wasm_i32x4_extadd_pairwise_i16x8(wasm_i16x8_extadd_pairwise_i8x16(bytes)));
}

static inline int32_t total4(v128_t v) {
  return wasm_i32x4_extract_lane(v, 0) + wasm_i32x4_extract_lane(v, 1) +
         wasm_i32x4_extract_lane(v, 2) + wasm_i32x4_extract_lane(v, 3);
}

// `rows` x `l.in` floats, smoothed, to two rows each in `quantised`, by the very operations of the
// graph (QuantizeLinear divides).
static void split(const float *values, const Linear *l, int rows) {
  int in = l->in;
  v128_t step = wasm_f32x4_splat(l->step), fine = wasm_f32x4_splat(l->step / 256);
  v128_t least = wasm_f32x4_splat(-128), most = wasm_f32x4_splat(127);
  for (int row = 0; row < rows; row++) {
    const float *v = values + row * in;
    int8_t *q = quantised + 2 * row * in;
    v128_t totals[2] = {wasm_i32x4_splat(0), wasm_i32x4_splat(0)};
    for (int k = 0; k < in; k += 16) {
      v128_t first[4], second[4];
      for (int i = 0; i < 4; i++) {
        int at = k + 4 * i;
        v128_t x = wasm_f32x4_mul(wasm_v128_load(v + at), wasm_v128_load(l->smooth + at));
        v128_t digit = wasm_f32x4_nearest(wasm_f32x4_div(x, step));
        digit = wasm_f32x4_max(least, wasm_f32x4_min(most, digit));
        v128_t rest = wasm_f32x4_sub(x, wasm_f32x4_mul(digit, step));
        first[i] = wasm_i32x4_trunc_sat_f32x4(digit);
        second[i] = wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(wasm_f32x4_div(rest, fine)));
      }
      v128_t bytes[2] = {narrow(first), narrow(second)};
      for (int d = 0; d < 2; d++) {
        wasm_v128_store(q + d * in + k, bytes[d]);
        totals[d] = add_bytes(totals[d], bytes[d]);
      }
    }
    for (int d = 0; d < 2; d++) row_sums[2 * row + d] = total4(totals[d]);
  }
}

// `rows` x `l.in` floats, smoothed in place, to `quantised`; the scale, and the zero point.
static float quantise(float *values, const Linear *l, int rows, int32_t *zero) {
  v128_t low = wasm_f32x4_splat(0.0f), high = low;
  int in = l->in;
  for (int row = 0; row < rows; row++) {
    float *v = values + row * in;
    for (int k = 0; k < in; k += 4) {
      v128_t smoothed = wasm_f32x4_mul(wasm_v128_load(v + k), wasm_v128_load(l->smooth + k));
      wasm_v128_store(v + k, smoothed);
      low = wasm_f32x4_min(low, smoothed);
      high = wasm_f32x4_max(high, smoothed);
    }
  }
  float least = 0, most = 0;
  float lows[4], highs[4];
  wasm_v128_store(lows, low);
  wasm_v128_store(highs, high);
  for (int i = 0; i < 4; i++) {
    least = lows[i] < least ? lows[i] : least;
    most = highs[i] > most ? highs[i] : most;
  }
  float scale = most > least ? (most - least) / 255.0f : 1.0f;
  float middle = __builtin_rintf(-least / scale);
  middle = middle < 0 ? 0 : middle > 255 ? 255 : middle;
  *zero = (int32_t)middle;
  v128_t by = wasm_f32x4_splat(scale), shift = wasm_i32x4_splat(*zero - 128);
  for (int row = 0; row < rows; row++) {
    const float *v = values + row * in;
    int8_t *q = quantised + row * in;
    v128_t total = wasm_i32x4_splat(0);
    for (int k = 0; k < in; k += 16) {
      v128_t part[4];
      for (int i = 0; i < 4; i++) {
        v128_t scaled = wasm_f32x4_nearest(wasm_f32x4_div(wasm_v128_load(v + k + 4 * i), by));
        part[i] = wasm_i32x4_add(wasm_i32x4_trunc_sat_f32x4(scaled), shift);
      }
      v128_t bytes = narrow(part);
      wasm_v128_store(q + k, bytes);
      total = add_bytes(total, bytes);
    }
    row_sums[row] = total4(total);
  }
  return scale;
}

// A row's products with four columns, from sums that are off by the weights' and activations' zeros.
static inline v128_t product(v128_t sums, int32_t row_sum, const Linear *l, int column,
                             int32_t offset, float scale) {
  v128_t whole = wasm_i32x4_add(
      wasm_i32x4_sub(sums, wasm_i32x4_splat(64 * row_sum)),
      wasm_i32x4_mul(wasm_v128_load(l->sums + column), wasm_i32x4_splat(offset)));
  v128_t by = wasm_f32x4_mul(wasm_v128_load(l->scales + column), wasm_f32x4_splat(scale));
  return wasm_f32x4_mul(wasm_f32x4_convert_i32x4(whole), by);
}

// out = values x weights + bias; `values` may be smoothed in place.
static void linear(float *values, const Linear *l, int rows, float *out) {
  int digits = l->step > 0 ? 2 : 1, in = l->in;
  int32_t zero = 128;
  float scale = l->step;
  if (digits == 2) split(values, l, rows);
  else scale = quantise(values, l, rows, &zero);
  int count = digits * rows, padded = (count + ROWS - 1) / ROWS * ROWS;
  for (int i = count * in; i < padded * in; i++) quantised[i] = 0;
  for (int column = 0; column < l->out; column += COLUMNS) {
    const uint8_t *block = l->packed + column * in;
    for (int row = 0; row < count; row += ROWS) {
      v128_t s[ROWS][2];
      products(quantised + row * in, block, in, s);
      for (int i = 0; i < ROWS && row + i < count; i += digits) {
        float *to = out + (row + i) / digits * l->out + column;
        for (int j = 0; j < 2; j++) {
          int at = column + 4 * j;
          v128_t y = product(s[i][j], row_sums[row + i], l, at, 128 - zero, scale);
          if (digits == 2) {
            v128_t rest = product(s[i + 1][j], row_sums[row + i + 1], l, at, 0, scale / 256);
            y = wasm_f32x4_add(y, rest);
          }
          wasm_v128_store(to + 4 * j, wasm_f32x4_add(y, wasm_v128_load(l->bias + at)));
        }
      }
    }
  }
  for (int i = 0; i < l->corrections; i++) {
    int column = l->corrected[2 * i], k = l->corrected[2 * i + 1];
    float by = scale * l->scales[column];
    for (int row = 0; row < rows; row++) {
      const int8_t *q = quantised + digits * row * in + k;
      float value = digits == 2 ? (float)q[0] + (float)q[in] / 256 : (float)q[0];
      out[row * l->out + column] += by * value;
    }
  }
}

// values = norm(values + added)
static void norm(float *values, const float *added, const float *scale, const float *shift,
                 int rows) {
  for (int row = 0; row < rows; row++) {
    float *v = values + row * WIDTH;
    v128_t total = wasm_f32x4_splat(0.0f);
    for (int k = 0; k < WIDTH; k += 4) {
      v128_t now = wasm_v128_load(v + k);
      if (added) now = wasm_f32x4_add(now, wasm_v128_load(added + row * WIDTH + k));
      wasm_v128_store(v + k, now);
      total = wasm_f32x4_add(total, now);
    }
    v128_t mean = wasm_f32x4_splat(sum4(total) / WIDTH), squares = wasm_f32x4_splat(0.0f);
    for (int k = 0; k < WIDTH; k += 4) {
      v128_t off = wasm_f32x4_sub(wasm_v128_load(v + k), mean);
      squares = multiply_add(off, off, squares);
    }
    v128_t by = wasm_f32x4_splat(1.0f / __builtin_sqrtf(sum4(squares) / WIDTH + 1e-12f));
    for (int k = 0; k < WIDTH; k += 4) {
      v128_t off = wasm_f32x4_mul(wasm_f32x4_sub(wasm_v128_load(v + k), mean), by);
      wasm_v128_store(v + k, multiply_add(off, wasm_v128_load(scale + k), wasm_v128_load(shift + k)));
    }
  }
}

// From `big` (query, key, value beside each other) to `y`.
static void attend(int rows) {
  const int stride = 3 * WIDTH, padded = (rows + 15) / 16 * 16;
  const v128_t root = wasm_f32x4_splat(0.17677669529663687f);  // 1 / sqrt 32
  for (int head = 0; head < HEADS; head++) {
    const float *q = big + head * HEAD, *k = q + WIDTH, *v = k + WIDTH;
    for (int d = 0; d < HEAD; d++) {
      for (int j = 0; j < rows; j++) keys[d * MOST + j] = k[j * stride + d];
      for (int j = rows; j < padded; j++) keys[d * MOST + j] = 0;
    }
    for (int i = 0; i < rows; i++) {
      const float *query = q + i * stride;
      v128_t highest = wasm_f32x4_splat(-1e30f);
      for (int j = 0; j < padded; j += 16) {
        v128_t s[4];
        for (int b = 0; b < 4; b++) s[b] = wasm_f32x4_splat(0.0f);
        for (int d = 0; d < HEAD; d++) {
          v128_t at = wasm_v128_load32_splat(query + d);
          for (int b = 0; b < 4; b++) {
            s[b] = multiply_add(at, wasm_v128_load(keys + d * MOST + j + 4 * b), s[b]);
          }
        }
        for (int b = 0; b < 4; b++) wasm_v128_store(chances + j + 4 * b, wasm_f32x4_mul(s[b], root));
      }
      for (int j = rows; j < padded; j++) chances[j] = -1e30f;
      for (int j = 0; j < padded; j += 4) highest = wasm_f32x4_max(highest, wasm_v128_load(chances + j));
      float peaks[4];
      wasm_v128_store(peaks, highest);
      float peak = peaks[0];
      for (int b = 1; b < 4; b++) peak = peaks[b] > peak ? peaks[b] : peak;
      v128_t total = wasm_f32x4_splat(0.0f);
      for (int j = 0; j < padded; j += 4) {
        v128_t e = exp4(wasm_f32x4_sub(wasm_v128_load(chances + j), wasm_f32x4_splat(peak)));
        wasm_v128_store(chances + j, e);
        total = wasm_f32x4_add(total, e);
      }
      v128_t by = wasm_f32x4_splat(1.0f / sum4(total));
      v128_t c[8];
      for (int b = 0; b < 8; b++) c[b] = wasm_f32x4_splat(0.0f);
      for (int j = 0; j < rows; j++) {
        v128_t p = wasm_v128_load32_splat(chances + j);
        const float *value = v + j * stride;
        for (int b = 0; b < 8; b++) c[b] = multiply_add(p, wasm_v128_load(value + 4 * b), c[b]);
      }
      float *out = y + i * WIDTH + head * HEAD;
      for (int b = 0; b < 8; b++) wasm_v128_store(out + 4 * b, wasm_f32x4_mul(c[b], by));
    }
  }
}

// The embeddings of `rows` tokens in `input`, normalised in place.
void start(const float *scale, const float *shift, int rows) { norm(x, 0, scale, shift, rows); }

// `count` layers over `rows` token vectors in `input`; the result is there too.
void run(const Layer *layers, int count, int rows) {
  static float kept[MOST * WIDTH];
  for (int n = 0; n < count; n++) {
    const Layer *l = layers + n;
    __builtin_memcpy(kept, x, sizeof(float) * WIDTH * rows);
    linear(x, &l->qkv, rows, big);
    attend(rows);
    linear(y, &l->attended, rows, x);
    norm(x, kept, l->middle_scale, l->middle_shift, rows);
    __builtin_memcpy(kept, x, sizeof(float) * WIDTH * rows);
    linear(x, &l->wide, rows, big);
    for (int i = 0; i < rows * WIDE; i += 4) wasm_v128_store(big + i, gelu4(wasm_v128_load(big + i)));
    linear(big, &l->narrow, rows, x);
    norm(x, kept, l->out_scale, l->out_shift, rows);
  }
}

// Weights of a column block order for `dot`: `source` is [in][out]; `flip` holds 1 or -1 a column.
void pack(const int8_t *source, const int32_t *flip, int in, int out, uint8_t *target,
          int32_t *sums) {
  for (int column = 0; column < out; column++) {
    uint8_t *block = target + column / COLUMNS * COLUMNS * in + column % COLUMNS * 4;
    int32_t total = 0;
    for (int k = 0; k < in; k++) {
      int32_t w = source[k * out + column] * flip[column];
      total += w;
      block[k / 4 * 4 * COLUMNS + k % 4] = (uint8_t)((w > 63 ? 63 : w) + 64);
    }
    sums[column] = total;
  }
}

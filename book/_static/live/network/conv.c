// The convolution of the networks in the page, for WebAssembly with SIMD. `plain` in engine.js is the same in
// JavaScript: it serves where there is no SIMD, and the tests compare the two. After a change:
//
//   pip install ziglang
//   python -m ziglang cc -target wasm32-freestanding -msimd128 -O3 -ffast-math -nostdlib \
//     -Wl,--no-entry -Wl,--export=conv -Wl,--strip-all -o conv.wasm conv.c

typedef float four __attribute__((vector_size(16)));

// Images are [row][column][channel], so that the k columns under a filter are neighbours in memory. Filters are
// [channels / 8][row][column][channel][8]: eight output channels and four pixels are computed at a time, and
// all of their sums stay in registers.
//
//   x, width, inputs    the padded image, its columns and channels
//   w, bias, k, stride  the filters, k by k
//   y, columns, pixels  the result, its columns and its pixels in all
//   outputs             its channels, a multiple of 8
void conv(const float *x, int width, int inputs, const float *w, const float *bias, int k, int stride, float *y,
          int columns, int pixels, int outputs) {
  const int run = k * inputs, line = width * inputs;
  for (int o = 0; o < outputs; o += 8, w += 8 * k * run) {
    const four first = *(const four *)(bias + o), second = *(const four *)(bias + o + 4);
    for (int p = 0; p < pixels; p += 4) {
      const float *from[4];
      int at[4];
      for (int i = 0; i < 4; i++) {
        at[i] = p + i < pixels ? p + i : pixels - 1;  // past the end, the last pixel again
        from[i] = x + (at[i] / columns * width + at[i] % columns) * stride * inputs;
      }
      four a0 = first, a1 = first, a2 = first, a3 = first, b0 = second, b1 = second, b2 = second, b3 = second;
      const float *filter = w;
      for (int row = 0; row < k; row++) {
        const float *x0 = from[0] + row * line, *x1 = from[1] + row * line;
        const float *x2 = from[2] + row * line, *x3 = from[3] + row * line;
        for (int i = 0; i < run; i++, filter += 8) {
          const four a = *(const four *)filter, b = *(const four *)(filter + 4);
          a0 += a * x0[i], b0 += b * x0[i];
          a1 += a * x1[i], b1 += b * x1[i];
          a2 += a * x2[i], b2 += b * x2[i];
          a3 += a * x3[i], b3 += b * x3[i];
        }
      }
      const four sums[4][2] = {{a0, b0}, {a1, b1}, {a2, b2}, {a3, b3}};
      for (int i = 0; i < 4; i++) {
        four *to = (four *)(y + at[i] * outputs + o);
        to[0] = sums[i][0], to[1] = sums[i][1];
      }
    }
  }
}

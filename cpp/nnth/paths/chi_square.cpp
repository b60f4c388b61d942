#include "nnth/paths/chi_square.hpp"

namespace nnth::paths {

namespace {

// Returns whether a uniform u accepts the normal x, by the exact test.
bool accepts(double t, double x, double d, double u) {
    const double root = 1.0 + t;
    if (!(root > 0.0)) return false;
    const double v = root * root * root;
    return vmath::log(u) < 0.5 * x * x + d * (1.0 - v + vmath::log(v));
}

double tries(double degrees, Stream& stream) {
    const double d = 0.5 * degrees - 1.0 / 3.0;
    for (;;) {
        double x, u;
        stream.seek((stream.position() + 1) & ~std::uint64_t{1});
        stream.normals(&x, 1);
        stream.seek(stream.position() +
                    1);  // the next block, since a normal uses all bits of its block
        stream.uniforms(&u, 1);
        const double t = x / std::sqrt(9.0 * d);
        const double root = 1.0 + t;
        if (accepts(t, x, d, u)) return 2.0 * d * (root * root * root);
    }
}

}  // namespace

double chi_square_rest(double degrees, double x, double leading_bits, Stream& more) {
    const double d = 0.5 * degrees - 1.0 / 3.0;
    double u;
    more.uniforms(&u, 1);
    const double t = x / std::sqrt(9.0 * d);
    const double root = 1.0 + t;
    if (accepts(t, x, d, (leading_bits + u) * 0x1p-16)) return 2.0 * d * (root * root * root);
    return tries(degrees, more);
}

double chi_square(double degrees, Stream& stream) {
    if (degrees < 0.5) return 0.0;
    if (degrees > 1.5) return tries(degrees, stream);
    double x;
    stream.normals(&x, 1);
    return x * x;
}

}  // namespace nnth::paths

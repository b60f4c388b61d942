#include "nnth/numerics/array_size.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/text.hpp"

namespace nnth {

namespace {

constexpr double kMostBytesOfSamplers = 8e9;

}  // namespace

std::size_t array_size(const char* what, std::initializer_list<std::uint64_t> factors,
                       std::size_t bytes_each) {
    constexpr double kMostBytes = 0x1p46;
    auto bytes = static_cast<double>(bytes_each);
    for (const std::uint64_t factor : factors) bytes *= static_cast<double>(factor);
    if (bytes > kMostBytes) {
        throw std::invalid_argument(std::string(what) + " must be smaller: the results take " +
                                    shortest(1e-9 * bytes) + " GB");
    }
    std::size_t product = 1;
    for (const std::uint64_t factor : factors) product *= factor;
    return product;
}

void check_memory(const char* what, double bytes) {
    if (bytes <= kMostBytesOfSamplers) return;
    throw std::invalid_argument(std::string(what) + " takes " + shortest(1e-9 * bytes) + " GB");
}

int threads_in_memory(int threads, double bytes_each, double results) {
    const double workers = (kMostBytesOfSamplers - results) / bytes_each;
    return static_cast<int>(std::clamp<double>(workers, 1.0, thread_count(threads)));
}

}  // namespace nnth

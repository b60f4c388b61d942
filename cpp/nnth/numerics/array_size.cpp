#include "nnth/numerics/array_size.hpp"

#include <stdexcept>
#include <string>

#include "nnth/numerics/text.hpp"

namespace nnth {

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

}  // namespace nnth

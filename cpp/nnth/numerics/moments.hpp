// Mergeable statistics of positive numbers that may lie far outside the range of a double: sums of
// powers, extremes and moments of the logarithm, with the same bits in whatever order they are
// merged.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/double_double.hpp"
#include "nnth/numerics/scaled.hpp"

namespace nnth {

// A sum whose result depends neither on the order of its terms nor on how partial sums are merged.
// As in the indexed sums of Demmel and Nguyen (2015), IEEE Trans. Comput. 64, 2060, the real line
// is divided into fixed bins of 32 binary digits; a term is split into its digits, and digits more
// than three bins below the leading bin of the largest term are dropped. The sum has at least 96
// bits below the leading digit of its largest term. At most 2^31 terms.
class OrderlessSum {
  public:
    static constexpr std::size_t state_size = 5;

    void add(double value, std::int64_t exponent = 0);  // value finite
    void add(const DoubleDouble& value);
    void merge(const OrderlessSum& other);
    Scaled total() const;  // normalized

    std::array<std::int64_t, state_size> state() const;
    static OrderlessSum from_state(const std::int64_t* state);

  private:
    static constexpr std::size_t kLimbs = 4;
    static constexpr std::int64_t kEmpty = INT64_MIN / 4;

    void raise(std::int64_t top);

    std::int64_t top_ = kEmpty;  // limb i counts units of 2^(32 (top_ - i))
    std::array<std::int64_t, kLimbs> limb_{};
};

// Statistics of Y >= 0: the number of samples and of zeros, extremes and log-moments of the others,
// and for each of `powers` (at least 1) the sums of Y^p and Y^(2p). Samples are added in groups
// with ordinary sums, so results are the same bits when the same groups are merged in any order.
class Moments {
  public:
    explicit Moments(std::vector<int> powers);

    static constexpr std::size_t group = 256;  // the most samples `add` takes at once

    // Y_i = value[i] 2^exponent[i], value >= 0 zero or normal, exponent an integer of magnitude
    // below 2^50. Both arrays have the size n rounded up to a multiple of 8 and are overwritten.
    void add(double* value, double* exponent, std::size_t n);
    void merge(const Moments& other);

    struct Power {
        int power;
        Scaled mean;
        Scaled stderr_;    // the standard error of the mean; infinite for one sample
        double max_share;  // the fraction of the sum due to the largest sample; 0 if the sum is 0
    };
    const std::vector<int>& powers() const { return powers_; }
    std::uint64_t count() const { return count_; }
    std::uint64_t zeros() const { return zeros_; }
    Scaled least() const { return least_; }  // the least nonzero sample; zero without one
    Scaled largest() const { return largest_; }
    double log_mean() const;      // the mean of log Y over Y > 0: NaN without any
    double log_variance() const;  // their unbiased variance: NaN for fewer than two
    Power result(std::size_t index) const;

    std::vector<std::int64_t> state() const;  // for `merge` across processes
    static Moments from_state(const std::vector<std::int64_t>& state);

  private:
    std::vector<int> powers_;
    std::uint64_t count_ = 0;
    std::uint64_t zeros_ = 0;
    Scaled least_{};
    Scaled largest_{};
    OrderlessSum log_sum_;
    OrderlessSum log_square_;
    std::vector<OrderlessSum> sums_;  // the sums of Y^p and Y^(2p) for each power
};

}  // namespace nnth

// A sum of many terms with the error of a few roundings.
#pragma once

#include "nnth/numerics/double_double.hpp"

namespace nnth::regions {

// Rounding errors are summed beside the sum (Neumaier 1974): the result has an error of at most
// 2 u |sum| + (n u)^2 (sum of the magnitudes) for n terms.
class Sum {
  public:
    void add(double term) {
        const DoubleDouble both = double_double::sum(high_, term);
        high_ = both.hi;
        low_ += both.lo;
    }
    double value() const { return low_ == low_ ? high_ + low_ : high_; }  // infinite, not NaN

  private:
    double high_ = 0;
    double low_ = 0;
};

}  // namespace nnth::regions

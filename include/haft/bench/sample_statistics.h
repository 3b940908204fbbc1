// Statistics of times: medians, since other programs' work only ever makes a time longer.
#pragma once

#include <span>
#include <vector>

namespace haft::bench {

struct Spread {
  double median = 0;
  double p10 = 0;
  double p90 = 0;
};

// Quantile q (0 … 1) with linear interpolation. REQUIRES: values are not empty.
double Quantile(std::vector<double> values, double q);
Spread SpreadOf(std::span<const double> values);

// A ratio with the interval that holds it in 95 of 100 cases.
struct Ratio {
  double value = 0;
  double low = 0;
  double high = 0;
};

// median(values) / median(base). The interval comes from drawing rounds anew, with replacement:
// number i of both was measured in round i, so what a round had to bear is in both. The same input
// gives the same interval. REQUIRES: as many of the one as of the other, at least one; base is
// above 0.
Ratio RatioOf(std::span<const double> values, std::span<const double> base);

}  // namespace haft::bench

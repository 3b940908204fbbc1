#include "haft/bench/sample_statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>

namespace haft::bench {
namespace {

constexpr int kDraws = 2000;

double Median(std::vector<double> values) {
  return Quantile(std::move(values), 0.5);
}

}  // namespace

double Quantile(std::vector<double> values, double q) {
  std::ranges::sort(values);
  double position = q * static_cast<double>(values.size() - 1);
  auto below = static_cast<std::size_t>(std::floor(position));
  std::size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], position - std::floor(position));
}

Spread SpreadOf(std::span<const double> values) {
  std::vector<double> copy(values.begin(), values.end());
  return {.median = Quantile(copy, 0.5), .p10 = Quantile(copy, 0.1), .p90 = Quantile(copy, 0.9)};
}

Ratio RatioOf(std::span<const double> values, std::span<const double> base) {
  Ratio ratio{.value = Median({values.begin(), values.end()}) / Median({base.begin(), base.end()})};
  std::mt19937 random(1);
  std::vector<double> ratios, drawn(values.size()), drawn_base(values.size());
  for (int draw = 0; draw < kDraws; ++draw) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::size_t round = random() % values.size();
      drawn[i] = values[round];
      drawn_base[i] = base[round];
    }
    ratios.push_back(Median(drawn) / Median(drawn_base));
  }
  ratio.low = Quantile(ratios, 0.025);
  ratio.high = Quantile(std::move(ratios), 0.975);
  return ratio;
}

}  // namespace haft::bench

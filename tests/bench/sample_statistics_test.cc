#include "haft/bench/sample_statistics.h"

#include <gtest/gtest.h>

namespace haft::bench {
namespace {

TEST(StatisticsTest, QuantilesInterpolate) {
  EXPECT_DOUBLE_EQ(Quantile({3, 1, 2}, 0.5), 2);
  EXPECT_DOUBLE_EQ(Quantile({4, 1, 2, 3}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(Quantile({1, 2, 3, 4, 5}, 0.1), 1.4);
  EXPECT_DOUBLE_EQ(Quantile({7}, 0.9), 7);
  EXPECT_DOUBLE_EQ(Quantile({1, 2}, 0), 1);
  EXPECT_DOUBLE_EQ(Quantile({1, 2}, 1), 2);
}

TEST(StatisticsTest, SpreadIsMedianAndTenths) {
  std::vector<double> values;
  for (int i = 100; i >= 0; --i) values.push_back(i);
  Spread spread = SpreadOf(values);
  EXPECT_DOUBLE_EQ(spread.median, 50);
  EXPECT_DOUBLE_EQ(spread.p10, 10);
  EXPECT_DOUBLE_EQ(spread.p90, 90);
}

TEST(StatisticsTest, RatioIsOfMedians) {
  Ratio ratio = RatioOf(std::vector<double>{2, 200, 4}, std::vector<double>{8, 7, 9});
  EXPECT_DOUBLE_EQ(ratio.value, 0.5);
  EXPECT_LE(ratio.low, ratio.value);
  EXPECT_GE(ratio.high, ratio.value);
}

TEST(StatisticsTest, WithoutSpreadTheIntervalIsAPoint) {
  Ratio ratio = RatioOf(std::vector<double>(15, 3.0), std::vector<double>(15, 4.0));
  EXPECT_DOUBLE_EQ(ratio.low, 0.75);
  EXPECT_DOUBLE_EQ(ratio.value, 0.75);
  EXPECT_DOUBLE_EQ(ratio.high, 0.75);
}

TEST(StatisticsTest, WhatARoundHadToBearIsInBoth) {
  // Rounds differ by a factor of ten, the ratio in each is the same.
  std::vector<double> values, base;
  for (int round = 1; round <= 15; ++round) {
    base.push_back(100.0 * round);
    values.push_back(90.0 * round);
  }
  Ratio ratio = RatioOf(values, base);
  EXPECT_NEAR(ratio.low, 0.9, 1e-9);
  EXPECT_NEAR(ratio.high, 0.9, 1e-9);
}

TEST(StatisticsTest, MoreNoiseMakesTheIntervalWider) {
  std::vector<double> base(15, 100), calm, noisy;
  for (int i = 0; i < 15; ++i) {
    calm.push_back(100 + i % 3);
    noisy.push_back(100 + 20 * (i % 3));
  }
  Ratio narrow = RatioOf(calm, base), wide = RatioOf(noisy, base);
  EXPECT_LT(narrow.high - narrow.low, wide.high - wide.low);
  Ratio again = RatioOf(noisy, base);
  EXPECT_EQ(again.low, wide.low);  // the same every time
  EXPECT_EQ(again.high, wide.high);
}

}  // namespace
}  // namespace haft::bench

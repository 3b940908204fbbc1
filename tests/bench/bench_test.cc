#include "haft/bench/bench.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/expect.h"

namespace haft::bench {
namespace {

using haft::testing::Expect;
using haft::testing::Message;
using nlohmann::json;

Series MakeSeries(const std::string& variant, Condition condition, std::vector<double> wall) {
  Series series{.file = "./app", .variant = variant, .condition = condition, .samples = {}};
  for (double ms : wall) {
    series.samples.push_back({.wall_ms = ms,
                              .cpu_ms = 100,
                              .helper_cpu_ms = 5,
                              .peak_mb = 40,
                              .helper_peak_mb = 6,
                              .output = {}});
  }
  return series;
}

BenchResult SampleResult() {
  return {.arguments = {"--version"},
          .rounds = 3,
          .warnings = {"<b>"},
          .notes = {"shiv: left out: shiv is not installed"},
          .series = {MakeSeries("bundle", {}, {90, 95, 900}),
                     MakeSeries("unpacked", {}, {100, 100, 100}),
                     MakeSeries("bundle", {.cold = true}, {50, 50, 50}),
                     MakeSeries("unpacked", {.cold = true}, {100, 100, 100})}};
}

// --- limits ---

TEST(LimitTest, IsParsed) {
  Limit limit = Expect(ParseLimit("unpacked<=0.97"));
  EXPECT_EQ(limit.subject, "unpacked");
  EXPECT_EQ(limit.condition, Condition{});
  EXPECT_DOUBLE_EQ(limit.maximum, 0.97);
  limit = Expect(ParseLimit("shiv-first@cold@8<=0.1"));
  EXPECT_EQ(limit.subject, "shiv-first");
  EXPECT_EQ(limit.condition, (Condition{.cold = true, .parallel = 8}));
  EXPECT_EQ(Expect(ParseLimit("server-memory<=8")).subject, "server-memory");
}

TEST(LimitTest, NonsenseIsAUsageError) {
  for (const char* text : {"", "unpacked", "unpacked<1", "unpacked<=", "unpacked<=x",
                           "unpacked<=-1", "unpacked<=0", "unpacked<=nan", "unzipped<=1",
                           "unpacked@hot<=1", "unpacked@0<=1", "unpacked@<=1", "<=1"}) {
    auto limit = ParseLimit(text);
    ASSERT_FALSE(limit) << text;
    EXPECT_EQ(limit.error().kind(), ErrorKind::kUsage) << text;
  }
}

TEST(LimitTest, IsJudgedByMedians) {
  BenchResult result = SampleResult();
  std::vector<Limit> limits;
  for (const char* text : {"unpacked<=0.95", "unpacked<=0.94", "unpacked@cold<=0.5",
                           "server-memory<=5.9", "server-cpu<=0.05", "shiv<=9"}) {
    limits.push_back(Expect(ParseLimit(text)));
  }
  auto verdicts = Judge(result, limits);
  ASSERT_EQ(verdicts.size(), limits.size());
  EXPECT_DOUBLE_EQ(*verdicts[0].value, 0.95);
  EXPECT_TRUE(verdicts[0].kept());
  EXPECT_FALSE(verdicts[1].kept());
  EXPECT_TRUE(verdicts[2].kept());
  EXPECT_FALSE(verdicts[3].kept());
  EXPECT_TRUE(verdicts[4].kept());
  EXPECT_FALSE(verdicts[5].value);  // what was not measured is not kept
  EXPECT_FALSE(verdicts[5].kept());
}

// --- reports ---

TEST(ReportTest, JsonHasTheSamplesAndWhatFollowsFromThem) {
  json report = json::parse(
      ToJson(SampleResult(), Judge(SampleResult(), {Expect(ParseLimit("unpacked<=0.94"))})));
  const json& bundle = report["results"][0];
  EXPECT_EQ(bundle["variant"], "bundle");
  EXPECT_EQ(bundle["wall_ms"], (json{90, 95, 900}));
  EXPECT_EQ(bundle["median_ms"], 95);
  EXPECT_EQ(bundle["ratio"]["to"], "unpacked");
  EXPECT_DOUBLE_EQ(bundle["ratio"]["value"], 0.95);
  EXPECT_EQ(bundle["server_peak_mb"][0], 6);
  EXPECT_EQ(report["checks"][0]["kept"], false);
  EXPECT_EQ(report["notes"].size(), 1u);
}

TEST(ReportTest, TableNamesEveryConditionOnce) {
  std::string table =
      ToTable(SampleResult(), Judge(SampleResult(), {Expect(ParseLimit("unpacked<=0.94"))}));
  EXPECT_NE(table.find("./app --version: page cache warm, one start at a time; 3 rounds"),
            std::string::npos)
      << table;
  EXPECT_NE(table.find("page cache dropped"), std::string::npos);
  EXPECT_NE(table.find("0.950 ("), std::string::npos);
  EXPECT_NE(table.find("check unpacked<=0.94: ./app: 0.950 MISSED"), std::string::npos);
  EXPECT_EQ(table.find("page cache warm", table.find("page cache warm") + 1), std::string::npos);
}

TEST(ReportTest, ThePageIsClosedToItsData) {
  std::string page = ToHtml(SampleResult(), {});
  EXPECT_EQ(page.find("<b>"), std::string::npos);
  EXPECT_NE(page.find("\\u003cb>"), std::string::npos);
}

// --- warnings ---

std::string Warnings(std::vector<std::string> environment, double load, unsigned cpus) {
  std::string text;
  for (const std::string& warning :
       WarningsOf(Environment(std::move(environment)), "/proc", load, cpus))
    text += warning + "\n";
  return text;
}

TEST(WarningsTest, NothingToWarnOf) {
  EXPECT_EQ(Warnings({"PATH=/bin", "PYTHONHASHSEED=0"}, 0.5, 2), "");
}

TEST(WarningsTest, OfWhatDistorts) {
  EXPECT_NE(Warnings({"PYTHONDONTWRITEBYTECODE=1"}, 0, 2).find("PYTHONDONTWRITEBYTECODE is set"),
            std::string::npos);
  EXPECT_NE(Warnings({"PYTHONUNBUFFERED=1"}, 0, 2).find("PYTHONUNBUFFERED"), std::string::npos);
  EXPECT_NE(Warnings({"COVERAGE_PROCESS_START=x"}, 0, 2).find("coverage"), std::string::npos);
  EXPECT_NE(Warnings({}, 0, 1).find("one CPU"), std::string::npos);
  EXPECT_NE(Warnings({}, 1.5, 2).find("busy"), std::string::npos);
}

}  // namespace
}  // namespace haft::bench

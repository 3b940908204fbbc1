#include "server_statistics.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

namespace haft {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> Keys(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

TEST(StatisticsTest, IsAJsonObjectOnItsOwnLine) {
  ServerStatistics statistics;
  statistics.OpenProcessFile();
  std::string text =
      statistics.ToJson({.hits = 1, .misses = 2, .failures = 3, .buffers = 4, .budget = 5});
  EXPECT_EQ(text.back(), '\n');
  Json json = Json::parse(text);
  EXPECT_EQ(Keys(json),
            (std::vector<std::string>{"operations", "read_bytes", "hand_overs", "errors",
                                      "last_error", "cache", "server", "bundle"}));
  EXPECT_EQ(json["cache"],
            (Json{{"hits", 1}, {"misses", 2}, {"failures", 3}, {"buffers", 4}, {"budget", 5}}));
  EXPECT_EQ(json["server"]["pid"], ::getpid());
  EXPECT_GT(json["server"]["rss_bytes"], 100'000);
  EXPECT_EQ(json["last_error"], "");
}

TEST(StatisticsTest, EveryOperationHasItsName) {
  const std::vector<std::pair<Operation, std::string>> names = {
      {Operation::kLookup, "lookup"},
      {Operation::kForget, "forget"},
      {Operation::kGetattr, "getattr"},
      {Operation::kReadlink, "readlink"},
      {Operation::kOpen, "open"},
      {Operation::kRead, "read"},
      {Operation::kOpendir, "opendir"},
      {Operation::kReaddir, "readdir"},
      {Operation::kReaddirplus, "readdirplus"},
      {Operation::kStatfs, "statfs"},
      {Operation::kIoctl, "ioctl"},
      {Operation::kLseek, "lseek"},
      {Operation::kRelease, "release"},
      {Operation::kReleasedir, "releasedir"},
      {Operation::kFlush, "flush"}};
  ASSERT_EQ(names.size(), static_cast<std::size_t>(Operation::kCount));
  for (const auto& [operation, name] : names) {
    ServerStatistics statistics;
    statistics.Count(operation);
    Json operations = Json::parse(statistics.ToJson({}))["operations"];
    EXPECT_EQ(operations.size(), names.size());
    for (const auto& [key, value] : operations.items())
      EXPECT_EQ(value, key == name ? 1 : 0) << key;
  }
}

TEST(StatisticsTest, CountsFromManyThreads) {
  ServerStatistics statistics;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) {
        statistics.Count(Operation::kRead);
        statistics.CountRead(10);
        statistics.CountHandOver();
        statistics.RecordError("bad");
        if (n % 100 == 0) static_cast<void>(statistics.ToJson({}));
      }
    });
  }
  threads.clear();
  Json json = Json::parse(statistics.ToJson({}));
  EXPECT_EQ(json["operations"]["read"], 4000);
  EXPECT_EQ(json["read_bytes"], 40'000);
  EXPECT_EQ(json["hand_overs"], 4000);
  EXPECT_EQ(json["errors"], 4000);
}

TEST(StatisticsTest, ErrorsWithNamesThatAreNotUtf8StayJson) {
  ServerStatistics statistics;
  statistics.RecordError("'\xff\xfe': \"bad\"\n");
  EXPECT_EQ(Json::parse(statistics.ToJson({}))["errors"], 1);
}

}  // namespace
}  // namespace haft

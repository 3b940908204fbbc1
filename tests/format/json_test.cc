#include "haft/format/json.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>

#include "support/expect.h"

namespace haft::format {
namespace {

using haft::testing::Expect;
using haft::testing::Message;

std::string Repeated(std::string_view text, std::size_t count) {
  std::string repeated;
  for (std::size_t i = 0; i < count; ++i) repeated += text;
  return repeated;
}

long MaxResidentKib() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST(JsonTest, IsWhatTheLibraryReads) {
  for (std::string_view text :
       {"null", "true", "-1", "18446744073709551615", "1.5", "\"a\\u00e9\"", "[]", "{}",
        R"([1, [2, {"a": [3]}], "x", null])",
        R"({"a": {"b": [1, {"c": 2}]}, "a2": [], "z": false})", R"({"twice": 1, "twice": [2]})"}) {
    EXPECT_EQ(Expect(ParseJson(text, "it")), nlohmann::json::parse(text)) << text;
  }
}

TEST(JsonTest, SaysWhatIsNotJson) {
  for (std::string_view text : {"", "{", "[1,]", "{}x", "{\"a\" 1}", "\"\xff\"", "[1] []"}) {
    EXPECT_EQ(Message(ParseJson(text, "it")), "it: not JSON") << text;
    EXPECT_EQ(Message(ParseJsonObject(text, "it")), "it: not a JSON object") << text;
  }
  EXPECT_EQ(Message(ParseJsonObject("[]", "it")), "it: not a JSON object");
}

TEST(JsonTest, NestingIsRefusedBeforeItIsFollowed) {
  const std::string eight = Repeated("[", 8) + Repeated("]", 8);
  EXPECT_EQ(Message(ParseJson(eight, "it")), "");
  EXPECT_EQ(Message(ParseJson("[" + eight + "]", "it")), "it: nested too deeply");
  EXPECT_EQ(Message(ParseJson(Repeated("[", 8'000'000), "it")), "it: nested too deeply");
  EXPECT_EQ(Message(ParseJson(Repeated("{\"a\":", 1'000'000), "it")), "it: nested too deeply");
  // In a member that nobody wants as well: the parser would follow it.
  EXPECT_EQ(Message(ParseJson("{\"x\":" + Repeated("[", 1'000'000), "it",
                              {.wanted = [](std::string_view) { return false; }})),
            "it: nested too deeply");
}

TEST(JsonTest, ValuesAreCountedNotBytes) {
  EXPECT_EQ(Message(ParseJson("[1,2,3]", "it", {.values = 4})), "");
  EXPECT_EQ(Message(ParseJson("[1,2,3]", "it", {.values = 3})), "it: too many values");
  const long before = MaxResidentKib();
  // 8 MB that would be 180 MB as a document.
  EXPECT_EQ(Message(ParseJson("[" + Repeated("[],", 2'700'000) + "1]", "it")),
            "it: too many values");
  EXPECT_LT(MaxResidentKib() - before, 128 * 1024);
}

TEST(JsonTest, MembersThatNobodyWantsCostNothing) {
  const JsonLimits limits{.values = 10,
                          .wanted = [](std::string_view member) { return member == "a"; }};
  const std::string text =
      "{\"x\": [" + Repeated("[{\"a\": 1}],", 100'000) + "2], \"a\": [5], \"y\": 1}";
  EXPECT_EQ(Expect(ParseJson(text, "it", limits)), nlohmann::json::parse(R"({"a": [5]})"));
}

}  // namespace
}  // namespace haft::format

#include "haft/format/profile.h"

#include <gtest/gtest.h>

#include "support/expect.h"

namespace haft::format {
namespace {

using haft::testing::Expect;
using haft::testing::Message;

TEST(ProfileTest, KeepsOrderThroughJson) {
  Profile profile{.files = {"z/1", "a/ü \"quoted\"", "m"}, .directories = {"z", "a"}};
  EXPECT_EQ(Expect(ParseProfile(ToJson(profile))), profile);
}

TEST(ProfileTest, LeavesOutNamesThatAreNoText) {
  EXPECT_EQ(Expect(ParseProfile(ToJson({.files = {"a", "\xFF\xFE", "b"}, .directories = {}}))).files,
            (std::vector<std::string>{"a", "b"}));
}

TEST(ProfileTest, MergeAppendsWhatIsNew) {
  Profile profile{.files = {"b", "a"}, .directories = {"d"}};
  Merge(profile, {.files = {"c", "a", "c", "0"}, .directories = {"d", "e"}});
  EXPECT_EQ(profile.files, (std::vector<std::string>{"b", "a", "c", "0"}));
  EXPECT_EQ(profile.directories, (std::vector<std::string>{"d", "e"}));
}

TEST(ProfileTest, IgnoresUnknownMembersAndNamesBadOnes) {
  EXPECT_EQ(Message(ParseProfile(R"({"files": [], "later": 1})")), "");
  EXPECT_EQ(Message(ParseProfile(R"({"traceEvents": []})")), "profile: has no member 'files'");
  EXPECT_EQ(Message(ParseProfile("[]")), "profile: not a JSON object");
  EXPECT_EQ(Message(ParseProfile(R"({"files": 1})")), "profile: 'files': not an array of paths");
  EXPECT_EQ(Message(ParseProfile(R"({"files": [""]})")), "profile: 'files': not an array of paths");
  EXPECT_EQ(Message(ParseProfile(R"({"files": [], "directories": ["/etc"]})")), "profile: 'directories': not an array of paths");
  EXPECT_EQ(Message(ParseProfile(R"({"files": ["a")")), "profile: not a JSON object");
}

}  // namespace
}  // namespace haft::format

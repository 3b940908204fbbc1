#include "haft/format/profile.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/mman.h>

#include "haft/base/file_io.h"
#include "haft/format/digest.h"
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
  EXPECT_EQ(
      Expect(ParseProfile(ToJson({.files = {"a", "\xFF\xFE", "b"}, .directories = {}}))).files,
      (std::vector<std::string>{"a", "b"}));
}

TEST(ProfileTest, MergeAppendsWhatIsNew) {
  Profile profile{.files = {"b", "a"}, .directories = {"d"}};
  Merge(profile, {.files = {"c", "a", "c", "0"}, .directories = {"d", "e"}});
  EXPECT_EQ(profile.files, (std::vector<std::string>{"b", "a", "c", "0"}));
  EXPECT_EQ(profile.directories, (std::vector<std::string>{"d", "e"}));
}

TEST(ProfileTest, KeepsRangesThroughJson) {
  Profile profile{.files = {"a.so", "b"}, .directories = {}};
  profile.ranges["a.so"] = {{0, 131072}, {262144, 5}};
  EXPECT_EQ(Expect(ParseProfile(ToJson(profile, {{.path = "b"}}))), profile);
}

TEST(ProfileTest, NormalisesRanges) {
  EXPECT_EQ(Normalised({{10, 5}, {0, 4}, {4, 2}, {12, 10}, {30, 0}, {40, UINT64_MAX}}),
            (std::vector<ByteRange>{{0, 6}, {10, 12}}));
}

TEST(ProfileTest, MergeJoinsRangesAndKeepsWholeFilesWhole) {
  Profile profile{.files = {"both", "mine", "whole"}, .directories = {}};
  profile.ranges = {{"both", {{0, 10}}}, {"mine", {{5, 5}}}};
  Profile more{.files = {"both", "whole", "new", "mine"}, .directories = {}};
  more.ranges = {{"both", {{5, 10}}}, {"whole", {{0, 1}}}, {"new", {{7, 7}}}};
  Merge(profile, more);
  EXPECT_EQ(profile.ranges, (std::map<std::string, std::vector<ByteRange>>{{"both", {{0, 15}}},
                                                                           {"new", {{7, 7}}}}));
}

TEST(ProfileTest, IgnoresUnknownMembersAndNamesBadOnes) {
  EXPECT_EQ(Message(ParseProfile(R"({"files": [], "later": 1})")), "");
  EXPECT_EQ(Message(ParseProfile(R"({"traceEvents": []})")), "profile: has no member 'files'");
  EXPECT_EQ(Message(ParseProfile("[]")), "profile: not a JSON object");
  EXPECT_EQ(Message(ParseProfile(R"({"files": 1})")), "profile: 'files': not an array of paths");
  EXPECT_EQ(Message(ParseProfile(R"({"files": [""]})")), "profile: 'files': not an array of paths");
  EXPECT_EQ(Message(ParseProfile(R"({"files": [], "directories": ["/etc"]})")),
            "profile: 'directories': not an array of paths");
  const char* ranges = "profile: 'ranges': not an object of arrays of offset and size";
  EXPECT_EQ(Message(ParseProfile(R"({"files": [], "ranges": []})")), ranges);
  EXPECT_EQ(Message(ParseProfile(R"({"files": [], "ranges": {"a": [[1]]}})")), ranges);
  EXPECT_EQ(Message(ParseProfile(R"({"files": [], "ranges": {"a": [[1, -2]]}})")), ranges);
  EXPECT_EQ(Message(ParseProfile(R"({"files": ["a")")), "profile: not a JSON object");
}

TEST(ProfileTest, KeepsAndMergesFilesOfTheHost) {
  Profile profile{.files = {"a"}, .host = {"lib/os.pyc", "/usr/share/zone"}};
  EXPECT_EQ(Expect(ParseProfile(ToJson(profile))), profile);
  Merge(profile, {.host = {"lib/new.pyc", "lib/os.pyc"}});
  EXPECT_EQ(profile.host,
            (std::vector<std::string>{"lib/os.pyc", "/usr/share/zone", "lib/new.pyc"}));
}

TEST(ProfileTest, KeepsAndMergesWhatIsMissing) {
  Profile profile{.files = {"a"}, .missing = {"a/no", "b"}};
  EXPECT_EQ(Expect(ParseProfile(ToJson(profile))), profile);
  Merge(profile, {.missing = {"c", "b"}});
  EXPECT_EQ(profile.missing, (std::vector<std::string>{"a/no", "b", "c"}));
}

TEST(ProfileTest, HostPathsStayBelowTheirPrefix) {
  for (const char* path : {"lib/os.pyc", "/usr/lib/x", "..lib/x", "lib/x.."})
    EXPECT_TRUE(IsHostPath(path)) << path;
  for (const char* path :
       {"", "/etc/passwd", "/usr", "..", "../x", "lib/../../x", "lib/..", "/usr/../etc/x"}) {
    EXPECT_FALSE(IsHostPath(path)) << path;
  }
  EXPECT_EQ(Message(ParseProfile(R"({"files": [], "host": ["/etc/passwd"]})")),
            "profile: 'host': not an array of paths");
}

TEST(ReadPrefetchPlanTest, PathsStayInTheImage) {
  auto read = [](std::string_view path) {
    const std::string text = fmt::format(R"({{"files": [], "ahead": [["{}"]]}})", path);
    UniqueFd file(::memfd_create("profile", MFD_CLOEXEC));
    EXPECT_TRUE(WriteAll(file.get(), AsBytes(text)));
    BundleFile bundle{.trailer = {}, .image_offset = 0};
    bundle.trailer.profile_size = text.size();
    bundle.trailer.profile_digest = Sha256Of(AsBytes(text));
    return ReadPrefetchPlan(file.get(), bundle);
  };
  for (const char* path : {"a", "a/b/", "/", "..a/b.."}) EXPECT_TRUE(read(path)) << path;
  for (const char* path : {"", "..", "../etc/passwd", "/etc/passwd", "a/../../x", "a/..", "a//"}) {
    EXPECT_EQ(Message(read(path)), "profile: 'ahead': not an array of path, offset and size")
        << path;
  }
}

TEST(ReadPrefetchPlanTest, ADamagedSecondListDoesNotLoseTheMemoryOfTheFirst) {
  const std::string text =
      fmt::format(R"({{"files": [], "ahead": [["{}"]], "host": [1]}})", std::string(1000, 'a'));
  UniqueFd file(::memfd_create("profile", MFD_CLOEXEC));
  ASSERT_TRUE(WriteAll(file.get(), AsBytes(text)));
  BundleFile bundle{.trailer = {}, .image_offset = 0};
  bundle.trailer.profile_size = text.size();
  bundle.trailer.profile_digest = Sha256Of(AsBytes(text));
  auto read = [&] {
    EXPECT_EQ(Message(ReadPrefetchPlan(file.get(), bundle)),
              "profile: 'host': not an array of paths");
  };
  read();  // what is allocated once
  const std::size_t before = ::mallinfo2().uordblks;
  for (int i = 0; i < 100; ++i) read();
  EXPECT_LT(::mallinfo2().uordblks, before + 10 * 1000);
}

}  // namespace
}  // namespace haft::format

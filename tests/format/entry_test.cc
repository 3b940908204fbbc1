#include "haft/format/entry.h"

#include <gtest/gtest.h>

#include "support/expect.h"

namespace haft::format {
namespace {

using haft::testing::Message;

std::string Target(const Result<Entry>& entry) {
  return entry ? Describe(*entry) : entry.error().message();
}

TEST(ParseEntryTest, ChecksNames) {
  EXPECT_EQ(Target(ParseFunctionEntry("a.b_1:C.run", "entry point")), "a.b_1:C.run");
  EXPECT_EQ(Target(ParseModuleEntry("http.server", "module")), "-m http.server");
  for (const char* bad : {"", ":", "a:", ":b", "a", "a b:c", "a:b:c", "1a:b", "a..b:c", ".a:b",
                          "a:b.", "a:b()", "a-b:c"}) {
    EXPECT_FALSE(ParseFunctionEntry(bad, "entry point")) << bad;
  }
  EXPECT_EQ(Message(ParseFunctionEntry("main", "entry point")),
            "entry point: 'main' is not MODULE:FUNCTION; write it as in 'package.module:main'");
  for (const char* bad : {"", ".", "a.", "a/b", "a.py ", "7"}) {
    EXPECT_FALSE(ParseModuleEntry(bad, "module")) << bad;
  }
}

TEST(DescribeEntryTest, ShowsEveryKind) {
  EXPECT_EQ(Describe({}), "none");
  EXPECT_EQ(Describe({.kind = EntryKind::kInterpreter, .module = "", .function = "", .script = ""}),
            "the interpreter");
  EXPECT_EQ(Describe({.kind = EntryKind::kScript,
                      .module = "",
                      .function = "",
                      .script = "",
                      .file = "bin/x"}),
            "bin/x");
  EXPECT_EQ(Describe({.kind = EntryKind::kScript,
                      .module = "",
                      .function = "",
                      .script = "x",
                      .file = "bin/x"}),
            "x (bin/x)");
}

TEST(ImagePathTest, TakesRelativePathsThatStayInside) {
  for (const char* path : {"a", "bin/x y", "a/..b", "\xff", "a:b"})
    EXPECT_TRUE(IsImagePath(path)) << path;
  for (const char* path : {"", "/", "/a", "a/", "a//b", "..", "a/../b", ".", "./a"})
    EXPECT_FALSE(IsImagePath(path)) << path;
  EXPECT_FALSE(IsImagePath(std::string_view("a\0", 2)));
}

}  // namespace
}  // namespace haft::format

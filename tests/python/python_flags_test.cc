#include "haft/python/python_flags.h"

#include <gtest/gtest.h>

#include "haft/python/shebang.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::Message;
using testing::TempDir;

std::string Flags(const std::vector<std::string>& words) {
  auto flags = ParsePythonFlags(words);
  if (!flags) return flags.error().message();
  std::string text = flags->ignore_environment ? "ignoring" : "";
  for (const std::string& argument : flags->arguments) text += " " + argument;
  return text;
}

TEST(PythonFlagsTest, TakesApartWhatPythonTakesTogether) {
  EXPECT_EQ(Flags({}), "");
  EXPECT_EQ(Flags({"-O", "-OO", "-Bsu"}), " -O -O -O -B -s -u");
  EXPECT_EQ(Flags({"-X", "dev", "-Ximporttime", "-Wignore", "-sW", "error"}),
            " -Xdev -Ximporttime -Wignore -s -Werror");
}

TEST(PythonFlagsTest, IgnoringTheEnvironmentIsNotLeftToPython) {
  EXPECT_EQ(Flags({"-sE"}), "ignoring -s");
  EXPECT_EQ(Flags({"-I"}), "ignoring -s");
}

TEST(PythonFlagsTest, RefusesWhatABundleCannotHave) {
  EXPECT_EQ(Flags({"-sS"}),
            "python argument '-sS': without site a bundle cannot start; leave out -S; --isolated "
            "hides the host's packages");
  EXPECT_EQ(Flags({"-c", "x"}),
            "python argument '-c': the bundle says what Python runs; use -e or -m of haft build");
  EXPECT_EQ(Flags({"-mx"}),
            "python argument '-mx': the bundle says what Python runs; use -e or -m of haft build");
  EXPECT_EQ(Flags({"-X"}), "python argument '-X': its value is missing");
  for (const char* word : {"", "-", "x", "--help", "-h", "-V", "-x", "-?"})
    EXPECT_FALSE(ParsePythonFlags({word})) << word;
}

std::string Request(std::string_view text) {
  auto request = ParsePythonRequest(text);
  if (!request) return request.error().message();
  std::string words = request->interpreter;
  for (const std::string& flag : request->flags) words += "|" + flag;
  return words;
}

TEST(PythonRequestTest, TakesInterpretersAndFirstLines) {
  EXPECT_EQ(Request("python3"), "python3");
  EXPECT_EQ(Request("/usr/bin/env python3"), "python3");
  EXPECT_EQ(Request("#!/usr/bin/env -S python3 -s  -E"), "python3|-s|-E");
  EXPECT_EQ(Request("/usr/bin/python3 -sE"), "/usr/bin/python3|-sE");
  TempDir dir;
  testing::WriteTestFile(dir / "my python -s", "");
  EXPECT_EQ(Request(dir / "my python -s"), dir / "my python -s");
}

TEST(PythonRequestTest, RefusesWhatCannotBeTakenOver) {
  const std::string remedy = "; write it as in '/usr/bin/python3 -s' or '/usr/bin/env python3'";
  EXPECT_EQ(Request(" "), "python ' ': names no interpreter" + remedy);
  EXPECT_EQ(Request("/usr/bin/env"), "/usr/bin/env") << "is a file: asked, and refused then";
  EXPECT_EQ(Request("/usr/bin/env A=b python3"),
            "python '/usr/bin/env A=b python3': of env only -S can be taken over; --inject-env "
            "sets variables" +
                remedy);
}

}  // namespace
}  // namespace haft

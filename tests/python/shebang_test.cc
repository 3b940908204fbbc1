#include "haft/python/shebang.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "haft/base/file_io.h"

namespace haft {
namespace {

UniqueFd FileOf(std::string_view text) {
  UniqueFd file(::memfd_create("first line", MFD_CLOEXEC));
  EXPECT_TRUE(WriteAll(file.get(), AsBytes(text)));
  return file;
}

TEST(ParseShebangTest, SeesThroughEnv) {
  using Strings = std::vector<std::string>;
  Shebang shebang = ParseShebang("#! /usr/bin/env -S -i A=b sh -e\t-u\r");
  EXPECT_EQ(shebang.program, "sh");
  EXPECT_EQ(shebang.arguments, (Strings{"-e", "-u"}));
  EXPECT_EQ(shebang.env_arguments, (Strings{"-i", "A=b"}));
  shebang = ParseShebang("/bin/sh env");
  EXPECT_EQ(shebang.program, "/bin/sh");
  EXPECT_EQ(shebang.arguments, Strings{"env"});
  EXPECT_EQ(ParseShebang("#!env A=b").program, "");
  EXPECT_EQ(ParseShebang("").program, "");
}

TEST(NamesPythonTest, KnowsPythonByItsFirstLine) {
  for (const char* line :
       {"#!/usr/bin/python3", "#! /opt/my/python3.11 -sE", "#!/usr/bin/env python",
        "#!/usr/bin/env -S -i A=b python3 -u", "#!/opt/pypy3.9", "#!/usr/bin/pypy"}) {
    EXPECT_TRUE(NamesPython(line)) << line;
  }
  for (const char* line :
       {"", "#!", "#!/bin/sh", "#!/usr/bin/env", "#!/usr/bin/env bash python3",
        "#!/bin/sh -c python3", "# python3", "#!/usr/bin/ruby", "#!/usr/python3/bin/sh"}) {
    EXPECT_FALSE(NamesPython(line)) << line;
  }
}

TEST(NamesPythonTest, KnowsPythonThatShStarts) {
  constexpr std::string_view kRest = " \"$0\" \"$@\"\n' '''\nimport sys\n";
  for (const char* head :
       {"#!/bin/sh\n'''exec' \"/a b/bin/python\"", "#!/bin/sh\n'''exec' /l/python3.11",
        "#!/usr/bin/env sh\n'''exec' \"/a/pypy3\""}) {
    EXPECT_TRUE(NamesPython(fmt::format("{}{}", head, kRest))) << head;
  }
  for (const char* head : {"#!/bin/sh\n'''exec' \"/a b/bin/ruby\"", "#!/bin/sh\nexec /l/python3",
                           "#!/bin/bash -e\n\n'''exec' /python3", "#!/bin/cat\n'''exec' /python3",
                           "#!/bin/sh\n'''exec' /a/python3/ruby"}) {
    EXPECT_FALSE(NamesPython(fmt::format("{}{}", head, kRest))) << head;
  }
}

TEST(PythonOfTest, ProgramAndArguments) {
  auto is = [](std::string_view line, std::string_view program,
               const std::vector<std::string>& arguments, bool ignores) {
    WantedPython wanted = PythonOf(line);
    EXPECT_EQ(wanted.program, program) << line;
    EXPECT_EQ(wanted.arguments, arguments) << line;
    EXPECT_EQ(wanted.ignore_environment, ignores) << line;
  };
  is("/usr/bin/env python3", "python3", {}, false);
  is("/usr/bin/python3.9 -sE", "/usr/bin/python3.9", {"-s"}, true);
  is("/usr/bin/python3 -E", "/usr/bin/python3", {}, true);
  is("/usr/bin/python3 -I -X dev -OWerror", "/usr/bin/python3", {"-s", "-X", "dev", "-OWerror"},
     true);
  is("/usr/bin/env -S A=b python3 -IE", "python3", {"-s"}, true);
  is("/bin/sh", "", {}, false);
  is("/usr/bin/env", "", {}, false);
  is("/usr/bin/env -S", "", {}, false);
  is("", "", {}, false);
}

TEST(ShebangOfTest, FirstLine) {
  auto shebang = [](std::string_view text) { return ShebangOf(FileOf(text).get()); };
  EXPECT_EQ(shebang("#!/usr/bin/env python3\nPK"), "/usr/bin/env python3");
  EXPECT_EQ(shebang("#! /usr/bin/python3 -sE \r\n"), "/usr/bin/python3 -sE");
  EXPECT_EQ(shebang("PK\3\4"), "");
  EXPECT_EQ(shebang("#!\n"), "");
  EXPECT_EQ(shebang("#!/no/end"), "");
  EXPECT_EQ(shebang(""), "");
}

}  // namespace
}  // namespace haft

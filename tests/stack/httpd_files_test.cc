#include "httpd_files.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::Message;
using testing::WriteTestFile;

TEST(HttpdFilesTest, ModulesAndHelpersAreNextToTheProgram) {
  testing::TempDir dir;
  WriteTestFile(dir / "bin/httpd", "", 0755);
  WriteTestFile(dir / "bin/rotatelogs", "", 0755);
  WriteTestFile(dir / "bin/htpasswd", "", 0644);
  WriteTestFile(dir / "modules/mod_mime.so", "");
  const HttpdFiles files = Expect(FindHttpdFiles(dir / "bin/httpd"));
  EXPECT_EQ(files.program, dir / "bin/httpd");
  EXPECT_EQ(files.modules, dir / "modules");
  EXPECT_EQ(std::ranges::count(files.helpers, dir / "bin/rotatelogs"), 1);
  EXPECT_EQ(std::ranges::count(files.helpers, dir / "bin/htpasswd"), 0) << "it is no program";
}

TEST(HttpdFilesTest, WhatCannotBeExecutedIsNoHttpd) {
  testing::TempDir dir;
  WriteTestFile(dir / "httpd", "", 0644);
  EXPECT_TRUE(Message(FindHttpdFiles(dir / "httpd")).ends_with("no program"));
  EXPECT_TRUE(Message(FindHttpdFiles(dir.path())).ends_with("no program"));
}

}  // namespace
}  // namespace haft

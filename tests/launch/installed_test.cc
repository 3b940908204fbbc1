#include "haft/launch/installed.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::TempDir;
using testing::WriteTestFile;

TEST(InstalledTest, IsNamedByTheLinkBesideTheBundle) {
  TempDir directory;
  const std::string root = directory.path(), home = root + "/lib/haft/tool";
  for (const char* path : {"/lib", "/lib/haft", "/lib/haft/tool", "/lib/haft/tool/bin", "/bin"})
    ASSERT_EQ(::mkdir((root + path).c_str(), 0755), 0);
  const std::string bundle = home + "/bundle";
  WriteTestFile(bundle, "x");
  ASSERT_EQ(::symlink("../bundle", (home + "/bin/python").c_str()), 0);
  ASSERT_EQ(::symlink("../lib/haft/tool/bin/python", (root + "/bin/other").c_str()), 0);
  ASSERT_EQ(::symlink((root + "/bin/other").c_str(), (root + "/far").c_str()), 0);
  EXPECT_EQ(InstalledAs(home + "/bin/python", bundle), "python");
  EXPECT_EQ(InstalledAs(root + "/bin/other", bundle), "python");
  EXPECT_EQ(InstalledAs(root + "/far", bundle), "python");
  // The file itself, a link beside it, a file of another name: nobody has installed these.
  EXPECT_EQ(InstalledAs(bundle, bundle), "");
  ASSERT_EQ(::symlink("bundle", (home + "/link").c_str()), 0);
  EXPECT_EQ(InstalledAs(home + "/link", bundle), "");
  EXPECT_EQ(InstalledAs(home + "/bin/python", home + "/tool"), "");
  EXPECT_EQ(InstalledAs("", bundle), "");
  ASSERT_EQ(::symlink("round", (home + "/bin2").c_str()), 0);
  ASSERT_EQ(::symlink("bin2", (home + "/round").c_str()), 0);
  EXPECT_EQ(InstalledAs(home + "/round", bundle), "");
}

TEST(InstalledTest, AsksForWhatTheLinkIsCalledUnlessTheUserAsks) {
  format::Manifest manifest;
  manifest.entry.script = "tool";
  manifest.scripts = {{.kind = format::EntryKind::kFunction, .script = "other"}};
  auto ask = [&](const std::string& name, Environment environment) {
    AskForInstalled(manifest, name, "/p/lib/haft/tool/bundle", environment);
    return environment.entries();
  };
  using Words = std::vector<std::string>;
  const std::string executable = "HAFT_EXECUTABLE=/p/lib/haft/tool/bin/python";
  EXPECT_EQ(ask("", Environment({"HAFT_EXECUTABLE=/of/another"})), Words{});
  EXPECT_EQ(ask("tool", Environment({"A=1"})), (Words{"A=1", executable}));
  EXPECT_EQ(ask("other", Environment({})), (Words{executable, "HAFT_SCRIPT=other"}));
  EXPECT_EQ(ask("python3", Environment({})), (Words{"HAFT_INTERPRETER=1"}));
  EXPECT_EQ(ask("other", Environment({"HAFT_ENTRY_POINT=m"})),
            (Words{"HAFT_ENTRY_POINT=m", executable}));
}

}  // namespace
}  // namespace haft

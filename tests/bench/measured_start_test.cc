#include "haft/bench/measured_start.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft::bench {
namespace {

using haft::testing::Expect;
using haft::testing::Message;
using haft::testing::TempDir;
using haft::testing::WriteTestFile;

StartCommand Shell(const std::string& script) {
  return {.argv = {"/bin/sh", "-c", script},
          .environment = {"PATH=/usr/bin:/bin"},
          .before = {},
          .after = {},
          .forget = {}};
}

TEST(MeasuredStartTest, KeepsStatusAndOutput) {
  Sample sample = Expect(MeasureStart(Shell("echo out; echo err >&2; cat; exit 3"), 1, true));
  EXPECT_EQ(WEXITSTATUS(sample.status), 3);
  EXPECT_EQ(sample.output, "out\nerr\n");
  EXPECT_GT(sample.wall_ms, 0);
  EXPECT_GT(sample.peak_mb, 0);
}

TEST(MeasuredStartTest, WaitsForOrphansAndCountsThem) {
  TempDir directory;
  // The program ends at once; what it left behind works for a while and then says that it is done.
  std::string script = "( i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; : > " +
                       (directory / "done") + " ) & exit 0";
  Sample sample = Expect(MeasureStart(Shell(script), 1, false));
  EXPECT_EQ(directory.List(), (std::vector<std::string>{"done"}));
  EXPECT_GT(sample.helper_cpu_ms, 0);
  EXPECT_GT(sample.helper_peak_mb, 0);
}

TEST(MeasuredStartTest, SeveralAtOnce) {
  Sample sample = Expect(MeasureStart(Shell("echo x"), 4, true));
  EXPECT_EQ(sample.output, "x\nx\nx\nx\n");
}

TEST(MeasuredStartTest, RunsWhatBelongsToTheStart) {
  TempDir directory;
  StartCommand start = Shell("cat " + (directory / "file"));
  start.before = {{"/bin/sh", "-c", "echo greeting; echo made > " + (directory / "file")}};
  start.after = {{"/bin/rm", directory / "file"}};
  start.forget = directory / "cache";
  ASSERT_EQ(::mkdir((directory / "cache").c_str(), 0700), 0);
  WriteTestFile(directory / "cache/old", "x");
  EXPECT_EQ(Expect(MeasureStart(start, 1, true)).output, "made\n");
  EXPECT_TRUE(directory.List().empty());
}

TEST(MeasuredStartTest, SaysWhatFails) {
  StartCommand start{
      .argv = {"/not/there"}, .environment = {}, .before = {}, .after = {}, .forget = {}};
  EXPECT_EQ(Message(MeasureStart(start, 2, false)), "'/not/there': No such file or directory");
  start = Shell("exit 0");
  start.before = {{"/bin/false"}};
  EXPECT_EQ(Message(MeasureStart(start, 1, false)), "'/bin/false': exit status 1");
}

}  // namespace
}  // namespace haft::bench

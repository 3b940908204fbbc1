#include "haft/base/subprocess.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "haft/base/file_io.h"
#include "support/expect.h"

namespace haft {
namespace {

using testing::Expect;
using testing::Message;

Command Shell(std::string script) {
  return {.program = "/bin/sh", .arguments = {"-c", std::move(script)}, .environment = {"X=7"}};
}

TEST(SubprocessTest, CollectsOutputErrorsAndStatus) {
  CommandOutput output = Expect(RunCommand(Shell("cat; echo out $X; echo err >&2; exit 3")));
  EXPECT_EQ(output.out, "out 7\n");
  EXPECT_EQ(output.errors, "err\n");
  EXPECT_EQ(DescribeStatus(output.status), "exit status 3");
  output = Expect(RunCommand(Shell("kill -SEGV $$")));
  EXPECT_EQ(DescribeStatus(output.status), "killed by signal 11 (Segmentation fault)");
}

TEST(SubprocessTest, TooMuchOutputIsAnError) {
  EXPECT_EQ(Message(RunCommand({.program = "/usr/bin/yes"}, 1000)),
            "'/usr/bin/yes': wrote more than 1000 bytes");
}

TEST(SubprocessTest, AMissingProgramIsNamed) {
  EXPECT_EQ(Message(RunCommand({.program = "/no/such"})), "'/no/such': No such file or directory");
}

TEST(SubprocessTest, SendingToAChildThatEndedIsAnErrorAndNoSignal) {
  Subprocess child = *Subprocess::Start(Shell("exit 0"));
  EXPECT_EQ(Expect(child.Wait()), 0);
  Result<> sent = child.Send(AsBytes("text"));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().sys_errno(), EPIPE);
}

TEST(SubprocessTest, TalksBothWays) {
  Subprocess child = *Subprocess::Start(Shell("read a; echo got $a; read b; echo end"));
  ASSERT_TRUE(child.Send(AsBytes("one\n")));
  std::string answer(8, '\0');
  EXPECT_EQ(Expect(child.Receive(std::as_writable_bytes(std::span(answer)))), 8u);
  EXPECT_EQ(answer, "got one\n");
  child.EndInput();
  EXPECT_EQ(Expect(child.Receive(std::as_writable_bytes(std::span(answer)))), 4u);
}

TEST(SubprocessTest, IgnoredSignalsAreDefaultInTheChild) {
  auto previous = ::signal(SIGXFSZ, SIG_IGN);
  CommandOutput output = Expect(RunCommand(Shell("kill -XFSZ $$; echo survived")));
  ::signal(SIGXFSZ, previous);
  EXPECT_EQ(output.out, "");
}

}  // namespace
}  // namespace haft

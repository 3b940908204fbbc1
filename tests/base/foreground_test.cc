#include "haft/base/foreground.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/expect.h"

namespace haft {
namespace {

using testing::Expect;
using testing::Message;

Result<int> Shell(const std::string& script) {
  return RunInForeground("/bin/sh", {"sh", "-c", script}, {"PATH=/usr/bin:/bin"});
}

// Forks, so that signals hit nobody else; the child's exit status is that of `body`.
int InChild(const std::function<int()>& body) {
  pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

TEST(ForegroundTest, ReturnsTheStatus) {
  EXPECT_EQ(WEXITSTATUS(Expect(Shell("exit 9"))), 9);
  int status = Expect(Shell("kill -TERM $$"));
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

TEST(ForegroundTest, SaysWhatCannotBeRun) {
  EXPECT_EQ(Message(RunInForeground("/not/there", {"x"}, {})),
            "'/not/there': No such file or directory");
}

TEST(ForegroundTest, PassesSignalsOn) {
  // The child says that it is ready by asking its parent to be signalled itself.
  int status = InChild([] {
    auto done = Shell("trap 'exit 7' USR1; kill -USR1 $PPID; while :; do sleep 0.01; done");
    return done && WIFEXITED(*done) ? WEXITSTATUS(*done) : 1;
  });
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(ForegroundTest, WorksWhereChildrenAreIgnored) {
  int status = InChild([] {
    ::signal(SIGCHLD, SIG_IGN);
    auto done = Shell("exit 5");
    return done && WIFEXITED(*done) ? WEXITSTATUS(*done) : 1;
  });
  EXPECT_EQ(WEXITSTATUS(status), 5);
}

TEST(ForegroundTest, EndsLikeTheChild) {
  EXPECT_EQ(InChild([] {
              EndLike(3 << 8);
              return 0;
            }),
            3 << 8);
  int status = InChild([] {
    EndBySignal(SIGKILL);
    return 0;
  });
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  status = InChild([] {
    ::signal(SIGINT, SIG_IGN);
    EndLike(SIGINT);
    return 0;
  });
  EXPECT_EQ(WTERMSIG(status), SIGINT);
}

}  // namespace
}  // namespace haft

#include "haft/base/cpu_placement.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace haft {
namespace {

cpu_set_t CpusOf(pid_t process) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  EXPECT_EQ(::sched_getaffinity(process, sizeof cpus, &cpus), 0);
  return cpus;
}

TEST(CpuPlacementTest, MovesAChildAwayUntilItIsReleased) {
  const cpu_set_t all = CpusOf(0);
  const OtherCpus others;
  EXPECT_EQ(static_cast<bool>(others), CPU_COUNT(&all) > 1);
  EXPECT_TRUE(CPU_EQUAL(&others.all(), &all));
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::raise(SIGSTOP);
    others.Release();
    cpu_set_t now;
    ::_exit(::sched_getaffinity(0, sizeof now, &now) == 0 && CPU_EQUAL(&now, &all) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
  others.Move(child);
  const cpu_set_t moved = CpusOf(child);
  EXPECT_EQ(CPU_COUNT(&moved), others ? CPU_COUNT(&all) - 1 : CPU_COUNT(&all));
  const cpu_set_t mine = CpusOf(0);
  EXPECT_TRUE(CPU_EQUAL(&mine, &all));
  ::kill(child, SIGCONT);
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(CpuPlacementTest, HasNoOthersOnOneCpu) {
  const cpu_set_t all = CpusOf(0);
  cpu_set_t one;
  CPU_ZERO(&one);
  const int here = ::sched_getcpu();
  ASSERT_GE(here, 0);
  CPU_SET(static_cast<std::size_t>(here), &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_FALSE(OtherCpus());
  ::sched_setaffinity(0, sizeof all, &all);
}

}  // namespace
}  // namespace haft

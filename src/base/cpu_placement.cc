#include "haft/base/cpu_placement.h"

namespace haft {

OtherCpus::OtherCpus() {
  const int here = ::sched_getcpu();
  if (here < 0 || ::sched_getaffinity(0, sizeof all_, &all_) < 0) return;
  cpu_set_t others = all_;
  CPU_CLR(static_cast<std::size_t>(here), &others);
  if (CPU_COUNT(&others) > 0) others_ = others;
}

// Failures only cost time.
void OtherCpus::Move(pid_t child) const {
  if (others_) static_cast<void>(::sched_setaffinity(child, sizeof *others_, &*others_));
}

void OtherCpus::Release() const {
  if (others_) static_cast<void>(::sched_setaffinity(0, sizeof all_, &all_));
}

}  // namespace haft

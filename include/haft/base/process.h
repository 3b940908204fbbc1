// What every process needs of the system: children, descriptors, time.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

// Waits until the child has ended; its status as waitpid(2) gives it. nullopt, with errno, if there
// is no such child: ECHILD also if this process ignores SIGCHLD, after the child has ended.
std::optional<int> WaitFor(pid_t child);

// Two connected stream sockets.
Result<std::pair<UniqueFd, UniqueFd>> SocketPair();

// Returns early if a signal is handled.
void Sleep(std::chrono::nanoseconds time);

// Nanoseconds of CLOCK_MONOTONIC, the same for all processes.
std::uint64_t MonotonicNow();

// NULL-terminated, for execve and posix_spawn; valid until the strings change.
std::vector<char*> Pointers(const std::vector<std::string>& strings);

// What a detached process does to itself: a name, a session of its own, /dev/null as standard
// streams, "/" as working directory, terminal signals ignored, no core files, every descriptor that
// is not in `keep` closed.
void DetachProcess(const char* name, const std::vector<int>& keep);

// All processes that /proc shows.
std::vector<pid_t> AllProcesses();

}  // namespace haft

// Programs that haft asks something while it builds.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

// Which of the child's descriptors the socket to it is.
enum class ChannelPlace {
  kStandardStreams,  // standard input and output
  // Number 3, for exchanging binary data: what the program or a script around it prints does not
  // get in between. Standard input is empty then, standard output goes where standard error goes.
  kDescriptor3,
};

struct Command {
  std::string program;                   // path; PATH is not searched
  std::vector<std::string> arguments;    // without argv[0], which is `program`
  std::vector<std::string> environment;  // all of it, "NAME=value"
  bool fixed_addresses = false;  // no address space randomisation, where the kernel allows that
  ChannelPlace channel = ChannelPlace::kStandardStreams;
  bool new_session = false;  // then everything in its session is killed with it
  // Runs in a thread of its own, which then starts the child: what it takes away from itself, the
  // child has not either. An error is the one of the start. May be empty.
  std::function<Result<>()> confine = {};
};

// A running child at the other end of a socket. Its standard error is collected in memory. Killed,
// if necessary, and reaped when dropped. For one thread at a time.
class Subprocess {
 public:
  // Signals that haft ignores have their default action in the child, and none is blocked.
  static Result<Subprocess> Start(const Command& command);

  Subprocess(Subprocess&& other) noexcept;
  Subprocess& operator=(Subprocess other) noexcept;
  ~Subprocess();

  // Writes to the socket. EPIPE if it has ended; never raises SIGPIPE.
  Result<> Send(std::span<const std::byte> data);
  int pid() const { return pid_; }
  // The child reads the end of the file.
  void EndInput();
  // Reads what the child wrote, until `out` is full or the child has closed its end; returns the
  // bytes read.
  Result<std::size_t> Receive(std::span<std::byte> out);
  // A descriptor that the child sent through the socket (SCM_RIGHTS). EPIPE if it closed its end
  // without sending one.
  Result<UniqueFd> ReceiveDescriptor();
  // The status as waitpid(2) gives it. Call it once.
  Result<int> Wait();
  // The same, but after `limit` the child is killed and the result is nullopt.
  Result<std::optional<int>> WaitFor(std::chrono::milliseconds limit);
  // What the child wrote to standard error so far, at most 64 KiB.
  std::string StandardError() const;

 private:
  Subprocess() = default;

  // REQUIRES: the descriptors are above 3.
  Result<> Spawn(const Command& command, int channel, int errors);
  void Kill();

  int pid_ = -1;  // -1: reaped
  bool leads_session_ = false;
  UniqueFd channel_;
  UniqueFd errors_;
};

struct CommandOutput {
  int status;  // as waitpid(2) gives it
  std::string out;
  std::string errors;
};

// Runs a command with an empty input. A child that writes more than `limit` bytes is killed.
Result<CommandOutput> RunCommand(const Command& command, std::size_t limit = 1u << 20);

// A child with this process's standard streams, in its process group, with umask 022 and no signal
// blocked; killed when this process dies, however it dies. For what a user watches.
class ForegroundChild {
 public:
  // Of `command` program, arguments and environment count.
  static Result<ForegroundChild> Start(const Command& command);
  ForegroundChild(ForegroundChild&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  ForegroundChild& operator=(ForegroundChild&&) = delete;
  // Kills and reaps it if nobody has waited.
  ~ForegroundChild();

  int pid() const { return pid_; }
  // The status as waitpid(2) gives it. Call it once.
  Result<int> Wait();

 private:
  explicit ForegroundChild(int pid) : pid_(pid) {}
  int pid_;
};

// "exit status 3" or "killed by signal 11 (Segmentation fault)".
std::string DescribeStatus(int status);

}  // namespace haft

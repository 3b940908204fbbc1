#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "haft/base/error.h"

// Sanitizers make calls of their own, which no list of ours knows, and look into /proc.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAFT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAFT_SANITIZED 1
#endif
#endif

namespace haft {

// The system calls that a thread, and all that it starts, may make from now on, for seccomp(2).
// Every other call ends the process with SIGSYS; calls that are newer than this program fail with
// ENOSYS, as on an older kernel, so that a C library falls back.
class SyscallFilter {
 public:
  // (argument & mask) == value. Of an argument only the low 32 bits are looked at: the kernel takes
  // no more of the ones this is for, which are descriptors and flags.
  struct Condition {
    unsigned argument;  // 0 is the first
    std::uint32_t value;
    std::uint32_t mask = ~std::uint32_t{0};
  };

  void Allow(std::initializer_list<long> calls);
  // Allows the call where all conditions hold. Given again: or where these hold.
  void AllowIf(long call, std::initializer_list<Condition> conditions);
  // What is not allowed of these calls fails with `error` instead of ending the process. 0: does
  // nothing, and seems to succeed.
  void Refuse(std::initializer_list<long> calls, int error);

  // Every other call that this program knows is allowed.
  void AllowOthers();

  // The program that the kernel runs at each call.
  std::vector<sock_filter> Compile() const;

  // For the calling thread and all that it starts, for good. REQUIRES: no_new_privs is set.
  Result<> Install() const;

 private:
  struct Rule {
    std::uint32_t call;
    bool always = false;
    std::uint32_t otherwise;  // what seccomp(2) has the kernel do
    std::vector<std::vector<Condition>> alternatives = {};
  };
  class Compiler;

  Rule& RuleFor(long call);

  std::vector<Rule> rules_;  // ordered by call
  bool allow_others_ = false;
};

}  // namespace haft

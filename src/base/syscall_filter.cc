#include "haft/base/syscall_filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <span>

namespace haft {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kMachine = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kMachine = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t kMachine = 0;  // numbers of calls mean something else on each machine
#endif

// futex_waitv of Linux 5.16, in the table that all machines share.
constexpr std::uint32_t kNewestKnown = 449;
// A call of the x32 ABI, which has numbers of its own. No other machine has such numbers.
constexpr std::uint32_t kX32 = 0x40000000;
// What a tracer makes of a call that it takes away: the kernel does nothing.
constexpr std::uint32_t kNoCall = ~std::uint32_t{0};
// So many are compared one after the other, which takes fewer instructions than halving them.
constexpr std::size_t kFew = 3;

static_assert(std::endian::native == std::endian::little, "the low half of an argument is first");

std::uint32_t Fail(int error) {
  return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error);
}

}  // namespace

SyscallFilter::Rule& SyscallFilter::RuleFor(long call) {
  const auto number = static_cast<std::uint32_t>(call);
  auto place = std::ranges::lower_bound(rules_, number, {}, &Rule::call);
  if (place == rules_.end() || place->call != number)
    place = rules_.insert(place, {.call = number, .otherwise = SECCOMP_RET_KILL_PROCESS});
  return *place;
}

void SyscallFilter::Allow(std::initializer_list<long> calls) {
  for (long call : calls) RuleFor(call).always = true;
}

void SyscallFilter::AllowIf(long call, std::initializer_list<Condition> conditions) {
  RuleFor(call).alternatives.emplace_back(conditions);
}

void SyscallFilter::Refuse(std::initializer_list<long> calls, int error) {
  for (long call : calls) RuleFor(call).otherwise = Fail(error);
}

void SyscallFilter::AllowOthers() {
  allow_others_ = true;
}

// The calls are searched by halving: the kernel runs the program for all numbers there are when it
// is installed, which takes longer than all the rest of a sandbox.
class SyscallFilter::Compiler {
 public:
  // `otherwise`: what happens at a call without a rule.
  explicit Compiler(std::uint32_t otherwise) : otherwise_(otherwise) {}

  std::vector<sock_filter> Compile(std::span<const Rule> rules) {
    Load(offsetof(seccomp_data, arch));
    Jump(BPF_JEQ, kMachine, 1, 0);
    Return(SECCOMP_RET_KILL_PROCESS);
    Load(offsetof(seccomp_data, nr));
    Jump(BPF_JGT, kNewestKnown, 0, 4);
    Jump(BPF_JEQ, kNoCall, 1, 0);
    Jump(BPF_JGE, kX32, 1, 0);
    Return(Fail(ENOSYS));
    Return(SECCOMP_RET_KILL_PROCESS);
    Search(rules);
    return std::move(program_);
  }

 private:
  void Search(std::span<const Rule> rules) {
    if (rules.size() <= kFew) {
      for (const Rule& rule : rules) Compare(rule);
      Return(otherwise_);
      return;
    }
    const std::size_t half = rules.size() / 2;
    Jump(BPF_JGE, rules[half].call, 0, 1);
    const std::size_t to_upper = program_.size();
    program_.push_back(BPF_STMT(BPF_JMP | BPF_JA, 0));
    Search(rules.first(half));
    program_[to_upper].k = static_cast<std::uint32_t>(program_.size() - to_upper - 1);
    Search(rules.subspan(half));
  }

  void Compare(const Rule& rule) {
    const std::size_t at = program_.size();
    Jump(BPF_JEQ, rule.call, 0, 0);
    if (rule.always) {
      Return(SECCOMP_RET_ALLOW);
    } else {
      for (const auto& conditions : rule.alternatives) Check(conditions);
      Return(rule.otherwise);
    }
    SkipFrom(at);
  }

  void Check(const std::vector<Condition>& conditions) {
    std::vector<std::size_t> tests;
    for (const Condition& condition : conditions) {
      Load(offsetof(seccomp_data, args) + condition.argument * sizeof(std::uint64_t));
      if (condition.mask != ~std::uint32_t{0})
        program_.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, condition.mask));
      tests.push_back(program_.size());
      Jump(BPF_JEQ, condition.value, 0, 0);
    }
    Return(SECCOMP_RET_ALLOW);
    for (std::size_t test : tests) SkipFrom(test);
  }

  // Where the test at `at` fails, it goes on with the next instruction.
  void SkipFrom(std::size_t at) {
    assert(program_.size() - at - 1 <= 255);  // a jump's distance has 8 bits
    program_[at].jf = static_cast<std::uint8_t>(program_.size() - at - 1);
  }
  void Load(std::size_t offset) {
    program_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)));
  }
  void Jump(unsigned how, std::uint32_t value, std::uint8_t yes, std::uint8_t no) {
    program_.push_back(BPF_JUMP(static_cast<std::uint16_t>(BPF_JMP | how | BPF_K), value, yes, no));
  }
  void Return(std::uint32_t what) { program_.push_back(BPF_STMT(BPF_RET | BPF_K, what)); }

  const std::uint32_t otherwise_;
  std::vector<sock_filter> program_;
};

std::vector<sock_filter> SyscallFilter::Compile() const {
  return Compiler(allow_others_ ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS).Compile(rules_);
}

Result<> SyscallFilter::Install() const {
#ifdef HAFT_SANITIZED
  return Failure(Error(ErrorKind::kUnsupported, "not with a sanitizer"));
#else
  if (kMachine == 0) return Failure(Error(ErrorKind::kUnsupported, "not on this machine"));
  std::vector<sock_filter> program = Compile();
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size()),
                          .filter = program.data()};
  // By default kernels before 5.16 take speculative stores from whoever has a filter, which is for
  // those that run foreign code.
  for (unsigned flags : {unsigned{SECCOMP_FILTER_FLAG_SPEC_ALLOW}, 0u}) {
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter) == 0) return {};
    if (errno != EINVAL) break;
  }
  return Failure(Error::FromErrno("seccomp"));
#endif
}

}  // namespace haft

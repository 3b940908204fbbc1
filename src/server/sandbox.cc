#include "haft/server/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <vector>

#include "haft/base/landlock.h"
#include "haft/base/log.h"
#include "haft/base/syscall_filter.h"
#include "haft/base/unique_fd.h"

namespace haft {
namespace {

constexpr std::uint64_t kReadFile = LANDLOCK_ACCESS_FS_READ_FILE,
                        kReadDirectory = LANDLOCK_ACCESS_FS_READ_DIR;

// --- system calls: seccomp ---

// What any process of ours needs: memory that is never executed, threads, time, an end, and to say
// something of it.
SyscallFilter Common() {
  SyscallFilter filter;
  filter.Allow({SYS_pread64,
                SYS_preadv2,
                SYS_close,
                SYS_brk,
                SYS_munmap,
                SYS_mremap,
                SYS_madvise,
                SYS_futex,
                SYS_set_robust_list,
                SYS_rt_sigaction,
                SYS_rt_sigprocmask,
                SYS_rt_sigreturn,
                SYS_sigaltstack,
                SYS_restart_syscall,
                SYS_sched_yield,
                SYS_sched_getaffinity,
                SYS_getpid,
                SYS_getppid,
                SYS_gettid,
                SYS_getrandom,
                SYS_clock_gettime,
                SYS_gettimeofday,
                SYS_nanosleep,
                SYS_clock_nanosleep,
                SYS_exit,
                SYS_exit_group});
#ifdef SYS_rseq
  filter.Allow({SYS_rseq});
#endif
#ifdef SYS_time
  filter.Allow({SYS_time});
#endif
  for (long call : {SYS_mmap, SYS_mprotect}) filter.AllowIf(call, {{2, 0, PROT_EXEC}});
  for (long call : {SYS_write, SYS_writev}) filter.AllowIf(call, {{0, STDERR_FILENO}});
  filter.AllowIf(SYS_sched_setaffinity, {{0, 0}});  // itself
  // The C library asks for more here and there, and does without.
  filter.Refuse({SYS_openat, SYS_newfstatat, SYS_fstat, SYS_readlinkat, SYS_faccessat}, EACCES);
#ifdef SYS_open
  filter.Refuse({SYS_open, SYS_stat, SYS_readlink, SYS_access}, EACCES);
#endif
#ifdef SYS_statx
  filter.Refuse({SYS_statx}, EACCES);
#endif
  filter.Refuse({SYS_dup, SYS_fcntl}, EMFILE);  // perror(), of libfuse
  filter.Refuse({SYS_ioctl}, ENOTTY);
  filter.Refuse({SYS_lseek}, ESPIPE);
  filter.Refuse({SYS_prctl, SYS_prlimit64, SYS_sysinfo}, EPERM);
#ifdef SYS_clone3
  filter.Refuse({SYS_clone3}, ENOSYS);  // its flags are in memory; clone has them in a register
#endif
  return filter;
}

void AllowDevice(SyscallFilter& filter, int device) {
  const auto number = static_cast<std::uint32_t>(device);
  for (long call : {SYS_read, SYS_write, SYS_writev}) filter.AllowIf(call, {{0, number}});
  filter.Allow({SYS_ppoll});
#ifdef SYS_poll
  filter.Allow({SYS_poll});
#endif
}

void AllowThreads(SyscallFilter& filter) {
  constexpr std::uint32_t kNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                        CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
  filter.AllowIf(SYS_clone, {{0, CLONE_THREAD, CLONE_THREAD | kNamespaces}});
}

// abort()
void AllowToEndItself(SyscallFilter& filter) {
  filter.AllowIf(SYS_tgkill, {{0, static_cast<std::uint32_t>(::getpid())}});
}

constexpr std::uint32_t kFork = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;

constexpr SyscallFilter::Condition kOnlyRead = {
    .argument = 2,
    .value = O_RDONLY,
    .mask = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY) | O_APPEND};

void AllowLookingAtFiles(SyscallFilter& filter) {
  filter.Allow({SYS_newfstatat, SYS_fstat, SYS_fadvise64});
}

void AllowToRemove(SyscallFilter& filter, const MountDirectory& directory) {
  if (directory.descriptor() < 0) return;
  const auto number = static_cast<std::uint32_t>(directory.descriptor());
  filter.AllowIf(SYS_flock, {{0, number}});
  filter.AllowIf(SYS_unlinkat, {{0, number}, {2, AT_REMOVEDIR}});
}

SyscallFilter ServerFilter(int device, const MountDirectory& directory) {
  SyscallFilter filter = Common();
  AllowDevice(filter, device);
  AllowToRemove(filter, directory);
  AllowThreads(filter);
  AllowToEndItself(filter);
  return filter;
}

// All that its children may do: a filter can only become narrower.
SyscallFilter SupervisorFilter(int device, const MountDirectory& directory) {
  SyscallFilter filter = Common();
  AllowDevice(filter, device);
  AllowToRemove(filter, directory);
  AllowThreads(filter);
  AllowLookingAtFiles(filter);
  filter.AllowIf(SYS_clone, {{0, kFork}});
  filter.AllowIf(SYS_tgkill, {{2, SIGABRT}});  // children have other numbers than itself
  filter.AllowIf(SYS_openat, {kOnlyRead});
  filter.AllowIf(SYS_prctl, {{0, PR_SET_NAME}});
  filter.AllowIf(SYS_prctl, {{0, PR_SET_PDEATHSIG}});
  filter.Allow({SYS_wait4, SYS_recvmsg, SYS_getdents64, SYS_seccomp, kLandlockCreateRuleset,
                kLandlockAddRule, kLandlockRestrictSelf});
#ifdef SYS_pidfd_open
  filter.Allow({SYS_pidfd_open});
#endif
  return filter;
}

SyscallFilter PrefetchImageFilter(int root) {
  SyscallFilter filter = Common();
  AllowToEndItself(filter);
  AllowLookingAtFiles(filter);
  filter.AllowIf(SYS_openat, {{0, static_cast<std::uint32_t>(root)}, kOnlyRead});
  filter.Allow({SYS_getdents64});
  return filter;
}

SyscallFilter PrefetchHostFilter() {
  SyscallFilter filter = Common();
  AllowToEndItself(filter);
  AllowLookingAtFiles(filter);
  filter.Allow({SYS_openat2});  // its flags are in memory; Landlock has it read only
  return filter;
}

// What a command does that reads from and writes to what it has open.
SyscallFilter InspectionFilter() {
  SyscallFilter filter = Common();
  AllowThreads(filter);
  AllowToEndItself(filter);
  const auto self = static_cast<std::uint32_t>(::getpid());
  filter.AllowIf(SYS_kill, {{0, self}});  // a signal that a command ends by
  filter.Allow({SYS_read, SYS_readv, SYS_write, SYS_writev, SYS_pwrite64, SYS_pwritev2, SYS_lseek,
                SYS_fstat, SYS_newfstatat, SYS_fadvise64, SYS_ppoll, SYS_dup, SYS_fcntl,
                SYS_ftruncate, SYS_fallocate, SYS_memfd_create, SYS_eventfd2, SYS_prlimit64});
#ifdef SYS_poll
  filter.Allow({SYS_poll});
#endif
#ifdef SYS_statx
  filter.Allow({SYS_statx});
#endif
  for (const std::uint32_t question : {TCGETS, TIOCGWINSZ})  // is it a terminal, and how wide?
    filter.AllowIf(SYS_ioctl, {{1, question}});
  return filter;
}

SyscallFilter ExtractionFilter() {
  SyscallFilter filter = InspectionFilter();
  filter.Allow({SYS_openat,    SYS_openat2,   SYS_mkdirat,   SYS_symlinkat, SYS_linkat,
                SYS_renameat,  SYS_unlinkat,  SYS_utimensat, SYS_fchmod,    SYS_fchmodat,
                SYS_fchown,    SYS_fchownat,  SYS_flock,     SYS_umask,     SYS_getdents64,
                SYS_fstatfs,   SYS_statfs,    SYS_fsync,     SYS_fdatasync, SYS_readlinkat,
                SYS_renameat2, SYS_faccessat, SYS_getuid,    SYS_geteuid,   SYS_sync_file_range});
#ifdef SYS_open  // the C library's, on older machines
  filter.Allow({SYS_open, SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_chmod, SYS_stat, SYS_lstat});
#endif
  return filter;
}

void Report(const Result<>& done) {
  if (!done) Log(LogLevel::kDebug, "sandbox: {}", done.error().message());
}

// `kept`: capabilities that stay, of those the process has.
void KeepCapabilities(std::uint32_t kept) {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  // Without the right to do so (CAP_SETPCAP) there is nothing to take away either: a process that
  // gains no privileges by executing gets none from the bounding set.
  for (unsigned long capability = 0;
       ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0 && capability < 63; ++capability) {
  }
  // A user ID of 0 means nothing, for good.
  ::prctl(PR_SET_SECUREBITS,
          SECBIT_NOROOT | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_CAP_AMBIENT_RAISE | SECURE_ALL_LOCKS,
          0, 0, 0);
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> sets = {};
  if (kept != 0 && ::syscall(SYS_capget, &header, sets.data()) == 0) {
    const std::uint32_t effective = sets[0].effective & kept;
    sets = {};
    sets[0] = {.effective = effective, .permitted = effective, .inheritable = 0};
  }
  if (::syscall(SYS_capset, &header, sets.data()) < 0)  // which also empties the ambient set
    Log(LogLevel::kDebug, "sandbox: {}", Error::FromErrno("capset").message());
}

}  // namespace

void GiveUpPrivileges() {
  KeepCapabilities(0);
#ifndef HAFT_SANITIZED
  ::prctl(PR_SET_DUMPABLE, 0);
#endif
}

void ConfineServer(int device, const MountDirectory& directory) {
  const UniqueFd around = directory.OpenAround();
  if (around) {
    Report(RestrictFiles({{around.get(), LANDLOCK_ACCESS_FS_REMOVE_DIR}}));
  } else {
    Report(RestrictFiles({}));
  }
  Report(ServerFilter(device, directory).Install());
}

void ConfineSupervisor(int device, const MountDirectory& directory) {
  Report(SupervisorFilter(device, directory).Install());
}

void ConfineSupervisorToFiles(int root, const MountDirectory& directory) {
  const UniqueFd processes(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd around = directory.OpenAround();
  std::vector<AllowedTree> trees = {{processes.get(), kReadFile},
                                    {root, kReadFile | kReadDirectory}};
  if (around) trees.push_back({around.get(), LANDLOCK_ACCESS_FS_REMOVE_DIR});
  Report(RestrictFiles(trees));
}

void ConfinePrefetchImage(int root) {
  Report(RestrictFiles({{root, kReadFile | kReadDirectory}}));
  Report(PrefetchImageFilter(root).Install());
}

bool ConfinePrefetchHost(int prefix, int usr) {
  const Result<> restricted = RestrictFiles({{prefix, kReadFile}, {usr, kReadFile}});
  Report(restricted);
  Report(PrefetchHostFilter().Install());
  return restricted.has_value();
}

void ConfineInspection() {
  GiveUpPrivileges();
  Report(RestrictFiles({}));
  Report(InspectionFilter().Install());
}

void ConfineExtraction(int parent) {
  // Dumpable: what it removes it reaches through its own /proc/self/fd.
  KeepCapabilities(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH | 1u << CAP_FOWNER);
  Report(RestrictFiles({{parent, kReadFile | kReadDirectory | kLandlockChangeTree}}));
  Report(ExtractionFilter().Install());
}

}  // namespace haft

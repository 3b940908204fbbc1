#include "profile_sandbox.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>

#include "haft/base/landlock.h"
#include "haft/base/log.h"
#include "haft/base/syscall_filter.h"
#include "haft/base/unique_fd.h"

namespace haft {
namespace {

// Below the directory of the run. No devices.
constexpr std::uint64_t kOfHome =
    kLandlockChangeTree | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SOCK;
constexpr std::uint64_t kEverywhere =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kOfDevice =
    LANDLOCK_ACCESS_FS_WRITE_FILE | kLandlockTruncate | kLandlockControlDevice;

UniqueFd Device(const char* path) {
  return UniqueFd(::open(path, O_PATH | O_CLOEXEC));
}

// Of no use to who only reads; root's among them, which change the host.
void RefuseChangesOfTheHost(SyscallFilter& filter) {
  filter.Refuse({SYS_mount,         SYS_umount2,        SYS_pivot_root,   SYS_chroot,
                 SYS_setns,         SYS_unshare,        SYS_open_tree,    SYS_move_mount,
                 SYS_mount_setattr, SYS_fsopen,         SYS_fsconfig,     SYS_fsmount,
                 SYS_fspick,        SYS_swapon,         SYS_swapoff,      SYS_reboot,
                 SYS_kexec_load,    SYS_init_module,    SYS_finit_module, SYS_delete_module,
                 SYS_bpf,           SYS_acct,           SYS_quotactl,     SYS_sethostname,
                 SYS_setdomainname, SYS_settimeofday,   SYS_adjtimex,     SYS_clock_settime,
                 SYS_clock_adjtime, SYS_ptrace,         SYS_syslog,       SYS_process_vm_writev,
                 SYS_add_key,       SYS_request_key,    SYS_keyctl,       SYS_open_by_handle_at,
                 SYS_pidfd_getfd,   SYS_perf_event_open},
                EPERM);
#ifdef SYS_kexec_file_load
  filter.Refuse({SYS_kexec_file_load}, EPERM);
#endif
#ifdef SYS_iopl
  filter.Refuse({SYS_iopl, SYS_ioperm, SYS_modify_ldt}, EPERM);
#endif
}

// What Landlock does not know of.
void RefuseChangesOfFiles(SyscallFilter& filter) {
  filter.Refuse({SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat, SYS_utimensat, SYS_setxattr,
                 SYS_lsetxattr, SYS_fsetxattr, SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr},
                0);
  filter.Refuse({SYS_truncate}, EROFS);  // before Linux 6.2
#ifdef SYS_chmod
  filter.Refuse({SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat}, 0);
#endif
}

}  // namespace

Result<> ConfineRecording(int home, int record) {
#ifdef HAFT_SANITIZED
  return {};
#endif
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return Failure(Error::FromErrno("prctl"));
  if (HasLandlock()) {
    const UniqueFd null = Device("/dev/null"), zero = Device("/dev/zero"),
                   full = Device("/dev/full");
    TRY(RestrictFiles({{home, kOfHome},
                       {record, LANDLOCK_ACCESS_FS_WRITE_FILE},
                       {null.get(), kOfDevice},
                       {zero.get(), kOfDevice},
                       {full.get(), kOfDevice}},
                      kEverywhere));
  }
  SyscallFilter filter;
  filter.AllowOthers();
  filter.Refuse({SYS_socket}, EACCES);          // a path may lead to a server that does anything
  filter.Refuse({SYS_io_uring_setup}, ENOSYS);  // its calls are in memory
  RefuseChangesOfTheHost(filter);
  RefuseChangesOfFiles(filter);
  // Without it the run is as it was on such a machine; nothing of it is trusted.
  if (auto installed = filter.Install(); !installed)
    Log(LogLevel::kDebug, "profile: {}", installed.error().message());
  return {};
}

bool CanConfineRecording() {
  return HasLandlock();
}

}  // namespace haft

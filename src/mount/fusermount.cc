#include "fusermount.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "fuse_device.h"
#include "haft/base/path.h"
#include "haft/base/subprocess.h"
#include "haft/base/text.h"
#include "identity.h"

namespace haft {
namespace {

// Absolute paths only: PATH must not choose a setuid program's stand-in. Its mode is often 4711:
// not readable, which does not matter.
Result<std::string> FindFusermount() {
  for (const char* path : {"/usr/bin/fusermount3", "/bin/fusermount3", "/usr/local/bin/fusermount3",
                           "/run/wrappers/bin/fusermount3"}) {
    if (IsExecutableFile(path)) return path;
  }
  return Failure(Error(ErrorKind::kNotFound, "fusermount3 is not installed", ENOENT)
                     .Remedy("install the fuse3 package"));
}

// The last line it wrote, without its own name.
std::string Complaint(const std::string& errors) {
  std::string_view text = LastLine(errors);
  for (std::string_view prefix : {"/usr/bin/fusermount3: ", "fusermount3: "}) {
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  }
  return text.empty() ? "it does not say why" : std::string(text);
}

}  // namespace

Result<> CheckFusermount() {
  TRY(CheckSetuidPower(TRY(FindFusermount())));
  TRY(OpenFuseDevice());  // the helper opens it with this user's rights
  // It mounts without, but looks there whose mount it is before it unmounts one.
  if (::geteuid() != 0 && ::access("/etc/mtab", R_OK) < 0) {
    return Failure(
        Error(ErrorKind::kUnsupported, "fusermount3 could not unmount: no /etc/mtab", errno)
            .Remedy("ln -s /proc/self/mounts /etc/mtab"));
  }
  return {};
}

Result<UniqueFd> MountByFusermount(const std::string& path, bool allow_other) {
  TRY(CheckFusermount());
  Command command;
  command.program = TRY(FindFusermount());
  // Nothing a user can choose goes into the options.
  std::string options = "ro,nosuid,nodev,default_permissions,fsname=haft,subtype=haft";
  if (allow_other) options += ",allow_other";
  command.arguments = {"-o", options, "--", path};
  command.environment = {"_FUSE_COMMFD=1"};  // where it sends the descriptor: its standard output
  Subprocess helper = TRY(Subprocess::Start(command));
  auto device = helper.ReceiveDescriptor();
  helper.EndInput();
  int status = TRY(helper.Wait());
  if (device && status == 0) return device;
  return Failure(
      Error(ErrorKind::kSystem, fmt::format("fusermount3: {}", Complaint(helper.StandardError())))
          .Remedy(
              "see mount_max and user_allow_other in /etc/fuse.conf, and the mode of /dev/fuse"));
}

Result<> UnmountByFusermount(const std::string& path, UnmountHow how) {
  Command command;
  command.program = TRY(FindFusermount());
  command.arguments = {how == UnmountHow::kLazily ? "-uqz" : "-uq", "--", path};
  CommandOutput output = TRY(RunCommand(command));
  if (output.status == 0) return {};
  return Failure(Error(ErrorKind::kSystem,
                       fmt::format("unmount {}: refused by fusermount3", Quoted(path)), EBUSY)
                     .Remedy("end the programs that use it, or use --lazy"));
}

}  // namespace haft

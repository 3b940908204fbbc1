#include "haft/mount/private_mount.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "haft/mount/fuse_device.h"
#include "haft/mount/mount_namespace.h"
#include "haft/mount/server_process.h"

namespace haft {
namespace {

constexpr std::array kRungNames = {std::string_view("namespace"), std::string_view("userns")};

// Whether this process may mount in its current user namespace.
bool HasMountCapability() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> data = {};
  if (::syscall(SYS_capget, &header, data.data()) < 0) return false;
  return (data[0].effective & (1u << CAP_SYS_ADMIN)) != 0;
}

Result<> MountOnRung(Rung rung, ImageReader reader, const std::string& mount_point, const StepClock& clock) {
  if (rung == Rung::kUserns) {
    TRY(EnterUserNamespace());
    clock.Step("user namespace entered");
  }
  FuseMountOptions options{.uid = ::geteuid(), .gid = ::getegid(), .allow_other = rung == Rung::kNamespace};
  UniqueFd device = TRY(OpenFuseDevice());
  ServerProcess server = TRY(ServerProcess::Fork(
      std::move(reader), {.uid = options.uid, .gid = options.gid, .allow_other = options.allow_other}, device));
  clock.Step("server process forked");
  TRY(EnterMountNamespace());
  TRY(AssemblePrivateRoot(mount_point));
  clock.Step("private root assembled");
  TRY(MountFuse(device.get(), mount_point, options));
  device.Reset();
  TRY(server.Begin());
  clock.Step("image mounted on {}", Quoted(mount_point));
  return {};
}

}  // namespace

std::string_view RungName(Rung rung) { return kRungNames[static_cast<std::size_t>(rung)]; }

Result<Modes> Modes::Parse(std::string_view text) {
  Modes modes;
  bool first_positive = true;
  while (!text.empty()) {
    std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    bool forbid = word.starts_with('!');
    if (forbid) word.remove_prefix(1);
    auto found = std::ranges::find(kRungNames, word);
    if (found == kRungNames.end()) {
      return Failure(Error::Invalid(fmt::format("HAFT_MODE: unknown mode {}", Quoted(word)))
                         .Remedy(fmt::format("known are {}", fmt::join(kRungNames, ", "))));
    }
    if (!forbid && std::exchange(first_positive, false)) modes.allowed_.fill(false);
    modes.allowed_[static_cast<std::size_t>(found - kRungNames.begin())] = !forbid;
  }
  return modes;
}

Result<> MountPrivately(ImageReader reader, const std::string& mount_point, const Modes& modes,
                        const StepClock& clock) {
  // With the right to mount, a user namespace would only take powers away (setuid programs, other ids).
  bool privileged = HasMountCapability();
  for (Rung rung : {Rung::kNamespace, Rung::kUserns}) {
    if (!modes.Allows(rung)) {
      clock.Step("mode {}: forbidden by HAFT_MODE", RungName(rung));
      continue;
    }
    if (rung == Rung::kNamespace && !privileged) {
      if (modes.Allows(Rung::kUserns)) {
        clock.Step("mode {}: no right to mount", RungName(rung));
        continue;
      }
      return Failure(Error(ErrorKind::kUnsupported, "mode namespace: no right to mount (CAP_SYS_ADMIN)")
                         .Remedy("start it as root or allow mode userns"));
    }
    auto done = MountOnRung(rung, std::move(reader), mount_point, clock);
    if (!done) return Failure(std::move(done).error().Within(fmt::format("mode {}", RungName(rung))));
    return {};
  }
  return Failure(Error::Invalid("HAFT_MODE forbids every mode").Remedy("unset HAFT_MODE"));
}

}  // namespace haft

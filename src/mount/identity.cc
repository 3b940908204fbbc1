#include "identity.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <vector>

#include "haft/base/file_io.h"

namespace haft {
namespace {

struct Capabilities {
  std::uint64_t effective = 0;
  std::uint64_t permitted = 0;
};

Capabilities OwnCapabilities() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> data = {};
  if (::syscall(SYS_capget, &header, data.data()) < 0) return {};
  return {.effective = data[0].effective | std::uint64_t{data[1].effective} << 32,
          .permitted = data[0].permitted | std::uint64_t{data[1].permitted} << 32};
}

// The number that stands for ids without a name here.
gid_t OverflowGroup() {
  gid_t group = 65534;
  if (auto text = ReadWholeFile("/proc/sys/kernel/overflowgid", 64))
    std::from_chars(text->data(), text->data() + text->size(), group);
  return group;
}

std::vector<gid_t> OtherGroups() {
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(0, ::getgroups(0, nullptr))));
  const int count = groups.empty() ? 0 : ::getgroups(static_cast<int>(groups.size()), &groups[0]);
  groups.resize(static_cast<std::size_t>(std::max(0, count)));
  std::erase(groups, ::getegid());
  if (!groups.empty()) std::erase(groups, OverflowGroup());
  return groups;
}

bool GetsRightsByExec(const std::string& program) {
  struct stat status;
  if (::getxattr(program.c_str(), "security.capability", nullptr, 0) > 0) return true;
  return ::stat(program.c_str(), &status) == 0 && (status.st_mode & (S_ISUID | S_ISGID)) != 0;
}

Error Powerless(const std::string& program, std::string_view why) {
  return Error(ErrorKind::kUnsupported, fmt::format("{}: has no power ({})", Quoted(program), why),
               EPERM);
}

}  // namespace

std::string LostInUserNamespace(const std::string& program) {
  std::vector<std::string> lost;
  if (auto groups = OtherGroups(); !groups.empty())
    lost.push_back(fmt::format("groups {}", fmt::join(groups, ", ")));
  if (OwnCapabilities().permitted != 0) lost.emplace_back("capabilities");
  if (GetsRightsByExec(program))
    lost.push_back(fmt::format("rights that {} gets when it is executed", Quoted(program)));
  return fmt::format("{}", fmt::join(lost, ", "));
}

bool HasMountCapability() {
  return (OwnCapabilities().effective & (std::uint64_t{1} << CAP_SYS_ADMIN)) != 0;
}

Result<> CheckSetuidPower(const std::string& program) {
  if (HasMountCapability()) return {};
  if (::geteuid() == 0)
    return Failure(
        Powerless(program, "no CAP_SYS_ADMIN").Remedy("start it with the right to mount"));
  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
    return Failure(Powerless(program, "NO_NEW_PRIVS")
                       .Remedy("allow the service new privileges (systemd: NoNewPrivileges=no)"));
  }
  if (::prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 0) {
    return Failure(Powerless(program, "CAP_SYS_ADMIN is not in the bounding set")
                       .Remedy("allow it (in a container: --cap-add SYS_ADMIN)"));
  }
  struct stat status;
  if (::stat(program.c_str(), &status) < 0 || (status.st_mode & S_ISUID) == 0) return {};
  if (status.st_uid != 0)
    return Failure(Powerless(program, "in a user namespace without root")
                       .Remedy("start it outside of the user namespace"));
  struct statvfs file_system;
  if (::statvfs(program.c_str(), &file_system) == 0 && (file_system.f_flag & ST_NOSUID) != 0)
    return Failure(Powerless(program, "mounted nosuid").Remedy("mount it suid"));
  return {};
}

}  // namespace haft

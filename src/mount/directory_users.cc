#include "haft/mount/directory_users.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>

#include "haft/base/directory.h"
#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/process.h"
#include "haft/base/text.h"
#include "haft/format/bundle_file.h"

namespace haft {

struct DirectoryUsers::Process {
  pid_t pid = 0, parent = 0, session = 0;
  std::uint64_t begin = 0;  // clock ticks since boot
  std::string name;
  std::string layout;  // "" if it may not be looked at

  std::string File(std::string_view file) const { return fmt::format("/proc/{}/{}", pid, file); }

  // nullopt: it is gone, or a zombie, which uses nothing.
  static std::optional<Process> Read(pid_t pid) {
    auto text = ReadWholeFile(fmt::format("/proc/{}/stat", pid), 4096);
    if (!text) return std::nullopt;
    const auto name = text->find('('), name_end = text->rfind(')');
    if (name == text->npos || name_end == text->npos || name_end < name) return std::nullopt;
    // From field 3, as proc(5) counts.
    const std::vector<std::string_view> fields =
        Words(std::string_view(*text).substr(name_end + 1));
    if (fields.size() < 48 || fields[0] == "Z" || fields[0] == "X") return std::nullopt;
    Process process{.pid = pid,
                    .parent = ToNumber<pid_t>(fields[1]).value_or(0),
                    .session = ToNumber<pid_t>(fields[3]).value_or(0),
                    .begin = ToNumber<std::uint64_t>(fields[19]).value_or(0),
                    .name = text->substr(name + 1, name_end - name - 1),
                    .layout = ""};
    // Where code, stack and environment begin: chosen at random by each execve(2). A stack at 0 is
    // one that may not be seen.
    if (fields[25] != "0")
      process.layout = fmt::format("{} {} {}", fields[23], fields[25], fields[47]);
    return process;
  }

  bool IsReadable() const {
    UniqueFd fd(::open(File("environ").c_str(), O_RDONLY | O_CLOEXEC));
    return fd || (errno != EACCES && errno != EPERM);
  }

  // Whether it runs as `user`, or was started by it.
  bool BelongsTo(uid_t user) const {
    auto status = ReadWholeFile(File("status"), 1u << 16);
    if (!status) return false;
    for (std::string_view line : Lines(*status)) {
      if (!line.starts_with("Uid:")) continue;
      const auto ids = Words(line.substr(4));
      return std::ranges::any_of(ids,
                                 [&](std::string_view id) { return ToNumber<uid_t>(id) == user; });
    }
    return false;
  }

  // Everybody can have the name; but only haft executes itself, and only haft cannot be looked at.
  bool IsHelper() const {
    static constexpr std::array<std::string_view, 6> kNames = {"haft-cleanup",    "haft-supervisor",
                                                               "haft-server",     "haft-prefetch",
                                                               "haft-host-files", "haft-mount"};
    if (std::ranges::find(kNames, name) == kNames.end()) return false;
    if (!IsReadable()) return true;
    UniqueFd executed(::open(File("exe").c_str(), O_RDONLY | O_CLOEXEC));
    struct stat theirs, ours;
    if (!executed || ::fstat(executed.get(), &theirs) < 0) return false;
    if (::stat("/proc/self/exe", &ours) == 0 && theirs.st_dev == ours.st_dev &&
        theirs.st_ino == ours.st_ino)
      return true;
    auto image = format::FindImage(executed.get());
    return image && image->has_value();
  }
};

namespace {

std::string ControlGroupOf(const std::string& process) {
  return ReadWholeFile(process + "/cgroup", 1u << 16).value_or("");
}

bool IsBelow(std::string_view path, std::string_view directory) {
  if (!path.starts_with(directory)) return false;
  path.remove_prefix(directory.size());
  return path.empty() || path.front() == '/' || path == " (deleted)";
}

std::string LinkTarget(const std::string& link) {
  std::array<char, PATH_MAX> target;
  const ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
  return size > 0 ? std::string(target.data(), static_cast<std::size_t>(size)) : "";
}

// Without asking the server of a FUSE file system, which may be stopped.
std::optional<std::pair<unsigned, unsigned>> DeviceOf(const std::string& path) {
  struct statx status;
  if (::statx(AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC, STATX_TYPE, &status) < 0)
    return std::nullopt;
  return std::pair(status.stx_dev_major, status.stx_dev_minor);
}

// An environment that names the directory or something in it.
bool Mentions(std::string_view text, std::string_view path) {
  for (auto at = text.find(path); at != text.npos; at = text.find(path, at + 1)) {
    const std::size_t end = at + path.size();
    if (end >= text.size() || std::string_view("/:\0\n \"'", 7).contains(text[end])) return true;
  }
  return false;
}

// The path without symbolic links in it, as the kernel shows it of others.
std::string Canonical(const std::string& path) {
  std::array<char, PATH_MAX> resolved;
  // Not the last component: it may be a mount whose server does not answer.
  const std::string parent(DirName(path));
  if (parent.empty() || ::realpath(parent.c_str(), resolved.data()) == nullptr) return path;
  return JoinPath(std::string_view(resolved.data()) == "/" ? "" : resolved.data(),
                  std::string(BaseName(path)));
}

}  // namespace

// One look at all processes.
class DirectoryUsers::Search {
 public:
  explicit Search(const std::string& path)
      : path_(path),
        real_path_(Canonical(path)),
        device_(DeviceOf(path)),
        namespace_(LinkTarget("/proc/self/ns/mnt")) {}

  // What the kernel says of it.
  bool HoldsFiles(const Process& process) const {
    for (std::string_view link : {"cwd", "root", "exe"}) {
      if (LeadsInto(process, process.File(link))) return true;
    }
    if (auto maps = ReadWholeFile(process.File("maps"))) {
      for (std::string_view line : Lines(*maps)) {
        const auto slash = line.find('/');
        if (slash != line.npos && IsBelow(line.substr(slash), real_path_) && SeesOurs(process))
          return true;
      }
    }
    const std::string descriptors = process.File("fd");
    DirectoryStream stream(descriptors);
    while (const dirent* entry = stream.Next()) {
      if (LeadsInto(process, JoinPath(descriptors, entry->d_name))) return true;
    }
    return false;
  }

  bool Inherited(const Process& process) const {
    auto environment = ReadWholeFile(process.File("environ"));
    return environment && Mentions(*environment, path_);
  }

 private:
  bool LeadsInto(const Process& process, const std::string& link) const {
    if (!IsBelow(LinkTarget(link), real_path_)) return false;
    return SeesOurs(process) || !device_ || DeviceOf(link) == device_;
  }

  // Whether paths mean to it what they mean to us: in a namespace of its own a user can put
  // anything there.
  bool SeesOurs(const Process& process) const {
    return LinkTarget(process.File("ns/mnt")) == namespace_ || process.BelongsTo(::geteuid());
  }

  const std::string& path_;
  std::string real_path_;
  std::optional<std::pair<unsigned, unsigned>> device_;
  std::string namespace_;
};

DirectoryUsers::DirectoryUsers(std::string path, pid_t program, uid_t user)
    : path_(std::move(path)), user_(user) {
  if (program <= 0) return;
  auto process = Process::Read(program);
  if (!process) return;
  program_ = Known{.pid = program, .begin = process->begin};
  program_session_ = process->session;
  control_group_ = ControlGroupOf(fmt::format("/proc/{}", program));
  known_.push_back(*program_);
}

void DirectoryUsers::Observe() {
  if (!program_) return;
  const auto program = Process::Read(program_->pid), self = Process::Read(::getpid());
  if (!program || !self || program->begin != program_->begin) return;
  // Before it executes something it is like every helper of haft.
  if (program->layout.empty() || program->layout == self->layout) return;
  if (std::ranges::find(layouts_, program->layout) == layouts_.end())
    layouts_.push_back(program->layout);
}

bool DirectoryUsers::IsKin(const Process& process) const {
  if (program_ && process.begin < program_->begin) return false;
  if (!process.layout.empty() && std::ranges::find(layouts_, process.layout) != layouts_.end())
    return true;
  // No number of a session's leader is used again as long as the session exists.
  return std::ranges::any_of(known_, [&](const Known& user) {
    return (process.parent == user.pid || process.session == user.pid) &&
           process.begin >= user.begin;
  });
}

bool DirectoryUsers::MayBeOrphan(const Process& process) const {
  if (!program_ || process.parent != ::getppid() || process.begin < program_->begin) return false;
  if (::geteuid() != 0 && !process.BelongsTo(::geteuid())) return false;
  return ControlGroupOf(fmt::format("/proc/{}", process.pid)) == control_group_;
}

std::vector<pid_t> DirectoryUsers::Find() {
  std::vector<Process> others;
  for (pid_t pid : AllProcesses()) {
    if (pid == ::getpid()) continue;
    if (auto process = Process::Read(pid)) others.push_back(*std::move(process));
  }
  std::erase_if(known_, [&](const Known& user) {  // its number may be another's by now
    return std::ranges::any_of(others, [&](const Process& process) {
      return process.pid == user.pid && process.begin != user.begin;
    });
  });
  const Search search(path_);
  std::vector<pid_t> users;
  auto count = [&](const Process& process, bool descendants_too) {
    users.push_back(process.pid);
    if (descendants_too && std::ranges::find(known_, process.pid, &Known::pid) == known_.end())
      known_.push_back({.pid = process.pid, .begin = process.begin});
  };
  std::vector<const Process*> rest;
  for (const Process& process : others) {
    if (process.IsHelper()) continue;
    const bool may_inherit =
        process.BelongsTo(user_) || (program_session_ > 0 && process.session == program_session_);
    if (program_ && process.pid == program_->pid && process.begin == program_->begin) {
      count(process, true);
    } else if (may_inherit && search.Inherited(process)) {
      count(process, true);
    } else if (search.HoldsFiles(process)) {
      count(process, false);
    } else if (MayBeOrphan(process) && !process.IsReadable()) {
      count(process, true);
    } else {
      rest.push_back(&process);
    }
  }
  // Children of those that were found, and so on.
  for (bool found = true; std::exchange(found, false);) {
    std::erase_if(rest, [&](const Process* process) {
      if (!IsKin(*process)) return false;
      count(*process, true);
      return found = true;
    });
  }
  return users;
}

bool HasUser(const std::string& path) {
  return !FindUsers(path).empty();
}

std::vector<pid_t> FindUsers(const std::string& path, uid_t user) {
  return DirectoryUsers(path, 0, user).Find();
}

}  // namespace haft

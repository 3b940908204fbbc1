#include "haft/tree/work_tree.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <utility>
#include <vector>

#include "haft/base/file_io.h"
#include "haft/base/process.h"
#include "haft/base/variables.h"

namespace haft {
namespace {

constexpr std::string_view kPrefix = "haft-build-";

// The life of the child that cleans up: waits for the end of its parent, then removes.
[[noreturn]] void RemoveAtEnd(int alive, TemporaryDirectory& directory) noexcept {
  ::setsid();  // a terminal's ctrl-C is not for it
  for (int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE}) ::signal(signal, SIG_IGN);
  pid_t group = 0, told;
  for (;;) {
    ssize_t n = ::read(alive, &told, sizeof told);
    if (n < 0 && errno == EINTR) continue;
    if (n != sizeof told) break;
    group = told;
  }
  if (group > 0) ::kill(-group, SIGKILL);
  directory.Remove();
  ::_exit(0);
}

Result<> WriteFile(const std::string& path, std::string_view text, bool executable) {
  UniqueFd file = TRY(OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, executable ? 0700 : 0600));
  return WriteAll(file.get(), std::as_bytes(std::span(text)));
}

Result<> MaterializeFile(const TreeNode& node, const std::string& path, bool copy) {
  const TreeNode::File& file = *node.file();
  std::optional<std::string> on_disk = file.source.path_on_disk();
  if (!on_disk || copy) {
    const bool executable = (node.attributes.mode & 0111) != 0;
    return WriteFile(path, TRY(ReadSource(file.source, file.size)), executable);
  }
  if (::symlink(on_disk->c_str(), path.c_str()) < 0) return Failure(Error::FromErrno(Quoted(path)));
  return {};
}

}  // namespace

Result<WorkDirectory> WorkDirectory::Create() {
  return In(TRY(TemporaryDirectory::CreateInTmp(kPrefix)));
}

Result<WorkDirectory> WorkDirectory::CreateInMemory() {
  constexpr const char* kMemory = "/dev/shm";
  struct statfs status;
  const bool usable = !GetVariable("TMPDIR") && ::statfs(kMemory, &status) == 0 &&
                      status.f_type == TMPFS_MAGIC && (status.f_flags & ST_NOEXEC) == 0;
  if (!usable)
    return Failure(Error(ErrorKind::kUnsupported, fmt::format("{}: not usable", kMemory)));
  return In(TRY(TemporaryDirectory::Create(kMemory, kPrefix)));
}

Result<WorkDirectory> WorkDirectory::In(TemporaryDirectory directory) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return Failure(Error::FromErrno("pipe"));
  UniqueFd wait(ends[0]), alive(ends[1]);
  pid_t cleanup = ::fork();
  if (cleanup < 0) return Failure(Error::FromErrno("fork"));
  if (cleanup == 0) {
    alive.Reset();
    RemoveAtEnd(wait.get(), directory);
  }
  return WorkDirectory(std::move(directory), cleanup, std::move(alive));
}

WorkDirectory::WorkDirectory(WorkDirectory&& other) noexcept
    : directory_(std::move(other.directory_)),
      cleanup_(std::exchange(other.cleanup_, -1)),
      alive_(std::move(other.alive_)) {}

WorkDirectory::~WorkDirectory() {
  if (cleanup_ < 0) return;
  alive_.Reset();
  WaitFor(cleanup_);
}

void WorkDirectory::KillWithUs(pid_t group) const {
  static_cast<void>(WriteAll(alive_.get(), std::as_bytes(std::span(&group, 1))));
}

Result<> MaterializeTree(const Tree& tree, const std::string& directory, bool everything) {
  if (::mkdir(directory.c_str(), 0700) < 0) return Failure(Error::FromErrno(Quoted(directory)));
  Result<> done;
  tree.Walk([&](const std::string& relative, const TreeNode& node) {
    if (!done) return;
    const std::string path = directory + "/" + relative;
    if (node.directory() != nullptr) {
      if (::mkdir(path.c_str(), 0700) < 0) done = Failure(Error::FromErrno(Quoted(path)));
    } else if (node.file() != nullptr) {
      done = MaterializeFile(node, path, everything);
    } else if (::symlink(node.symlink()->target.c_str(), path.c_str()) < 0) {
      done = Failure(Error::FromErrno(Quoted(path)));
    }
  });
  return done;
}

std::uint64_t CopiedSize(const Tree& tree, bool everything) {
  std::uint64_t size = 0;
  tree.Walk([&](const std::string&, const TreeNode& node) {
    if (node.file() != nullptr && (everything || !node.file()->source.path_on_disk()))
      size += node.file()->size;
  });
  return size;
}

}  // namespace haft

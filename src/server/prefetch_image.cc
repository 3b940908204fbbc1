#include "prefetch_image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "haft/base/unique_fd.h"
#include "haft/format/profile.h"
#include "haft/fuse/request_log.h"

namespace haft {
namespace {

// What the kernel's advice takes at a time; it asks for no more by itself.
constexpr std::uint64_t kReadBytes = 128u << 10;

void List(int root, const std::string& path) {
  UniqueFd directory(::openat(root, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return;
  alignas(8) char buffer[32 << 10];
  while (::syscall(SYS_getdents64, directory.get(), buffer, sizeof buffer) > 0) {
  }
}

void Read(int root, const format::Prefetch& what) {
  UniqueFd file(::openat(root, what.path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) return;
  struct stat status = {};
  if (::fstat(file.get(), &status) < 0 || !S_ISREG(status.st_mode)) return;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const std::uint64_t begin = std::min(what.range.offset, size);
  const std::uint64_t end =
      what.range.size == 0 ? size : begin + std::min(what.range.size, size - begin);
  // One part is being answered while the next one waits; more would only stand before the
  // program's own requests.
  for (std::uint64_t at = begin; at < end; at += kReadBytes) {
    ::posix_fadvise(file.get(), static_cast<off_t>(at),
                    static_cast<off_t>(std::min(kReadBytes, end - at)), POSIX_FADV_WILLNEED);
    char byte;
    if (at > begin && ::pread(file.get(), &byte, 1, static_cast<off_t>(at - kReadBytes)) < 0)
      return;
  }
}

}  // namespace

bool MayPrefetch(const ServerOptions& options) {
  return options.prefetch && !RecordsRequests();
}

void PrefetchImage(const ImageReader& reader, int root) {
  auto plan = format::ReadPrefetchPlan(reader.fd(), reader.bundle());
  if (!plan) return;
  for (const format::Prefetch& what : plan->image) {
    // The image has the last word on where a path leads: a link in it may lead out of the mount.
    auto entry = reader.Resolve(what.path);
    if (!entry) continue;
    if (entry->attributes.type == FileType::kDirectory) {
      List(root, what.path);
    } else if (entry->attributes.type == FileType::kFile) {
      Read(root, what);
    }
  }
}

}  // namespace haft

#include "fuse_channel.h"

#include <linux/fuse.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "haft/base/log.h"
#include "haft/base/process.h"

namespace haft {
namespace {

using namespace std::chrono_literals;

// Waits between the attempts.
constexpr std::array kPauses = {1ms, 4ms, 16ms, 64ms};

// The header of the request that this thread answers: libfuse does not give it to WriteReply().
thread_local const fuse_in_header* request_header = nullptr;

bool IsPassing(int error) {
  return error == ENOMEM || error == EAGAIN || error == EINTR;
}

// 0, or the errno of the last attempt. ENOENT is success: the request was interrupted, nobody waits
// for the reply.
template <typename Write>
int Try(Write write) {
  for (auto pause = kPauses.begin();; ++pause) {
    if (write() >= 0 || errno == ENOENT) return 0;
    if (!IsPassing(errno) || pause == kPauses.end()) return errno;
    Sleep(*pause);
  }
}

void AllowParallelDirectories(const iovec* parts, int count) {
  if (request_header == nullptr || request_header->opcode != FUSE_INIT || count != 2) return;
  constexpr std::size_t kNeeded = offsetof(fuse_init_out, flags) + sizeof(fuse_init_out::flags);
  if (request_header->len < sizeof *request_header + offsetof(fuse_init_in, flags2) ||
      parts[1].iov_len < kNeeded)
    return;
  auto offered = reinterpret_cast<const fuse_init_in*>(request_header + 1);
  auto reply = static_cast<fuse_init_out*>(parts[1].iov_base);
  reply->flags |= offered->flags & FUSE_PARALLEL_DIROPS;
}

ssize_t WriteReply(int device, iovec* parts, int count, void*) {
  AllowParallelDirectories(parts, count);
  ssize_t size = 0;
  for (int i = 0; i < count; ++i) size += static_cast<ssize_t>(parts[i].iov_len);
  int failed = Try([&] { return ::writev(device, parts, count); });
  if (failed == 0) return size;
  fuse_out_header header;
  std::memcpy(&header, parts[0].iov_base, sizeof header);
  Log(LogLevel::kError, "a reply of {} bytes: {}", size,
      Error::FromErrno("/dev/fuse", failed).message());
  AnswerError(device, header.unique, EIO);
  errno = failed;
  return -1;
}

ssize_t ReadRequest(int device, void* buffer, std::size_t size, void*) {
  return ::read(device, buffer, size);
}

}  // namespace

Result<> ConnectSession(fuse_session* session, int device) {
  const fuse_custom_io io = {
      .writev = WriteReply, .read = ReadRequest, .splice_receive = nullptr, .splice_send = nullptr};
  if (fuse_session_custom_io(session, &io, device) == 0) return {};
  return Failure(Error(ErrorKind::kSystem, "libfuse refused the descriptor"));
}

void ProcessRequest(fuse_session* session, const fuse_buf& request) {
  request_header = static_cast<const fuse_in_header*>(request.mem);
  fuse_session_process_buf(session, &request);
  request_header = nullptr;
}

void AnswerError(int device, std::uint64_t unique, int error) {
  const fuse_out_header header{.len = sizeof header, .error = -error, .unique = unique};
  int failed = Try([&] { return ::write(device, &header, sizeof header); });
  if (failed == 0) return;
  Log(LogLevel::kError, "cannot answer a request: {}; the server ends",
      Error::FromErrno("/dev/fuse", failed).message());
  ::_exit(1);
}

}  // namespace haft

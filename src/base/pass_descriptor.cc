#include "haft/base/pass_descriptor.h"

#include <sys/socket.h>

#include <cstring>

namespace haft {
namespace {

// A message of one byte with room for one descriptor.
struct Message {
  Message() {
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
  }
  char byte = 'f';
  iovec part{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header = {};
};

}  // namespace

Result<> SendDescriptor(int socket, int fd) {
  Message message;
  cmsghdr* rights = CMSG_FIRSTHDR(&message.header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  ssize_t n;
  do {
    n = ::sendmsg(socket, &message.header, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return Failure(Error::FromErrno("sendmsg"));
  return {};
}

Result<UniqueFd> ReceiveDescriptor(int socket) {
  Message message;
  ssize_t n;
  do {
    n = ::recvmsg(socket, &message.header, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return Failure(Error::FromErrno("recvmsg"));
  const cmsghdr* rights = n == 0 ? nullptr : CMSG_FIRSTHDR(&message.header);
  if (rights == nullptr || rights->cmsg_type != SCM_RIGHTS ||
      rights->cmsg_len != CMSG_LEN(sizeof(int))) {
    return Failure(Error::FromErrno("no descriptor came", EPIPE));
  }
  int fd;
  std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
  return UniqueFd(fd);
}

}  // namespace haft

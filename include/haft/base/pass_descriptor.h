// Handing descriptors to another process through a socket.
#pragma once

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

// Sends one byte with `fd` attached. Never raises SIGPIPE.
Result<> SendDescriptor(int socket, int fd);

// Waits for the other side's; EPIPE if it closed its end without sending one.
Result<UniqueFd> ReceiveDescriptor(int socket);

}  // namespace haft

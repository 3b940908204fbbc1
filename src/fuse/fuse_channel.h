#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <cstdint>

#include "haft/base/error.h"

namespace haft {

// The way between a session and /dev/fuse, in place of libfuse's own, which forgets a request
// before its reply is written: if that fails, whoever asked waits for ever.
//
// Here every request is answered, or its process ends. A reply for which the kernel has no memory
// is tried again for a tenth of a second; then, and after any other failure, the request is
// answered EIO; if that fails too, this process exits with status 1: a supervisor replaces it and
// the kernel sends the request again, or everybody gets ENOTCONN. The reply to INIT also gets what
// libfuse 3.14 leaves out: directories may be read and searched by several threads at once.

// From now on `session` talks to `device`, which it closes in the end.
Result<> ConnectSession(fuse_session* session, int device);

// As fuse_session_process_buf(). Thread-safe.
void ProcessRequest(fuse_session* session, const fuse_buf& request);

// Answers a request that is not handed to the session. `error` is positive. Thread-safe.
void AnswerError(int device, std::uint64_t unique, int error);

}  // namespace haft

// Linked into the runtime only. The static library's objects hold calls of code that nothing here
// reaches, next to what is used; the linker takes what it finds first, which is this, and leaves
// the rest out.
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <cerrno>

// Character devices, and with them the high-level interface, its modules, dlopen and iconv. The
// kernel sends CUSE_INIT to /dev/cuse only.
extern "C" void cuse_lowlevel_init(fuse_req_t request, fuse_ino_t, const void*) {
  fuse_reply_err(request, ENOSYS);
}

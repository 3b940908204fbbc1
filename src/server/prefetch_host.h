// The host's files of a start - Python and its library - asked for before Python does.
#pragma once

#include <string>

#include "haft/image/image_reader.h"

namespace haft {

// If files of the host that the image's profile names (format::Profile::host) are not in the page
// cache, has the kernel read them, many at once. Looks at up to eight of them first and at no more
// if they are there. `program` is the path of the program to be started: what the profile has below
// the interpreter's prefix is looked for beside it. Only regular files are opened, on the file
// system of their prefix: no automount is set off, no file server waited for but the one that
// Python is on. Blocks while the disk is read, and confines the process before it looks at the
// profile (see sandbox.h): to be called in a process of its own.
void PrefetchHost(const ImageReader& reader, const std::string& program);

}  // namespace haft

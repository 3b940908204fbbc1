// The first files of a start, asked for before the program does.
#pragma once

#include "haft/fuse/server_options.h"
#include "haft/image/image_reader.h"

namespace haft {

// False if the user does not want it, or somebody watches which requests the program makes itself.
bool MayPrefetch(const ServerOptions& options);

// Lists and reads what the image's profile says a start needs, through the mount whose root
// directory `root` is, so that the kernel has it in its caches when the program asks. The server
// answers on a CPU that the program leaves idle, at most two reads at a time. Whatever cannot be
// read is left to the program. Blocks while the server does: to be called in a process of its own.
void PrefetchImage(const ImageReader& reader, int root);

}  // namespace haft

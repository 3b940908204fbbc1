// The program in front of every image: mounts the image behind it and becomes the program it holds.
// It takes no options, since all arguments belong to that program; HAFT_* variables steer it.
#include <fcntl.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <string>
#include <vector>

#include "haft/base/file_io.h"
#include "haft/start/start.h"

namespace haft {
namespace {

// Where this file is; "" if it has no name (any more).
std::string OwnPath() {
  char path[PATH_MAX];
  ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  if (size < 0 || size == sizeof path) return "";
  std::string text(path, static_cast<std::size_t>(size));
  return ::access(text.c_str(), F_OK) == 0 ? text : "";
}

Result<StartImage> OpenSelf(Environment&) {
  auto file = OpenFile("/proc/self/exe", O_RDONLY);
  if (!file && file.error().sys_errno() == ENOENT)
    return Failure(std::move(file).error().Remedy("mount /proc"));
  ImageReader reader = TRY(ImageReader::Open(TRY(std::move(file))));
  format::Manifest manifest = TRY(format::ReadManifest(reader.fd(), reader.bundle()));
  return StartImage{
      .reader = std::move(reader), .manifest = std::move(manifest), .path = OwnPath()};
}

int Main(std::vector<std::string> argv) {
  ReserveStandardDescriptors();
  return Start({.name = argv.empty() ? "bundle" : argv[0],
                .open = OpenSelf,
                .make_program = [&](const StartImage& image, Environment environment) {
                  return MakeProgram(image.manifest, argv, std::move(environment), image.path);
                }});
}

}  // namespace
}  // namespace haft

// libstdc++'s own one takes the names of types apart for its message: 50 KB for an exception that
// nobody catches.
namespace __gnu_cxx {
void __verbose_terminate_handler();
void __verbose_terminate_handler() {
  std::abort();
}
}  // namespace __gnu_cxx

int main(int argc, char** argv) {
  return haft::Main({argv, argv + argc});
}

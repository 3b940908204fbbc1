// The program in front of every image: mounts the image behind it and becomes the program it holds.
// It takes no options, since all arguments belong to that program; HAFT_* variables steer it.
#include <fcntl.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/exceptions.h"
#include "haft/base/file_io.h"
#include "haft/launch/installed.h"
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

// The program's name as a script would get it: the kernel gives an interpreter the path that was
// executed, whatever argv[0] is. Not a descriptor's, which may be closed by now.
void NameAsExecuted(std::vector<std::string>& argv) {
  const unsigned long address = ::getauxval(AT_EXECFN);
  if (address == 0) return;
  const std::string_view path = reinterpret_cast<const char*>(address);
  if (path.empty() || path.starts_with("/dev/fd/") || path.starts_with("/proc/")) return;
  if (argv.empty()) argv.emplace_back();
  argv[0] = path;
}

int Main(std::vector<std::string> argv) {
  ReserveStandardDescriptors();
  NameAsExecuted(argv);
  ExitAtUncaughtExceptions(kExitCannotStart);
  return Start({.name = argv.empty() ? "bundle" : argv[0],
                .open = OpenSelf,
                .make_program = [&](const StartImage& image, Environment environment) {
                  AskForInstalled(image.manifest,
                                  argv.empty() ? "" : InstalledAs(argv[0], image.path), image.path,
                                  environment);
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

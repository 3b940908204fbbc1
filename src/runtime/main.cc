// The program in front of every image: mounts the image behind it and becomes the program it holds.
// It takes no options, since all arguments belong to that program; HAFT_MODE and HAFT_LOG steer it.
#include <fcntl.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <climits>
#include <string>
#include <vector>

#include "haft/base/file_io.h"
#include "haft/base/step_clock.h"
#include "haft/format/manifest.h"
#include "haft/image/image_reader.h"
#include "haft/launch/program.h"
#include "haft/mount/private_mount.h"

namespace haft {
namespace {

// Nothing we open may become standard input, output or error. The program finds them closed, as we did.
void ReserveStandardDescriptors() {
  int fd;
  do {
    fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) ::close(fd);
}

// Where this file is; "" if it has no name (any more).
std::string OwnPath() {
  char path[PATH_MAX];
  ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  if (size < 0 || size == sizeof path) return "";
  std::string text(path, static_cast<std::size_t>(size));
  return ::access(text.c_str(), F_OK) == 0 ? text : "";
}

// The reading order is the order of events. Afterwards the image is mounted for this process.
Result<Program> Prepare(std::vector<std::string> argv) {
  StepClock clock;
  if (::getauxval(AT_SECURE) != 0) {
    return Failure(Error(ErrorKind::kUnsupported, "it is setuid, setgid or has file capabilities")
                       .Remedy("remove them: a bundle runs code its caller can influence"));
  }
  Environment environment = Environment::Current();
  Modes modes = TRY(Modes::Parse(environment.Get("HAFT_MODE").value_or("")));
  UniqueFd self = TRY(OpenFile("/proc/self/exe", O_RDONLY));
  ImageReader reader = TRY(ImageReader::Open(std::move(self)));
  format::Manifest manifest = TRY(format::ReadManifest(reader.fd(), reader.bundle()));
  clock.Step("image {} opened", Quoted(manifest.name));
  Program program = TRY(MakeProgram(manifest, std::move(argv), std::move(environment), OwnPath()));
  TRY(MountPrivately(std::move(reader), manifest.mount, modes, clock));
  clock.Step("starting {}", Quoted(program.path));
  return program;
}

int Main(std::vector<std::string> argv) {
  ReserveStandardDescriptors();
  if (const char* level = ::getenv("HAFT_LOG"); level != nullptr && std::string_view(level) == "debug") {
    SetLogLevel(LogLevel::kDebug);
  }
  std::string name = argv.empty() ? "bundle" : argv[0];
  auto program = Prepare(std::move(argv));
  if (!program) {
    LogLine(LogLevel::kError, std::move(program).error().Within(Quoted(name)).message());
    return kExitCannotStart;
  }
  Error error = Execute(*std::move(program));
  LogLine(LogLevel::kError, Error(error).Within(Quoted(name)).message());
  return ExitStatusFor(error);
}

}  // namespace
}  // namespace haft

int main(int argc, char** argv) { return haft::Main({argv, argv + argc}); }

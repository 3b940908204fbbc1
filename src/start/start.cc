#include "haft/start/start.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <string_view>

#include "haft/base/exceptions.h"
#include "haft/base/log.h"
#include "haft/base/step_clock.h"
#include "haft/base/variables.h"
#include "haft/fuse/request_log.h"
#include "haft/mount/mount_modes.h"
#include "haft/trust/policy.h"

namespace haft {
namespace {

Result<MountSettings> SettingsOf(const Environment& environment) {
  auto value = [&](std::string_view name) {
    return std::string(environment.Get(name).value_or(""));
  };
  MountSettings settings;
  settings.modes = TRY(AllowedModes::Parse(value(variables::kMode)));
  settings.cache = value(variables::kCache);
  settings.prefetch = value(variables::kPrefetch) != "0";
  settings.temporary = value("TMPDIR");
  settings.runtime_directory = value("XDG_RUNTIME_DIR");
  return settings;
}

// Where this user's own policy is, and what his environment asks for. Root has no other than that
// of the system: HOME may be the one of whoever called sudo.
trust::PolicyPlaces PolicyPlacesOf(const Environment& environment) {
  const auto directory = [&](std::string_view name) {
    const std::string_view value = environment.Get(name).value_or("");
    return std::string(value.starts_with('/') ? value : "");
  };
  trust::PolicyPlaces places;
  const std::string_view required = environment.Get(variables::kRequireSignature).value_or("");
  places.required = !required.empty() && required != "0";
  if (::geteuid() == 0) return places;
  std::string settings = directory("XDG_CONFIG_HOME");
  if (const std::string home = directory("HOME"); settings.empty() && !home.empty())
    settings = home + "/.config";
  if (!settings.empty()) places.user = settings + "/haft";
  return places;
}

// The reading order is the order of events. Afterwards the image is mounted for this process.
Result<Program> Prepare(const StartPlan& plan) {
  StepClock clock;
  if (::getauxval(AT_SECURE) != 0) {
    return Failure(Error(ErrorKind::kUnsupported, "it is setuid, setgid or has file capabilities")
                       .Remedy("remove them: a bundle runs code its caller can influence"));
  }
  Environment environment = Environment::Current();
  const auto log = environment.Get(variables::kTraceLog);
  const bool recorded = log.has_value();
  if (recorded) {
    TRY(RecordRequests(*log));
    environment.Unset(variables::kTraceLog);
  }
  MountSettings settings = TRY(SettingsOf(environment));
  settings.own_server = recorded;
  StartImage image = TRY(plan.open(environment));
  clock.Step("image {} opened", Quoted(image.manifest.name));
  TRY(trust::CheckPolicy(image.reader.fd(), image.reader.bundle(), PolicyPlacesOf(environment)));
  clock.Step("policy met");
  settings.runtime_memory = !image.manifest.web.application.empty();
  Program program = TRY(plan.make_program(image, environment));
  std::string mount =
      TRY(MountPrivately(image.reader, image.manifest.mount, settings, program.path, clock));
  if (mount != image.manifest.mount) {
    image.manifest.mount = std::move(mount);
    program = TRY(plan.make_program(image, std::move(environment)));
  }
  clock.Step("starting {}", Quoted(program.path));
  return program;
}

}  // namespace

int Start(const StartPlan& plan) {
  SetLogLevelFromEnvironment();
  return Become(plan.name, Caught([&] { return Prepare(plan); }));
}

int Become(const std::string& name, Result<Program> program) {
  auto report = [&](const Error& error) {
    bool named = error.message().starts_with(Quoted(name));  // errors about the file itself
    LogLine(LogLevel::kError,
            named ? error.message() : Error(error).Within(Quoted(name)).message());
  };
  if (!program) {
    report(program.error());
    return kExitCannotStart;
  }
  Error error = Execute(*std::move(program));
  report(error);
  return ExitStatusFor(error);
}

void ReserveStandardDescriptors() {
  int fd;
  do {
    fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) ::close(fd);
}

void SetLogLevelFromEnvironment() {
  const Environment environment = Environment::Current();
  const std::string_view level = environment.Get(variables::kLog).value_or("");
  if (level.empty()) return;
  if (level == "debug") {
    SetLogLevel(LogLevel::kDebug);
  } else {
    Log(LogLevel::kWarning, "HAFT_LOG {}: unknown; 'debug' prints the steps of a start",
        Quoted(level));
  }
}

}  // namespace haft

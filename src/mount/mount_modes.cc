#include "haft/mount/mount_modes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>

#include "extract_directory.h"
#include "fusermount_mount.h"
#include "private_mount.h"

namespace haft {
namespace {

struct ModeEntry {
  Mode mode;
  Result<std::string> (*mount)(const MountRequest& request);
};

// In the order they are tried.
constexpr auto kModes = std::to_array<ModeEntry>({
    {Mode::kNamespace, MountInMountNamespace},
    {Mode::kUserns, MountInUserNamespace},
    {Mode::kFusermount, MountWithFusermount},
    {Mode::kExtract, ExtractToDirectory},
});
static_assert(kModes.size() == kModeCount, "every mode can be tried");

// Why no mode held, in one line: every mode's cause, and the remedy for the first one that has any.
// "Start it as root" comes last.
struct Failures {
  std::vector<Error> errors;

  std::string Causes() const {
    std::vector<std::string_view> causes;
    for (const Error& error : errors) causes.push_back(error.cause());
    return fmt::format("{}", fmt::join(causes, ", "));
  }
  Error Summary() const {
    if (errors.size() == 1) return errors.front();
    auto has_remedy = [](const Error& error) { return !error.remedy().empty(); };
    auto found = std::find_if(errors.begin() + 1, errors.end(), has_remedy);
    if (found == errors.end()) found = std::ranges::find_if(errors, has_remedy);
    Error summary(ErrorKind::kUnsupported, Causes());
    return found == errors.end() ? summary : std::move(summary).Remedy(found->remedy());
  }
};

}  // namespace

Result<std::string> MountPrivately(const ImageReader& reader, const std::string& mount_point,
                                   const MountSettings& settings, const std::string& program,
                                   const StepClock& clock) {
  Failures failures;
  for (const ModeEntry& entry : kModes) {
    if (!settings.modes.Allows(entry.mode)) {
      clock.Step("mode {}: forbidden by HAFT_MODE", ModeName(entry.mode));
      continue;
    }
    std::string causes = failures.Causes();
    MountRequest request{.reader = reader,
                         .mount_point = mount_point,
                         .mode = entry.mode,
                         .asked_for = settings.modes.Names(entry.mode),
                         .failed_before = causes,
                         .program = ::getpid(),
                         .program_path = program,
                         .settings = settings,
                         .clock = clock};
    auto path = entry.mount(request);
    if (path) {
      clock.Step("mode {}: the files are in {}", ModeName(entry.mode), Quoted(*path));
      return path;
    }
    clock.Step("mode {}: {}", ModeName(entry.mode), path.error().message());
    failures.errors.push_back(
        std::move(path).error().Within(fmt::format("mode {}", ModeName(entry.mode))));
  }
  if (!failures.errors.empty()) return Failure(failures.Summary());
  return Failure(Error::Invalid("HAFT_MODE forbids every mode").Remedy("unset HAFT_MODE"));
}

}  // namespace haft

#include "haft/mount/mount_modes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>

#include "extract_directory.h"
#include "fusermount_mount.h"
#include "identity.h"
#include "private_mount.h"

namespace haft {
namespace {

struct ModeEntry {
  Mode mode;
  Result<std::string> (*mount)(const MountRequest& request);
};

// In the order they are tried, unless the user would lose something in kUserns.
constexpr auto kModes = std::to_array<ModeEntry>({
    {Mode::kNamespace, MountInMountNamespace},
    {Mode::kFusermount, MountWithFusermount},
    {Mode::kUserns, MountInUserNamespace},
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

// The modes of a start. A user namespace takes away what `need` names: it comes last then, unless
// the user named it.
std::array<ModeEntry, kModeCount> ModesInOrder(const MountSettings& settings,
                                               const std::string& need) {
  auto modes = kModes;
  if (!need.empty() && !settings.modes.Names(Mode::kUserns))
    std::ranges::stable_partition(modes, [](auto& entry) { return entry.mode != Mode::kUserns; });
  return modes;
}

// What a start by `mode` loses, for HAFT_LOG=debug.
void TellLoss(Mode mode, const std::string& need, const StepClock& clock) {
  if (mode != Mode::kUserns) return;
  clock.Step("mode userns: {}{}{}", kLostInUserNamespace, need.empty() ? "" : "; this start has ",
             need);
}

}  // namespace

Result<std::string> MountPrivately(const ImageReader& reader, const std::string& mount_point,
                                   const MountSettings& settings, const std::string& program,
                                   const StepClock& clock) {
  Failures failures;
  const std::string need = LostInUserNamespace(program);
  const auto modes = ModesInOrder(settings, need);
  const bool put_off = modes.back().mode == Mode::kUserns && settings.modes.Allows(Mode::kUserns);
  for (const ModeEntry& entry : modes) {
    if (!settings.modes.Allows(entry.mode)) {
      clock.Step("mode {}: forbidden by HAFT_MODE", ModeName(entry.mode));
      continue;
    }
    std::string causes = failures.Causes();
    if (entry.mode == Mode::kExtract && put_off)
      causes += fmt::format("{}mode userns: would lose {}", causes.empty() ? "" : ", ", need);
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
      TellLoss(entry.mode, need, clock);
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

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
  std::string_view name;
  Result<std::string> (*mount)(const MountRequest& request);
};

// In the order they are tried.
constexpr std::array<ModeEntry, kModeCount> kModes = {{
    {Mode::kNamespace, "namespace", MountInMountNamespace},
    {Mode::kUserns, "userns", MountInUserNamespace},
    {Mode::kFusermount, "fusermount", MountWithFusermount},
    {Mode::kExtract, "extract", ExtractToDirectory},
}};

std::string ModeNames() {
  std::string names;
  for (const ModeEntry& entry : kModes)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", entry.name);
  return names;
}

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

std::string_view ModeName(Mode mode) {
  return kModes[static_cast<std::size_t>(mode)].name;
}

Result<AllowedModes> AllowedModes::Parse(std::string_view text) {
  AllowedModes modes;
  bool first_positive = true;
  while (!text.empty()) {
    std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    bool forbid = word.starts_with('!');
    if (forbid) word.remove_prefix(1);
    auto found = std::ranges::find(kModes, word, &ModeEntry::name);
    if (found == kModes.end()) {
      return Failure(Error::Invalid(fmt::format("HAFT_MODE: unknown mode {}", Quoted(word)))
                         .Remedy(fmt::format("known are {}", ModeNames())));
    }
    if (!forbid && std::exchange(first_positive, false)) modes.allowed_.fill(false);
    auto index = static_cast<std::size_t>(found->mode);
    modes.allowed_[index] = modes.named_[index] = !forbid;
  }
  return modes;
}

Result<std::string> MountPrivately(ImageReader& reader, const std::string& mount_point,
                                   const AllowedModes& modes, const std::string& program,
                                   const StepClock& clock) {
  Failures failures;
  for (const ModeEntry& entry : kModes) {
    if (!modes.Allows(entry.mode)) {
      clock.Step("mode {}: forbidden by HAFT_MODE", entry.name);
      continue;
    }
    std::string causes = failures.Causes();
    MountRequest request{.reader = reader,
                         .mount_point = mount_point,
                         .mode = entry.mode,
                         .asked_for = modes.Names(entry.mode),
                         .failed_before = causes,
                         .program = ::getpid(),
                         .program_path = program,
                         .clock = clock};
    auto path = entry.mount(request);
    if (path) {
      clock.Step("mode {}: the files are in {}", entry.name, Quoted(*path));
      return path;
    }
    clock.Step("mode {}: {}", entry.name, path.error().message());
    failures.errors.push_back(std::move(path).error().Within(fmt::format("mode {}", entry.name)));
  }
  if (!failures.errors.empty()) return Failure(failures.Summary());
  return Failure(Error::Invalid("HAFT_MODE forbids every mode").Remedy("unset HAFT_MODE"));
}

}  // namespace haft

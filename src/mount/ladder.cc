#include "haft/mount/ladder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>

#include "extract_directory.h"
#include "fusermount_mount.h"
#include "private_mount.h"

namespace haft {
namespace {

struct RungEntry {
  Rung rung;
  std::string_view name;
  Result<std::string> (*mount)(const RungContext& context);
};

// In the order they are tried.
constexpr std::array<RungEntry, kRungCount> kLadder = {{
    {Rung::kNamespace, "namespace", MountInMountNamespace},
    {Rung::kUserns, "userns", MountInUserNamespace},
    {Rung::kFusermount, "fusermount", MountWithFusermount},
    {Rung::kExtract, "extract", ExtractToDirectory},
}};

std::string RungNames() {
  std::string names;
  for (const RungEntry& entry : kLadder)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", entry.name);
  return names;
}

// Why no rung held, in one line: every rung's cause, and the remedy for the first one that has any.
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

std::string_view RungName(Rung rung) {
  return kLadder[static_cast<std::size_t>(rung)].name;
}

Result<Modes> Modes::Parse(std::string_view text) {
  Modes modes;
  bool first_positive = true;
  while (!text.empty()) {
    std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    bool forbid = word.starts_with('!');
    if (forbid) word.remove_prefix(1);
    auto found = std::ranges::find(kLadder, word, &RungEntry::name);
    if (found == kLadder.end()) {
      return Failure(Error::Invalid(fmt::format("HAFT_MODE: unknown mode {}", Quoted(word)))
                         .Remedy(fmt::format("known are {}", RungNames())));
    }
    if (!forbid && std::exchange(first_positive, false)) modes.allowed_.fill(false);
    auto index = static_cast<std::size_t>(found->rung);
    modes.allowed_[index] = modes.named_[index] = !forbid;
  }
  return modes;
}

Result<std::string> MountPrivately(ImageReader& reader, const std::string& mount_point,
                                   const Modes& modes, const std::string& program,
                                   const StepClock& clock) {
  Failures failures;
  for (const RungEntry& entry : kLadder) {
    if (!modes.Allows(entry.rung)) {
      clock.Step("mode {}: forbidden by HAFT_MODE", entry.name);
      continue;
    }
    std::string causes = failures.Causes();
    RungContext context{.reader = reader,
                        .mount_point = mount_point,
                        .rung = entry.rung,
                        .asked_for = modes.Names(entry.rung),
                        .failed_before = causes,
                        .program = ::getpid(),
                        .program_path = program,
                        .clock = clock};
    auto path = entry.mount(context);
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

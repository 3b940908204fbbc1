#include "overrides.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "haft/base/edit_distance.h"
#include "haft/base/path.h"
#include "haft/base/text.h"
#include "haft/base/variables.h"

namespace haft {
namespace {

using format::Entry;
using format::EntryKind;
using format::Manifest;

std::string TakeVariable(Environment& environment, std::string_view name) {
  std::string value(environment.Get(name).value_or(""));
  environment.Unset(name);
  return value == "0" ? "" : value;
}

const Entry* FindScript(const Manifest& manifest, std::string_view name) {
  auto found = std::ranges::find(manifest.scripts, name, &Entry::script);
  return found == manifest.scripts.end() ? nullptr : &*found;
}

Error UnknownScript(const Manifest& manifest, std::string_view name) {
  std::vector<std::string_view> known;
  for (const Entry& script : manifest.scripts) known.push_back(script.script);
  std::string what = fmt::format("HAFT_SCRIPT {}: ", Quoted(name));
  if (known.empty())
    return Error(ErrorKind::kNotFound, what + "there are no scripts in it")
        .Remedy("use HAFT_ENTRY_POINT");
  Error error(ErrorKind::kNotFound,
              fmt::format("{}not one of its scripts, which are {}", what, Listed(known)));
  auto nearest = Nearest(name, known);
  return nearest ? std::move(error).Remedy(fmt::format("did you mean {}?", Quoted(*nearest)))
                 : error;
}

Result<EntryChoice> ParseEntryPoint(std::string_view text) {
  constexpr std::string_view kWhat = variables::kEntryPoint;
  EntryChoice choice{.entry = {}, .built_in = false};
  if (text.find(':') != text.npos) {
    choice.entry = TRY(format::ParseFunctionEntry(text, kWhat));
  } else {
    choice.entry = TRY(format::ParseModuleEntry(text, kWhat));
    choice.module_or_function = text.find('.') != text.npos;
  }
  return choice;
}

}  // namespace

Overrides Overrides::Take(Environment& environment) {
  Overrides overrides;
  overrides.script = TakeVariable(environment, variables::kScript);
  overrides.entry_point = TakeVariable(environment, variables::kEntryPoint);
  overrides.interpreter = !TakeVariable(environment, variables::kInterpreter).empty();
  overrides.python = TakeVariable(environment, variables::kPython);
  return overrides;
}

Result<EntryChoice> ChooseEntry(const Manifest& manifest, const Overrides& overrides,
                                std::string_view invoked_as) {
  if (overrides.interpreter) {
    return EntryChoice{.entry = {.kind = EntryKind::kInterpreter}, .built_in = false};
  }
  if (!overrides.entry_point.empty()) return ParseEntryPoint(overrides.entry_point);
  if (!overrides.script.empty()) {
    const Entry* script = FindScript(manifest, overrides.script);
    if (script == nullptr) return Failure(UnknownScript(manifest, overrides.script));
    return EntryChoice{.entry = *script, .built_in = false};
  }
  if (manifest.multi_call) {
    std::string_view name = BaseName(invoked_as);
    const Entry* script = name == manifest.entry.script ? nullptr : FindScript(manifest, name);
    if (script != nullptr) return EntryChoice{.entry = *script, .built_in = false};
  }
  if (manifest.entry.kind == EntryKind::kNone) {
    return Failure(Error(ErrorKind::kUnsupported, "the image has no entry to run")
                       .Remedy("name one with HAFT_SCRIPT or HAFT_ENTRY_POINT"));
  }
  return EntryChoice{.entry = manifest.entry};
}

}  // namespace haft

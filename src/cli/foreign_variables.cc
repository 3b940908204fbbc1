#include "foreign_variables.h"

#include <string>
#include <string_view>

#include "haft/base/variables.h"

namespace haft::cli {
namespace {

std::string Take(Environment& environment, std::string_view name) {
  std::string value(environment.Get(name).value_or(""));
  environment.Unset(name);
  return value == "0" ? "" : value;
}

void Offer(Environment& environment, std::string_view name, std::string_view value) {
  if (!value.empty() && environment.Get(name).value_or("").empty()) environment.Set(name, value);
}

bool IsNo(std::string_view value) {
  return value == "false" || value == "False" || value == "no";
}

void TranslateShiv(Environment& environment) {
  for (std::string_view name : {"SHIV_ENTRY_POINT", "SHIV_MODULE"})
    Offer(environment, variables::kEntryPoint, Take(environment, name));
  Offer(environment, variables::kScript, Take(environment, "SHIV_CONSOLE_SCRIPT"));
  Offer(environment, variables::kInterpreter, Take(environment, "SHIV_INTERPRETER"));
}

void TranslatePex(Environment& environment, format::Manifest& manifest) {
  Offer(environment, variables::kEntryPoint, Take(environment, "PEX_MODULE"));
  Offer(environment, variables::kScript, Take(environment, "PEX_SCRIPT"));
  Offer(environment, variables::kPython, Take(environment, "PEX_PYTHON"));
  std::string interpreter = Take(environment, "PEX_INTERPRETER");
  if (!IsNo(interpreter)) Offer(environment, variables::kInterpreter, interpreter);
  std::string inherit = Take(environment, "PEX_INHERIT_PATH");
  if (!inherit.empty()) manifest.isolated = inherit == "false";
  std::string extra = Take(environment, "PEX_EXTRA_SYS_PATH");
  if (extra.empty()) return;
  std::string old(environment.Get("PYTHONPATH").value_or(""));
  environment.Set("PYTHONPATH", old.empty() ? extra : extra + ":" + old);
}

}  // namespace

void TranslateVariables(ArchiveKind kind, Environment& environment, format::Manifest& manifest) {
  if (kind == ArchiveKind::kShiv) TranslateShiv(environment);
  if (kind == ArchiveKind::kPex) TranslatePex(environment, manifest);
}

}  // namespace haft::cli

// The environment variables that are haft's own: their names, and what they mean. Nobody else
// spells them, and a test compares the documents with this table. What a start does because
// of one is decided where the start begins, and handed down as a parameter.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace haft {

namespace variables {
inline constexpr std::string_view kScript = "HAFT_SCRIPT";
inline constexpr std::string_view kEntryPoint = "HAFT_ENTRY_POINT";
inline constexpr std::string_view kInterpreter = "HAFT_INTERPRETER";
inline constexpr std::string_view kPython = "HAFT_PYTHON";
inline constexpr std::string_view kMode = "HAFT_MODE";
inline constexpr std::string_view kCache = "HAFT_CACHE";
inline constexpr std::string_view kPrefetch = "HAFT_PREFETCH";
inline constexpr std::string_view kLog = "HAFT_LOG";
inline constexpr std::string_view kRequireSignature = "HAFT_REQUIRE_SIGNATURE";
inline constexpr std::string_view kIndex = "HAFT_INDEX";
inline constexpr std::string_view kBundle = "HAFT_BUNDLE";
inline constexpr std::string_view kExecutable = "HAFT_EXECUTABLE";
inline constexpr std::string_view kTraceLog = "HAFT_TRACE_LOG";
inline constexpr std::string_view kTraceEvents = "HAFT_TRACE_EVENTS";
}  // namespace variables

enum class VariableUse {
  kStart,     // read by a start, and taken away: the program does not see it
  kSetting,   // read by a start, and inherited by the program
  kProgram,   // set for the program
  kInternal,  // between haft's own parts
};

struct KnownVariable {
  std::string_view name;
  VariableUse use;
  std::string_view meaning;
};

inline constexpr std::array kKnownVariables = std::to_array<KnownVariable>({
    {variables::kScript, VariableUse::kStart, "run this script of the bundle instead of its entry"},
    {variables::kEntryPoint, VariableUse::kStart, "run this module, or MODULE:FUNCTION"},
    {variables::kInterpreter, VariableUse::kStart, "run the bare interpreter"},
    {variables::kPython, VariableUse::kStart, "the interpreter: a path, or a name in PATH"},
    {variables::kMode, VariableUse::kSetting, "the modes to try, separated by commas; !MODE: not"},
    {variables::kCache, VariableUse::kSetting, "where mode extract unpacks, and leaves it"},
    {variables::kPrefetch, VariableUse::kSetting, "0: read nothing before it is needed"},
    {variables::kLog, VariableUse::kSetting, "debug: print the steps of a start"},
    {variables::kRequireSignature, VariableUse::kSetting, "1: start nothing that is not signed"},
    {variables::kIndex, VariableUse::kSetting, "0: import from files, not from the import index"},
    {variables::kBundle, VariableUse::kProgram, "the absolute path of the bundle's file"},
    {variables::kExecutable, VariableUse::kInternal,
     "what an installed program's Python is called"},
    {variables::kTraceLog, VariableUse::kInternal, "the descriptor of a trace's request log"},
    {variables::kTraceEvents, VariableUse::kInternal, "the file for the events of traced Pythons"},
});

// The one reader of the environment below Environment (launch/environment.h). nullopt: not set.
std::optional<std::string> GetVariable(const char* name);

}  // namespace haft

#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"

namespace haft::cli {

// Exit statuses of the haft command.
inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

// The parsed words of one command.
struct Arguments {
  bool help = false;
  std::map<std::string, std::vector<std::string>, std::less<>>
      values;  // by long name; a flag has one ""

  bool Has(std::string_view name) const { return values.contains(name); }
  // The last value given, or the default of the option; "" if there is neither.
  std::string Get(std::string_view name) const;
  std::vector<std::string> All(std::string_view name) const;
};

// One command's options. The only place that knows cxxopts.
class CommandLine {
 public:
  // usage: "FILE [PATH]"; example: one or more lines.
  CommandLine(std::string command, std::string usage, std::string summary, std::string example);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  // names: "l,long" or "long".
  CommandLine& Flag(const std::string& names, const std::string& help);
  CommandLine& Value(const std::string& names, const std::string& placeholder,
                     const std::string& help);
  // Positional words: `minimum` … as many as there are names; a last name ending in "..." takes all
  // the rest.
  CommandLine& Positional(std::vector<std::string> names, std::size_t minimum);
  // Words from the first positional one on are taken as they are, even if they look like options:
  // they belong to a program.
  CommandLine& OptionsFirst();

  // Whether a word names one of the options, and if so, whether its value is the next word.
  // nullopt: none of them.
  std::optional<bool> TakesNext(std::string_view word) const;
  // For a word that is no option: "did you mean …?", or else `hint` and where to look.
  Error UnknownOption(std::string_view word, std::string_view hint) const;
  // Names without dashes: "output-file".
  std::vector<std::string_view> LongNames() const;
  bool IsFlag(std::string_view long_name) const;

  // kUsage for words that do not fit.
  Result<Arguments> Parse(const std::vector<std::string>& words) const;
  std::string Help() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A command line that does not fit: points to the command's help.
Error UsageError(std::string_view command, std::string message);

// A whole number from 1 to `maximum`.
Result<unsigned> ParseNumber(std::string_view option, std::string_view text, unsigned maximum);

}  // namespace haft::cli

#pragma once

#include <map>
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

using Words = std::vector<std::string>;

// The parsed words of one command.
struct Arguments {
  bool help = false;
  // By long name; a flag has one "".
  std::map<std::string, Words, std::less<>> values;

  bool Has(std::string_view name) const { return values.contains(name); }
  // The last value given; "" if there is none.
  std::string Get(std::string_view name) const;
  Words All(std::string_view name) const;
};

struct Option {
  std::string letter;       // "o" of -o; "": it has none
  std::string name;         // "output-file", without dashes
  std::string placeholder;  // of its value; "": a flag. "a|b": one of these
  std::string help;

  bool IsFlag() const { return placeholder.empty(); }
};

// What a command takes: a table for parsing, help, manual and completion. Only command_line.cc
// knows cxxopts.
class CommandLine {
 public:
  // usage: "FILE [PATH]", a line for each form; example: one or more lines.
  CommandLine(std::string_view command, std::string_view usage, std::string_view description,
              std::string_view example);

  // names: "l,long" or "long".
  CommandLine& Flag(std::string_view names, std::string help);
  CommandLine& Value(std::string_view names, std::string placeholder, std::string help);
  // Words that are no options: `minimum` … as many as there are names; a last name ending in "..."
  // takes all the rest.
  CommandLine& Positional(std::vector<std::string> names, std::size_t minimum);
  // The first word ends the options: what follows belongs to a program, whatever it looks like.
  CommandLine& OptionsFirst();
  // What follows "--" is the list `name`, apart from the words.
  CommandLine& AfterDashes(std::string name);
  // All words, what follows "--", and options that `is_theirs` are the list `name`, for another
  // program. `hint` is for options that neither knows.
  CommandLine& PassOn(std::string name, bool (*is_theirs)(std::string_view word), std::string hint);

  const std::vector<Option>& options() const { return options_; }
  const std::vector<std::string>& positional() const { return positional_; }
  bool options_first() const { return options_first_; }
  const Option* Find(std::string_view long_name) const;
  // Names without dashes: "output-file".
  std::vector<std::string_view> LongNames() const;

  // The words by what they are, in their order. kUsage for an option that nobody knows, if there is
  // another program.
  struct SplitWords {
    Words options;  // with their values
    Words words;
    Words rest;  // of AfterDashes() or PassOn()
  };
  Result<SplitWords> Split(const Words& words) const;
  // kUsage for words that do not fit.
  Result<Arguments> Parse(const Words& words) const;
  std::string Help() const;

 private:
  // nullopt: none of our options. Else whether its value is the next word.
  std::optional<bool> TakesNext(std::string_view word) const;
  const Option* FindLetter(char letter) const;
  Error UnknownOption(std::string_view word) const;
  Error Usage(std::string message) const;
  Result<Arguments> ParseOptions(const Words& words) const;
  Result<> AssignWords(const Words& words, Arguments& arguments) const;

  std::string command_;
  std::string usage_;
  std::string description_;
  std::string example_;
  std::vector<Option> options_;
  std::vector<std::string> positional_;
  std::size_t minimum_ = 0;
  bool options_first_ = false;
  std::string rest_;
  bool (*is_theirs_)(std::string_view) = nullptr;
  std::string hint_;
};

// A command line that does not fit.
Error UsageError(std::string message);
// Usage errors without a remedy of their own point to the command's help.
Error PointToHelp(Error error, std::string_view command);

// A whole number from 1 to `maximum`.
Result<unsigned> ParseNumber(std::string_view option, std::string_view text, unsigned maximum);

}  // namespace haft::cli

#include "haft/command/command_line.h"

// File names may contain commas.
#define CXXOPTS_VECTOR_DELIMITER '\0'
#include <fmt/format.h>

#include <algorithm>
#include <cxxopts.hpp>

#include "haft/base/edit_distance.h"
#include "haft/base/text.h"

namespace haft::cli {
namespace {

constexpr std::size_t kWidth = 100;  // of help

// cxxopts writes typographic quotes.
std::string PlainQuotes(std::string text) {
  for (std::string_view quote : {"‘", "’"}) {
    for (std::size_t at; (at = text.find(quote)) != text.npos;) text.replace(at, quote.size(), "'");
  }
  if (text.starts_with("Option ")) text[0] = 'o';
  return text;
}

std::string QuotedIn(std::string text) {
  text = PlainQuotes(std::move(text));
  std::size_t begin = text.find('\'') + 1, end = text.rfind('\'');
  return end >= begin && begin > 0 ? text.substr(begin, end - begin) : text;
}

// Broken into lines of at most `width` columns.
std::string Wrapped(std::string_view text, std::size_t width) {
  std::string lines;
  std::size_t column = 0;
  while (!text.empty()) {
    const std::string_view word = TakeUntil(text, ' ');
    if (column > 0) {
      const bool fits = column + 1 + word.size() <= width;
      lines += fits ? ' ' : '\n';
      column = fits ? column + 1 : 0;
    }
    lines += word;
    column += word.size();
  }
  return lines;
}

cxxopts::Options MakeParser(const std::string& command, const std::string& description,
                            const std::vector<Option>& options) {
  cxxopts::Options parser("haft " + command, Wrapped(description, kWidth));
  parser.set_width(kWidth);
  for (const Option& option : options) {
    std::string names = option.letter.empty() ? option.name : option.letter + "," + option.name;
    if (option.IsFlag()) {
      parser.add_options()(names, option.help);
    } else {
      parser.add_options()(names, option.help, cxxopts::value<std::vector<std::string>>(),
                           option.placeholder);
    }
  }
  return parser;
}

bool LooksLikeOption(std::string_view word) {
  return word.size() > 1 && word[0] == '-';
}

}  // namespace

// --- the table ---

CommandLine::CommandLine(std::string_view command, std::string_view usage,
                         std::string_view description, std::string_view example)
    : command_(command), usage_(usage), description_(description), example_(example) {
  Flag("h,help", "show this");
}

CommandLine& CommandLine::Flag(std::string_view names, std::string help) {
  return Value(names, "", std::move(help));
}

CommandLine& CommandLine::Value(std::string_view names, std::string placeholder, std::string help) {
  std::size_t comma = names.find(',');
  options_.push_back(
      {.letter = std::string(comma == names.npos ? std::string_view() : names.substr(0, comma)),
       .name = std::string(names.substr(comma + 1)),  // npos + 1 == 0
       .placeholder = std::move(placeholder),
       .help = std::move(help)});
  return *this;
}

CommandLine& CommandLine::Positional(std::vector<std::string> names, std::size_t minimum) {
  positional_ = std::move(names);
  minimum_ = minimum;
  return *this;
}

CommandLine& CommandLine::OptionsFirst() {
  options_first_ = true;
  return *this;
}

CommandLine& CommandLine::AfterDashes(std::string name) {
  rest_ = std::move(name);
  return *this;
}

CommandLine& CommandLine::PassOn(std::string name, bool (*is_theirs)(std::string_view word),
                                 std::string hint) {
  rest_ = std::move(name);
  is_theirs_ = is_theirs;
  hint_ = std::move(hint);
  return *this;
}

const Option* CommandLine::Find(std::string_view long_name) const {
  auto found = std::ranges::find(options_, long_name, &Option::name);
  return found == options_.end() ? nullptr : &*found;
}

const Option* CommandLine::FindLetter(char letter) const {
  auto found = std::ranges::find(options_, std::string_view(&letter, 1), &Option::letter);
  return found == options_.end() ? nullptr : &*found;
}

std::vector<std::string_view> CommandLine::LongNames() const {
  std::vector<std::string_view> names;
  for (const Option& option : options_) names.push_back(option.name);
  return names;
}

// --- parsing ---

std::optional<bool> CommandLine::TakesNext(std::string_view word) const {
  if (!LooksLikeOption(word)) return std::nullopt;
  if (word.starts_with("--")) {
    const std::size_t equals = word.find('=');
    const Option* option = Find(word.substr(2, equals == word.npos ? equals : equals - 2));
    if (option == nullptr) return std::nullopt;
    return !option->IsFlag() && equals == word.npos;
  }
  // "-lR" are flags; the rest of a word behind an option with a value is that value.
  for (std::size_t i = 1; i < word.size(); ++i) {
    const Option* option = FindLetter(word[i]);
    if (option == nullptr && i == 1) return std::nullopt;
    if (option == nullptr) return false;
    if (!option->IsFlag()) return i + 1 == word.size();
  }
  return false;
}

Result<CommandLine::SplitWords> CommandLine::Split(const Words& words) const {
  SplitWords split;
  Words& own_words = is_theirs_ != nullptr ? split.rest : split.words;
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (*word == "--") {
      Words& after = rest_.empty() ? split.words : split.rest;
      after.insert(after.end(), word + 1, words.end());
      break;
    }
    if (auto takes_next = TakesNext(*word)) {
      split.options.push_back(*word);
      if (*takes_next && word + 1 != words.end()) split.options.push_back(*++word);
    } else if (!LooksLikeOption(*word) || (is_theirs_ != nullptr && is_theirs_(*word))) {
      own_words.push_back(*word);
      if (!options_first_) continue;
      own_words.insert(own_words.end(), word + 1, words.end());
      break;
    } else if (is_theirs_ != nullptr) {
      return Failure(UnknownOption(*word));
    } else {
      split.options.push_back(*word);  // for the parser to refuse
    }
  }
  return split;
}

Result<Arguments> CommandLine::ParseOptions(const Words& words) const {
  std::vector<const char*> argv = {"haft"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  Arguments arguments;
  try {
    cxxopts::Options parser = MakeParser(command_, description_, options_);
    auto parsed = parser.parse(static_cast<int>(argv.size()), argv.data());
    // cxxopts stores every value of a list as one element of one vector.
    for (const auto& option : parsed.arguments()) {
      if (Find(option.key())->IsFlag()) {
        arguments.values[option.key()] = {""};
      } else {
        arguments.values[option.key()].push_back(option.value());
      }
    }
  } catch (const cxxopts::exceptions::no_such_option& exception) {
    std::string name = QuotedIn(exception.what());
    return Failure(UnknownOption((name.size() > 1 ? "--" : "-") + name));
  } catch (const cxxopts::exceptions::exception& exception) {
    return Failure(Usage(PlainQuotes(exception.what())));
  }
  arguments.help = arguments.Has("help");
  return arguments;
}

Result<> CommandLine::AssignWords(const Words& words, Arguments& arguments) const {
  const bool takes_all = !positional_.empty() && positional_.back().ends_with("...");
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i >= positional_.size() && !takes_all)
      return Failure(Usage(fmt::format("unexpected word {}", Quoted(words[i]))));
    arguments.values[positional_[std::min(i, positional_.size() - 1)]].push_back(words[i]);
  }
  if (words.size() < minimum_)
    return Failure(Usage(fmt::format("{} is missing", positional_[words.size()])));
  return {};
}

Result<Arguments> CommandLine::Parse(const Words& words) const {
  SplitWords split = TRY(Split(words));
  Arguments arguments = TRY(ParseOptions(split.options));
  if (arguments.help) return arguments;
  TRY(AssignWords(split.words, arguments));
  if (!split.rest.empty()) arguments.values[rest_] = std::move(split.rest);
  return arguments;
}

std::string CommandLine::Help() const {
  cxxopts::Options parser = MakeParser(command_, description_, options_);
  std::string usage;
  for (char c : usage_) {
    usage += c;
    if (c == '\n') usage += fmt::format("  haft {} ", command_);
  }
  parser.custom_help(usage);
  return fmt::format("{}\nExample:\n{}\n", parser.help(), example_);
}

// --- arguments and errors ---

std::string Arguments::Get(std::string_view name) const {
  auto found = values.find(name);
  return found == values.end() ? "" : found->second.back();
}

Words Arguments::All(std::string_view name) const {
  auto found = values.find(name);
  return found == values.end() ? Words{} : found->second;
}

Error CommandLine::UnknownOption(std::string_view word) const {
  std::string_view name = word.substr(0, word.find('='));
  while (name.starts_with('-')) name.remove_prefix(1);
  auto nearest = name.size() > 1 ? Nearest(name, LongNames()) : std::nullopt;
  return UsageError(fmt::format("option {} does not exist", Quoted(word)))
      .Remedy(nearest ? fmt::format("did you mean '--{}'?", *nearest)
                      : fmt::format("{}see 'haft {} --help'", hint_, command_));
}

Error CommandLine::Usage(std::string message) const {
  return PointToHelp(UsageError(std::move(message)), command_);
}

Error UsageError(std::string message) {
  return Error(ErrorKind::kUsage, std::move(message));
}

Error PointToHelp(Error error, std::string_view command) {
  if (error.kind() != ErrorKind::kUsage || !error.remedy().empty()) return error;
  return std::move(error).Remedy(fmt::format("see 'haft {} --help'", command));
}

Result<unsigned> ParseNumber(std::string_view option, std::string_view text, unsigned maximum) {
  const unsigned number = ToNumber<unsigned>(text).value_or(0);
  if (number < 1 || number > maximum) {
    return Failure(UsageError(
        fmt::format("{} {}: not a whole number from 1 to {}", option, Quoted(text), maximum)));
  }
  return number;
}

}  // namespace haft::cli
